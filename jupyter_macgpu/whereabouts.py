"""Where a run is now and how it stands there, as its host says: through retries and moves."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from .wire import messages as m
from .wire.errors import RunRefused
from .wire.states import FINAL

if TYPE_CHECKING:
    from .fleet.hosts import Host
    from .lookout import Lookout
    from .pool import Pool


class Whereabouts:
    """What the hosts say of one run, and of what it became.

    Attributes
    ----------
    runs
        Its ids: more than one if it was tried again or moved to another host. The last one counts.
    host
        The host that has it now.
    row
        What that host said last.
    asked
        When that was; monotonic seconds.
    is_settled
        Whether its end was read: nobody needs to be asked any more.
    """

    def __init__(self, pool: Pool, run: str, host: Host, row: dict[str, Any]) -> None:
        self.runs = [run]
        self.host = host
        self.row = row
        self.asked = time.monotonic()
        self.is_settled = False
        self._pool = pool
        #: The run that the host which had this one before has given it up for.
        self._left_for = ""

    @property
    def run(self) -> str:
        """Its id now."""
        return self.runs[-1]

    @property
    def detail(self) -> dict[str, Any]:
        """What the host said beside the state."""
        return self.row.get("detail") or {}

    @property
    def lookout(self) -> Lookout:
        """Who asks the host that has it now."""
        return self._pool.lookouts.of(self.host)

    def look(self) -> dict[str, Any]:
        """Ask the host, and return what it says; follow the run if it became another one.

        Raises
        ------
        TransportError
            If the host cannot be reached. What was followed before stays followed.
        """
        while not self._is_over():
            row = self.lookout.rows([self.run]).get(self.run)
            self.asked = time.monotonic()
            if row is None:
                self.row = {**self.row, "state": "lost", "detail": {"removed": True}}
                break
            self.row = row
            self._pool.lengths.told(row, self._pool.statuses.status(self.host))
            if self._lets_proceed():
                continue
            if not self._follow():
                break
        return self.row

    def told(self, row: dict[str, Any]) -> None:
        """Take in what its host said of it when it was handed in."""
        self.row = {**self.row, **row}
        self.asked = time.monotonic()

    def _is_over(self) -> bool:
        goes_on = self.detail.get("retried") or self.detail.get("moved")
        return self.is_settled or (self.row["state"] in FINAL and not goes_on)

    def _follow(self) -> bool:
        """Go on with the run that this one became; say whether it became another one."""
        moved = self.detail.get("moved") or {}
        if moved:
            found = [h for h in self._pool.fleet.hosts if h.name == moved.get("host")]
            if not found:
                return False
            self.host = found[0]
        following = str(moved.get("run") or self.detail.get("retried") or "")
        if not following:
            return False
        self.runs.append(following)
        self._left_for = following if moved else ""
        self.row = {**self.row, "state": "accepted", "detail": {}}
        return True

    def _lets_proceed(self) -> bool:
        """Finish a move whose mover is gone: the host that had the run has written that it left.

        So it never begins there, and may begin here. Whoever else finishes the move says the same.
        """
        parked = (self.row.get("options") or {}).get("parked") and self.row["state"] not in FINAL
        if self._left_for != self.run or not parked or self.detail.get("proceeds"):
            return False
        with contextlib.suppress(RunRefused):  # it has ended meanwhile
            self.lookout.tell(m.Proceed(run=self.run), m.RunState)
        self._left_for = ""
        return True
