"""Keeps watch over Metal after the login that the supervisor was started in has ended.

It is not known whether macOS leaves Metal's compiler to a process whose login is gone. So the
worker looks before a run, and never lets a cell find it out half way: see `mac.start` for the ways
in which a supervisor can be started instead.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from .. import start, store
from .metal import still_compiles
from .trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds after the login's end at which it is looked once more: launchd clears up in its own time.
SETTLED = 120.0


class Vigil:
    """Looks whether Metal is still there, once when its founder has gone and once later.

    What this costs a run: a look at the process table while the founder lives, two compilations
    of a tiny kernel after it has gone, nothing from then on.

    Parameters
    ----------
    place
        The supervisor's store.
    environment
        Names founder and way: `start.FOUNDER`, `start.WAY`.
    look
        Returns what fails, or the empty text.
    now
        A clock, in seconds.
    """

    def __init__(
        self,
        place: store.Store,
        environment: Mapping[str, str] = os.environ,
        look: Callable[[], str] = still_compiles,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._look = look
        self._now = now
        pid, _, self._start = environment.get(start.FOUNDER, "").partition(" ")
        self._founder = int(pid) if pid.isdigit() else 0
        # Ours, not what the store names now: another worker may have found the loss before.
        self._way = environment.get(start.WAY, "")
        self._gone_since = 0.0
        self._done = not self._founder
        #: Whether Metal is lost, so that this worker has nothing to stay for.
        self.lost = False

    def check(self) -> None:
        """Look, if it is time to.

        Raises
        ------
        Trouble
            If Metal is lost. The next supervisor is started in the next way; this worker is to
            end, and its supervisor ends after it: see `start.outdated`.
        """
        if self._done:
            return
        if not self._gone_since:
            if store.process_start(self._founder) == self._start:
                return
            self._gone_since = self._now()
        elif self._now() - self._gone_since < SETTLED:
            return
        else:
            self._done = True
        if problem := self._look():
            self.lost = self._done = True
            start.write_way(self._place, start.next_way(self._way))
            raise _lost(problem)


def _lost(problem: str) -> Trouble:
    return Trouble(
        "MetalLost",
        f"Metal no longer works in this worker, whose login has ended: {problem}",
        "The cell was not run.",
        "The notebook's variables are as they were; what lived in the worker alone is gone.",
        "Run the cell again: it gets a fresh worker, and a supervisor that is started another way "
        "as soon as no worker is left. If this comes again, macgpu selftest on the host says more.",
    )


def vigil_for(place: store.Store) -> Vigil:
    """Return the watch of a worker; it has nothing to do but on a Mac."""
    return Vigil(place) if sys.platform == "darwin" else Vigil(place, {})
