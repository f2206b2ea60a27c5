"""MLX arrays: bytes through host memory; a change is written into the local array."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from .arrays import same_bytes
from .opaque import CannotUpdate
from .parts import PARTS, Part

if TYPE_CHECKING:
    from .graph import Encoder


def reducer_for(cls: type) -> Any:
    """Return the reducer of an MLX type, or None for pickle's own way."""
    if cls is mx.array:
        return reduce_array
    return reduce_dtype if cls is mx.Dtype else None


def parts_for(cls: type) -> tuple[Part, ...] | None:
    """Return what can change in an MLX object, or None to ask the object."""
    if cls is mx.array:
        return (ARRAY,)
    return () if cls is mx.Dtype else None


def reduce_array(_encoder: Encoder, array: Any) -> Any:
    """Send an array's bytes, out of band."""
    memory = pickle.PickleBuffer(memory_of(array))
    return build_array, (memory, dtype_name(array.dtype), tuple(array.shape))


def build_array(memory: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    """Make an array from received bytes. numpy has no bfloat16: it goes as uint16."""
    raw = np.frombuffer(memory, "uint16" if dtype == "bfloat16" else dtype).reshape(shape)
    array = mx.array(raw)
    return array.view(mx.bfloat16) if dtype == "bfloat16" else array


def reduce_dtype(_encoder: Encoder, dtype: Any) -> Any:
    """Send an MLX type by its name."""
    return getattr, (mx, dtype_name(dtype))


def memory_of(array: Any) -> Any:
    """Return the bytes of an array in host memory; this evaluates it."""
    if array.dtype == mx.bfloat16:
        array = array.view(mx.uint16)
    flat: Any = np.ascontiguousarray(np.asarray(array)).reshape(-1)
    return flat.view(np.uint8) if flat.size else np.empty(0, np.uint8)


def dtype_name(dtype: Any) -> str:
    """Return ``float32`` of ``mlx.core.float32``."""
    return str(dtype).rpartition(".")[2]


class _ArrayContent:
    """Type, shape and bytes of an array."""

    code = "mlx.array"

    def snapshot(self, obj: Any) -> Any:
        return obj.dtype, tuple(obj.shape), bytes(memoryview(memory_of(obj)))

    def changed(self, obj: Any, before: Any) -> bool:
        dtype, shape, content = before
        if (obj.dtype, tuple(obj.shape)) != (dtype, shape):
            return True
        return not same_bytes(memory_of(obj), content)

    def elements(self, _obj: Any) -> Iterable[object]:
        return ()

    def export(self, obj: Any, before: Any) -> Any:
        if before[:2] != (obj.dtype, tuple(obj.shape)):
            raise CannotUpdate
        return pickle.PickleBuffer(memory_of(obj)), dtype_name(obj.dtype), tuple(obj.shape)

    def restore(self, obj: Any, state: Any) -> None:
        obj[...] = build_array(*state)


ARRAY = _ArrayContent()
PARTS[ARRAY.code] = ARRAY
