"""The bad line before a TCP port: it stands between an SSH client and its server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from jupyter_macgpu.transport.sockets import SocketChannel

from .relay import Board, Line, Toxics

#: Seconds between two looks at whether to go on accepting.
_GLANCE = 0.1


class TcpRelay(Board):
    """Listens on this machine, and leads every connection to another address.

    Parameters
    ----------
    target
        Address and port behind it.
    toxics
        What is wrong with the line.

    Attributes
    ----------
    address, port
        Where it listens.
    refusing
        Whether new connections are taken and then not answered: a black hole.
    """

    def __init__(self, target: tuple[str, int], toxics: Toxics | None = None) -> None:
        super().__init__(toxics)
        self.target = target
        self.refusing = False
        self._held: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.settimeout(_GLANCE)
        self.address, self.port = self._listener.getsockname()
        self._open = True
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def close(self) -> None:
        """End it and all its lines."""
        self._open = False
        self._thread.join()
        self._listener.close()
        self.hang_up()
        for held in self._held:
            held.close()

    def _accept(self) -> None:
        while self._open:
            try:
                accepted, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self.refusing:
                self._held.append(accepted)
            else:
                self._connect(accepted)

    def _connect(self, accepted: socket.socket) -> None:
        try:
            inner = socket.create_connection(self.target, timeout=5.0)
        except OSError:
            accepted.close()
            return
        ends = (accepted, inner)
        for end in ends:
            # What was read here has arrived as far as the other end knows: it must not be much.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(True)
        near, far = (SocketChannel(end, f"relay to {self.target}") for end in ends)
        self.add(Line(near, far, self, ends))


class Relays:
    """The relays of one test."""

    def __init__(self) -> None:
        self._all: list[TcpRelay] = []

    def before(self, address: str, port: int, toxics: Toxics | None = None) -> TcpRelay:
        """Put one before a port."""
        self._all.append(TcpRelay((address, port), toxics))
        return self._all[-1]

    def close(self) -> None:
        """End them all."""
        for relay in self._all:
            relay.close()


@pytest.fixture
def relays() -> Iterator[Relays]:
    """Let a test put relays before ports."""
    made = Relays()
    yield made
    made.close()
