"""The pool of the fleet files: made when it is first needed, and of what they say now."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .fleet.watching import FleetFile
from .pool import Pool
from .reach import Reach, ask_here

if TYPE_CHECKING:
    from collections.abc import Callable


class FleetPool:
    """A pool that follows the fleet files; see `FleetFile` for what a broken edit does.

    Parameters
    ----------
    notebook
        Says the name of the notebook when the pool is made.
    """

    def __init__(self, notebook: Callable[[], str]) -> None:
        self._notebook = notebook
        self._file = FleetFile()
        self._pool: Pool | None = None
        self._lock = threading.Lock()

    def now(self) -> Pool:
        """Return the pool, its fleet as the files say.

        Raises
        ------
        FleetFileError
            If the fleet file never could be used. Nothing was sent.
        """
        with self._lock:
            fleet = self._file.fleet()
            if self._pool is None:
                self._pool = Pool(fleet, Reach(ask_here), self._notebook())
            self._pool.fleet = fleet
            return self._pool

    def notice(self) -> str:
        """Return what the user is to be told of an edit since the last call; mostly nothing."""
        return self._file.notice()

    def close(self) -> None:
        """End the sessions of the pool, if there is one; the next use makes a new one."""
        # Without the lock: in a child process that was forked it may be held by nobody.
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
