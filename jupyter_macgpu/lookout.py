"""What became of runs that nobody waits for: asked over a connection of its own.

The connection over which a notebook's cells run is theirs while one runs. Who asks after another
run meanwhile, from another thread or a subshell, asks here.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from .wire import messages as m
from .wire.errors import RunRefused
from .wire.states import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .fleet.hosts import Host
    from .link import Link

M = TypeVar("M", bound=m.Message)
#: Seconds for which an answer is good enough for somebody else who asks.
_GOOD = 0.02


class Lookout:
    """One host, asked after runs by any thread.

    Parameters
    ----------
    open_link
        Returns a new link to the host.
    """

    def __init__(self, open_link: Callable[[], Link]) -> None:
        self.used = time.monotonic()
        self._open_link = open_link
        self._link = open_link()
        self._lock = threading.Lock()
        self._users = 0
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    @property
    def host(self) -> str:
        """Name of the host."""
        return self._link.host

    @property
    def busy(self) -> bool:
        """Whether somebody uses a connection of this kind now."""
        return self._users > 0

    def rows(self, runs: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return what the host says of some runs; of those that it does not know, nothing.

        Raises
        ------
        TransportError
            If it cannot be reached.
        """
        wanted = list(runs)
        with self._lock:
            known = {run: self._known.get(run, (float("-inf"), {})) for run in wanted}
            if all(time.monotonic() - at < _GOOD for at, _ in known.values()):
                return {run: row for run, (_, row) in known.items() if row}
            answer = self._ask(m.ListRuns(runs=wanted), m.Runs)
            at = time.monotonic()
            listed = {str(row["run"]): row for row in json.loads(bytes(answer.buffers[0]))}
            self._known = {run: (at, listed.get(run, {})) for run in wanted}
        return {run: row for run, row in listed.items() if run in wanted}

    def tell(self, message: m.Message, wanted: type[M]) -> M:
        """Say something of a run and return the answer.

        Raises
        ------
        RunRefused
            If the host will not do it. Nothing was done.
        TransportError
            If it cannot be reached.
        """
        with self._lock:
            self._known.clear()
            return self._ask(message, wanted)

    @contextlib.contextmanager
    def link(self) -> Iterator[Link]:
        """Lend a connection for one thing that takes longer; it is closed behind it."""
        link = self._open_link()
        self._users += 1
        try:
            yield link
        finally:
            self._users -= 1
            self.used = time.monotonic()
            link.close()

    def say(self, message: m.Message) -> None:
        """Say something that is not answered, and know that it arrived.

        Raises
        ------
        RunRefused
            If the host will not do it. Nothing was done.
        TransportError
            If it cannot be reached.
        """
        with self._lock:
            self._known.clear()
            self._link.connect()
            self._link.say(message)
            self._ask(m.Ping(number=0), m.Pong)

    def cancel(self, row: Mapping[str, Any], *, kill: bool, ended: str) -> None:
        """Stop a run that the host has listed so: an interrupt in its cell, or its worker's end.

        Parameters
        ----------
        ended
            What there is to do where it has ended already.

        Raises
        ------
        RunRefused
            If it has ended already, or the host will not do it. Nothing was done.
        TransportError
            If it cannot be reached. The run goes on.
        """
        run = str(row["run"])
        if row["state"] in FINAL:
            raise RunRefused(
                f"Run {run[:8]} has ended already: {row['state']}.",
                known="Nothing was done.",
                next=ended,
            )
        how = "kill" if kill else "interrupt"
        self.say(m.Cancel(run=run, epoch=int(row["epoch"]), how=how))

    def rest(self, idle: float) -> bool:
        """Close the connection if there was no use for it for `idle` seconds; say whether so."""
        if self.busy or time.monotonic() - self.used <= idle:
            return False
        if self._lock.acquire(blocking=False):
            try:
                self._link.close()
            finally:
                self._lock.release()
        return True

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _ask(self, message: m.Message, wanted: type[M]) -> M:
        self.used = time.monotonic()
        kinds = (wanted, m.Refused)
        answer = self._link.ask(message, lambda said: isinstance(said, kinds))
        if isinstance(answer, m.Refused):
            raise RunRefused(
                f"{self.host}: {answer.text}.",
                known="Nothing was done.",
                next="%macgpu runs shows how the run stands.",
            )
        assert isinstance(answer, wanted)
        return answer


class Lookouts:
    """The lookouts of one kernel, one a host, made at their first use.

    Parameters
    ----------
    open_link
        Returns a new link to a host.
    """

    def __init__(self, open_link: Callable[[Host], Link]) -> None:
        self._open_link = open_link
        self._all: dict[str, Lookout] = {}
        self._lock = threading.Lock()

    def of(self, host: Host) -> Lookout:
        """Return the lookout of a host."""
        with self._lock:
            if host.name not in self._all:
                self._all[host.name] = Lookout(lambda: self._open_link(host))
            return self._all[host.name]

    def rest(self, host: str, idle: float) -> bool:
        """Close what there was no use for; say whether nobody needs the way to a host."""
        lookout = self._all.get(host)
        return lookout is None or lookout.rest(idle)

    def close(self) -> None:
        """Close all connections."""
        for lookout in self._all.values():
            lookout.close()
