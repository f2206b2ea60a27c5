"""Doors are let in: a connection, and the two descriptors of a channel that come over it.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from .door import ACKNOWLEDGED, RETIRE

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a door may take to say what it wants.
_PATIENCE = 2.0


class Reception:
    """Takes what doors bring.

    Parameters
    ----------
    channel
        Given a channel's two descriptors and its door, which become its own.
    retire
        Given the connection of a door that wants another supervisor.
    """

    def __init__(
        self,
        channel: Callable[[int, int, socket.socket], None],
        retire: Callable[[socket.socket], None],
    ) -> None:
        self._channel = channel
        self._retire = retire
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def come(self, listener: socket.socket) -> None:
        """Let one door in; it is turned away at once if there are no descriptors left for it."""
        try:
            link, _ = listener.accept()
        except OSError:
            self._turn_away(listener)
            return
        fds: list[int] = []
        try:
            link.settimeout(_PATIENCE)
            word, fds, _flags, _address = socket.recv_fds(link, 1, 2)
            if word == RETIRE:
                self._retire(link)
                return
            if len(fds) != 2:
                raise OSError("a door came without its channel, or there was no room for it")
            for fd in fds:
                os.set_inheritable(fd, False)
            link.send(ACKNOWLEDGED)
        except OSError:
            for fd in fds:
                os.close(fd)
            link.close()
            return
        self._channel(fds[0], fds[1], link)

    def close(self) -> None:
        """Let go of the spare descriptor."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def _turn_away(self, listener: socket.socket) -> None:
        """Hang up on who waits: else the loop would find him waiting again and again."""
        self.close()
        with contextlib.suppress(OSError):  # it may be gone already
            listener.accept()[0].close()
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
