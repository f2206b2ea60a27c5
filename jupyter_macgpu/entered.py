"""What a value holds that can be compared: its elements, its attributes, its numbers. Pure."""

from __future__ import annotations

import sys
import types
from collections import deque
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

#: Values that are compared as they are; dates with a time are dates.
_EXACT = (
    *(str, bytes, bytearray, bool, int, type(None), Decimal, Fraction),
    *(date, time, timedelta, range, slice),
)
_CODE = (type, types.ModuleType)
#: Packages whose objects are pictures, files and the like: what they hold says nothing.
_OPAQUE = {"matplotlib", "PIL", "IPython", "ipywidgets", "jupyter_macgpu", "threading", "logging"}


def held(value: object) -> Mapping[str, object] | None:
    """Return what a value holds, by the step that leads there; None if it is no such value."""
    if isinstance(value, dict):
        return {f"[{_key(key, n)}]": item for n, (key, item) in enumerate(value.items())}
    if isinstance(value, (list, tuple, deque)):
        return {f"[{index}]": item for index, item in enumerate(value)}
    if isinstance(value, (set, frozenset)):
        return {f"[{each}]": None for each in sorted(map(repr, value))}
    for inside in (_of_models, _of_numpy, _of_pandas):
        if (found := inside(value)) is not None:
            return found
    if isinstance(value, _CODE) or is_equal_alone(value) or callable(value):
        return None
    return None if type(value).__module__.partition(".")[0] in _OPAQUE else _attributes(value)


def array(value: object) -> tuple[Any, str] | None:
    """Return a value as an array of numpy, and what its elements were; None if it is none."""
    if (numpy := sys.modules.get("numpy")) is None:
        return None
    if isinstance(value, (numpy.ndarray, numpy.generic)) and not isinstance(value, float):
        if value.dtype.kind in "OV" or isinstance(value, numpy.ma.MaskedArray):
            return None
        return numpy.asarray(value), str(value.dtype)
    torch, mlx = map(sys.modules.get, ("torch", "mlx.core"))
    if torch is not None and isinstance(value, torch.Tensor):
        return _of_torch(torch, value), str(value.dtype).removeprefix("torch.")
    if mlx is not None and isinstance(value, mlx.array):
        narrow = value.dtype == mlx.bfloat16
        name = str(value.dtype).removeprefix("mlx.core.")
        return numpy.array(value.astype(mlx.float32) if narrow else value), name
    return None


def is_elements(value: object) -> bool:
    """Say whether a value is an array of numpy whose elements are objects, each its own."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind == "O"


def is_equal_alone(value: object) -> bool:
    """Say whether a value can only be asked whether it equals another one."""
    pandas = sys.modules.get("pandas")
    exact = (*_EXACT, pandas.Period, pandas.Interval) if pandas is not None else _EXACT
    return isinstance(value, exact)


def _of_models(value: object) -> dict[str, object] | None:
    """Return the tensors of a model of PyTorch, or what an optimizer keeps; else None."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if isinstance(value, torch.nn.Module):
        leaves = value.named_parameters()
        gradients = {f"{name}.grad": leaf.grad for name, leaf in leaves if leaf.grad is not None}
        return {f".{name}": item for name, item in {**value.state_dict(), **gradients}.items()}
    if isinstance(value, torch.optim.Optimizer):
        return {".state_dict()": value.state_dict()}
    return None


def _of_numpy(value: object) -> dict[str, object] | None:
    """Return the fields of an array of records, or the two halves of a masked one; else None."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, (numpy.ndarray, numpy.void)):
        return None
    if value.dtype.names:
        return {f"[{name!r}]": value[name] for name in value.dtype.names}
    if isinstance(value, numpy.ma.MaskedArray):
        return {"": value.filled(), ".mask": numpy.ma.getmaskarray(value)}
    return None


def _of_pandas(value: object) -> dict[str, object] | None:
    """Return columns, values and index of what is pandas' own; else None.

    Its objects keep more: caches, and how the data lie in memory.
    """
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if isinstance(value, pandas.DataFrame):
        names = [_key(name, n) for n, name in enumerate(value.columns)]
        twice = {name for name in names if names.count(name) > 1}
        columns = {
            f"[{name}]" + (f" (column {n})" if name in twice else ""): value.iloc[:, n].to_numpy()
            for n, name in enumerate(names)
        }
        return {**columns, ".index": value.index.to_numpy()}
    if isinstance(value, pandas.Series):
        return {"": value.to_numpy(), ".index": value.index.to_numpy()}
    if isinstance(value, (pandas.Index, pandas.api.extensions.ExtensionArray)):
        return {"": value.to_numpy()}
    return None


def _attributes(value: object) -> dict[str, object] | None:
    """Return what an object has under names, in its dict and its slots; None if it has neither."""
    found = getattr(value, "__dict__", None)
    attributes = dict(found) if isinstance(found, dict) else None
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            if not name.startswith("__") and hasattr(value, name):
                attributes = {**(attributes or {}), name: getattr(value, name)}
    return None if attributes is None else {f".{name}": item for name, item in attributes.items()}


def _of_torch(torch: Any, tensor: Any) -> Any:
    plain = tensor.detach().cpu()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    if plain.is_floating_point() and plain.dtype not in (torch.float64, torch.float16):
        plain = plain.float()
    return plain.resolve_conj().resolve_neg().numpy()


def _key(key: object, number: int) -> str:
    plain = isinstance(key, (str, bytes, int, float, tuple, frozenset, type(None)))
    return repr(key) if plain else f"{type(key).__name__} {number}"
