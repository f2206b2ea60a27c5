"""A notebook whose host is a real SSH server, with a bad line in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_macgpu.reach import nobody_to_ask
from jupyter_macgpu.transport.ssh.transport import Ways
from tests.ssh_home import Home
from tests.sshd import Sshd

from .desk import Desk
from .tcp_relay import TcpRelay


def desk_at(home: Home, server: Sshd, notebook: str = "desk.ipynb", **changed: Any) -> Desk:
    """Return a notebook on a server.

    Parameters
    ----------
    changed
        Attributes of the host that are not the server's.
    """
    host = home.host(server, **changed)
    # The folder of handshake locks is one for all notebooks of the account.
    ways = Ways(nobody_to_ask, home.folder / "handshakes")
    return Desk(notebook=notebook, host=host, transport=ways.to(host))


@dataclass(slots=True, kw_only=True)
class Away:
    """A server, the relay before it, and a notebook that knows the server by the relay."""

    server: Sshd
    home: Home
    relay: TcpRelay
    desk: Desk

    def another(self, notebook: str) -> Desk:
        """Return one more notebook, over the same relay."""
        return desk_at(self.home, self.server, notebook, port=self.relay.port)
