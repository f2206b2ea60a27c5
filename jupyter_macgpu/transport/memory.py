"""A transport whose far end is in this process: for tests, and for trying the rest without one."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ..wire.errors import TransportError
from .sockets import SocketChannel

if TYPE_CHECKING:
    from collections.abc import Callable


class MemoryTransport:
    """Hands the far end of each channel to a function.

    Parameters
    ----------
    serve
        Called with the far socket of each new channel, which becomes its own.
    name
        Where it leads, for error texts.
    """

    def __init__(self, serve: Callable[[socket.socket], None], name: str = "memory") -> None:
        self.name = name
        self._serve = serve

    def open(self) -> SocketChannel:
        """Open a channel and hand over its far end. See `base.Transport`.

        Raises
        ------
        TransportError
            If nobody takes the far end; both ends are closed then.
        """
        ours, theirs = socket.socketpair()
        try:
            self._serve(theirs)
        except BaseException as error:
            ours.close()
            theirs.close()
            if isinstance(error, OSError):
                raise TransportError(f"Nobody answers at {self.name}: {error}") from error
            raise
        return SocketChannel(ours, self.name)

    def close(self) -> None:
        """Do nothing: each channel stands alone. See `base.Transport`."""

    def rest(self) -> None:
        """Do nothing, likewise."""
