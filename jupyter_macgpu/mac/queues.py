"""How busy a host is with runs, and how long a new one would wait. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .estimates import estimated_wait

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


def lanes_of(book: Book, now: float) -> dict[str, Lane]:
    """Return the lanes of all kinds of slot; where nothing new begins, no wait is known."""
    leases = book.leases
    lanes = {}
    for kind, slots in leases.slots.items():
        elapsed = book.lasted(kind, now)
        queued = leases.queued(kind)
        wait = estimated_wait(slots, elapsed, queued, book.took[kind])
        lanes[kind] = Lane(
            slots=slots,
            running=len(elapsed),
            queued=queued,
            wait=None if leases.bounds.closed else wait,
        )
    return lanes
