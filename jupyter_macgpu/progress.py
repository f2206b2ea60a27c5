"""The one quiet line that says what a run does now, and at last what it cost.

Rule 1: pure. It is told what happens and when, and says what the line reads; who shows it, how, and
whether a line can be changed at all is the caller's.

Rule 2: a short run says nothing. Waiting for a slot is said at once; all else after `PATIENCE`.

Rule 3: never more than one line, never more often than each `SHORTEST` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .report import lasting, used
from .standing import span
from .wire.usage import Usage
from .wire.values.remote import format_size

if TYPE_CHECKING:
    from .report import Report

#: Seconds after which a run is worth a line.
PATIENCE = 2.0
#: Seconds between two changes of the line.
SHORTEST = 0.5
#: What ``%macgpu config progress`` takes.
MODES = ("auto", "on", "off")


@dataclass(slots=True)
class Progress:
    """What one run's line reads.

    Parameters
    ----------
    began
        When the cell began, in seconds of the caller's clock.
    mode
        ``auto``: as above; ``on``: short runs too; ``off``: only what a cell waits for.
    """

    began: float
    mode: str = "auto"
    text: str = ""
    _stage: str = ""
    _since: float = 0.0
    _moved: tuple[int, int] = (0, 0)
    _usage: Usage = field(default_factory=Usage)
    _host: str = ""
    _changed: float = -SHORTEST
    _waited: float | None = None

    def placed(self, host: str) -> None:
        """Note the run's host."""
        self._host = host

    def waiting(self, text: str, now: float) -> str | None:
        """Note that the cell waits for a slot, in words; return the line if it is to change."""
        if self._waited is None:
            self._waited = now
        self._stage = "wait"
        return self._say(text, now, at_once=True)

    def started(self, now: float, usage: Usage) -> str | None:
        """Note that the cell runs, and what it has used; return the line if it is to change."""
        if self._stage != "run":
            self._enter("run", now)
        self._usage = usage if usage != Usage() else self._usage
        return self.tick(now)

    def moved(self, stage: str, done: int, total: int, now: float) -> str | None:
        """Note bytes on their way: `stage` is ``ship`` or ``bring``."""
        if self._stage != stage:
            self._enter(stage, now)
        self._moved = (done, total)
        return self.tick(now)

    def tick(self, now: float) -> str | None:
        """Return what the line is to read now, if it is to change."""
        if self.mode == "off" or (self._stage == "wait"):
            return None
        if self.mode == "auto" and now - self.began < PATIENCE and not self.text:
            return None
        text = {"ship": self._on_its_way, "bring": self._on_its_way, "run": self._running}.get(
            self._stage
        )
        return None if text is None else self._say(text(now), now)

    def ended(self, report: Report, now: float) -> str | None:
        """Return the last reading of the line; None if the run was not worth one."""
        shown = bool(self.text)
        if self.mode == "off":
            return self.left(now) if shown else None
        worth = shown or now - self.began >= PATIENCE or bool(report.usage.fallbacks)
        return report.line() if self.mode == "on" or worth else None

    def left(self, now: float, text: str = "") -> str | None:
        """Return what a line that spoke of waiting reads when nobody waits any more."""
        if not self.text or self._waited is None:
            return None
        return text or f"waited {span(now - self._waited)} for a free slot"

    def _enter(self, stage: str, now: float) -> None:
        self._stage, self._since = stage, now

    def _say(self, text: str, now: float, at_once: bool = False) -> str | None:
        if text == self.text or (not at_once and now - self._changed < SHORTEST):
            return None
        self.text, self._changed = text, now
        return text

    def _on_its_way(self, now: float) -> str:
        done, total = self._moved
        took = now - self._since
        rate = f", {format_size(int(done / took))}/s" if took > 0.2 and done else ""
        to = "sending to" if self._stage == "ship" else "bringing back from"
        return f"{to} {self._host}: {format_size(done)} of {format_size(total)}{rate}"

    def _running(self, now: float) -> str:
        parts = [f"running on {self._host}: {_whole(now - self._since)}"]
        return ", ".join([*parts, *used(self._usage)])


def _whole(seconds: float) -> str:
    """Return how long it has taken so far; a figure that changes by seconds has no tenths."""
    return f"{int(seconds)} s" if seconds < 120 else lasting(seconds)
