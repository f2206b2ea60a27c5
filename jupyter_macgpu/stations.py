"""Free slots on several hosts, each with a session of its own, for calls that run at once.

The notebook's own session has one worker, which runs one thing at a time; so each station has a
worker of its own. All of a host share the notebook's working folder.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from .execution import Execution
from .interrupts import Interrupts
from .parting import at_once
from .pool import Pool
from .way import put_files
from .wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .execution import Outcome, Show, Submission
    from .fleet.hosts import Host
    from .options import CellOptions
    from .placement import Wish
    from .session import Session

#: Seconds that hosts have to answer, before those that have are taken.
PATIENCE = 5.0
#: Seconds that an interrupted run has to end, before its worker is ended; and then to be over.
GRACE, END = 3.0, 15.0


class Station:
    """One slot of one host.

    Used by one thread at a time: it makes a submission for `session`, then has `drive` send it.

    Parameters
    ----------
    host
        Where it is.
    beside
        The pool whose hosts, ways and notebook it shares.
    options
        Of all calls; their files are put there before the first one.
    """

    def __init__(self, host: Host, beside: Pool, options: CellOptions) -> None:
        self.host = host
        self._pool = Pool(beside.fleet, beside.reach, beside.notebook)
        self._options = options
        self._interrupts = Interrupts()
        self._is_ready = False

    @property
    def session(self) -> Session:
        """Its session there."""
        return self._pool.session(self.host)

    def prepare(self, show: Show) -> None:
        """Connect, and put the files there, unless that is done.

        Raises
        ------
        MacGPUError
            If the host cannot be had. Nothing was sent.
        """
        self.session.link.connect()
        if not self._is_ready:
            put_files(self._options, self.session, show, self._interrupts)
            self._is_ready = True

    def drive(self, submission: Submission, show: Show) -> Outcome:
        """Run what was made for its session, to its end; the errors are those of `Execution`."""
        run = submission.message.run
        return Execution(self.session.link, run, show, self._interrupts, submission).drive()

    def interrupt(self) -> None:
        """Interrupt what runs; a second time ends its worker."""
        self._interrupts.count()

    def close(self) -> None:
        """End its session."""
        with contextlib.suppress(MacGPUError):
            self._pool.close()


def free_hosts(pool: Pool, wish: Wish, most: int | None) -> list[Host]:
    """Return a host for each call that can run at once now, the best ones first.

    A host stands in it once for each free slot. If no slot is free, the best host stands there
    once: calls wait in its queue.

    Parameters
    ----------
    most
        How many at most; None takes all.

    Raises
    ------
    PlacementError
        If no host can take such a call.
    """
    best = pool.decide(wish).host
    if most == 1:
        return [best]
    answers = pool.ask(pool.fleet.hosts, PATIENCE)
    well = {name for name, answer in answers.items() if answer.error is None}
    ranking = pool.ranking(wish)
    hosts = {host.name: host for host in pool.fleet.hosts}
    found: list[Host] = []
    for one in ranking.feasible:
        if one.host in well and not one.must_wait:
            found += [hosts[one.host]] * _free(pool, hosts[one.host], is_cpu=wish.needs.is_cpu)
    return (found or [best])[:most]


def _free(pool: Pool, host: Host, *, is_cpu: bool) -> int:
    status = pool.statuses.status(host)
    lane = status.cpu if is_cpu else status.gpu
    return max(1, lane.slots - (lane.running or 0))


def close_all(stations: Sequence[Station], threads: Sequence[threading.Thread]) -> None:
    """Interrupt what runs at stations, end what does not listen, and end their sessions."""
    for grace in (GRACE, END):
        running = [thread for thread in threads if thread.is_alive()]
        for station in stations if running else ():
            station.interrupt()
        for thread in running:
            thread.join(grace / len(running))
    at_once([station.close for station in stations], END)
