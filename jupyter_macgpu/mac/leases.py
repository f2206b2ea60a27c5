"""Who may run now, and who is next. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.

A slot is the right to run one cell on the GPU; ``cpu`` work has slots of its own, so that it never
waits for the GPU. First come, first served; a run whose session is busy lets others pass, since its
worker can take one cell at a time anyway.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One run that waits for a slot."""

    run: str
    session: str
    kind: str


class Leases:
    """The slots of one host and their queue.

    Parameters
    ----------
    slots
        Slots by kind, such as ``{"gpu": 1, "cpu": 2}``.
    """

    def __init__(self, slots: dict[str, int]) -> None:
        self.slots = dict(slots)
        self._held: dict[str, Waiting] = {}
        self._queue: list[Waiting] = []

    def ask(self, waiting: Waiting) -> None:
        """Put a run at the end of the queue."""
        self._queue.append(waiting)

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
            if waiting.session not in busy and taken < self.slots.get(waiting.kind, 1):
                self._queue.remove(waiting)
                self._held[waiting.run] = waiting
                granted.append(waiting)
        return granted

    def position(self, run: str) -> int | None:
        """Return how many runs of its kind are before a waiting run; None if it does not wait."""
        ahead = 0
        mine = next((waiting for waiting in self._queue if waiting.run == run), None)
        if mine is None:
            return None
        for waiting in self._queue:
            if waiting.run == run:
                break
            ahead += waiting.kind == mine.kind
        return ahead

    def waiting(self) -> list[str]:
        """Return the runs in the queue, first one first."""
        return [waiting.run for waiting in self._queue]

    def holding(self) -> list[str]:
        """Return the runs that hold a slot."""
        return list(self._held)
