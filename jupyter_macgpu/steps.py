"""The steps of one run as this side sees them: how long each took, what is on its way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Watcher(Protocol):
    """Shows what a run does now."""

    def moved(self, stage: str, done: int, total: int) -> None:
        """Note bytes on their way: ``ship`` or ``bring``."""

    def tick(self) -> None:
        """Let time pass."""


class Steps:
    """One run's steps, named as in `report.STEPS`.

    Parameters
    ----------
    watcher
        Who shows them; None: nobody.
    clock
        Seconds.

    Attributes
    ----------
    took
        Seconds by step, of those that are over.
    shipped, reused, returned
        Bytes that went there, that did not have to because they were there, and that came back;
        0 before that is known.
    """

    def __init__(
        self, watcher: Watcher | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.took: dict[str, float] = {}
        self.shipped = self.reused = self.returned = 0
        self._watchers = [] if watcher is None else [watcher]
        self._clock = clock
        self._since = clock()

    def show_to(self, watcher: Watcher) -> None:
        """Tell somebody else too from now on."""
        self._watchers.append(watcher)

    def over(self, step: str) -> None:
        """Note that a step is over and the next one begins. Said twice, both times count."""
        now = self._clock()
        self.took[step] = self.took.get(step, 0.0) + now - self._since
        self._since = now

    def sizes(self) -> dict[str, int]:
        """Return the bytes, as `report.report_of` takes them."""
        return {"shipped": self.shipped, "reused": self.reused, "returned": self.returned}

    def moved(self, stage: str, done: int, total: int) -> None:
        """Pass on how many bytes are through."""
        for watcher in self._watchers:
            watcher.moved(stage, done, total)

    def tick(self) -> None:
        """Pass on that time passes."""
        for watcher in self._watchers:
            watcher.tick()
