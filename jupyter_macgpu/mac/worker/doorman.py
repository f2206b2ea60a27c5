"""Lets a supervisor in, at any time: also while a cell runs or waits in a full pipe.

A supervisor connects to the worker's socket. It is sent one byte with the read ends of stdout and
stderr beside it (SCM_RIGHTS); then both sides speak the protocol. The newest one wins: an older one
is dead, or is about to be.

The doorman runs on a thread of its own that takes no signals. It also sees to it that an interrupt
reaches the main thread when the system handed the signal to another one, and ends a worker that
nobody has come back for.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...wire import messages as m
from ...wire.errors import ProtocolError
from ..store import listen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ...wire.connection import Connection
    from .gate import Gate
    from .link import Link

#: Seconds that a newcomer has for its Hello.
_HELLO_WITHIN = 5.0
#: Seconds that the main thread has for an interrupt, if it was given the signal.
_TAKEN_WITHIN = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a worker without a supervisor waits for one, in seconds.

    Attributes
    ----------
    idle
        While nothing runs and nothing is left to tell.
    result
        While a run has ended and nobody has noted it.
    run
        While a run lives. It may be stuck in a full pipe that nobody will ever empty.
    deleted
        When its socket was deleted, so that nobody can come, whatever lives.
    """

    idle: float = 60.0
    result: float = 30 * 60.0
    run: float = 24 * 3600.0
    deleted: float = 2.0


class Doorman:
    """Accepts supervisors.

    Parameters
    ----------
    link
        Takes them.
    gate
        Counts the interrupts that were taken.
    folder
        The worker's own; its socket is made there.
    read_fds
        Read ends of stdout and stderr.
    patience
        How long to wait for one.
    leave
        Called when patience is at an end.
    """

    def __init__(
        self,
        link: Link,
        gate: Gate,
        folder: Path,
        read_fds: list[int],
        patience: Patience,
        leave: Callable[[], None],
    ) -> None:
        self._link = link
        self._gate = gate
        self._passed_on = False
        self._path = folder / "socket"
        self._listener = listen(self._path, 8)
        self._read_fds = read_fds
        self._patience = patience
        self._leave = leave
        self._main = threading.main_thread().ident
        self._signalled, self._wakeup = os.pipe()
        for fd in (self._signalled, self._wakeup):
            os.set_blocking(fd, False)

    def watch_signals(self) -> None:
        """Learn of each signal, whichever thread it came to. Called on the main thread."""
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_unwatch_signals)

    def serve(self) -> None:
        """Let supervisors in until the process ends."""
        absent_since = time.monotonic()
        while True:
            present = self._link.supervisor
            self._wait(present)
            now = time.monotonic()
            if present is not None:
                absent_since = now
            elif now - absent_since > self._limit():
                self._leave()
                return

    def _limit(self) -> float:
        if not self._path.exists():
            return self._patience.deleted
        if self._link.run:
            return self._patience.run
        return self._patience.result if self._link.unfinished else self._patience.idle

    def _wait(self, present: socket.socket | None) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._signalled, select.POLLIN)
        if present is not None:
            with contextlib.suppress(ValueError):  # closed meanwhile
                # Its end is reported without being asked for.
                poll.register(present, select.POLLOUT if self._link.waiting else 0)
        for fd, event in poll.poll(None if present is not None else 500):
            if fd == self._listener.fileno():
                self._accept()
            elif fd == self._signalled:
                self._pass_on()
            elif event & select.POLLOUT:
                self._link.flush(wait=False)
            else:
                self._link.pump()

    def _pass_on(self) -> None:
        """See to it that the main thread takes an interrupt, wherever the signal went.

        A thread of the user's may have got it; then the main thread sleeps on. It is given
        the signal once more, which is no news to us when it comes back.
        """
        taken = self._gate.taken
        ours, self._passed_on = self._passed_on, False
        with contextlib.suppress(BlockingIOError):
            if signal.SIGINT not in os.read(self._signalled, 4096) or ours:
                return
            time.sleep(_TAKEN_WITHIN)
            if self._gate.taken == taken and self._main is not None:
                self._passed_on = True
                signal.pthread_kill(self._main, signal.SIGINT)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.settimeout(_HELLO_WITHIN)
        try:
            socket.send_fds(sock, [b"\x00"], self._read_fds)
            connection = self._link.greet(sock)
            noted = self._hello(sock, connection)
        except (OSError, ProtocolError):
            sock.close()
            return
        sock.settimeout(None)
        self._link.adopt(sock, connection, noted)

    @staticmethod
    def _hello(sock: socket.socket, connection: Connection) -> int:
        """Return up to which mark the newcomer has noted our events."""
        while (hello := connection.next()) is None:
            data = sock.recv(4096)
            if not data:
                raise ConnectionResetError
            connection.receive(data)
        noted = hello.detail.get("noted", 0) if isinstance(hello, m.Hello) else 0
        return noted if isinstance(noted, int) else 0


def _unwatch_signals() -> None:
    signal.set_wakeup_fd(-1)
