"""Stored bytes from a host: the results and inputs that are too large for a message."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING

from .lanes import LONG, STALLED, Lanes
from .wire import bundle, spread
from .wire import messages as m
from .wire.errors import ConnectionLost, RemoteProtocolError, ResultLeft, RunLost
from .wire.frames import nbytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from .link import Link

#: Seconds of silence after which a connection counts as lost.
SILENCE = 15.0
#: Number of the pings that measure the way.
_ROUND_TRIP = 2
#: Seconds between two looks at whether to stop.
_BLINK = 0.1


def _never() -> bool:
    return False


def _unseen(_done: int, _total: int) -> None:
    pass


def bring(
    link: Link,
    said: m.End | m.Operated,
    subject: str,
    stop: Callable[[], object] = _never,
    moved: Callable[[int, int], object] = _unseen,
) -> list[memoryview]:
    """Return the parts of the bundle that a message brings or announces; none if it has none.

    Parameters
    ----------
    subject
        The run or the stored operation that the host keeps a large bundle under.
    stop, moved
        As for `fetch`, whose errors are raised too.
    """
    if not said.size:
        return []
    if said.buffers:
        return bundle.unpack(memoryview(bytearray(b"".join(said.buffers))))
    return bundle.unpack(fetch(link, subject, "result", said.size, said.result, stop, moved))


def fetch(
    link: Link,
    subject: str,
    what: str,
    size: int,
    digest: str,
    stop: Callable[[], object] = _never,
    moved: Callable[[int, int], object] = _unseen,
) -> memoryview:
    """Bring stored bytes from a host.

    Parameters
    ----------
    subject, what
        A run or a stored operation, and ``result`` or ``inputs``.
    size, digest
        Length in bytes and SHA-256 that were announced; 0 and ``""`` where they were not.
    stop
        Asked now and then whether to leave them there.
    moved
        Told now and then how many bytes of how many are here.

    Returns
    -------
    memoryview
        Writable bytes.

    Raises
    ------
    RunLost
        If the host does not keep them any more.
    ResultLeft
        If `stop` said so.
    TransportError
        If the connection is lost.
    """
    wish = m.Fetch(stream=f"out:{what}:{subject}", subject=subject, what=what)
    download = _Download(link, wish, size)
    try:
        while not download.done:
            download.take_next(stop)
            moved(download.got, download.size)
    finally:
        download.close()
    if digest and hashlib.sha256(download.bytes).hexdigest() != digest:
        raise RemoteProtocolError(f"{link.host} sent bytes that do not match their digest")
    return memoryview(download.bytes)


class _Download:
    """One bulk stream from a host, over one channel or several.

    Parameters
    ----------
    link
        To the host.
    wish
        What is asked for.
    size
        Its length in bytes, as announced; 0 where it was not.
    """

    def __init__(self, link: Link, wish: m.Fetch, size: int) -> None:
        self.size = size
        self.bytes = bytearray()
        self._link = link
        self._wish = wish
        self._arrivals: spread.Arrivals | None = None
        self._lock = threading.Lock()
        self._lanes = Lanes(link, self._live)
        self._moved = self._measured = time.monotonic()
        self._round_trip = float("inf")
        self._pinged = 0.0
        self._taken = self._got = self._before = 0
        link.say(wish)
        self._ping()

    @property
    def got(self) -> int:
        """Bytes that came, those that came twice counted twice."""
        return self._got

    @property
    def done(self) -> bool:
        """Whether all bytes are here."""
        return self._arrivals is not None and self._arrivals.done

    def close(self) -> None:
        """Want no more."""
        self._lanes.close()

    def take_next(self, stop: Callable[[], object]) -> None:
        """Take what comes next over the transfer's own channel, if something does soon.

        Raises
        ------
        RunLost, ResultLeft, TransportError, RemoteProtocolError
            As `fetch` says.
        """
        if stop():
            _leave(self._link, self._wish.subject)
        message = self._link.listen(_BLINK)
        if isinstance(message, m.Part) and message.stream == self._wish.stream:
            self._taken += self._take(message)
            self._link.say(m.Credit(stream=self._wish.stream, offset=self._taken))
            self._measure()
        elif isinstance(message, m.Refused) and message.subject == self._wish.subject:
            raise RunLost(f"{self._link.host}: {message.text}.")
        elif isinstance(message, m.Pong) and message.number == _ROUND_TRIP and self._pinged:
            self._answered()
        elif message is None:
            self._mind_the_silence()

    def _mind_the_silence(self) -> None:
        now = time.monotonic()
        if now - self._moved > STALLED:
            self._lanes.close()  # what they have under way is sent again over our own
        if now - max(self._moved, self._link.heard) > SILENCE:
            self._link.drop()
            raise ConnectionLost(f"{self._link.host} has been silent for {SILENCE:.0f} s.")

    def _take(self, part: m.Part) -> int:
        """Put a part into its place; return its length in bytes."""
        with self._lock:
            if self._arrivals is None:
                self.size = self.size or part.total
                self.bytes = bytearray(self.size)
                self._arrivals = spread.Arrivals(self.size)
            if part.total != self.size:
                raise RemoteProtocolError(f"{self._link.host} sent parts of something else")
            at = part.offset
            for buffer in part.buffers:
                self._place(at, memoryview(buffer))
                at += nbytes(buffer)
            self._got += at - part.offset
            self._moved = time.monotonic()
        return at - part.offset

    def _place(self, at: int, view: memoryview) -> None:
        assert self._arrivals is not None
        try:
            fresh = self._arrivals.add(at, view.nbytes)
        except ValueError as error:
            text = f"{self._link.host} sent parts out of order: {error}"
            raise RemoteProtocolError(text) from None
        for start, end in fresh:
            self.bytes[start:end] = view[start - at : end - at]

    def _ping(self) -> None:
        self._pinged = time.monotonic()
        self._link.say(m.Ping(number=_ROUND_TRIP))

    def _answered(self) -> None:
        self._round_trip = min(self._round_trip, time.monotonic() - self._pinged)
        self._pinged = 0.0

    def _measure(self) -> None:
        """Open more channels if the way is long and this one is what holds the stream back."""
        now = time.monotonic()
        took = now - self._measured
        if self._round_trip < LONG or self._lanes.opened or took < max(LONG, self._pace()):
            return
        rate = (self._got - self._before) / took
        self._measured, self._before = now, self._got
        self._lanes.widen(rate, self._round_trip, self.size - self._got)
        if not self._pinged:
            self._ping()

    def _pace(self) -> float:
        return self._round_trip if self._round_trip < float("inf") else 0.0

    def _live(self, link: Link) -> None:
        """Bring a part of it over a further channel, on its thread."""
        link.say(self._wish)
        taken = 0
        while self._lanes.going() and not self.done:
            message = link.listen(_BLINK)
            if isinstance(message, m.Part) and message.stream == self._wish.stream:
                taken += self._take(message)
                link.say(m.Credit(stream=self._wish.stream, offset=taken))


def _leave(link: Link, subject: str) -> None:
    # What is under way is of no use to the next cell: it opens a connection of its own.
    link.close()
    raise ResultLeft(
        f"The result of run {subject[:8]} was not waited for.",
        next=f"%macgpu attach {subject[:8]} brings it.",
    )
