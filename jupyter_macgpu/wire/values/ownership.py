"""Which of the notebook's own objects a host of data only may change, and into what."""

from __future__ import annotations

import array
import collections
import functools
import inspect
import sys
import types
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from .graph import Table
from .instances import set_dict, set_slots, slot_names
from .keys import Shapes
from .known import find, need
from .naming import importable
from .parts import DEQUE, DICT, LIST, SET
from .placeholders import Known, Own, Refused, is_refused
from .remote import RemoteValue

_CODE = (
    type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType,
    types.CodeType, types.CellType, types.GetSetDescriptorType, types.MemberDescriptorType,
    property, classmethod, staticmethod, functools.partial, functools.cached_property,
)  # fmt: skip
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType)
_PLAIN = (list, dict, set, collections.deque, bytearray, collections.OrderedDict)


class Unchanged(Exception):
    """A change is not made. The object is as it was."""


def seeds_of(table: Table) -> list[object]:
    """Return what the numbers of a table mean to a stream: code can be named, not moved about."""
    return [_seed(table[number]) for number in range(len(table))]


def _seed(obj: object) -> object:
    if not _is_code(obj):
        return obj
    # Others may answer any question with an import: stand-ins of ours do.
    place = importable(obj) if issubclass(type(obj), _NAMED) else None
    found = Own(obj) if place is None else find(*place)
    if isinstance(found, Known):
        return Known(found.kind, found.build, obj)
    return Own(obj) if is_refused(found) else found


class Owned:
    """The notebook's objects of one run.

    Parameters
    ----------
    table
        Of the run's inputs.
    namespace
        The notebook's; as an object it is not changed.
    refusals
        Returns the placeholders in a value.
    """

    def __init__(
        self,
        table: Table,
        namespace: dict[str, Any],
        refusals: Callable[[object], Sequence[Refused]],
    ) -> None:
        self.table = table
        self._refusals = refusals
        self._shapes = Shapes()
        self._attributes: dict[int, type] = {}
        kept = (namespace, sys.path, sys.meta_path, sys.path_hooks)
        self._foreign: set[int] = set(map(id, kept))
        for obj in table.values():
            self._know(obj)

    def change(self, number: object, code: object, state: Any) -> object:
        """Put a change into an object of the notebook; return the object.

        Raises
        ------
        Unchanged
            If it is none that may be made. The object is as it was.
        """
        if type(number) is not int or number not in self.table:
            raise Unchanged("something that was not sent")
        obj = self.table[number]
        if is_refused(obj):
            raise Unchanged("an input that was not loaded")
        act = getattr(self, f"_change_{code}".replace(".", "_"), None)
        if type(code) is not str or act is None:
            raise Unchanged(_name(obj))
        try:
            need(id(obj) not in self._foreign)
            act(obj, state)
        except Unchanged:
            raise
        except Exception as exc:  # whatever a library says of a state that does not fit
            raise Unchanged(_name(obj)) from exc
        return obj

    def _change_list(self, obj: Any, state: Any) -> None:
        need(isinstance(obj, list) and type(state) is list)
        LIST.restore(obj, self._kept(state, list(list.__iter__(obj))))

    def _change_deque(self, obj: Any, state: Any) -> None:
        need(isinstance(obj, collections.deque) and type(state) is list)
        DEQUE.restore(obj, self._kept(state, list(collections.deque.__iter__(obj))))

    def _change_set(self, obj: Any, state: Any) -> None:
        need(isinstance(obj, set) and type(state) is list)
        items = self._kept(state, list(set.__iter__(obj)))
        need(all(self._shapes.may_be_key(item) for item in items))
        SET.restore(obj, items)

    def _change_dict(self, obj: Any, state: Any) -> None:
        need(isinstance(obj, dict) and type(state) is list and len(state) % 2 == 0)
        before = dict(dict.items(obj))
        after = self._mapping(before, state[0::2], state[1::2])
        if id(obj) in self._attributes:
            _check_attributes(self._attributes[id(obj)], before, after)
        DICT.restore(obj, [piece for pair in after.items() for piece in pair])

    def _change_bytes(self, obj: Any, state: Any) -> None:
        need(type(state) is bytes)
        if type(obj) is bytearray:
            obj[:] = state
            return
        need(type(obj) is array.array and obj.typecode in "bBhHiIlLqQfd")
        need(len(state) % obj.itemsize == 0)
        new = array.array(obj.typecode, state)
        obj[:] = new

    def _change_attributes(self, obj: Any, state: Any) -> None:
        need(type(state) is tuple and len(state) == 4)
        cls, attributes, slots, gone = state
        need(isinstance(cls, Own) and cls.obj is type(obj) and _is_own(type(obj)))
        need(type(slots) is dict and type(gone) is list)
        for name in (*slots, *gone):
            _check_slot(type(obj), name)
        before: Any = getattr(obj, "__dict__", None)
        replaced = attributes is not None and attributes is not before
        if replaced:
            need(type(attributes) is dict and type(before) is dict)
            after = self._mapping(before, [*attributes], [*attributes.values()])
            _check_attributes(type(obj), before, after)
            attributes.update(after)
        now = {name: getattr(obj, name, None) for name in slots}
        set_slots(obj, {name: self._fit(value, [id(now[name])]) for name, value in slots.items()})
        if replaced:
            set_dict(obj, attributes)
        for name in gone:
            object.__delattr__(obj, name)

    def _change_numpy_array(self, obj: Any, state: Any) -> None:
        from .dataarrays import fill

        fill(obj, "numpy.array", state)

    def _change_torch_tensor(self, obj: Any, state: Any) -> None:
        from .datatensors import fill

        self._fit(state, ())
        fill(obj, "torch.tensor", state)

    def _change_torch_storage(self, obj: Any, state: Any) -> None:
        from .datatensors import fill

        fill(obj, "torch.storage", state)

    def _change_mlx_array(self, obj: Any, state: Any) -> None:
        from .datamlx import fill

        fill(obj, "mlx.array", state)

    def _mapping(
        self, before: dict[Any, Any], keys: list[Any], values: list[Any]
    ) -> dict[Any, Any]:
        need(all(self._shapes.may_be_key(key) and not is_refused(key) for key in keys))
        nothing = object()
        return {
            key: self._fit(value, [id(before.get(key, nothing))])
            for key, value in zip(keys, values, strict=True)
        }

    def _kept(self, items: list[Any], before: list[Any]) -> list[Any]:
        known = frozenset(map(id, before))
        return [self._fit(item, known) for item in items]

    def _fit(self, value: Any, before: Collection[int]) -> Any:
        """Return a value if it is data; code of the notebook only if it was there, by its id."""
        if type(value) in (Own, Known) and value.obj is not None:
            if id(value.obj) not in before:
                raise Unchanged(value.kind)
            return value.obj
        for found in self._refusals(value):
            raise Unchanged(found.kind)
        return value

    def _know(self, obj: object) -> None:
        """Note whose an instance's attributes are, and what hangs in objects of a library."""
        if isinstance(obj, types.FunctionType):
            self._attributes[id(obj.__dict__)] = types.FunctionType
            return
        if type(obj) in _PLAIN or not _has_dict(obj) or is_refused(obj):
            return
        if _is_own(type(obj)):
            self._attributes[id(vars(obj))] = type(obj)
        else:
            self._foreign.update(map(id, _plain_below(vars(obj))))


def _check_attributes(cls: type, before: dict[Any, Any], after: dict[Any, Any]) -> None:
    need(not hasattr(cls, "__del__"))
    for name, value in after.items():
        need(type(name) is str)
        hidden = name.startswith("__") and name.endswith("__")
        need(not hidden or (name in before and before[name] is value))


def _check_slot(cls: type, name: object) -> None:
    need(type(name) is str and name in slot_names(cls) and not hasattr(cls, "__del__"))
    assert isinstance(name, str)
    need(type(inspect.getattr_static(cls, name)) is types.MemberDescriptorType)


def _is_code(obj: object) -> bool:
    cls = type(obj)
    if issubclass(cls, _CODE):
        return True
    if issubclass(cls, (RemoteValue, Refused)) or _is_own(cls):
        return False
    return any("__call__" in vars(base) for base in cls.__mro__)


def _is_own(cls: type) -> bool:
    """Say whether a class is the notebook's, or one of those that models are made of."""
    if cls.__module__ == "__main__":
        return True
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "optim"):
        return False
    made_of = (torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
    return issubclass(cls, made_of)


def _has_dict(obj: object) -> bool:
    return bool(type(obj).__dictoffset__) and type(getattr(obj, "__dict__", None)) is dict


def _plain_below(value: object) -> Iterator[object]:
    stack, seen = [value], set[int]()
    while stack:
        item = stack.pop()
        if id(item) in seen or not isinstance(item, (*_PLAIN, tuple)):
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, dict):
            stack.extend(dict.values(item))
        elif not isinstance(item, bytearray):
            stack.extend(item)


def _name(obj: object) -> str:
    return f"a {type(obj).__name__}"
