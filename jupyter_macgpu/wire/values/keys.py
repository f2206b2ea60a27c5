"""How deep values are nested and how long their hash takes: kept while they are made.

A tuple's hash goes through all that it holds, in C, as deep and as often as the tuples in it
stand there: a hundred bytes can describe one that takes for ever, or all of the stack.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import pathlib
import sys
import uuid
from collections.abc import Iterable
from typing import Any

from .placeholders import is_refused

#: Deepest nesting. The other side's pickler does not come as far.
NESTED = 500
#: Most objects that the hash of one key may go through.
HASHED = 100_000
_HOLDERS = (list, tuple, dict, set, frozenset, collections.deque)
_PLAIN = {
    str, bytes, int, float, bool, complex, type(None), type(...), frozenset, range,
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
    decimal.Decimal, fractions.Fraction, uuid.UUID,
}  # fmt: skip
_OBJECT_HASH: Any = object.__hash__
_OBJECT_EQ: Any = object.__eq__
_ENUM_HASH: Any = enum.Enum.__hash__


class Shapes:
    """The depth of containers, and of tuples how much they are when written out."""

    def __init__(self) -> None:
        # By id; only of what holds another container. Whoever asks keeps them alive.
        self._depth: dict[int, int] = {}
        self._weight: dict[int, int] = {}

    def hold(self, target: object, items: Iterable[object], most: int = NESTED) -> bool:
        """Note that a container holds items; False if that is `most` levels deep or more."""
        deepest, weight = 0, 1
        for item in items:
            weight += 1
            if issubclass(type(item), _HOLDERS) and item is not target:
                deepest = max(deepest, self._depth.get(id(item), 1))
                if type(item) is tuple:
                    weight += self._weight.get(id(item), len(item))
        if deepest >= most:
            return False
        if deepest:
            self._depth[id(target)] = max(deepest + 1, self._depth.get(id(target), 1))
            self._weight[id(target)] = weight
        return True

    def weight(self, key: object) -> int:
        """Return how many objects the hash of a key goes through."""
        return self._weight.get(id(key), len(key)) if type(key) is tuple else 1

    def may_be_key(self, key: object) -> bool:
        """Say whether a key's hash is quick and runs no code of the notebook's."""
        if type(key) in _PLAIN:
            return True
        if type(key) is not tuple:
            return is_refused(key) or _hashes_plainly(type(key))
        if self.weight(key) > HASHED:
            return False
        stack: list[object] = [*key]
        while stack:
            item = stack.pop()
            if type(item) is tuple:
                stack.extend(item)
            elif not (type(item) in _PLAIN or is_refused(item) or _hashes_plainly(type(item))):
                return False
        return True


def _hashes_plainly(cls: type) -> bool:
    hashing: Any = cls.__hash__
    if hashing is _OBJECT_HASH or hashing is _ENUM_HASH or issubclass(cls, pathlib.PurePath):
        comparing: Any = cls.__eq__
        return cls.__module__ != "__main__" or comparing is _OBJECT_EQ
    library: Any = sys.modules.get(cls.__module__.partition(".")[0])
    match getattr(library, "__name__", ""):
        case "numpy":
            return issubclass(cls, (library.generic, library.dtype))
        case "torch":
            plain: tuple[type, ...] = (library.Tensor, library.nn.Parameter, library.dtype)
            return cls in plain or cls is library.device
    return False
