"""How hosts fared in the last minutes, a point every few seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .readings import longer, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..fleet.seen import Seen
    from ..pool import Pool

#: Seconds from one point to the next: with `readings.POINTS` of them, five minutes.
STEP = 5.0

Lines = dict[str, list[float | None]]


class Recent:
    """The lines of each host."""

    def __init__(self) -> None:
        self._lines: dict[str, Lines] = {}
        self._due = 0.0

    def after(self, pool: Pool, seen: Sequence[Seen]) -> dict[str, Lines]:
        """Return the lines by host, with what is seen now as their end if it is time for that."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + STEP
            self._lines = {each.host.name: self._with(pool, each) for each in seen}
        return self._lines

    def _with(self, pool: Pool, each: Seen) -> Lines:
        telemetry = pool.statuses.known(each.host).heard.telemetry
        return longer(
            self._lines.get(each.host.name, {}),
            points(each.status, telemetry, each.is_connected),
        )
