"""Bulk: many bytes beside small messages, so that a cancel is never stuck behind them.

The receiver acknowledges what it has taken (`Credit`); the sender keeps at most a window of bytes
unacknowledged. The window grows while nothing waits on the way, and follows the measured rate as
soon as something does: a quarter of a second's worth, or, where the round trip is long, the round
trip's and an eighth of a second's more, since a window that is shorter than the round trip can
only shrink. On a link of 128 KiB/s a cancel then waits for at most 0.25 s of bulk instead of for
all of it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

#: Bytes of one part at most.
PART = 256 * 1024
#: The same before a round trip is known, so that a slow link's is not taken for a long one.
FIRST_PART = 2 * 1024
#: The window before anything is measured, in bytes: two seconds' worth at 64 kbit/s.
FIRST_WINDOW = 16 * 1024
#: The largest window that a further channel begins with, in bytes.
SECOND_WINDOW = 1024 * 1024
#: The smallest window, in bytes.
MIN_WINDOW = 4 * 1024
#: The largest window, in bytes: past it a faster link gains nothing.
MAX_WINDOW = 64 * 1024 * 1024
#: Seconds of bulk that may be under way.
SECONDS = 0.25
#: Seconds of bulk that may wait on the way, in front of what is sent next.
QUEUE = SECONDS / 2
#: Marks in one window: what is measured need not be measured at each small part.
_MARKS = 64


class _Mark(NamedTuple):
    """That all before `end` was sent at `at`, when all before `taken` was acknowledged."""

    end: int
    at: float
    taken: int


class Window:
    """How much of one bulk stream may be sent now.

    Pure: the caller passes the time in seconds from any monotonic clock.

    Parameters
    ----------
    total
        Length of the stream in bytes.
    start
        Offset from which it is sent.
    like
        The window of another channel on the same way, which has measured it already.

    Attributes
    ----------
    round_trip
        Seconds of the shortest round trip that was seen; infinity before the first.
    rate
        Bytes a second that were acknowledged in the newest round trip.
    """

    def __init__(self, total: int, start: int = 0, like: Window | None = None) -> None:
        self.total = total
        self.sent = start
        self.acknowledged = start
        self.round_trip = float("inf")
        self.rate = 0.0
        self._window = float(FIRST_WINDOW)
        if like is not None and like.rate:
            self.round_trip, self.rate = like.round_trip, like.rate
            self._window = min(like._window, SECOND_WINDOW)
        self._marks: deque[_Mark] = deque()
        # One round is what was under way when it began: its quickest part tells what waits on the
        # way, since credits may be held back and come together.
        self._round_ends, self._quickest, self._most = start, float("inf"), 0.0

    @property
    def done(self) -> bool:
        """Whether the peer has all of it."""
        return self.acknowledged >= self.total

    def room(self) -> int:
        """Return how many bytes may be sent now: at most `PART`, 0 when the window is full."""
        window = int(self._window)
        # Several parts in a window: the credit for one comes while the next are on the way.
        part = min(PART, max(window // 8, min(window, FIRST_PART // 2)))
        if not self.rate:
            part = min(PART, window, FIRST_PART)
        size = min(part, self.total - self.sent)
        return size if size <= window - (self.sent - self.acknowledged) else 0

    def add(self, size: int, now: float) -> None:
        """Note that `size` bytes were sent."""
        self.sent += size
        if not self._marks or self.sent - self._marks[-1].end >= self._window / _MARKS:
            self._marks.append(_Mark(self.sent, now, self.acknowledged))

    def credit(self, offset: int, now: float) -> None:
        """Note that the peer has all bytes before `offset`.

        Offsets that go backwards or past what was sent are ignored: a late or wrong
        credit must not open the window.
        """
        if not self.acknowledged < offset <= self.sent:
            return
        size, flight = offset - self.acknowledged, self.sent - self.acknowledged
        self.acknowledged = offset
        mark = None
        while self._marks and self._marks[0].end <= offset:
            mark = self._marks.popleft()
        if mark is None:
            return
        took = max(now - mark.at, 1e-6)
        self.round_trip = min(self.round_trip, took)
        self._most = max(self._most, (offset - mark.taken) / took)
        self._quickest = min(self._quickest, took)
        if flight >= self._window / 2:
            self._grow(took - self.round_trip, size)
        if offset >= self._round_ends or took > self.round_trip + 4 * QUEUE:
            self._end_round()

    def _grow(self, queued: float, size: int) -> None:
        """Widen a window that is used, after a credit for `size` bytes."""
        more = min(MAX_WINDOW, self._window + size)
        if queued < QUEUE / 4:
            self._window = more
        elif queued < QUEUE:
            # What is more than enough would only wait.
            self._window = max(self._window, min(more, self._enough(self._most)))

    def _end_round(self) -> None:
        self.rate = self._most
        if self._quickest - self.round_trip > QUEUE:
            self._window = max(MIN_WINDOW, min(MAX_WINDOW, self._enough(self.rate)))
        self._round_ends, self._quickest, self._most = self.sent, float("inf"), 0.0

    def _enough(self, rate: float) -> float:
        return rate * max(SECONDS, self.round_trip + QUEUE)
