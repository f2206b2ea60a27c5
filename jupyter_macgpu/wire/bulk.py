"""Bulk: many bytes beside small messages, so that a cancel is never stuck behind them.

The receiver acknowledges what it has taken (`Credit`); the sender keeps at most a window of bytes
unacknowledged, and the window follows the measured rate: about a quarter of a second's worth.
On a link of 128 KiB/s a cancel then waits for at most 0.25 s of bulk instead of for all of it.
"""

from __future__ import annotations

#: Bytes of one part at most.
PART = 256 * 1024
#: The window before anything is measured, in bytes: two seconds' worth at 64 kbit/s.
FIRST_WINDOW = 16 * 1024
#: The smallest window, in bytes.
MIN_WINDOW = 4 * 1024
#: The largest window, in bytes: past it a faster link gains nothing.
MAX_WINDOW = 64 * 1024 * 1024
#: Seconds of bulk that may be under way.
SECONDS = 0.25


class Window:
    """How much of one bulk stream may be sent now.

    Pure: the caller passes the time in seconds from any monotonic clock.

    Parameters
    ----------
    total
        Length of the stream in bytes.
    start
        Offset from which it is sent.
    """

    def __init__(self, total: int, start: int = 0) -> None:
        self.total = total
        self.sent = start
        self.acknowledged = start
        self._window = float(FIRST_WINDOW)
        self._first: float | None = None
        self._begin = start

    @property
    def done(self) -> bool:
        """Whether the peer has all of it."""
        return self.acknowledged >= self.total

    def room(self) -> int:
        """Return how many bytes may be sent now: at most `PART`, 0 when the window is full."""
        open_bytes = int(self._window) - (self.sent - self.acknowledged)
        return max(0, min(PART, open_bytes, self.total - self.sent))

    def add(self, size: int, now: float) -> None:
        """Note that `size` bytes were sent."""
        if self._first is None:
            self._first = now
        self.sent += size

    def credit(self, offset: int, now: float) -> None:
        """Note that the peer has all bytes before `offset`.

        Offsets that go backwards or past what was sent are ignored: a late or wrong
        credit must not open the window.
        """
        if not self.acknowledged < offset <= self.sent or self._first is None:
            return
        self.acknowledged = offset
        elapsed = now - self._first
        taken = self.acknowledged - self._begin
        # A short time measures nothing: credits that waited together would look like a fast link.
        measured = elapsed >= SECONDS
        wanted = taken / elapsed * SECONDS if measured else max(self._window, float(taken))
        self._window = min(MAX_WINDOW, max(MIN_WINDOW, wanted))
        if elapsed > 4 * SECONDS:
            self._first, self._begin = now, offset
