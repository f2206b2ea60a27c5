"""What the disk did not take: kept in order until it does, while the rest goes on.

Runs on the Mac. Only Python and `wire` may be imported here. Pure: no IO, no clock.

The record of a step stands before the step (`supervisor`, rule 3), so behind a record that cannot
be written everything waits that depends on records. What only answers, stops or frees goes past: a
full disk must not be a reason why a run cannot be cancelled or removed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from . import effects as e

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Effects that do not wait for records. An order to stop may so be carried out before it is
#: written down: if the supervisor dies then too, the run is said to have died.
_PAST = (
    e.Send,
    e.Interrupt,
    e.EndWorker,
    e.ToWorker,
    e.SendStored,
    e.Receive,
    e.Files,
    e.Forget,
    e.Keep,
)


class Backlog:
    """Effects that wait for the disk.

    Attributes
    ----------
    trouble
        What the disk said, in its words; empty while nothing waits.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self._waiting: deque[e.Effect] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def pass_on(self, effects: Iterable[e.Effect]) -> deque[e.Effect]:
        """Return the effects that may be carried out now; keep the others, if any wait."""
        if not self._waiting:
            return deque(effects)
        return self._sort_out(effects)

    def keep(self, effects: Iterable[e.Effect], error: OSError) -> deque[e.Effect]:
        """Keep effects of which the first one failed; return those that go past it."""
        self.trouble = error.strerror or str(error)
        todo = deque(effects)
        self._waiting.append(todo.popleft())
        return self._sort_out(todo)

    def take(self) -> deque[e.Effect]:
        """Return all that waits, to be tried again, and keep nothing."""
        waiting, self._waiting = self._waiting, deque()
        self.trouble = ""
        return waiting

    def _sort_out(self, effects: Iterable[e.Effect]) -> deque[e.Effect]:
        past: deque[e.Effect] = deque()
        for effect in effects:
            (past if isinstance(effect, _PAST) else self._waiting).append(effect)
        return past


def first_entries(effects: Iterable[e.Effect]) -> list[e.Log]:
    """Return the entries of the log that stand before anything else: they are written at once."""
    entries: list[e.Log] = []
    for effect in effects:
        if not isinstance(effect, e.Log):
            break
        entries.append(effect)
    return entries


def begins_with_record_of(effects: deque[e.Effect], run: str) -> bool:
    """Say whether what comes first writes down a step of a run before it has begun."""
    first = first_entries(effects)
    return any(_is_record_of(effect, run) for effect in (first or (effects[0],)))


def _is_record_of(effect: e.Effect, run: str) -> bool:
    if isinstance(effect, e.Log):
        return bool(effect.entry.get("run") == run)
    return isinstance(effect, e.OpenJournal) and effect.submit.run == run


def without(effects: Iterable[e.Effect], run: str) -> list[e.Effect]:
    """Return effects without those of a run that is unmade."""
    return [
        effect
        for effect in effects
        if getattr(effect, "run", None) != run and not _is_record_of(effect, run)
    ]
