"""A network for one thread: bytes move when told to, and a line can be cut at any byte."""

from __future__ import annotations

import contextlib
import socket

from jupyter_macgpu.wire.errors import ConnectionLost

_CHUNK = 1 << 20


class Line:
    """One channel between a client and the supervisor, with the bytes under way on it.

    Attributes
    ----------
    inbox
        What has arrived at the client and was not read yet.
    """

    def __init__(self) -> None:
        self.far, self._near = socket.socketpair()
        self._near.setblocking(False)
        self.inbox = bytearray()
        self._up = bytearray()
        self._down = bytearray()
        self._client_is_there = True
        self._server_is_there = True

    @property
    def dead(self) -> bool:
        """Whether nothing will move here any more."""
        return not self._server_is_there and not self._down

    def move(self, most: int = 1 << 30) -> None:
        """Bring up to `most` bytes each way."""
        if self._server_is_there:
            self._move_up(most)
        if self._server_is_there:
            self._collect()
        data, self._down = self._down[:most], self._down[most:]
        self.inbox += data
        if not self._client_is_there and not self._up:
            self._hang_up()

    def cut(self) -> None:
        """End the line at both ends; what is under way is gone."""
        self._client_is_there = False
        self._up.clear()
        self._down.clear()
        self._hang_up()

    def _move_up(self, most: int) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                sent = self._near.send(self._up[:most]) if self._up else 0
                del self._up[:sent]
            except (BrokenPipeError, ConnectionResetError):
                self._hang_up()

    def _collect(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                data = self._near.recv(_CHUNK)
            except ConnectionResetError:
                data = b""
            if not data:
                self._hang_up()
            elif self._client_is_there:
                self._down += data

    def _hang_up(self) -> None:
        if self._server_is_there:
            self._server_is_there = False
            self._near.close()

    # What a client does with its channel.

    def send(self, data: bytes | memoryview) -> None:
        """Put bytes on the way. See `transport.base.Channel`."""
        if not self._client_is_there or not self._server_is_there:
            raise ConnectionLost("The line was cut.")
        self._up += data

    def take(self) -> bytes | None:
        """Return what has arrived, or None."""
        if self.inbox:
            data = bytes(self.inbox)
            self.inbox.clear()
            return data
        ended = not self._server_is_there and not self._down
        if ended or not self._client_is_there:
            raise ConnectionLost("The line was cut.")
        return None

    def close(self) -> None:
        """Hang up at the client's end; what was sent still arrives."""
        self._client_is_there = False
        self._down.clear()
