"""One bulk stream over several channels: who sends which bytes, and which have arrived.

An SSH channel has at most 2 MiB under way, so that over a long way one channel does not fill a
fast line, and several do. The sender's `Ledger` hands out pieces of the stream to its `Lane`s, one
a channel; each lane has a window of its own, and a piece whose lane is lost goes to another. The
receiver's `Arrivals` says which bytes are new, in whatever order they come and however often.

Pure. Nothing here is locked: who uses one ledger from several threads locks around it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

from . import bulk

#: Bytes that may be handed out past the first one that is not acknowledged: what arrives there
#: has to wait for that one before it can be hashed.
AHEAD = 64 * 1024 * 1024
#: Pieces that may lie apart from each other at the receiver; an honest sender has far fewer.
_ISLANDS = 4096


class Ledger:
    """What of one stream is still to be sent.

    Parameters
    ----------
    total
        Length of the stream in bytes.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._next = self._acknowledged = 0
        self._returned: list[tuple[int, int]] = []
        self._under_way: dict[int, int] = {}

    @property
    def done(self) -> bool:
        """Whether the peer has all of it."""
        return self._acknowledged >= self.total

    @property
    def handed_out(self) -> bool:
        """Whether all of it was sent or is being sent."""
        return self._next >= self.total and not self._returned

    @property
    def acknowledged(self) -> int:
        """How many bytes the peer has."""
        return self._acknowledged

    def take(self, most: int) -> tuple[int, int] | None:
        """Return offset and length of the piece to send next; None if there is none now."""
        if self._returned:
            offset, size = self._returned.pop()
            if size > most:
                self._returned.append((offset + most, size - most))
                size = most
        else:
            first = min(self._under_way, default=self._next)
            offset, size = self._next, min(most, self.total - self._next)
            if size <= 0 or offset + size > first + AHEAD:
                return None
            self._next += size
        self._under_way[offset] = size
        return offset, size

    def took(self, offset: int) -> None:
        """Note that the peer has the piece that begins at `offset`."""
        self._acknowledged += self._under_way.pop(offset)

    def give_back(self, offset: int) -> None:
        """Note that the piece that begins at `offset` has to be sent once more."""
        self._returned.append((offset, self._under_way.pop(offset)))


class Lane:
    """One channel's share of a stream.

    Parameters
    ----------
    ledger
        The stream's.
    like
        One that has measured the way already.
    """

    def __init__(self, ledger: Ledger, like: Lane | None = None) -> None:
        self.ledger = ledger
        known = None if like is None else like.window
        self.window: bulk.Window = bulk.Window(ledger.total, like=known)
        self._pieces: deque[tuple[int, int]] = deque()
        self._lost = False

    def take(self, now: float) -> tuple[int, int] | None:
        """Return offset and length of what this channel is to send now; None if nothing.

        `now` is in seconds, from any monotonic clock.
        """
        room = 0 if self._lost else self.window.room()
        piece = self.ledger.take(room) if room else None
        if piece is not None:
            self.window.add(piece[1], now)
            self._pieces.append((piece[0], self.window.sent))
        return piece

    def credit(self, count: int, now: float) -> None:
        """Note that the peer took `count` bytes of this stream over this channel, in all."""
        self.window.credit(count, now)
        while self._pieces and self._pieces[0][1] <= self.window.acknowledged:
            self.ledger.took(self._pieces.popleft()[0])

    def lose(self) -> None:
        """Give what is under way back to the ledger: the channel is over."""
        self._lost = True
        while self._pieces:
            self.ledger.give_back(self._pieces.pop()[0])


class Arrivals:
    """Which bytes of a stream are here.

    Parameters
    ----------
    total
        Length of the stream in bytes.

    Attributes
    ----------
    whole
        Everything before this offset is here.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.whole = 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    @property
    def done(self) -> bool:
        """Whether all of it is here."""
        return self.whole >= self.total

    def add(self, offset: int, size: int) -> list[tuple[int, int]]:
        """Note bytes; return begin and end of each run of them that was not here before.

        Raises
        ------
        ValueError
            If they lie outside the stream, or in too many places.
        """
        end = offset + size
        if offset < 0 or size < 0 or end > self.total:
            raise ValueError(f"{offset} to {end} of {self.total}")
        at, fresh = max(offset, self.whole), []
        first = bisect_left(self._ends, at)
        last = first
        while last < len(self._starts) and self._starts[last] <= end:
            if at < self._starts[last]:
                fresh.append((at, self._starts[last]))
            at = max(at, self._ends[last])
            last += 1
        if at < end:
            fresh.append((at, end))
        if fresh:
            self._join(first, last, max(offset, self.whole), max(at, end))
        return fresh

    def _join(self, first: int, last: int, start: int, end: int) -> None:
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last], self._ends[first:last] = [start], [end]
        if self._starts[0] == self.whole:
            self.whole = self._ends[0]
            del self._starts[0], self._ends[0]
        if len(self._starts) > _ISLANDS:
            raise ValueError("it comes in too many pieces")
