"""Channels of this process's connection, lent to other processes of the account.

Two threads a guest, each of which blocks where its side is full: what is under way is bounded by
SSH's window and the socket's room, and one guest's stall is not another's.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from typing import TYPE_CHECKING

import paramiko

from ...wire.errors import TransportError
from ..deploy import door_command
from ..sockets import STALL
from .meeting import HERE, OPENED, adopt, same_account, widen

if TYPE_CHECKING:
    from .connection import SshConnection

#: Guests at a time: sshd allows ten channels (MaxSessions), and we need two ourselves.
ROOM = 8
#: Bytes handed over at a time; see `channel`.
_SLICE = 32 * 1024
#: What a channel or a socket raises when it is over.
_OVER = (OSError, EOFError, paramiko.SSHException)


class Guests:
    """Lends channels until it is closed or the connection ends.

    A forked child that inherits it does nothing.

    Parameters
    ----------
    listener
        Where guests ask; from `meeting.Meeting.listen`.
    connection
        What their channels are on.
    """

    def __init__(self, listener: socket.socket, connection: SshConnection) -> None:
        self._listener = listener
        self._connection = connection
        self._links: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._over = False
        self._bell, self._ring = (adopt(end) for end in socket.socketpair())
        self._pid = os.getpid()
        threading.Thread(target=self._receive, name="macgpu-guests", daemon=True).start()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._links)

    def close(self) -> None:
        """Send all away. They go on over another connection."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._over = True
            with contextlib.suppress(OSError):
                self._ring.send(b"!", socket.MSG_DONTWAIT)
            for link in self._links:
                _hang_up(link)

    def _receive(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        with self._listener, self._bell, self._ring, contextlib.suppress(OSError):
            while poll.poll() and not self._over and self._connection.alive:
                link, _ = self._listener.accept()
                self._welcome(adopt(link))

    def _welcome(self, link: socket.socket) -> None:
        with self._lock, contextlib.suppress(OSError):
            if not self._over and len(self._links) < ROOM and same_account(link):
                widen(link)
                link.send(HERE)
                self._links.add(link)
                self._connection.lent = len(self._links)
                threading.Thread(
                    target=self._serve, args=(link,), name="macgpu-guest", daemon=True
                ).start()
                return
        link.close()

    def _serve(self, link: socket.socket) -> None:
        with link:
            try:
                with contextlib.suppress(TransportError, *_OVER):
                    _relay(link, self._connection.execute(door_command()))
            finally:
                self._connection.closed_one()
                with self._lock:
                    self._links.discard(link)
                    self._connection.lent = len(self._links)


def _relay(link: socket.socket, channel: paramiko.Channel) -> None:
    """Carry bytes both ways until either end is over."""
    # Who takes nothing for so long has ended without a word, as for a channel of our own.
    channel.settimeout(STALL)
    back = threading.Thread(
        target=_bring_back, args=(link, channel), name="macgpu-guest-back", daemon=True
    )
    try:
        link.sendall(OPENED)
        back.start()
        while data := link.recv(_SLICE):
            channel.sendall(data)
    finally:
        _hang_up(link)
        with contextlib.suppress(*_OVER):
            channel.close()
        if back.ident is not None:
            back.join()


def _bring_back(link: socket.socket, channel: paramiko.Channel) -> None:
    with contextlib.suppress(*_OVER):
        while True:
            try:
                data = channel.recv(_SLICE)
            except TimeoutError:
                continue
            if not data:
                break
            link.sendall(data)
    _hang_up(link)


def _hang_up(link: socket.socket) -> None:
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
