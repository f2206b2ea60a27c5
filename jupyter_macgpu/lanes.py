"""More channels for one transfer, where one alone cannot fill the way.

A channel of SSH has at most 2 MiB under way. On a long and fast way that is less than what the
way takes, and a channel or two more bring the rest. They only ever add speed: the transfer ends
well without them, and what one of them had under way when it was lost is sent over another.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .link import Link
from .wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Channels beside the transfer's own.
MOST = 3
#: Seconds of round trip from which on more channels are opened.
LONG = 0.010
#: Bytes that come through in one round trip when the channel is what holds them back: half of
#: what it may have under way, since measuring blurs.
FULL = 1024 * 1024
#: Bytes that must be left for another channel to be worth its opening.
WORTH = 4 * 1024 * 1024
#: Seconds without progress after which the other channels are given up.
STALLED = 3.0


class Lanes:
    """The further channels of one transfer, each with a thread.

    Parameters
    ----------
    link
        The transfer's own connection.
    work
        Called on each thread with its connection, until `going` says no or the connection is lost.
    """

    def __init__(self, link: Link, work: Callable[[Link], None]) -> None:
        self._link = link
        self._work = work
        self._over = threading.Event()
        self._opened = False

    @property
    def opened(self) -> bool:
        """Whether there are further channels, as far as is known."""
        return self._opened and not self._over.is_set()

    def going(self) -> bool:
        """Say whether the transfer goes on."""
        return not self._over.is_set()

    def widen(self, rate: float, round_trip: float, left: int) -> None:
        """Open further channels, in the background, if they pay.

        Parameters
        ----------
        rate
            Bytes a second that come through.
        round_trip
            Seconds.
        left
            Bytes that are still to come.
        """
        full = LONG < round_trip < float("inf") and rate * round_trip >= FULL
        if self._opened or not full or left < WORTH:
            return
        self._opened = True
        hello = self._link.hello
        if hello is None or "lanes" not in hello.capabilities or self._over.is_set():
            return
        number = int(hello.detail.get("client", 0))
        for _ in range(MOST):
            work = threading.Thread(
                target=self._live, args=(number,), name="macgpu-lane", daemon=True
            )
            work.start()

    def close(self) -> None:
        """Let the further channels go; they are closed as soon as their threads see it."""
        self._over.set()

    def _live(self, number: int) -> None:
        own = self._link
        link = Link(own.transport, own.client, own.notebook, beside=number)
        try:
            if self.going():
                link.connect()
                self._work(link)
        except MacGPUError:
            return  # it would only have been quicker
        finally:
            link.close()
