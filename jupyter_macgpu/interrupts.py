"""Ctrl-C while a cell runs elsewhere: counted, so that it never cuts our own code in two."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds within which a second interrupt means "end it".
TWICE = 5.0


class Interrupts:
    """Counts interrupts; what they mean is decided where they are asked for.

    The signal handler only counts: a `KeyboardInterrupt` raised in the middle of a send
    would leave half a frame on the wire.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._seen = 0

    def count(self, *_: object) -> None:
        """Note one interrupt. This is the signal handler."""
        self._times.append(time.monotonic())

    def take(self) -> str:
        """Return what the newest interrupts ask for: ``""``, ``interrupt`` or ``kill``."""
        fresh, self._seen = self._times[self._seen :], len(self._times)
        if not fresh:
            return ""
        before = self._times[: len(self._times) - 1]
        return "kill" if before and fresh[-1] - before[-1] <= TWICE else "interrupt"


@contextlib.contextmanager
def counted() -> Iterator[Interrupts]:
    """Count interrupts in this block instead of raising them.

    Outside the main thread there is nothing to do: signals come to the main thread only.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = signal.signal(signal.SIGINT, interrupts.count)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
