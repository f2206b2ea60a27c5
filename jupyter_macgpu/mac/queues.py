"""How busy a host is with runs, and how long a new one would wait. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .book import Book


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The runs of one kind of slot.

    Attributes
    ----------
    slots, running, queued
        How many run at a time, run now, and wait.
    wait
        Seconds that a new run would wait; None is unknown.
    """

    slots: int
    running: int
    queued: int
    wait: float | None


def estimated_wait(
    slots: int, elapsed: Sequence[float], queued: int, recent: Sequence[float]
) -> float | None:
    """Return the seconds after which a run that came now would begin.

    Each run is taken to last as long as the median of recent ones. One that has lasted longer is
    taken to last as long again: running times are heavy-tailed, so that the longer a run has
    lasted, the more is to be expected.

    Parameters
    ----------
    elapsed
        Seconds that each run which holds a slot has lasted.
    recent
        Running times of runs that have ended; without any, only an empty queue is judged.
    """
    if len(elapsed) + queued < slots:
        return 0.0
    if not recent:
        return None
    typical = statistics.median(recent)
    free_at = [max(typical - each, 0.0) if each < typical else each for each in elapsed]
    free_at += [0.0] * (slots - len(free_at))
    heapq.heapify(free_at)
    # More may run than there are slots now, if an administrator took one away.
    for _ in range(len(free_at) - slots):
        heapq.heappop(free_at)
    for _ in range(queued):
        heapq.heappush(free_at, heapq.heappop(free_at) + typical)
    return free_at[0]


def lanes_of(book: Book, now: float) -> dict[str, Lane]:
    """Return the lanes of all kinds of slot; where nothing new begins, no wait is known."""
    leases = book.leases
    holding = [book.runs[run] for run in leases.holding()]
    lanes = {}
    for kind, slots in leases.slots.items():
        elapsed = [
            now - run.since if run.state == "started" else 0.0
            for run in holding
            if run.kind == kind
        ]
        queued = leases.queued(kind)
        wait = estimated_wait(slots, elapsed, queued, book.took[kind])
        lanes[kind] = Lane(
            slots=slots,
            running=len(elapsed),
            queued=queued,
            wait=None if leases.bounds.closed else wait,
        )
    return lanes
