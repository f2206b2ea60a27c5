"""MLX arrays from a host of data only."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .dataarrays import memory_of
from .known import Args, need
from .mlxarrays import build_array, dtype_name
from .placeholders import Maker

_SIZES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2,
    "int32": 4, "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8, "complex64": 8,
}  # fmt: skip


def array(reader: Maker, args: Args) -> object:
    """Make an array of bytes that came; MLX copies them."""
    memory, dtype, shape = args
    raw = memory_of(memory)
    _check(raw, dtype, shape)
    reader.spend(len(raw))
    return build_array(raw, dtype, shape)


def fill(obj: Any, _code: str, state: Any) -> None:
    """Put a change into an array of the notebook, if it fits."""
    memory, dtype, shape = state
    need(type(obj) is mx.array)
    raw = memory_of(memory)
    _check(raw, dtype, shape)
    need((dtype, shape) == (dtype_name(obj.dtype), tuple(obj.shape)))
    obj[...] = build_array(raw, dtype, shape)


def _check(raw: Any, dtype: Any, shape: Any) -> None:
    need(type(dtype) is str and dtype in _SIZES and type(shape) is tuple and len(shape) <= 32)
    need(all(type(length) is int and 0 <= length < 2**31 for length in shape))
    need(math.prod(shape) * _SIZES[dtype] == len(raw))
