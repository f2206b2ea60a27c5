"""The worker's memory of how the inputs were, and what of them is otherwise now."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator
from typing import Any

from .graph import Table
from .opaque import Opaque
from .parts import Part, parts_of

_HOLDERS = (tuple, frozenset, types.MethodType)


class Snapshot:
    """Every part of every object of a table, as it was.

    Parameters
    ----------
    table
        The objects that were received, by number.
    made
        Functions and classes among them that were rebuilt here.
    held
        Objects among them that live here and nowhere else: the notebook has a handle,
        and nothing to update.
    """

    def __init__(self, table: Table, made: set[int], held: Collection[int] = ()) -> None:
        self.table = table
        self.numbers: dict[int, int] = {}
        opaque = Opaque(self.numbers)
        watched: list[tuple[int, object, Part]] = []
        for number, obj in table.items():
            parts = () if id(obj) in held else parts_of(obj, made, opaque)
            if parts:
                self.numbers.setdefault(id(obj), number)
                watched.extend((number, obj, part) for part in parts)
        self._before = [(n, obj, part, part.snapshot(obj)) for n, obj, part in watched]

    def differences(self) -> list[Difference]:
        """Return what differs now, in the order in which it was received."""
        return [
            Difference(number, obj, part, before)
            for number, obj, part, before in self._before
            if part.changed(obj, before)
        ]

    def holders_of(self, replaced: set[int]) -> Iterator[Difference]:
        """Yield the objects that directly hold one of some objects, given by id."""
        for number, obj, part, before in self._before:
            if any(id(held) in replaced for held in part.elements(obj)):
                yield Difference(number, obj, part, before)

    def constants_holding(self, replaced: set[int]) -> set[int]:
        """Return tuples and the like, by id, that hold one of some objects at any depth."""
        found: set[int] = set()
        grew = True
        while grew:
            grew = False
            for obj in self.table.values():
                if isinstance(obj, _HOLDERS) and id(obj) not in found:
                    held = (obj.__self__,) if isinstance(obj, types.MethodType) else obj
                    if any(id(item) in replaced or id(item) in found for item in held):
                        found.add(id(obj))
                        grew = True
        return found


class Difference:
    """One part of one object that is not as it was received."""

    __slots__ = ("before", "number", "obj", "part")

    def __init__(self, number: int, obj: object, part: Part, before: Any) -> None:
        self.number = number
        self.obj = obj
        self.part = part
        self.before = before

    def state(self) -> Any:
        """Return what the other side needs. Raises CannotUpdate if it takes a new object."""
        return self.part.export(self.obj, self.before)


def without(table: Table, replaced: frozenset[int]) -> Table:
    """Return a table in which some objects, given by id, are unknown.

    Their numbers stay taken: both sides must go on counting alike.
    """
    return {number: object() if id(obj) in replaced else obj for number, obj in table.items()}
