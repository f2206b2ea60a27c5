"""How far two computations of the same values are apart: pure.

Rule 1: floating numbers are compared by their difference relative to the scale of the reference.
An element's scale is its own size, or the mean size of the array's elements that are not zero,
whichever is larger: rounding is relative to what was summed up, and an element near zero is the
sum of larger ones. Where all of the reference is zero the difference itself counts.

Rule 2: all else is exact: whole numbers, truth values, texts, shapes, where NaN and infinity are.

Rule 3: what is neither a number nor holds any is left out, and named.

Rule 4: a text that names a device, `mps` here and `cpu` there, says where it was computed and not
what: it is passed over.
"""

from __future__ import annotations

import math
import re
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Largest differences, by Rule 1, that rounding explains. PyTorch compares its own operations on
#: MPS with those on the CPU by these (``test/test_mps.py``, ``_compute_tolerances``: 1e-4 for
#: float32, 2e-2 for float16, 5e-2 for bfloat16). MPS has no float64: one that came from there was
#: float32 on the way, and is compared as such. For float8 it is one step of the type.
TOLERANCES = {"float16": 2e-2, "bfloat16": 5e-2, "float8_e4m3fn": 0.125, "float8_e5m2": 0.25}
TOLERANCE = 1e-4
#: Elements that are compared at once: their copies in double precision stay small.
_PIECE = 1 << 18
#: Values in values, and values in all, after which no more are looked for.
_DEPTH, _MOST = 30, 100_000
#: Values that are compared as they are.
_EXACT = (str, bytes, bool, int, type(None))
_CODE = (type, types.ModuleType)
_DEVICE = re.compile(r"(cpu|gpu|mps|cuda)(:\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far one value is from its reference.

    Attributes
    ----------
    path
        Where it is: ``model.0.weight[3, 17]``.
    text
        What differs, in words.
    amount
        By Rule 1; infinite where Rule 2 holds and they are not equal.
    allowed
        How much of that rounding explains.
    """

    path: str
    text: str
    amount: float
    allowed: float

    @property
    def is_beyond(self) -> bool:
        """Whether rounding does not explain it."""
        return not self.amount <= self.allowed


@dataclass(slots=True)
class Comparison:
    """What came of comparing values by name.

    Attributes
    ----------
    tolerance
        What is allowed for all floating numbers; None goes by their type.
    compared
        How many values were compared: arrays, numbers, texts.
    differences
        Those that are not equal.
    left_out
        Where there is something that cannot be compared, and its type.
    """

    tolerance: float | None = None
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    #: Kept, so that no other pair gets their ids meanwhile.
    _seen: dict[tuple[int, int], tuple[object, object]] = field(default_factory=dict)

    @property
    def worst(self) -> Difference | None:
        """The largest difference, measured by what is allowed for it."""
        return max(self.differences, key=_excess, default=None)

    @property
    def beyond(self) -> list[Difference]:
        """The differences that rounding does not explain, the largest first."""
        found = [each for each in self.differences if each.is_beyond]
        return sorted(found, key=_excess, reverse=True)

    def add(self, path: str, ours: object, reference: object, depth: int = 0) -> None:
        """Compare one value, and all that it holds."""
        if depth > _DEPTH or self.compared >= _MOST:
            self.left_out.append(f"{path} and more")
            return
        held = _held(ours), _held(reference)
        if held[0] is not None and held[1] is not None:
            self._add_held(path, (ours, reference), held[0], held[1], depth)
            return
        arrays = _array(ours), _array(reference)
        if arrays[0] is not None and arrays[1] is not None:
            self.compared += 1
            self._note(path, compare_arrays(*arrays[0], *arrays[1], self.tolerance))
            self._add_gradients(path, ours, reference, depth)
        elif _is_floating(ours, reference):
            self.compared += 1
            self._note(path, compare_numbers(ours, reference, self.tolerance))
        elif _name_devices(ours, reference):
            return
        elif isinstance(ours, _EXACT) and isinstance(reference, _EXACT):
            self.compared += 1
            if ours != reference:
                self._differs(path, f"{_short(ours)}, and {_short(reference)} on the CPU")
        elif type(ours) is not type(reference):
            self.compared += 1
            names = type(ours).__name__, type(reference).__name__
            self._differs(path, f"type {names[0]}, and {names[1]} on the CPU")
        else:
            self.left_out.append(f"{path} ({type(ours).__name__})")

    def _add_held(
        self,
        path: str,
        both: tuple[object, object],
        ours: Mapping[str, object],
        reference: Mapping[str, object],
        depth: int,
    ) -> None:
        # The same pair again, by another name or in a circle, says nothing new.
        pair = (id(both[0]), id(both[1]))
        if pair in self._seen:
            return
        self._seen[pair] = both
        for step in (*ours, *(step for step in reference if step not in ours)):
            if step in ours and step in reference:
                self.add(path + step, ours[step], reference[step], depth + 1)
            else:
                self.compared += 1
                side = "not on the CPU" if step in ours else "only on the CPU"
                self._differs(path + step, f"there is one {side}")

    def _add_gradients(self, path: str, ours: Any, reference: Any, depth: int) -> None:
        # Other tensors warn when they are asked.
        if getattr(ours, "is_leaf", False) and getattr(reference, "is_leaf", False):
            gradients = ours.grad, reference.grad
            if any(gradient is not None for gradient in gradients):
                self.add(f"{path}.grad", *gradients, depth + 1)

    def _note(self, path: str, found: Difference | None) -> None:
        if found is not None:
            self.differences.append(
                Difference(
                    path=path + found.path,
                    text=found.text,
                    amount=found.amount,
                    allowed=found.allowed,
                )
            )

    def _differs(self, path: str, text: str) -> None:
        self.differences.append(Difference(path=path, text=text, amount=math.inf, allowed=0.0))


def compare_arrays(
    ours: Any, our_type: str, reference: Any, its_type: str, tolerance: float | None = None
) -> Difference | None:
    """Return how far an array is from its reference, or None if they are equal.

    Parameters
    ----------
    ours, reference
        Arrays of numpy.
    our_type, its_type
        What their elements were before they became numpy's: ``bfloat16`` is float32 there.
    """
    if ours.shape != reference.shape:
        text = f"shape {ours.shape}, and {reference.shape} on the CPU"
        return Difference(path="", text=text, amount=math.inf, allowed=0.0)
    if ours.dtype.kind not in "fc" and reference.dtype.kind not in "fc":
        return _compare_exactly(ours, reference)
    allowed = tolerance
    if allowed is None:
        allowed = max(TOLERANCES.get(name, TOLERANCE) for name in (our_type, its_type))
    return _compare_floating(ours.reshape(-1), reference.reshape(-1), ours.shape, allowed)


def compare_numbers(ours: Any, reference: Any, tolerance: float | None) -> Difference | None:
    """Return how far a number is from its reference, or None if they are equal."""
    both_nan = ours != ours and reference != reference
    if ours == reference or both_nan:
        return None
    apart = abs(ours - reference) / (abs(reference) or 1.0)
    return Difference(
        path="",
        text=f"{ours:.6g}, and {reference:.6g} on the CPU",
        amount=apart if math.isfinite(apart) else math.inf,
        allowed=TOLERANCE if tolerance is None else tolerance,
    )


def _compare_exactly(ours: Any, reference: Any) -> Difference | None:
    differ = (ours != reference).reshape(-1)
    many = int(differ.sum())
    if not many:
        return None
    first = int(differ.argmax())
    values = f"{ours.reshape(-1)[first]}, and {reference.reshape(-1)[first]} on the CPU"
    among = "" if differ.size == 1 else f"; {many:,} of {differ.size:,} elements differ"
    index = _index(first, ours.shape)
    return Difference(path=index, text=values + among, amount=math.inf, allowed=0.0)


def _compare_floating(ours: Any, reference: Any, shape: Any, allowed: float) -> Difference | None:
    import numpy as np

    wide = np.complex128 if "c" in (ours.dtype.kind, reference.dtype.kind) else np.float64
    scale = _scale(reference, wide)
    most, where, odd, first_odd = 0.0, 0, 0, 0
    for begin in range(0, reference.size, _PIECE):
        x = ours[begin : begin + _PIECE].astype(wide)
        y = reference[begin : begin + _PIECE].astype(wide)
        equal = (x == y) | (np.isnan(x) & np.isnan(y))
        strange = ~equal & ~(np.isfinite(x) & np.isfinite(y))
        if strange.any():
            first_odd = first_odd if odd else begin + int(strange.argmax())
            odd += int(strange.sum())
        x[equal | strange] = 0.0
        y[equal | strange] = 0.0
        apart = np.abs(x - y) / np.maximum(np.abs(y), scale)
        if (largest := float(apart.max())) > most:
            most, where = largest, begin + int(apart.argmax())
    if not most and not odd:
        return None
    place = first_odd if odd else where
    text = f"{ours[place].item():.6g}, and {reference[place].item():.6g} on the CPU"
    if odd:
        text += f"; NaN or infinity at {odd:,} of {reference.size:,} places differ"
    amount = math.inf if odd else most
    return Difference(path=_index(place, shape), text=text, amount=amount, allowed=allowed)


def _scale(reference: Any, wide: Any) -> float:
    """Return the mean size of the elements that are neither zero nor infinite; 1 if none is."""
    import numpy as np

    total, many = 0.0, 0
    for begin in range(0, reference.size, _PIECE):
        sizes = np.abs(reference[begin : begin + _PIECE].astype(wide))
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        total, many = total + float(sizes.sum()), many + sizes.size
    return total / many if total else 1.0


def _held(value: object) -> Mapping[str, object] | None:
    """Return what a value holds, by the step that leads there; None if it is no such value."""
    if isinstance(value, dict):
        return {f"[{_key(key, n)}]": item for n, (key, item) in enumerate(value.items())}
    if isinstance(value, (list, tuple)):
        return {f"[{index}]": item for index, item in enumerate(value)}
    if isinstance(value, (set, frozenset)):
        return {f"[{each}]": None for each in sorted(map(repr, value))}
    if (state := _state(value)) is not None:
        return {f".{name}": item for name, item in state.items()}
    frame = sys.modules.get("pandas")
    if frame is not None and isinstance(value, frame.DataFrame):
        columns: Any = value.items()
        whole = {f"[{_key(name, n)}]": each.to_numpy() for n, (name, each) in enumerate(columns)}
        return {**whole, ".index": value.index.to_numpy()}
    if _array(value) is not None or isinstance(value, (*_CODE, *_EXACT)) or callable(value):
        return None
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict) and type(value).__module__.partition(".")[0] not in _OPAQUE:
        return {f".{name}": item for name, item in attributes.items()}
    return None


#: Packages whose objects are pictures, files and the like: what they hold says nothing.
_OPAQUE = {"matplotlib", "PIL", "IPython", "ipywidgets", "jupyter_macgpu", "threading", "logging"}


def _state(value: object) -> dict[str, object] | None:
    """Return the tensors of a model of PyTorch, or what an optimizer keeps; else None."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if isinstance(value, torch.nn.Module):
        leaves = value.named_parameters()
        gradients = {f"{name}.grad": leaf.grad for name, leaf in leaves if leaf.grad is not None}
        return {**value.state_dict(), **gradients}
    if isinstance(value, torch.optim.Optimizer):
        return {"state_dict()": value.state_dict()}
    return None


def _array(value: object) -> tuple[Any, str] | None:
    """Return a value as an array of numpy, and what its elements were; None if it is none."""
    if (numpy := sys.modules.get("numpy")) is None:
        return None
    if isinstance(value, (numpy.ndarray, numpy.generic)) and not isinstance(value, float):
        array = numpy.asarray(value)
        return None if array.dtype.kind in "OV" else (array, str(array.dtype))
    torch, mlx, pandas = map(sys.modules.get, ("torch", "mlx.core", "pandas"))
    if torch is not None and isinstance(value, torch.Tensor):
        return _of_torch(torch, value), str(value.dtype).removeprefix("torch.")
    if mlx is not None and isinstance(value, mlx.array):
        narrow = value.dtype == mlx.bfloat16
        name = str(value.dtype).removeprefix("mlx.core.")
        return numpy.array(value.astype(mlx.float32) if narrow else value), name
    if pandas is not None and isinstance(value, (pandas.Series, pandas.Index)):
        return _array(value.to_numpy())
    return None


def _of_torch(torch: Any, tensor: Any) -> Any:
    plain = tensor.detach().cpu()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    if plain.is_floating_point() and plain.dtype not in (torch.float64, torch.float16):
        plain = plain.float()
    return plain.resolve_conj().resolve_neg().numpy()


def _index(flat: int, shape: Any) -> str:
    if not shape:
        return ""
    steps = []
    for length in reversed(shape):
        flat, step = divmod(flat, length)
        steps.append(str(step))
    return f"[{', '.join(reversed(steps))}]"


def _is_floating(ours: object, reference: object) -> bool:
    both = (ours, reference)
    numbers = all(isinstance(each, (int, float, complex)) for each in both)
    return numbers and any(isinstance(each, (float, complex)) for each in both)


def _name_devices(ours: object, reference: object) -> bool:
    both = (ours, reference)
    return all(isinstance(each, str) and _DEVICE.fullmatch(each) for each in both)


def _key(key: object, number: int) -> str:
    plain = isinstance(key, (str, bytes, int, float, tuple, frozenset, type(None)))
    return repr(key) if plain else f"{type(key).__name__} {number}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _excess(difference: Difference) -> float:
    if not difference.amount:
        return 0.0
    return difference.amount / difference.allowed if difference.allowed else math.inf
