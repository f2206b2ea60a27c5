"""When a host's memory runs out, and which run has to go. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.

A Mac that is out of memory swaps until nobody can reach it, kills processes at will, or restarts.
So the largest run is stopped before that, with a sentence that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .book import Book
    from .records import Run

#: Seconds for which the pressure has to be critical without a break.
LASTING = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The memory of a worker with all that it started, in bytes: now, and at most."""

    now: int
    peak: int


class Pressure:
    """For how long the memory pressure has been critical."""

    def __init__(self) -> None:
        self._since: float | None = None

    def lasts(self, critical: bool | None, at: float) -> bool:
        """Take a reading; say whether something has to be done.

        Parameters
        ----------
        critical
            What was read; None is not known, which is no reason to stop anything.
        at
            When it was read, in seconds. A reading that is told again proves nothing new.
        """
        if not critical:
            self._since = None
            return False
        if self._since is None:
            self._since = at
        return at - self._since >= LASTING

    def acted(self, at: float) -> None:
        """Give what was done the same time to take effect."""
        self._since = at


def largest(runs: Iterable[Run], sizes: Mapping[str, Size]) -> Run | None:
    """Return the started run whose worker is largest now; None while one is being stopped."""
    started = [run for run in runs if run.state == "started" and run.session in sizes]
    if any(run.stopping == "memory" for run in started):
        return None
    return max(started, key=lambda run: sizes[run.session].now, default=None)


def relieve(book: Book, sizes: Mapping[str, Size], now: float) -> None:
    """End the workers that nobody would miss, and the run that takes most."""
    for session in book.sessions.values():
        if not session.values:
            book.retire(session)
    run = largest(book.live(), sizes)
    if run is not None:
        size = sizes[run.session]
        run.detail |= {"memory": said(size), "peak": size.peak}
        book.stop(run, "memory", now)


def said(size: Size) -> str:
    """Say how a run was stopped, for its summary."""
    return (
        f"the host's memory pressure was critical for {LASTING:.0f} s, and of its runs this one "
        f"took most: {size.peak / 2**30:.2f} GiB at its peak"
    )
