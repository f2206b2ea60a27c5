"""Bytes in and out of descriptors that never block, for the supervisor's loop.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import itertools
import os
import selectors
import sys
from collections import deque
from typing import TYPE_CHECKING

from ..wire import messages as m
from ..wire.connection import Connection
from ..wire.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Bytes that wait to be written to one peer before bulk is held back.
ENOUGH = 1024 * 1024
#: Bytes at which a peer is given up. Bulk is held back long before; what widgets say is not.
BACKLOG = 128 * 1024 * 1024
_CHUNK = 64 * 1024
#: Pieces that are written at once; systems take 1024 at most.
_IOV = 64


class Endpoint:
    """One peer of the supervisor: a `Connection` over one or two descriptors.

    Parameters
    ----------
    selector
        The loop's; callbacks are registered as its data.
    fd_in, fd_out
        Descriptors to read and write, owned by this object; they may be the same.
    connection
        The protocol.
    woken
        Called with no argument when there is something to read or the peer is gone.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        fd_in: int,
        fd_out: int,
        connection: Connection,
        woken: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.gone = False
        self._selector = selector
        self._in, self._out = fd_in, fd_out
        self._woken = woken
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._watched: dict[int, int] = {}
        os.set_blocking(fd_in, False)
        os.set_blocking(fd_out, False)
        self._watch()

    @property
    def congested(self) -> bool:
        """Whether bulk should wait."""
        return self._unsent_bytes > ENOUGH

    def send(self, message: m.Message, frame: bytes = b"") -> None:
        """Say something; what the peer does not take now waits. `frame` is its bytes, if known."""
        if self.gone:
            return
        try:
            data = self.connection.send(message, frame)
        except LocalProtocolError:
            self.gone = True
            return
        self._unsent.append(memoryview(data))
        self._unsent_bytes += len(data)
        # It takes nothing. When it connects again, it asks widgets for their state.
        self.gone = self._unsent_bytes > BACKLOG

    def flush(self) -> None:
        """Write what the peer takes now."""
        while self._unsent and not self.gone:
            try:
                written = os.writev(self._out, list(itertools.islice(self._unsent, _IOV)))
            except BlockingIOError:
                break
            except OSError:
                self.gone = True
                break
            self._took(written)
        self._watch()

    def messages(self, chunks: int = sys.maxsize) -> Iterator[m.Message]:
        """Read what there is and yield the messages in it; `gone` is set at the end.

        Parameters
        ----------
        chunks
            Reads of 64 KiB after which others get their turn.
        """
        while not self.gone and (chunks := chunks - 1) >= 0:
            try:
                data = os.read(self._in, _CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.gone = True
                return
            try:
                self.connection.receive(data)
                while (message := self.connection.next()) is not None:
                    yield message
            except RemoteProtocolError:
                self.gone = True
                return
            if len(data) < _CHUNK:
                return

    def close(self) -> None:
        """Close the descriptors."""
        self.gone = True
        for fd in list(self._watched):
            self._selector.unregister(fd)
        self._watched.clear()
        for fd in {self._in, self._out}:
            os.close(fd)

    def _took(self, written: int) -> None:
        self._unsent_bytes -= written
        while written:
            view = self._unsent.popleft()
            if written < len(view):
                self._unsent.appendleft(view[written:])
                return
            written -= len(view)

    def _watch(self) -> None:
        wanted: dict[int, int] = {}
        if not self.gone:
            wanted[self._in] = selectors.EVENT_READ
            if self._unsent:
                wanted[self._out] = wanted.get(self._out, 0) | selectors.EVENT_WRITE
        if wanted == self._watched:
            return
        for fd in self._watched.keys() - wanted.keys():
            self._selector.unregister(fd)
        for fd, events in wanted.items():
            if fd not in self._watched:
                self._selector.register(fd, events, self._ready)
            elif self._watched[fd] != events:
                self._selector.modify(fd, events, self._ready)
        self._watched = wanted

    def _ready(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self.flush()
        self._woken()
