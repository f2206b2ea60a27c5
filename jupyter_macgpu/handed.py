"""What a kernel keeps of a run that it handed in, for the day when its variables come home."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .wire.values.capture import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .cell import Cell
    from .inputs import Inputs
    from .session import Session
    from .wire.values.graph import Table


class Before:
    """How some of a notebook's variables were at one moment.

    Inputs are known by a digest of what was sent of them; other names by the object that they
    held, which is not kept alive where that can be helped.
    """

    def __init__(
        self, namespace: dict[str, Any], inputs: Iterable[str], others: Iterable[str]
    ) -> None:
        names = [name for name in inputs if name in namespace]
        self._digests = {name: fingerprint(name, namespace) for name in names}
        rest = [name for name in others if name not in self._digests]
        self._objects = {name: _reference(namespace.get(name, _NOTHING)) for name in rest}

    def changed(self, namespace: dict[str, Any]) -> tuple[str, ...]:
        """Return the names that hold something else now."""
        names = (*self._digests, *self._objects)
        return tuple(sorted(name for name in names if self._is_changed(name, namespace)))

    def _is_changed(self, name: str, namespace: dict[str, Any]) -> bool:
        if name in self._digests:
            return name not in namespace or fingerprint(name, namespace) != self._digests[name]
        return self._objects[name]() is not namespace.get(name, _NOTHING)


class _Nothing:
    """Stands for the value of a name that there is not."""


_NOTHING = _Nothing()


def _reference(value: object) -> Callable[[], object]:
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: value


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A run that this kernel handed in and does not wait for.

    Attributes
    ----------
    session
        Whose worker runs it.
    own
        Whether that worker is the run's own.
    table
        The notebook's objects by number, for what the run changes in place.
    before
        How its variables were then.
    """

    run: str
    session: Session
    own: bool
    cell: Cell = field(repr=False)
    table: Table = field(repr=False)
    before: Before = field(repr=False)


def handed(
    run: str, session: Session, cell: Cell, inputs: Inputs, namespace: dict[str, Any], *, own: bool
) -> Handed:
    """Return what is kept of a run; the variables are as they were sent."""
    names = inputs.capture.names
    before = Before(namespace, names, [*inputs.free, *inputs.binds])
    return Handed(
        run=run,
        session=session,
        own=own,
        cell=cell,
        table=inputs.capture.table,
        before=before,
    )


class Detached(Exception):
    """Somebody detached the run that was waited for here; it goes on."""

    def __init__(self, kept: Handed) -> None:
        super().__init__(kept.run)
        self.handed = kept
