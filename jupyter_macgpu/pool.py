"""2 place: this kernel's sessions, one a host, kept while they are of use."""

from __future__ import annotations

import os
import secrets
import threading
from typing import TYPE_CHECKING

from .link import Link
from .placement import Needs, Placement, only, place, shortlists
from .scouting import Scouts
from .session import Session
from .wire import messages as m
from .wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .fleet.hosts import Fleet, Host
    from .placement import Answer
    from .reach import Reach

#: Seconds without use after which a connection is closed: a Mac takes 42 SSH sessions in all.
IDLE = 60.0
#: Seconds within which every step to a host has ended, well or not.
_ALL = 120.0
#: Seconds between two looks for such connections.
_ROUND = 5.0


class Pool:
    """The hosts that this kernel may use, and its sessions on them.

    Parameters
    ----------
    fleet
        The hosts.
    reach
        The way to each of them.
    notebook
        Name of the notebook; ``""`` if it has none that outlives the kernel.
    """

    def __init__(self, fleet: Fleet, reach: Reach, notebook: str) -> None:
        self.fleet = fleet
        self.client = secrets.token_hex(16)
        self.notebook = notebook or self.client
        self.current: Session | None = None
        self.reach = reach
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._scouts = Scouts(lambda host: self.session(host).link)
        self._closed = threading.Event()
        self._resting: threading.Thread | None = None
        self._pid = os.getpid()

    def lease(self, needs: Needs, say: Callable[[str], None]) -> tuple[Session, Placement]:
        """Return the session in which a cell is to run, and why there.

        Parameters
        ----------
        say
            Told if the notebook moves to another host.

        Raises
        ------
        PlacementError
            If no host will do. Nothing was sent.
        TransportError
            If the only host that will do cannot be reached. Nothing was sent.
        """
        before = self.current
        placement = self.decide(needs)
        self.current = self.session(placement.host)
        if before is not None and before is not self.current and before.announced:
            left = "its working folder and what lives in its worker stay there"
            say(f"macgpu: from {before.host.name} to {placement.host.name}; {left}")
        return self.current, placement

    def decide(self, needs: Needs) -> Placement:
        """Choose the host of a cell, after asking those that come into question.

        Raises
        ------
        PlacementError
            If no host will do. Nothing was sent.
        """
        rounds = shortlists(self.fleet.hosts, needs, self.fleet.notice)
        if len(rounds) == len(rounds[0]) == 1:
            return only(rounds[0][0], needs)
        asked: list[Host] = []
        answers: dict[str, Answer] = {}
        for hosts in rounds:
            asked += hosts
            answers |= self._scouts.answers(hosts)
            if any(answer.error is None for answer in answers.values()):
                break
        return place(asked, answers, needs)

    def ask(self, hosts: Sequence[Host]) -> dict[str, Answer]:
        """Ask hosts at once, and return all answers, errors included."""
        return self._scouts.answers(hosts, fresh=_ALL)

    def reachable(self) -> list[Host]:
        """Return the hosts that answer.

        Raises
        ------
        PlacementError
            If none does; each one's reason is in it.
        """
        answers = self.ask(self.fleet.hosts)
        place(self.fleet.hosts, answers, Needs())
        return [host for host in self.fleet.hosts if answers[host.name].error is None]

    def warm(self) -> None:
        """Begin to connect to the hosts that a first cell would ask, in the background."""
        hosts = shortlists(self.fleet.hosts, Needs())[0]
        self._scouts.send([host for host in hosts if host.transport == "ssh"])

    def session(self, host: Host) -> Session:
        """Return this kernel's session on a host, made at its first use."""
        with self._lock:
            if host.name not in self._sessions:
                link = Link(self.reach.transport(host), self.client, self.notebook)
                environment = self.reach.environment(host)
                self._sessions[host.name] = Session(host=host, link=link, environment=environment)
                if host.transport == "ssh" and self._resting is None:
                    self._resting = threading.Thread(target=self._rest, daemon=True)
                    self._resting.start()
            return self._sessions[host.name]

    def sessions(self) -> list[Session]:
        """Return the sessions that were used, newest last."""
        return list(self._sessions.values())

    def renew(self, session: Session) -> None:
        """Forget a session whose worker was ended; the next cell there begins a new one."""
        self._sessions.pop(session.host.name, None)
        if self.current is session:
            self.current = None

    def runs(self, host: Host, notebook: str) -> list[dict[str, object]]:
        """Return the runs that a host knows: of one notebook, or of all for ``""``."""
        wish = m.ListRuns(notebook=notebook)
        link = self.session(host).link
        return runs_in(link.ask(wish, lambda message: isinstance(message, m.Runs)))

    def close(self) -> None:
        """End this kernel's sessions; runs that live go on."""
        if os.getpid() != self._pid:
            return
        self._closed.set()
        for session in self._sessions.values():
            try:
                if session.link.open:
                    session.operate("close")
            except MacGPUError:
                continue
            finally:
                session.link.drop()

    def _rest(self) -> None:
        while not self._closed.wait(_ROUND):
            for session in self.sessions():
                session.link.rest(IDLE)


def runs_in(answer: m.Message) -> list[dict[str, object]]:
    """Return the rows of a `Runs` message."""
    import json

    rows: list[dict[str, object]] = json.loads(bytes(answer.buffers[0]))
    return rows
