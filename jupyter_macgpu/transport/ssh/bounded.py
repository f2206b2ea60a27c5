"""What paramiko waits for without a bound, bounded.

Where a host says nothing, `execution` and `link` give the connection up; but they are not asked
while the library waits: for the answer to a command, and for a socket that takes nothing more. The
system ends the second where nobody acknowledges what was sent, but not everywhere where a host's
kernel goes on acknowledging while its processes stand still.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from paramiko.packet import Packetizer

from ..sockets import STALL

if TYPE_CHECKING:
    import socket

    import paramiko

    Beneath = socket.socket | paramiko.Channel


class Answer(threading.Event):
    """A host's answer to a command: a `paramiko.Channel.event`.

    Parameters
    ----------
    patience
        Seconds in which it is to come.
    """

    def __init__(self, patience: float) -> None:
        super().__init__()
        self._patience = patience

    def wait(self, timeout: float | None = None) -> bool:
        """Return True when it is there.

        Raises
        ------
        TimeoutError
            If it does not come.
        """
        if not super().wait(self._patience if timeout is None else timeout):
            raise TimeoutError(f"no answer to a command within {self._patience:g} s")
        return True


class Packets(Packetizer):
    """Packets of a connection that is over when nothing of them is taken for `STALL` seconds.

    Parameters
    ----------
    beneath
        What they are sent and received over.
    """

    def __init__(self, beneath: Beneath) -> None:
        super().__init__(_Beneath(beneath))  # type: ignore[arg-type]


class _Beneath:
    """A socket as paramiko's packets see it, which they ask ten times a second to take more."""

    def __init__(self, beneath: Beneath) -> None:
        self._beneath = beneath
        self._stuck_since = 0.0
        self.recv = beneath.recv
        self.close = beneath.close

    def send(self, data: bytes) -> int:
        """Send what is taken now; return how many bytes.

        Raises
        ------
        TimeoutError
            If that is nothing.
        ConnectionError
            If nothing was taken for `STALL` seconds; what is beneath is closed.
        """
        try:
            sent = self._beneath.send(data)
        except TimeoutError:
            now = time.monotonic()
            self._stuck_since = self._stuck_since or now
            if now - self._stuck_since > STALL:
                # Half a packet may be on its way: nothing can follow it.
                self.close()
                raise ConnectionError(f"nothing was taken for {STALL:g} s") from None
            raise
        self._stuck_since = 0.0
        return sent
