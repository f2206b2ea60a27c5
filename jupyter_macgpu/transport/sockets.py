"""A channel over a connected socket: what the local and the memory transport have in common."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from ..wire.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable

#: Below the size from which the C library maps and unmaps memory for each read.
_CHUNK = 64 * 1024


#: Seconds for which a peer may take nothing before the channel counts as over.
STALL = 15.0


class SocketChannel:
    """A channel over one socket.

    Parameters
    ----------
    link
        The connected socket, which becomes the channel's.
    name
        Where it leads, for error texts.
    closed
        Called once when the channel is closed.
    """

    def __init__(
        self, link: socket.socket, name: str, closed: Callable[[], None] = lambda: None
    ) -> None:
        self._link = link
        self._name = name
        self._closed = closed
        self._open = True
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._room = select.poll()
        self._room.register(link, select.POLLOUT)

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`. See `base.Channel`."""
        view = memoryview(data).cast("B")
        try:
            while view:
                try:
                    view = view[self._link.send(view, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    if not self._room.poll(STALL * 1000):
                        raise
        except OSError as error:
            raise self._lost() from error

    def receive(self, timeout: float) -> bytes | None:
        """Return bytes as they come. See `base.Channel`."""
        try:
            if not self._poll.poll(timeout * 1000):
                return None
            data = self._link.recv(_CHUNK)
        except OSError as error:
            raise self._lost() from error
        if not data:
            raise self._lost()
        return data

    def close(self) -> None:
        """End the channel."""
        if self._open:
            self._open = False
            self._link.close()
            self._closed()

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(f"The connection to {self._name} ended.")
