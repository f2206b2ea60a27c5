"""Inputs that are too large for a message, on their way to a host."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .lanes import STALLED, Lanes
from .wire import bundle, spread
from .wire import messages as m

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .link import Link

#: Parts that are sent before somebody else is listened to.
_AT_ONCE = 8
#: Seconds between two looks at whether to stop.
_BLINK = 0.1


class Upload:
    """One bulk stream to a host, at its pace.

    Parameters
    ----------
    link
        To the host. What comes over it is the caller's to read; credits are told to `credit`.
    stream
        Its name.
    pieces
        What is sent. It must not change meanwhile.
    """

    def __init__(self, link: Link, stream: str, pieces: Sequence[memoryview]) -> None:
        self._link = link
        self._stream = stream
        self._pieces = bundle.Pieces(pieces)
        self._ledger = spread.Ledger(self._pieces.size)
        self._lane = spread.Lane(self._ledger)
        self._others: list[spread.Lane] = []
        self._lock = threading.Lock()
        self._lanes = Lanes(link, self._live)
        self._moved = 0, 0.0

    @property
    def done(self) -> bool:
        """Whether the host has all of it."""
        return self._ledger.done

    @property
    def moved(self) -> tuple[int, int]:
        """How many bytes the host has, of how many."""
        return self._ledger.acknowledged, self._ledger.total

    def push(self, now: float) -> bool:
        """Send what there is room for, for a while; return whether there is more.

        Parameters
        ----------
        now
            Seconds of `time.monotonic`.

        Raises
        ------
        ConnectionLost
            If the connection is over.
        """
        self._mind_the_others(now)
        return all(self._send(self._link, self._lane, now) for _ in range(_AT_ONCE))

    def credit(self, message: m.Credit, now: float) -> None:
        """Note what the host says that it has."""
        if message.stream != self._stream:
            return
        with self._lock:
            self._lane.credit(message.offset, now)
            left = self._ledger.total - self._ledger.acknowledged
        window = self._lane.window
        self._lanes.widen(window.rate, window.round_trip, left)

    def close(self) -> None:
        """Send no more."""
        self._lanes.close()

    def _send(self, link: Link, lane: spread.Lane, now: float) -> bool:
        with self._lock:
            piece = lane.take(now)
        if piece is None:
            return False
        total, data = self._ledger.total, self._pieces.cut(*piece)
        link.say(m.Part(stream=self._stream, offset=piece[0], total=total, buffers=data))
        return True

    def _live(self, link: Link) -> None:
        """Carry a part of it over a further channel, on its thread."""
        with self._lock:
            lane = spread.Lane(self._ledger, self._lane)
            self._others.append(lane)
        try:
            while self._lanes.going() and not self.done:
                sent = self._send(link, lane, time.monotonic())
                message = link.listen(0.0 if sent else _BLINK)
                if isinstance(message, m.Credit) and message.stream == self._stream:
                    with self._lock:
                        lane.credit(message.offset, time.monotonic())
        finally:
            with self._lock:
                lane.lose()

    def _mind_the_others(self, now: float) -> None:
        """Take back what further channels have under way if nothing moves any more."""
        if self._ledger.acknowledged != self._moved[0] or not self._moved[1]:
            self._moved = self._ledger.acknowledged, now
        elif self._lanes.opened and now - self._moved[1] > STALLED:
            self._lanes.close()
            with self._lock:
                for lane in self._others:
                    lane.lose()
