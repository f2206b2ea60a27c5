"""Who may run now, and who is next. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.

A slot is the right to run one cell on the GPU; ``cpu`` work has slots of its own, so that it never
waits for the GPU. The queue is in the order of `wire.order`; a run whose session is busy lets
others pass, since its worker can take one cell at a time anyway. What the administrator and the
owner allow (`Bounds`) is asked last; a run that they hold back lets nobody pass, or one that needs
much memory would starve.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection
from dataclasses import dataclass, replace

from ..wire.order import Place
from .bounds import Bounds
from .turns import Crowd, said_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One run that waits for a slot, or a place that is reserved for one to come.

    Attributes
    ----------
    mem
        The bytes of memory that it asks for.
    since
        When it began to wait, in seconds of the supervisor's monotonic clock.
    number
        Which one it is of all that have asked.
    """

    run: str
    session: str
    kind: str
    mem: int = 0
    priority: int = 0
    since: float = 0.0
    number: int = 0

    @property
    def place(self) -> Place:
        """Its place in the queue."""
        return Place(since=self.since, priority=self.priority, number=self.number)


class Leases:
    """The slots of one host and their queue.

    Parameters
    ----------
    slots
        Slots by kind, such as ``{"gpu": 1, "cpu": 2}``, where nobody lays down another number.

    Attributes
    ----------
    bounds
        What may run at all now.
    cleared
        Runs that have a slot of the queue which all accounts of the machine share, and may begin;
        None where there is no such queue, and the slots are this account's own.
    crowd
        What the other accounts do there.
    """

    def __init__(self, slots: dict[str, int]) -> None:
        self._slots = dict(slots)
        self.bounds = Bounds()
        self.cleared: frozenset[str] | None = None
        self.crowd = Crowd()
        #: What has asked since the machine's queue was looked at last: it may begin at once.
        self.fresh: set[str] = set()
        self._held: dict[str, Waiting] = {}
        self._queue: list[Waiting] = []
        self._asked = 0

    @property
    def slots(self) -> dict[str, int]:
        """Slots by kind, as they count now."""
        gpu = self.bounds.slots
        return self._slots if gpu is None else {**self._slots, "gpu": gpu}

    def ask(self, waiting: Waiting) -> None:
        """Put a run into the queue, behind all that go before it."""
        self._asked += 1
        self.fresh.add(waiting.run)
        waiting = replace(waiting, number=self._asked)
        insort(self._queue, waiting, key=lambda each: each.place.order)

    def reorder(self, run: str, priority: int) -> None:
        """Give a run in the queue another priority; it keeps the time since which it waits."""
        mine = self.waits(run)
        if mine is not None:
            self._queue.remove(mine)
            insort(self._queue, replace(mine, priority=priority), key=lambda each: each.place.order)

    def take_over(self, waiting: Waiting) -> bool:
        """Let a run have what is reserved under its id; say whether that was its to have.

        A run that asks for something else than was reserved for it has nothing reserved.
        """
        mine = self._held.get(waiting.run) or self.waits(waiting.run)
        if mine is None:
            return False
        if replace(mine, since=waiting.since, number=waiting.number) == waiting:
            return True
        self.release(waiting.run)
        return False

    def hold(self, waiting: Waiting) -> None:
        """Note a run that holds its slot already: one that was found running."""
        self._held[waiting.run] = waiting

    def release(self, run: str) -> None:
        """Give back a run's slot or its place."""
        self._held.pop(run, None)
        self._queue = [waiting for waiting in self._queue if waiting.run != run]

    def grant(self) -> list[Waiting]:
        """Grant what can be granted now, in order of the queue."""
        granted = []
        for waiting in list(self._queue):
            busy = {held.session for held in self._held.values()}
            taken = sum(held.kind == waiting.kind for held in self._held.values())
            if waiting.session in busy or taken >= self.slots.get(waiting.kind, 1):
                continue
            if _held_back(self._held.values(), waiting, self.bounds):
                break
            if self.cleared is not None and waiting.run not in self.cleared:
                continue
            self._queue.remove(waiting)
            self._held[waiting.run] = waiting
            granted.append(waiting)
        return granted

    def wanting(self) -> list[Waiting]:
        """Return those that could begin if a slot of the machine were free, first one first."""
        busy, found = {held.session for held in self._held.values()}, []
        for waiting in self._queue:
            if waiting.session in busy:
                continue
            if _held_back(self._held.values(), waiting, self.bounds):
                break
            busy.add(waiting.session)
            found.append(waiting)
        return found

    def having(self) -> list[Waiting]:
        """Return those that hold a slot."""
        return list(self._held.values())

    def reason(self, run: str) -> str:
        """Return what a waiting run waits for beside those before it in its queue, or ``""``."""
        bounds, crowd = self.bounds, self.crowd.held
        if bounds.closed or (bounds.max_runs is None and bounds.max_memory is None and not crowd):
            return bounds.closed  # at once: all that wait are asked after each change
        mine = self.waits(run)
        if mine is None:
            return ""
        others = [said_of(each) for each in crowd if each.kind == mine.kind]
        held_back = _held_back(self._held.values(), mine, bounds)
        return held_back or (f"in use by {', '.join(others)}" if others else "")

    def asked(self) -> int:
        """Return the bytes of memory that the runs which hold a slot asked for."""
        return sum(held.mem for held in self._held.values())

    def queued(self, kind: str) -> int:
        """Return how many runs wait for a slot of a kind, those of other accounts included."""
        others = sum(each.kind == kind for each in self.crowd.waiting)
        return others + sum(waiting.kind == kind for waiting in self._queue)

    def position(self, run: str) -> int | None:
        """Return how many runs of its kind are before a waiting run; None if it does not wait."""
        mine = self.waits(run)
        if mine is None:
            return None
        ahead = self.crowd.before(run, mine.kind)
        for waiting in self._queue:
            if waiting.run == run:
                break
            ahead += waiting.kind == mine.kind
        return ahead

    def waits(self, run: str) -> Waiting | None:
        """Return what a run in the queue asks for; None if it does not wait."""
        return next((waiting for waiting in self._queue if waiting.run == run), None)

    def sessions(self) -> set[str]:
        """Return the sessions that hold a slot or wait for one."""
        return {each.session for each in (*self._held.values(), *self._queue)}

    def waiting(self) -> list[str]:
        """Return the runs in the queue, first one first."""
        return [waiting.run for waiting in self._queue]

    def holding(self, kind: str | None = None) -> list[str]:
        """Return the runs that hold a slot, of any kind or of one."""
        return [run for run, held in self._held.items() if kind in (None, held.kind)]


def _held_back(held: Collection[Waiting], waiting: Waiting, bounds: Bounds) -> str:
    """Return why a run may not begin beside those that hold a slot, or ``""``."""
    if bounds.closed:
        return bounds.closed
    if bounds.max_runs is not None and len(held) >= bounds.max_runs:
        return f"the host's policy lets an account run {bounds.max_runs} at a time"
    together = waiting.mem + sum(each.mem for each in held)
    if bounds.max_memory is not None and waiting.mem and together > bounds.max_memory:
        return (
            f"the host's policy gives an account {bounds.max_memory / 1e9:g} GB of memory, "
            "and its other runs asked for too much of it"
        )
    return ""
