"""What can change in an object, part by part: snapshot, comparison, update in place.

A part is asked on the worker what differs from its snapshot, and on the notebook's
side to put that into the local object. Elements are compared by identity: an element
that changed inside is an object of the table with a part of its own.
"""

from __future__ import annotations

import array
import collections
import importlib
import operator
import types
from collections.abc import Iterable
from typing import Any, Protocol

from .classes import class_state, set_class_attributes
from .functions import cell_state, function_state, set_cell, set_function_state
from .instances import is_record, set_dict, set_slots, slot_values
from .naming import LIBRARIES
from .opaque import Opaque, is_constant


class Part(Protocol):
    """One thing about an object that a cell can change."""

    code: str

    def snapshot(self, obj: Any, /) -> Any:
        """Remember how it is."""

    def changed(self, obj: Any, before: Any, /) -> bool:
        """Say whether it is otherwise than remembered."""

    def elements(self, obj: Any, /) -> Iterable[object]:
        """Return the objects that it holds directly."""

    def export(self, obj: Any, before: Any, /) -> Any:
        """Return what the other side needs to follow."""

    def restore(self, obj: Any, state: Any, /) -> None:
        """Follow: put an exported state into the local object."""


def same_elements(now: Iterable[object], before: list[object]) -> bool:
    """Say whether two sequences hold the same objects in the same order."""
    held = list(now)
    return len(held) == len(before) and all(map(operator.is_, held, before))


class _Elements:
    """Base of the parts that are a flat list of objects."""

    code = ""

    def elements(self, obj: Any) -> Iterable[object]:
        raise NotImplementedError

    def snapshot(self, obj: Any) -> Any:
        return list(self.elements(obj))

    def changed(self, obj: Any, before: Any) -> bool:
        return not same_elements(self.elements(obj), before)

    def export(self, obj: Any, _before: Any) -> Any:
        return list(self.elements(obj))

    def restore(self, obj: Any, state: Any) -> None:
        raise NotImplementedError


class _ListItems(_Elements):
    code = "list"

    def elements(self, obj: Any) -> Iterable[object]:
        return list.__iter__(obj)

    def restore(self, obj: Any, state: Any) -> None:
        list.__setitem__(obj, slice(None), state)


class _DictItems(_Elements):
    code = "dict"

    def elements(self, obj: Any) -> Iterable[object]:
        for key, value in _dict_base(obj).items(obj):
            yield key
            yield value

    def restore(self, obj: Any, state: Any) -> None:
        keep = iter(state)
        base = _dict_base(obj)
        base.clear(obj)
        for key, value in zip(keep, keep, strict=True):
            base.__setitem__(obj, key, value)


def _dict_base(obj: Any) -> type[dict[Any, Any]]:
    """Return the class whose own methods see an object's items in their true order."""
    return collections.OrderedDict if isinstance(obj, collections.OrderedDict) else dict


class _SetItems(_Elements):
    """Sets have no order to compare: a set of the same objects is the same."""

    code = "set"

    def elements(self, obj: Any) -> Iterable[object]:
        return set.__iter__(obj)

    def changed(self, obj: Any, before: Any) -> bool:
        return {id(item) for item in self.elements(obj)} != set(map(id, before))

    def restore(self, obj: Any, state: Any) -> None:
        set.clear(obj)
        set.update(obj, state)


class _DequeItems(_Elements):
    code = "deque"

    def elements(self, obj: Any) -> Iterable[object]:
        return collections.deque.__iter__(obj)

    def restore(self, obj: Any, state: Any) -> None:
        collections.deque.clear(obj)
        collections.deque.extend(obj, state)


class _Bytes:
    """bytearray and array.array: compared by content."""

    code = "bytes"

    def snapshot(self, obj: Any) -> Any:
        return bytes(memoryview(obj))

    def changed(self, obj: Any, before: Any) -> bool:
        return bytes(memoryview(obj)) != bytes(before)

    def elements(self, _obj: Any) -> Iterable[object]:
        return ()

    def export(self, obj: Any, _before: Any) -> Any:
        return bytes(memoryview(obj))

    def restore(self, obj: Any, state: Any) -> None:
        if isinstance(obj, bytearray):
            obj[:] = state
        else:
            del obj[:]
            obj.frombytes(state)


class _Attributes(_Elements):
    """Class, ``__dict__`` and slots of an instance.

    The dict is an object of the graph: what it holds is compared there.
    """

    code = "attributes"

    def elements(self, obj: Any) -> Iterable[object]:
        return (type(obj), getattr(obj, "__dict__", None), *slot_values(obj).values())

    def snapshot(self, obj: Any) -> Any:
        return (*super().snapshot(obj), list(slot_values(obj)))

    def changed(self, obj: Any, before: Any) -> bool:
        *values, names = before
        return super().changed(obj, values) or names != list(slot_values(obj))

    def export(self, obj: Any, before: Any) -> Any:
        now = slot_values(obj)
        gone = [name for name in before[-1] if name not in now]
        return type(obj), getattr(obj, "__dict__", None), now, gone

    def restore(self, obj: Any, state: Any) -> None:
        cls, attributes, slots, gone = state
        if type(obj) is not cls:
            object.__setattr__(obj, "__class__", cls)
        if attributes is not None and getattr(obj, "__dict__", None) is not attributes:
            set_dict(obj, attributes)
        set_slots(obj, slots)
        for name in gone:
            object.__delattr__(obj, name)


class _FunctionState(_Elements):
    """Code, defaults, annotations and attributes of a function of the notebook."""

    code = "function"

    def elements(self, obj: Any) -> Iterable[object]:
        return (obj.__code__, *function_state(obj))

    def restore(self, obj: Any, state: Any) -> None:
        code, *rest = state
        obj.__code__ = code
        set_function_state(None, obj, tuple(rest))


class _CellContents(_Elements):
    code = "cell"

    def elements(self, obj: Any) -> Iterable[object]:
        return cell_state(obj)

    def restore(self, obj: Any, state: Any) -> None:
        set_cell(obj, tuple(state))


class _ClassAttributes:
    """Attributes of a class of the notebook: those that changed, and those that went."""

    code = "class"

    def snapshot(self, obj: Any) -> Any:
        return class_state(obj)

    def changed(self, obj: Any, before: Any) -> bool:
        now = class_state(obj)
        return now.keys() != before.keys() or any(now[k] is not before[k] for k in now)

    def elements(self, obj: Any) -> Iterable[object]:
        return class_state(obj).values()

    def export(self, obj: Any, before: Any) -> Any:
        now = class_state(obj)
        changed = {k: v for k, v in now.items() if k not in before or before[k] is not v}
        return changed, [name for name in before if name not in now]

    def restore(self, obj: Any, state: Any) -> None:
        set_class_attributes(obj, *state)


LIST, DICT, SET, DEQUE, BYTES = _ListItems(), _DictItems(), _SetItems(), _DequeItems(), _Bytes()
ATTRIBUTES, FUNCTION, CELL, CLASS = (
    _Attributes(),
    _FunctionState(),
    _CellContents(),
    _ClassAttributes(),
)
_ITEMS: tuple[tuple[type, Part], ...] = (
    (list, LIST),
    (dict, DICT),
    (set, SET),
    (collections.deque, DEQUE),
    (bytearray, BYTES),
    (array.array, BYTES),
)


def parts_of(obj: object, made: set[int], opaque: Part) -> tuple[Part, ...]:
    """Return what can change in an object of the table.

    Parameters
    ----------
    obj
        Any object that a stream numbered.
    made
        Functions and classes that were rebuilt from the stream. All others were
        imported, and are as they are on the other side.
    opaque
        The part of an object that pickles itself in its own way.
    """
    if isinstance(obj, (type, types.FunctionType)):
        if id(obj) not in made:
            return ()
        return (CLASS,) if isinstance(obj, type) else (FUNCTION,)
    cls = type(obj)
    try:
        parts = _by_type[cls]
    except KeyError:
        parts = _by_type[cls] = _find_parts(cls)
    return (opaque,) if parts is None else parts


#: Parts that other values are built on while they are loaded: a new view is a view of
#: the tensor as it is then. Their updates come first and are followed at once.
BUILT_ON = frozenset({"torch.tensor"})

#: None is for the types whose objects have to be asked how they pickle.
_by_type: dict[type, tuple[Part, ...] | None] = {}


def _find_parts(cls: type) -> tuple[Part, ...] | None:
    if cls is types.CellType:
        return (CELL,)
    for base in cls.__mro__:
        library = LIBRARIES.get(base.__module__.partition(".")[0])
        if library is not None:
            found = importlib.import_module(f"{__package__}.{library}").parts_for(cls)
            if found is not None:
                return tuple(found)
    items = tuple(part for base, part in _ITEMS if issubclass(cls, base))
    if is_record(cls) or (items and cls.__dictoffset__):
        return (*items, ATTRIBUTES)
    if items:
        return items
    return () if is_constant(cls) else None


#: Every part by its code. The libraries' modules add theirs when they are imported.
PARTS: dict[str, Part] = {
    part.code: part
    for part in (LIST, DICT, SET, DEQUE, BYTES, ATTRIBUTES, FUNCTION, CELL, CLASS, Opaque({}))
}


def part_by_code(code: str) -> Part:
    """Return the part that an update names; ``numpy.array`` is in the module for numpy."""
    library, dot, _ = code.partition(".")
    if dot:
        importlib.import_module(f"{__package__}.{LIBRARIES[library]}")
    return PARTS[code]
