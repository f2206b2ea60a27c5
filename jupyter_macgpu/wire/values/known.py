"""What a host of data only may ask to be made, by the name that its stream gives.

Nothing here is looked up by that name: the names stand in tables, and beside each one the
function that makes the value. It checks its arguments itself and makes the value from plain
parts; a type's own way to take pickled state is not used.
"""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import importlib
import pathlib
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from ..plain import plain_line
from .placeholders import Draft, Imported, Known, Maker, Refused
from .remote import RemoteInfo, RemoteValue

Args = tuple[Any, ...]
Build = Callable[["Maker", Args], object]

#: Types that are values themselves, and harmless to call.
_TYPES = (int, float, bool, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)
CONSTANTS: dict[tuple[str, str], object] = {("builtins", cls.__name__): cls for cls in _TYPES}
CONSTANTS["builtins", "Ellipsis"] = ...
_FACTORIES = (None, *_TYPES)
_LONGEST_NUMBER = 10_000


class Unfit(ValueError):
    """Arguments are not those that the other side gives."""


def need(fits: bool) -> None:
    """Raise `Unfit` unless arguments are what they must be."""
    if not fits:
        raise Unfit("unexpected arguments")


def are(args: Args, *types: type) -> bool:
    """Say whether arguments are of exactly these types."""
    return len(args) == len(types) and all(type(a) is t for a, t in zip(args, types, strict=True))


def _complex(_reader: Maker, args: Args) -> object:
    need(are(args, float, float))
    return complex(*args)


def _range(_reader: Maker, args: Args) -> object:
    need(are(args, int, int, int))
    return range(*args)


def _slice(_reader: Maker, args: Args) -> object:
    need(len(args) == 3 and all(a is None or type(a) is int for a in args))
    return slice(*args)


def _date(_reader: Maker, args: Args) -> object:
    need(are(args, bytes) and len(args[0]) == 4)
    high, low, month, day = args[0]
    return datetime.date(high * 256 + low, month, day)


def _zone(args: Args) -> datetime.timezone | None:
    need(len(args) < 2 or args[1] is None or type(args[1]) is datetime.timezone)
    zone: datetime.timezone | None = args[1] if len(args) == 2 else None
    return zone


def _datetime(_reader: Maker, args: Args) -> object:
    need(len(args) in (1, 2) and type(args[0]) is bytes and len(args[0]) == 10)
    high, low, month, day, hour, minute, second, *micro = args[0]
    return datetime.datetime(
        high * 256 + low, month & 127, day, hour, minute, second,
        int.from_bytes(bytes(micro), "big"), _zone(args), fold=month >> 7,
    )  # fmt: skip


def _time(_reader: Maker, args: Args) -> object:
    need(len(args) in (1, 2) and type(args[0]) is bytes and len(args[0]) == 6)
    hour, minute, second, *micro = args[0]
    of_second = int.from_bytes(bytes(micro), "big")
    return datetime.time(hour & 127, minute, second, of_second, _zone(args), fold=hour >> 7)


def _timedelta(_reader: Maker, args: Args) -> object:
    need(are(args, int, int, int))
    return datetime.timedelta(*args)


def _timezone(_reader: Maker, args: Args) -> object:
    need(are(args, datetime.timedelta) or are(args, datetime.timedelta, str))
    return datetime.timezone(*args)


def _decimal(_reader: Maker, args: Args) -> object:
    need(are(args, str) and len(args[0]) <= _LONGEST_NUMBER)
    return decimal.Decimal(args[0])


def _fraction(_reader: Maker, args: Args) -> object:
    need(are(args, int, int))
    need(all(number.bit_length() <= 8 * _LONGEST_NUMBER for number in args))
    return fractions.Fraction(*args)


def _uuid(_reader: Maker, args: Args) -> object:
    need(args == ())

    def finish(state: Any) -> object:
        need(type(state) is dict and list(state) == ["int"] and type(state["int"]) is int)
        return uuid.UUID(int=state["int"])

    return Draft("a UUID", finish)


def _path(_reader: Maker, args: Args, *, cls: type) -> object:
    need(all(type(part) is str for part in args))
    return cls(*args)


def _ordered(reader: Maker, args: Args) -> object:
    need(args == ())
    return reader.keep(collections.OrderedDict())


def _defaultdict(reader: Maker, args: Args) -> object:
    need(len(args) < 2 and (not args or any(args[0] is known for known in _FACTORIES)))
    return reader.keep(collections.defaultdict(*args))


def _counter(reader: Maker, args: Args) -> object:
    need(are(args, dict))
    reader.spend(100 * len(args[0]))
    counted: collections.Counter[object] = collections.Counter()
    dict.update(counted, args[0])
    return reader.keep(counted)


def _deque(reader: Maker, args: Args) -> object:
    need(args == () or (len(args) == 2 and args[0] == () and type(args[1]) is int))
    return reader.keep(collections.deque(*args))


def _array(_reader: Maker, args: Args) -> object:
    need(len(args) == 4 and args[0] is _ARRAY_TYPE and are(args[1:], str, int, bytes))
    need(args[1] in tuple("bBhHiIlLqQfd"))
    rebuild: Any = array._array_reconstructor  # type: ignore[attr-defined]
    return rebuild(array.array, *args[1:])


def _remote(reader: Maker, args: Args) -> object:
    key, name, _, kind, shape, nbytes, reason = args
    need(are((key, name, kind, reason), str, str, str, str) and len(key) < 1000)
    need(shape is None or (type(shape) is tuple and all(type(n) is int for n in shape)))
    need(nbytes is None or type(nbytes) is int)
    info = RemoteInfo(
        key=key, name=plain_line(name)[:200], host=reader.host,
        type_name=plain_line(kind)[:200], shape=shape, nbytes=nbytes,
        reason=plain_line(reason)[:500],
    )  # fmt: skip
    return RemoteValue(info)


def _module(_reader: Maker, args: Args) -> object:
    need(are(args, str, tuple))
    return Imported(args[0], "")


def _import(_reader: Maker, args: Args) -> object:
    need(are(args, str, str))
    return Imported(*args)


def _refuse(_reader: Maker, _args: Args, *, kind: str) -> object:
    return Refused(kind)


def _by_library(reader: Maker, args: Args, *, library: str, function: str) -> object:
    """Make a value of one of the three libraries that values are made of; they are ours to name."""
    build: Build = getattr(importlib.import_module(f"{__package__}.{library}"), function)
    return build(reader, args)


#: Stands for the class in what an `array.array` pickles to; it is never called.
_ARRAY_TYPE = Known("a type", partial(_refuse, kind="a type"))

_STANDARD: dict[tuple[str, str], Build] = {
    ("builtins", "complex"): _complex,
    ("builtins", "range"): _range,
    ("builtins", "slice"): _slice,
    ("datetime", "date"): _date,
    ("datetime", "datetime"): _datetime,
    ("datetime", "time"): _time,
    ("datetime", "timedelta"): _timedelta,
    ("datetime", "timezone"): _timezone,
    ("decimal", "Decimal"): _decimal,
    ("fractions", "Fraction"): _fraction,
    ("uuid", "UUID"): _uuid,
    ("collections", "OrderedDict"): _ordered,
    ("collections", "defaultdict"): _defaultdict,
    ("collections", "Counter"): _counter,
    ("collections", "deque"): _deque,
    ("array", "_array_reconstructor"): _array,
    **{
        (module, cls.__name__): partial(_path, cls=cls)
        for module in ("pathlib", "pathlib._local")
        for cls in (
            pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath
        )
    },
}  # fmt: skip
_OURS: dict[tuple[str, str], Build] = {
    ("remote", "build_remote"): _remote,
    ("modules", "build_module"): _module,
    ("modules", "build_import"): _import,
}
_LIBRARIES = {
    ("arrays", "build_array"): ("dataarrays", "array"),
    ("arrays", "build_view"): ("dataarrays", "view"),
    ("tensors", "build_storage"): ("datatensors", "storage"),
    ("tensors", "build_tensor"): ("datatensors", "tensor"),
    ("tensors", "build_view"): ("datatensors", "view"),
    ("tensors", "set_extras"): ("datatensors", "extras"),
    ("mlxarrays", "build_array"): ("datamlx", "array"),
}
#: What ours are called where they are not loaded.
_KINDS = {
    "build_function": "a function",
    "set_function_state": "a function",
    "build_singledispatch": "a function",
    "build_scheduled_step": "a function",
    "build_code": "code",
    "build_bytecode": "code",
    "build_cell": "a closure",
    "build_class": "a class",
    "build_frame": "a pandas object",
    "build_object_array": "an array of objects",
    "build_progress_bar": "a progress bar",
}


def find(module: str, name: str) -> object:
    """Return what a name of a stream means: a constant, something to be made, or a placeholder."""
    place = (module, name)
    if place in _STANDARD:
        return Known(f"a {name}", _STANDARD[place])
    if place in CONSTANTS:
        return CONSTANTS[place]
    if place == ("array", "array"):
        return _ARRAY_TYPE
    package, _, ours = module.rpartition(".")
    if package == __package__:
        return _ours(ours, name)
    library = {"numpy": "dataarrays", "torch": "datatensors"}.get(module.partition(".")[0])
    found = None if library is None else _in_library(library, module, name)
    return found or Refused(_named(module, name))


def _ours(module: str, name: str) -> object:
    if (module, name) in _OURS:
        return Known("a handle", _OURS[module, name])
    if (module, name) in _LIBRARIES:
        library, function = _LIBRARIES[module, name]
        build = partial(_by_library, library=library, function=function)
        kind = {"dataarrays": "an array", "datatensors": "a tensor", "datamlx": "an MLX array"}
        return Known(kind[library], build)
    return Refused(_KINDS.get(name, "an object of its own kind"))


def _in_library(library: str, module: str, name: str) -> object | None:
    try:
        found: object | None = importlib.import_module(f"{__package__}.{library}").known(
            module, name
        )
    except ImportError:
        return Refused(f"{_named(module, name)}, which is not installed here")
    return found


def _named(module: str, name: str) -> str:
    name = name.removeprefix("__") if module == "copyreg" else name
    plain = name if module == "builtins" else f"{module}.{name}"
    return plain_line(plain)[:80] or "something without a name"
