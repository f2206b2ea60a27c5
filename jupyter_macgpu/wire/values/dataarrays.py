"""numpy arrays, scalars and types from a host of data only, made from checked parts."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from .arrays import build_array, build_view
from .known import Args, Unfit, are, need
from .placeholders import Draft, Known, Maker, Memory

_KINDS = frozenset("biufcmMSUV")
#: A view whose strides repeat its memory may be larger than that, up to this many bytes.
_REPEATED = 2**30
_UNITS = frozenset("Y M W D h m s ms us ns ps fs as generic".split())
#: Types of numbers: they are values themselves, and harmless to call.
_SCALARS = (
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intc uintc longlong ulonglong "
    "float16 float32 float64 longdouble complex64 complex128 clongdouble str_ bytes_ "
    "datetime64 timedelta64"
).split()


def known(module: str, name: str) -> object | None:
    """Return what a name in numpy means, or None."""
    if module == "numpy" and name == "dtype":
        return Known("a dtype", dtype)
    if module in ("numpy._core.multiarray", "numpy.core.multiarray") and name == "scalar":
        return Known("a numpy scalar", scalar)
    if module == "numpy" and name in _SCALARS:
        return getattr(np, name, None)
    return None


def array(_reader: Maker, args: Args) -> object:
    """Make an array on memory that came; as `arrays.build_array`."""
    memory, kind, shape, order, *flags = args
    raw = memory_of(memory)
    check_form(kind, shape, len(raw))
    need(order in ("C", "F") and are(tuple(flags), bool, bool))
    need(math.prod(shape) * kind.itemsize == len(raw))
    if kind.kind == "b" and len(raw):
        need(int(np.frombuffer(raw, np.uint8).max()) <= 1)
    return build_array(raw, kind, shape, order, *flags)


def view(_reader: Maker, args: Args) -> object:
    """Make a view of an array; numpy checks that it lies inside."""
    root, kind, offset, shape, strides, writeable = args
    need(type(root) is np.ndarray and not root.dtype.hasobject)
    check_form(kind, shape, max(root.nbytes, _REPEATED))
    need(are((offset, writeable), int, bool) and offset >= 0)
    need(type(strides) is tuple and all(type(step) is int for step in strides))
    return build_view(root, kind, offset, shape, strides, writeable and root.flags.writeable)


def scalar(_reader: Maker, args: Args) -> object:
    """Make a scalar of its bytes."""
    kind, raw = args
    check_form(kind, (), len(raw) if type(raw) is bytes else -1)
    need(len(raw) == kind.itemsize)
    return np.frombuffer(raw, kind)[0] if raw else kind.type()


def dtype(_reader: Maker, args: Args) -> object:
    """Begin a dtype; numpy's own way to take the rest is not used."""
    need(are(args, str, bool, bool) and len(args[0]) <= 24 and args[0][:1] in _KINDS)
    text: str = args[0]

    def finish(state: Any) -> object:
        return _finished(text, state)

    return Draft("a dtype", finish)


def memory_of(memory: object) -> Any:
    """Return the bytes of an array: those that came beside the stream, or within it."""
    if isinstance(memory, Memory):
        return memory.view
    need(type(memory) is bytearray)
    return memory


def check_form(kind: object, shape: object, most: int) -> None:
    """Check a dtype without objects and a shape that is not larger than `most` bytes.

    Raises
    ------
    Unfit
        If it is none.
    """
    need(isinstance(kind, np.dtype) and not kind.hasobject and kind.kind in _KINDS)
    assert isinstance(kind, np.dtype)
    need(type(shape) is tuple and len(shape) <= 32)
    assert isinstance(shape, tuple)
    need(all(type(length) is int and 0 <= length < 2**62 for length in shape))
    # Items without bytes take time, if no memory.
    need(math.prod(shape) * max(kind.itemsize, 1) <= max(most, 1))


def _finished(text: str, state: Any) -> object:
    need(type(state) is tuple and 8 <= len(state) <= 9 and state[1] in ("<", ">", "|", "="))
    version, order, base, names, fields, size, *rest = state
    need(version in (3, 4))
    if base is not None:
        need(type(base) is tuple and len(base) == 2)
        check_form(base[0], base[1], 2**31)
        return np.dtype((base[0], base[1]))
    if names is not None:
        return _record(names, fields, size, aligned=bool(rest[1] & 128))
    if text[0] in "mM":
        return np.dtype(f"{order if order in '<>' else '='}{text[0]}8{_unit(rest)}")
    made: Any = np.dtype(text)
    need(made.itemsize < 2**31)
    native = "<" if sys.byteorder == "little" else ">"
    if order in "<>" and order != native:
        made = made.newbyteorder(order)
    return made


def _record(names: Any, fields: Any, size: Any, *, aligned: bool) -> object:
    need(type(names) is tuple and type(fields) is dict and type(size) is int)
    need(0 <= size < 2**31 and len(names) <= 10_000)
    formats, offsets = [], []
    for name in names:
        need(type(name) is str)
        kind, offset, *title = fields[name]
        check_form(kind, (), 2**31)
        need(type(offset) is int and title == [] and offset >= 0)
        formats.append(kind)
        offsets.append(offset)
    layout: Any = {
        "names": list(names), "formats": formats, "offsets": offsets, "itemsize": size,
    }  # fmt: skip
    return np.dtype(layout, align=aligned)


def _unit(rest: list[Any]) -> str:
    if len(rest) < 3:
        raise Unfit("a date without a unit")
    _metadata, (unit, number, *_more) = rest[2]
    name = unit.decode("ascii") if type(unit) is bytes else ""
    need(name in _UNITS and type(number) is int and 0 < number < 2**31)
    return "" if name == "generic" else f"[{number}{name}]"


def fill(obj: Any, _code: str, state: Any) -> None:
    """Put a change into an array of the notebook, if it fits."""
    order, memory = state
    need(type(obj) is np.ndarray and not obj.dtype.hasobject and order in ("C", "F"))
    raw = memory_of(memory)
    need(len(raw) == obj.nbytes)
    np.copyto(obj, build_array(raw, obj.dtype, obj.shape, order, True, False))
