"""Plans that begin when runs have ended: their hosts are asked until they have."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .rows import Row
    from .timetable import Awaited

#: Seconds between two questions after a run, and at most, while its host does not answer.
SOON, LATER = 2.0, 30.0


class Awaiting:
    """Asks for as many plans as wait, each in a thread. May be used by any thread.

    Parameters
    ----------
    look
        Returns a run's row as its host has it now, None if the host does not know it any more.
    left
        Returns whose end a plan still waits for.
    heard
        Told how a run stands that a plan waits for.
    """

    def __init__(
        self,
        look: Callable[[Awaited], Row | None],
        left: Callable[[str], Sequence[Awaited]],
        heard: Callable[[str, Awaited, Row | None], None],
    ) -> None:
        self._look, self._left, self._heard = look, left, heard
        self._stopped = threading.Event()

    def begin(self, plan: str) -> None:
        """Wait for the runs of a plan, from now on."""
        name = f"macgpu-after-{plan}"
        threading.Thread(target=self._go, args=(plan,), name=name, daemon=True).start()

    def close(self) -> None:
        """Wait no more."""
        self._stopped.set()

    def _go(self, plan: str) -> None:
        pause = SOON
        while (awaits := self._left(plan)) and not self._stopped.wait(pause):
            pause, before = SOON, pause
            for awaited in awaits:
                try:
                    row = self._look(awaited)
                except MacGPUError:
                    pause = min(LATER, 2 * before)  # it sleeps, or the fleet lacks it for now
                else:
                    self._heard(plan, awaited, row)
