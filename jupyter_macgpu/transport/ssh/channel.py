"""A channel over SSH: an exec channel's standard input and output."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import paramiko

from ...wire.errors import ConnectionLost
from ..sockets import STALL

if TYPE_CHECKING:
    from .connection import SshConnection

#: Bytes handed over at a time: a packet's worth. The library copies what is left of a larger
#: piece at each packet.
_SLICE = 32 * 1024
_CHUNK = 64 * 1024


class SshChannel:
    """One exec channel.

    Parameters
    ----------
    connection
        What it is on.
    channel
        The library's.
    """

    def __init__(self, connection: SshConnection, channel: paramiko.Channel) -> None:
        self._connection = connection
        self._channel = channel
        self._open = True

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`. See `base.Channel`."""
        view = memoryview(data).cast("B")
        moved = time.monotonic()
        try:
            while view:
                self._channel.settimeout(STALL)
                try:
                    sent = self._channel.send(view[:_SLICE])  # type: ignore[arg-type]
                except TimeoutError:
                    # Perhaps not ours: who receives beside us sets the same timeout.
                    if time.monotonic() - moved > STALL:
                        raise
                    continue
                if not sent:
                    raise self._lost("it is closed")
                view, moved = view[sent:], time.monotonic()
        except (TimeoutError, OSError, EOFError, paramiko.SSHException) as error:
            raise self._lost(str(error)) from error

    def receive(self, timeout: float) -> bytes | None:
        """Return bytes as they come. See `base.Channel`."""
        self._channel.settimeout(timeout)
        try:
            data = self._channel.recv(_CHUNK)
        except TimeoutError:
            return None
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._lost(str(error)) from error
        if not data:
            raise self._lost(self._farewell())
        return data

    def close(self) -> None:
        """End the channel; the connection that it is on stays open."""
        if not self._open:
            return
        self._open = False
        self._connection.closed_one()
        # Where nothing can be sent, its farewell would wait behind all that is on the way.
        if self._connection.writable():
            self._say_goodbye()
        elif self._connection.lent:
            threading.Thread(target=self._say_goodbye, daemon=True).start()
        else:
            self._connection.close()

    def _say_goodbye(self) -> None:
        # The line may just have been cut: then it is over all the same.
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

    def _farewell(self) -> str:
        """Return the last line that the command wrote to its standard error."""
        if not self._channel.recv_stderr_ready():
            return ""
        lines = self._channel.recv_stderr(4096).decode("utf-8", "replace").split("\n")
        return "".join(c for c in next(filter(None, reversed(lines)), "") if c.isprintable())[:200]

    def _lost(self, why: str) -> ConnectionLost:
        reason = f": {why}" if why else ""
        return ConnectionLost(f"The connection to {self._connection.route.name} ended{reason}.")
