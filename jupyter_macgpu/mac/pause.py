"""The owner's pause: until when nothing new is to begin, in a file of the store.

Runs on the Mac. Only Python and `wire` may be imported here.

It is kept by the clock of the day, so that it outlives the supervisor and the host's restart.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

#: Nobody pauses a machine for longer, in seconds; a forgotten pause ends some day.
LONGEST = 30 * 24 * 3600.0


class Pause:
    """A pause, and the file that it is kept in.

    Parameters
    ----------
    path
        The file. Nobody else writes it while this exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._until = _read(path)

    def left(self) -> float:
        """Return the seconds that it still lasts; 0 if there is none."""
        return min(LONGEST, max(0.0, self._until - time.time())) if self._until else 0.0

    def begin(self, seconds: object) -> str:
        """Pause for so many seconds from now on, or return what is wrong with that."""
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            seconds = 0.0
        if not 0 < seconds <= LONGEST:
            return f"a pause lasts up to {LONGEST / 86400:g} days"
        until = time.time() + float(seconds)
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(f"{until:.3f}\n")
            fresh.replace(self._path)
        except OSError as error:
            return f"the pause could not be written down: {error}"
        self._until = until
        return ""

    def end(self) -> str:
        """Let runs begin again, or return why that could not be written down."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            return f"the pause could not be deleted: {error}"
        self._until = 0.0
        return ""


def _read(path: Path) -> float:
    try:
        until = float(path.read_text())
    except (OSError, ValueError):
        return 0.0
    return until if math.isfinite(until) else 0.0
