"""2 place: this kernel's sessions, one a host, kept while they are of use."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from .link import Link
from .placement import Needs, Placement, place
from .session import Session
from .wire import messages as m
from .wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .fleet.hosts import Fleet, Host
    from .transport.base import Transport


class Pool:
    """The hosts that this kernel may use, and its sessions on them.

    Parameters
    ----------
    fleet
        The hosts.
    reach
        Makes the transport to a host.
    notebook
        Name of the notebook; ``""`` if it has none that outlives the kernel.
    """

    def __init__(self, fleet: Fleet, reach: Callable[[Host], Transport], notebook: str) -> None:
        self.fleet = fleet
        self.client = secrets.token_hex(16)
        self.notebook = notebook or self.client
        self.current: Session | None = None
        self._reach = reach
        self._sessions: dict[str, Session] = {}
        self._pid = os.getpid()

    def lease(self, needs: Needs) -> tuple[Session, Placement]:
        """Return the session in which a cell is to run, and why there.

        Raises
        ------
        PlacementError
            If no host will do. Nothing was sent.
        """
        placement = place(self.fleet.hosts, needs)
        self.current = self.session(placement.host)
        return self.current, placement

    def session(self, host: Host) -> Session:
        """Return this kernel's session on a host, made at its first use."""
        if host.name not in self._sessions:
            link = Link(self._reach(host), self.client, self.notebook)
            self._sessions[host.name] = Session(host=host, link=link)
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
        link = self.session(host).link
        link.connect()
        link.say(m.ListRuns(notebook=notebook))
        answer = link.await_message(lambda message: isinstance(message, m.Runs))
        return runs_in(answer)

    def close(self) -> None:
        """End this kernel's sessions; runs that live go on."""
        if os.getpid() != self._pid:
            return
        for session in self._sessions.values():
            try:
                if session.link.open:
                    session.operate("close")
            except MacGPUError:
                continue
            finally:
                session.link.close()


def runs_in(answer: m.Message) -> list[dict[str, object]]:
    """Return the rows of a `Runs` message."""
    import json

    rows: list[dict[str, object]] = json.loads(bytes(answer.buffers[0]))
    return rows
