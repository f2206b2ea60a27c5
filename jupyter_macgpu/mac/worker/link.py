"""The connection to the supervisor, which may go and come while a cell runs.

What the worker has to tell is kept until a supervisor has noted it. So a supervisor that dies takes
nothing with it, and the next one is told again what the last one did not write down.

Nothing here blocks while the lock is held: the doorman needs it to let a new supervisor in.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from ...wire import messages as m
from ...wire.connection import Connection
from ...wire.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gate import Shield

_CHUNK = 256 * 1024
#: Seconds after which a blocked sender looks whether the supervisor is still the same.
_GLANCE = 0.5


class Link:
    """One end of the conversation with whoever is the supervisor now. For all threads.

    Parameters
    ----------
    shield
        Keeps an interrupt out of what must happen together.
    facts
        What the worker says of itself in its Hello.

    Attributes
    ----------
    inbox
        What the supervisor asked and nobody has taken yet.
    replies
        Answers to `input()`.
    arrived
        Called when something may be in the inbox, or the supervisor is another one.
    run
        The run that lives in this worker, or the empty text.
    asking
        Mark of the question that waits for its answer, or 0.
    """

    def __init__(self, shield: Shield, facts: dict[str, Any]) -> None:
        self.inbox: deque[m.Message] = deque()
        self.replies: deque[m.InputReply] = deque()
        self.arrived: Callable[[], None] = lambda: None
        self.run = ""
        self.asking = 0
        self._shield = shield
        self._facts = facts
        # The user's own signal handlers may print and display in the middle of anything:
        # so it may be taken twice, and `_inside` says that it was.
        self._lock = threading.RLock()
        self._inside = False
        self._kept: deque[m.Event] = deque()
        self._mark = 0
        self._outbox = bytearray()
        self._socket: socket.socket | None = None
        self._connection: Connection | None = None
        self._retired: list[socket.socket] = []

    @property
    def supervisor(self) -> socket.socket | None:
        """The supervisor's socket, or None while there is no supervisor."""
        return self._socket

    @property
    def waiting(self) -> bool:
        """Whether bytes wait to be sent."""
        return bool(self._outbox)

    @property
    def unfinished(self) -> bool:
        """Whether a run lives, or a supervisor has still to note what one told."""
        return bool(self.run or self._kept)

    def greet(self, sock: socket.socket) -> Connection:
        """Begin with a new supervisor: the old one is over, and what it asked last is void.

        Its next runs would otherwise begin after the new one was told what lives here.
        """
        with self._shield, self._lock:
            self._drop()
            self.inbox.clear()
            connection = Connection("worker", "supervisor")
            told = [event.run for event in self._kept if event.what == "finished"]
            detail = {
                **self._facts,
                "run": self.run,
                "finished": told,
                "mark": self._mark,
                "asking": self.asking,
            }
            hello = connection.send(m.Hello(role="worker", detail=detail))
        sock.sendall(hello)
        return connection

    def adopt(self, sock: socket.socket, connection: Connection, noted: int) -> None:
        """Take the new supervisor, which has noted all events up to `noted`, and tell the rest."""
        with self._shield, self._lock:
            self._drop()
            self._note(noted)
            self._socket, self._connection = sock, connection
            for event in self._kept:
                self._outbox += connection.send(event)
            # What came together with its Hello is already in the connection.
            self._understand(b"")
        self.arrived()

    def take(self) -> m.Message | None:
        """Return what the supervisor asked next; if it is a run, that run lives from now on."""
        with self._shield, self._lock:
            message = self.inbox.popleft() if self.inbox else None
            if isinstance(message, m.Execute):
                self.run = message.run
        return message

    def put(self, message: m.Message) -> None:
        """Queue a message for the supervisor; an event is kept until it is noted.

        The caller holds the shield.

        Raises
        ------
        ValueError
            If it is over a limit of the wire; nothing was queued.
        """
        with self._lock:
            if self._connection is not None:
                self._outbox += self._connection.send(message)
            if isinstance(message, m.Event):
                self._kept.append(message)
                self._mark = message.mark
                if message.what == "input_request":
                    self.asking = message.mark

    def flush(self, *, wait: bool = True) -> None:
        """Send what waits; with `wait` this blocks as long as the supervisor takes nothing."""
        while True:
            with self._shield, self._lock:
                sock = self._socket
                if self._inside or sock is None or not self._outbox or self._send(sock):
                    return
            if not wait:
                return
            writable(sock, _GLANCE)

    def pump(self, *, tell: bool = True) -> None:
        """Take what the supervisor said, without waiting for it; `tell` calls `arrived`."""
        with self._shield, self._lock:
            if self._inside:
                return
            count = len(self.inbox)
            while self._socket is not None and self._receive(self._socket):
                pass
            changed = len(self.inbox) > count or self._socket is None
        if changed and tell:
            self.arrived()

    def retired(self) -> list[socket.socket]:
        """Return the sockets of former supervisors, for the event loop to let go and close."""
        with self._shield, self._lock:
            retired, self._retired = self._retired, []
        return retired

    def _send(self, sock: socket.socket) -> bool:
        """Send what the socket takes now; return whether nothing is left to be sent."""
        self._inside = True
        try:
            sent = sock.send(self._outbox[:_CHUNK], socket.MSG_DONTWAIT)
            del self._outbox[:sent]
        except BlockingIOError:
            return False
        except OSError:
            self._drop()
        finally:
            self._inside = False
        return not self._outbox

    def _receive(self, sock: socket.socket) -> bool:
        """Take what has come; return whether there may be more."""
        try:
            data = sock.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._understand(data)
        else:
            self._drop()
        return len(data) == _CHUNK

    def _understand(self, data: bytes) -> None:
        connection = self._connection
        assert connection is not None
        self._inside = True
        try:
            connection.receive(data)
            while (message := connection.next()) is not None:
                self._sort(message, connection)
        except ProtocolError:
            # It will connect again, and say it again.
            self._drop()
        finally:
            self._inside = False

    def _sort(self, message: m.Message, connection: Connection) -> None:
        if isinstance(message, m.Noted):
            self._note(message.mark)
        elif isinstance(message, m.InputReply):
            self.replies.append(message)
        elif isinstance(message, m.Ping):
            self._outbox += connection.send(m.Pong(number=message.number))
        else:
            self.inbox.append(message)

    def _note(self, mark: int) -> None:
        while self._kept and self._kept[0].mark <= mark:
            self._kept.popleft()

    def _drop(self) -> None:
        if self._socket is not None:
            # Shut down, not closed: the event loop still watches this number.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._retired.append(self._socket)
        self._socket = self._connection = None
        self._outbox.clear()


def writable(sock: socket.socket, seconds: float) -> None:
    """Wait until a socket takes bytes or is over."""
    _wait(sock, select.POLLOUT, seconds)


def readable(sock: socket.socket | None, seconds: float) -> None:
    """Wait until a socket has bytes or is over; without one just wait."""
    _wait(sock, select.POLLIN, seconds)


def _wait(sock: socket.socket | None, events: int, seconds: float) -> None:
    poll = select.poll()
    if sock is not None and sock.fileno() >= 0:
        poll.register(sock, events)
    poll.poll(seconds * 1000)
