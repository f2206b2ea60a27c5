"""The two output pipes, and the one order of what is written and what is told.

File descriptors 1 and 2 of the worker are the write ends of two pipes that the supervisor reads.
The worker keeps duplicates of all four ends: of the read ends, so that no print fails while there
is no supervisor and so that the next one can be given them; of the write ends, so that a cell that
redirects its own descriptors does not redirect the marks.

A mark is a numbered text that stands in both pipes. It is a barrier: what was written before it in
either pipe comes first, then the event of that number, if it has one, then the rest. Marks stand
before each event, and where Python's output changes between the two streams.

Writing goes through `io.BufferedWriter`: it alone knows, when a signal ends a write to a full pipe,
which bytes are gone and which are not. What is left of an interrupted write is written by whoever
writes next, so a mark is never lost, doubled or cut.
"""

from __future__ import annotations

import fcntl
import io
import os
import secrets
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ...wire import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gate import Shield
    from .link import Link

#: Bytes that one write brings into a pipe at most.
CHUNK = 64 * 1024
#: Seconds after which text without a newline is written.
DELAY = 0.05
#: Our descriptors begin here, so that a cell finds the low numbers free as in any process.
_FIRST_FD = 64


class Source(Protocol):
    """Holds text that is not in its pipe yet, as `stream.TextStream` does."""

    def send(self) -> None:
        """Bring it there."""


class Pipe:
    """One of the process's standard descriptors, made a pipe."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        read, write = os.pipe()
        os.dup2(write, fd)
        self.read_fd = high(read)
        self._write_fd = high(write)
        os.close(read)
        os.close(write)
        writer = io.BufferedWriter(io.FileIO(self._write_fd, "wb"), CHUNK)
        #: Takes at most `CHUNK` bytes, to be written by the next `flush`. C, so not cut in two.
        self.hold: Callable[[bytes | memoryview], int] = writer.write
        #: Writes what is held; blocks while the pipe is full.
        self.flush: Callable[[], None] = writer.flush

    def forget(self) -> None:
        """In a forked child: what is held is the parent's to write, not ours."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._write_fd)
        os.close(nowhere)


class Outlet:
    """Everything that leaves the worker for a notebook, in one order. For all threads.

    Parameters
    ----------
    link
        Where events are told.
    shield
        Keeps an interrupt out of what must happen together.

    Attributes
    ----------
    nonce
        This worker's own word in its marks, so that no cell writes one by accident.
    lock
        Held by whoever writes, also while a pipe is full.
    busy
        Whether the thread that holds the lock is writing. If it finds itself here again, it is
        in a signal handler of the user's: what that one prints and displays comes `later`.
    current
        The stream that Python's output goes to.
    ticking
        Whether the ticker is to write soon what is left.
    forked
        Whether this is a child that a cell forked: it writes, but tells nothing.
    """

    def __init__(self, link: Link, shield: Shield) -> None:
        self.nonce = secrets.token_hex(8)
        self.lock = threading.RLock()
        self.busy = False
        self.later: deque[Callable[[], object]] = deque()
        self._catching_up = False
        self.forked = False
        self.pipes = (Pipe(1), Pipe(2))
        self._link = link
        self._shield = shield
        self._number = 0
        self.current: Source | None = None
        self.ticking = False
        self._wake = threading.Event()
        os.register_at_fork(before=self.settle, after_in_child=self._after_fork)

    def event(self, what: str, content: dict[str, Any], **more: Any) -> None:
        """Tell the supervisor something, after all that was written before it.

        Parameters
        ----------
        what, content, more
            Fields of `Event`. A forked child tells nothing: its parent's voice is not its own.

        Raises
        ------
        ValueError
            If it is over a limit of the wire. Nothing was told.
        """
        if self.forked:
            return
        with self.lock:
            if self.busy:
                self.later.append(partial(self.event, what, content, **more))
                return
            self.busy = True
            try:
                self._event(what, content, more)
            finally:
                self.busy = False
            self.catch_up()
        self._link.flush()
        self._link.pump()

    def _event(self, what: str, content: dict[str, Any], more: dict[str, Any]) -> None:
        self._flush()
        with self._shield:
            number = self._number + 1
            run = self._link.run
            self._link.put(m.Event(run=run, mark=number, what=what, content=content, **more))
            self._hold_mark(b"e")
        # Before its marks: then the supervisor wakes once and finds all three.
        self._link.flush(wait=False)
        self._flush_pipes()

    def turn_to(self, stream: Source) -> None:
        """Note that Python's output goes to `stream` now. The caller is `busy`."""
        self._flush()
        with self._shield:
            self._hold_mark(b"s")
        self._flush_pipes()
        self.current = stream

    def settle_soon(self) -> None:
        """Have the ticker write what is left. The caller holds the lock."""
        self.ticking = True
        self._wake.set()

    def settle(self) -> None:
        """Write and send whatever is left."""
        with self.lock:
            if self.busy:
                return
            self.busy = True
            try:
                self._flush()
            finally:
                self.busy = False
            self.catch_up()
        self._link.flush()

    def catch_up(self) -> None:
        """Do what a signal handler asked for while we were busy. The caller holds the lock."""
        if self._catching_up:  # what came meanwhile is next in the row
            return
        self._catching_up = True
        try:
            while self.later:
                self.later.popleft()()
        finally:
            self._catching_up = False

    def tick(self) -> None:
        """Write what was printed without a newline, soon after it was. A thread's whole life."""
        while True:
            self._wake.wait()
            self._wake.clear()
            time.sleep(DELAY)
            self.ticking = False
            self.settle()

    def _flush(self) -> None:
        if self.current is not None:
            self.current.send()
        self._flush_pipes()

    def _flush_pipes(self) -> None:
        for pipe in self.pipes:
            pipe.flush()

    def _hold_mark(self, flag: bytes) -> None:
        # Both writers are empty here, so each mark leaves in a write of its own: under
        # 512 bytes POSIX does not cut it, whoever else writes into the pipe.
        self._number += 1
        mark = b"\x1b]macgpu;%s;%d;%s\x07" % (self.nonce.encode(), self._number, flag)
        for pipe in self.pipes:
            pipe.hold(mark)

    def _after_fork(self) -> None:
        self.forked = True
        self.lock = threading.RLock()
        for pipe in self.pipes:
            pipe.forget()


def high(fd: int) -> int:
    """Return a duplicate of a descriptor with a high number, which no child process inherits."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
