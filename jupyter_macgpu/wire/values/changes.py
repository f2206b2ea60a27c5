"""The worker's side, after a run: what it bound, deleted and changed, into bytes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from .capture import explain, shared_memory
from .graph import Encoder
from .modules import as_import
from .opaque import CannotUpdate
from .parts import BUILT_ON
from .paths import path_to, reaches
from .refusals import Unshippable
from .remote import UNPICKLED, RemoteInfo, RemoteValue, describe, format_size
from .snapshot import Difference, Snapshot, without

#: Bytes that come back without being asked for. Fixed, so that the type of a variable
#: never depends on the network.
VALUE_LIMIT = 256 * 2**20
CELL_LIMIT = 2**30

#: Stands for the value of the last expression among the names of a run.
RESULT = "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes that come back by themselves: of one value, and of a whole cell."""

    value: int = VALUE_LIMIT
    cell: int = CELL_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a run did to the notebook's variables.

    Attributes
    ----------
    stream, buffers
        What travels. The buffers are the worker's own memory.
    bound, deleted
        Names, for the notebook's record.
    remote
        What stays here. The notebook holds it by these keys.
    notes
        What did not travel as it was, for the user.
    live
        Every value that was bound, by key. Keep those of `remote` while the notebook
        holds them, and all of them until the notebook has said what it could load.
    """

    stream: bytes
    buffers: tuple[pickle.PickleBuffer, ...]
    bound: tuple[str, ...]
    deleted: tuple[str, ...]
    remote: tuple[RemoteInfo, ...]
    notes: tuple[str, ...]
    live: dict[str, object] = field(repr=False)


def _nothing(notes: tuple[str, ...]) -> Changes:
    return Changes(stream=b"", buffers=(), bound=(), deleted=(), remote=(), notes=notes, live={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which run it was, and where: what handles of this run's values say."""

    run: str
    host: str


class Collector:
    """Tries to pickle the changes until all that is left does pickle.

    A value that failed, or was too large, becomes a handle, and the pickling starts
    again: a pickler's numbering is of no use after an error in mid-value. Large buffers
    are not copied by a pickling, so that a second one costs little.
    """

    def __init__(
        self,
        encoder: Callable[[], Encoder],
        snapshot: Snapshot,
        *,
        before: dict[str, object],
        now: dict[str, object],
        result: tuple[object, ...],
        only: frozenset[str] | None,
        limits: Limits,
        origin: Origin,
    ) -> None:
        self._make_encoder = encoder
        self._snapshot = snapshot
        self._before = before
        self._now = now
        self._only = only
        self._limits = limits
        self._origin = origin
        self._bound = {
            name: value
            for name, value in now.items()
            if self._wanted(name) and (name not in before or before[name] is not value)
        }
        if result:
            self._bound[RESULT] = result[0]
        self._deleted = tuple(n for n in before if n not in now and self._wanted(n))
        self._updates = find_updates(snapshot)
        self._remote: dict[str, RemoteInfo] = {}
        self._stand_ins: dict[int, tuple[object, RemoteValue]] = {}
        self._handles: dict[str, RemoteValue] = {}
        self._live: dict[str, object] = {}
        self._notes: dict[str, None] = {}
        self._shared: frozenset[int] = frozenset()

    def collect(self) -> Changes:
        """Return the changes of the run."""
        if self._only is not None:
            self._narrow()
        if not self._bound and not self._deleted and not self._updates.number:
            return _nothing(tuple(self._notes))
        encoder = self._attempt()
        while encoder is None:
            encoder = self._attempt()
        live = {self._key(name): value for name, value in self._bound.items()}
        return Changes(
            stream=encoder.file.getvalue(),
            buffers=tuple(encoder.buffers),
            bound=tuple(name for name in self._bound if name != RESULT),
            deleted=self._deleted,
            remote=tuple(self._remote.values()),
            notes=(*self._notes, *encoder.notes),
            live={**live, **self._live},
        )

    def _attempt(self) -> Encoder | None:
        """Pickle everything, or find one more thing that has to stay and return None."""
        encoder = self._make_encoder()
        encoder.scratch["shared"] = self._shared
        encoder.start_from(without(self._snapshot.table, self._updates.replaced))
        for obj, handle in self._stand_ins.values():
            encoder.substitute(obj, handle)
        budget = self._limits.cell
        for entry, name, obj in self._entries():
            before = encoder.nbytes
            try:
                encoder.dump(entry)
            except Exception as exc:  # any error of any object's own pickling
                self._failed(entry, name, obj, exc)
                return None
            size = encoder.nbytes - before
            if not self._brought(name, obj):
                budget -= size
                if size > self._limits.value or budget < 0:
                    self._too_large(entry, name, obj, size)
                    return None
        shared = shared_memory(encoder)
        if not shared <= self._shared:
            # Views of one array were met: only now is it known that it is shared.
            self._shared = shared
            return None
        return encoder

    def _entries(self) -> Iterator[tuple[tuple[object, ...], str, object]]:
        for difference, state in sorted(self._updates.states, key=_built_on_first):
            entry = ("update", difference.number, difference.part.code, state)
            yield entry, "", difference.obj
        for number, obj in self._updates.replacements:
            yield ("replace", number, obj), "", obj
        for name, value in self._bound.items():
            kind = "result" if name == RESULT else "name"
            yield (kind, name, self._sent_for(name, value)), name, value
        for name in self._deleted:
            yield ("delete", name), "", None

    def _sent_for(self, name: str, value: object) -> object:
        if name in self._handles:
            return self._handles[name]
        named = as_import(value)
        return value if named is None else named

    def _failed(self, _entry: tuple[object, ...], name: str, obj: object, exc: Exception) -> None:
        kind, _, why = explain(name, obj, exc)
        if name:
            self._keep_here(obj, name, f"{UNPICKLED}: {why}")
        elif isinstance(exc, Unshippable):
            # It hangs in an object of the notebook, which keeps its identity: only the
            # leaf becomes a handle.
            self._keep_here(exc.obj, self._name_of(exc.obj), f"{UNPICKLED}: {why}")
        else:
            self._updates = self._updates.without(obj)
            self._notes[f"a change of {self._name_of(obj)} stays here: {kind}: {why}"] = None

    def _too_large(self, _entry: tuple[object, ...], name: str, obj: object, size: int) -> None:
        over = self._limits.value if size > self._limits.value else self._limits.cell
        reason = f"larger than {format_size(over)}"
        if over == self._limits.cell:
            reason = f"the cell's results are {reason}"
        if name:
            self._keep_here(obj, name, reason)
            return
        # The notebook's own object grew, or changed in more bytes than come by
        # themselves: the names that lead to it become handles of what is here.
        self._updates = self._updates.without(obj)
        holders = [n for n, v in self._now.items() if n in self._before and reaches(v, {id(obj)})]
        for holder in holders:
            self._bound[holder] = self._now[holder]
            self._keep_here(self._now[holder], holder, reason)
        if not holders:
            self._notes[f"a change of {size} bytes stays here: no name leads to it"] = None

    def _keep_here(self, obj: object, name: str, reason: str) -> None:
        key = self._key(name)
        info = describe(obj, key=key, name=name, host=self._origin.host, reason=reason)
        self._remote[key] = info
        self._live[key] = obj
        if reaches(obj, set(self._snapshot.numbers) - {id(obj)}):
            self._notes[
                f"{name} stays on {self._origin.host}: from now on it and the variables here "
                "no longer share the objects that both hold"
            ] = None
        if isinstance(obj, type) or obj is None:
            # Instances need their class to be one: they fail by themselves.
            self._handles[name] = RemoteValue(info)
        else:
            self._stand_ins[id(obj)] = (obj, RemoteValue(info))

    def _narrow(self) -> None:
        """Leave out changes of objects that no wanted name leads to."""
        wanted = [self._now[name] for name in self._only or () if name in self._now]
        for difference, _ in self._updates.states:
            if not any(reaches(value, {id(difference.obj)}) for value in wanted):
                self._updates = self._updates.without(difference.obj)
                name = self._name_of(difference.obj)
                self._notes[f"{name} changed on {self._origin.host} and was not asked for"] = None

    def _brought(self, name: str, obj: object) -> bool:
        if self._only is None:
            return False
        return name in self._only or (not name and obj is not None)

    def _wanted(self, name: str) -> bool:
        return self._only is None or name in self._only

    def _name_of(self, obj: object) -> str:
        for name, value in {**self._now, **self._bound}.items():
            if value is obj:
                return name
        for name, value in self._now.items():
            if reaches(value, {id(obj)}):
                return path_to(value, obj, name)
        return "a value"

    def _key(self, name: str) -> str:
        return f"{self._origin.run}:{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """What changed of the notebook's own objects.

    Attributes
    ----------
    states
        What can be put into the notebook's objects.
    replacements
        What has to take their place, by the number of the old object.
    replaced
        Ids of the objects that travel as new ones.
    """

    states: tuple[tuple[Difference, Any], ...]
    replacements: tuple[tuple[int, object], ...]
    replaced: frozenset[int]

    @property
    def number(self) -> int:
        """How many objects are updated or replaced."""
        return len(self.states) + len(self.replacements)

    def without(self, obj: object) -> Updates:
        """Return the updates but those of one object."""
        return Updates(
            states=tuple(pair for pair in self.states if pair[0].obj is not obj),
            replacements=tuple(pair for pair in self.replacements if pair[1] is not obj),
            replaced=self.replaced,
        )


def _built_on_first(pair: tuple[Difference, Any]) -> bool:
    return pair[0].part.code not in BUILT_ON


def find_updates(snapshot: Snapshot) -> Updates:
    """Find what changed, and what therefore has to be replaced.

    An object that cannot be changed in place is replaced, and then whatever holds it
    has changed too, up to a holder that can be changed in place.
    """
    states: dict[tuple[int, str], tuple[Difference, Any]] = {}
    replaced: set[int] = set()
    queue = snapshot.differences()
    if not queue:
        return Updates(states=(), replacements=(), replaced=frozenset())
    while queue:
        known = set(replaced)
        for difference in queue:
            key = (difference.number, difference.part.code)
            try:
                states[key] = (difference, difference.state())
            except CannotUpdate:
                replaced.add(id(difference.obj))
        if replaced == known:
            break
        replaced |= snapshot.constants_holding(replaced)
        for gone in replaced:
            snapshot.numbers.pop(gone, None)
        queue = [d for d in snapshot.holders_of(replaced) if id(d.obj) not in replaced]
    numbered = {
        id(obj): (number, obj)
        for number, obj in reversed(list(snapshot.table.items()) if replaced else [])
    }
    return Updates(
        states=tuple(pair for pair in states.values() if id(pair[0].obj) not in replaced),
        replacements=tuple(sorted((numbered[each] for each in replaced), key=itemgetter(0))),
        replaced=frozenset(replaced),
    )
