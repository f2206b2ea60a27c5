"""Objects that pickle themselves in their own way: compared by what they would send.

The pickle is shallow: an object of the table stands in it as its number, so that a
change is found where it happened, and only there.
"""

from __future__ import annotations

import copyreg
import datetime
import decimal
import enum
import fractions
import io
import pathlib
import pickle
import re
import types
import uuid
import warnings
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import cloudpickle

from .instances import set_slots

_CONSTANTS: tuple[type, ...] = (
    str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented),
    tuple, frozenset, range, slice, property, staticmethod, classmethod,
    datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo,
    decimal.Decimal, fractions.Fraction, uuid.UUID, pathlib.PurePath, re.Pattern, enum.Enum,
    types.CodeType, types.BuiltinFunctionType, types.MethodType, types.ModuleType,
    types.MappingProxyType, types.GenericAlias, types.UnionType, types.WrapperDescriptorType,
    types.MethodDescriptorType, types.MethodWrapperType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.ClassMethodDescriptorType,
    weakref.ReferenceType, pickle.PickleBuffer, memoryview,
)  # fmt: skip
_CONSTANT_MODULES = ("typing", "functools", "operator", "_operator", "zoneinfo", "logging")


def is_constant(cls: type) -> bool:
    """Say whether no cell can change an object of `cls` itself."""
    return issubclass(cls, _CONSTANTS) or (
        cls.__module__ in _CONSTANT_MODULES and cls.__name__ != "partial"
    )


class CannotUpdate(Exception):
    """The local object cannot be changed into the new one: it has to be replaced."""


class _Shallow(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles one object's own state; the objects of the table stand as numbers."""

    def __init__(self, numbers: dict[int, int]) -> None:
        self.file = io.BytesIO()
        super().__init__(self.file, protocol=5)
        self.numbers = numbers

    def persistent_id(self, obj: object) -> int | None:
        return self.numbers.get(id(obj))


class Opaque:
    """The part that is a whole object with a reduction of its own."""

    code = "opaque"

    def __init__(self, numbers: dict[int, int]) -> None:
        #: id -> number of what may change in the table.
        self.numbers = numbers

    def snapshot(self, obj: Any) -> Any:
        """Return (bytes of what makes it, bytes of its state), or None if it cannot say."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reduced = reduction(obj)
                if not isinstance(reduced, tuple):
                    return None
                return self._bytes(reduced[:2]), self._bytes(reduced[2:])
        except Exception:
            # Whatever its own code raises: then it cannot travel either, and the
            # pickling of the changes says so.
            return None

    def changed(self, obj: Any, before: Any) -> bool:
        """Say whether it would pickle otherwise."""
        return bool(self.snapshot(obj) != before)

    def elements(self, obj: Any) -> Iterable[object]:
        """Return what its reduction is made of."""
        try:
            return list(self._flat(reduction(obj)))
        except Exception:  # as in `snapshot`
            return ()

    def export(self, obj: Any, before: Any) -> Any:
        """Return its new state, if it is made as before and can take one."""
        now = self.snapshot(obj)
        if now is None or before is None or now[0] != before[0]:
            raise CannotUpdate
        pieces: tuple[Any, ...] = reduction(obj)
        state, listed, mapped, setter = (*pieces, None, None, None, None)[2:6]
        takes = setter is not None or can_take_state(obj, state)
        if state is None or listed is not None or mapped is not None or not takes:
            raise CannotUpdate
        return state, setter

    def restore(self, obj: Any, state: Any) -> None:
        """Give the local object its new state."""
        new_state, setter = state
        if setter is not None:
            setter(obj, new_state)
        else:
            take_state(obj, new_state)

    def _flat(self, piece: Any) -> Iterator[object]:
        """Yield what a reduction holds, through the containers that it is made of."""
        if type(piece) in (tuple, list) and id(piece) not in self.numbers:
            for item in piece:
                yield from self._flat(item)
        elif type(piece) is dict and id(piece) not in self.numbers:
            yield from self._flat([*piece.keys(), *piece.values()])
        else:
            yield piece

    def _bytes(self, reduced: tuple[Any, ...]) -> bytes:
        pickler = _Shallow(self.numbers)
        pickler.dump(tuple(_listed(piece) for piece in reduced))
        return pickler.file.getvalue()


def reduction(obj: Any) -> Any:
    """Return what pickle would make of an object."""
    reducer: Any = copyreg.dispatch_table.get(type(obj))
    return obj.__reduce_ex__(5) if reducer is None else reducer(obj)


def can_take_state(obj: Any, state: Any) -> bool:
    """Say whether an object that exists can take the state that pickle made."""
    return hasattr(obj, "__setstate__") or isinstance(state, (dict, tuple))


def take_state(obj: Any, state: Any) -> None:
    """Give an object the state that pickle would give to a blank one."""
    attributes = getattr(obj, "__dict__", None)
    before = dict(attributes) if attributes is not None else {}
    if attributes is not None:
        # `__setstate__` is written for a blank instance: what went must go here too.
        attributes.clear()
    try:
        if hasattr(obj, "__setstate__"):
            obj.__setstate__(state)
            return
        of_dict, of_slots = state if isinstance(state, tuple) else (state, {})
        vars(obj).update(of_dict or {})
        set_slots(obj, of_slots or {})
    except BaseException:
        if attributes is not None:
            attributes.update(before)
        raise


def _listed(piece: Any) -> Any:
    # Iterators of items can be read once.
    return list(piece) if hasattr(piece, "__next__") else piece
