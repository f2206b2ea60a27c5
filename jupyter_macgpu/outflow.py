"""How fast a kernel may show things: what comes faster, Jupyter's server drops.

jupyter_server looks at the last three seconds (``rate_limit_window``). When these had more than
1,000,000 bytes of text a second (``iopub_data_rate_limit``), or more than 1,000 messages a second
(``iopub_msg_rate_limit``), it leaves out what follows until there is less, and says so on stderr.
A run's output is kept on its host: so it can be shown as fast as it will get through, and whole.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes of text and messages a second, and what may go at once after a pause: together four fifths
#: of what the server lets through in three seconds, as what goes evenly may arrive in a bunch.
BYTES, BYTES_AT_ONCE = 600_000.0, 600_000.0
MESSAGES, MESSAGES_AT_ONCE = 600.0, 600.0
#: Characters that are written at once.
_PIECE = 32 * 1024


class Allowance:
    """What may still go, as a bucket that fills evenly.

    Parameters
    ----------
    rate
        What comes in a second.
    most
        What it holds.
    now
        Seconds on a clock that only goes forward.
    """

    def __init__(self, rate: float, most: float, now: float) -> None:
        self._rate = rate
        self._most = most
        self._left = most
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """Take an amount out; return after how many seconds it may go."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - amount
        self._at = now
        return max(0.0, -self._left / self._rate)


class Outflow:
    """What one kernel may show. For all threads."""

    def __init__(self) -> None:
        now = time.monotonic()
        self._lock = threading.Lock()
        self._bytes = Allowance(BYTES, BYTES_AT_ONCE, now)
        self._messages = Allowance(MESSAGES, MESSAGES_AT_ONCE, now)

    def pieces(self, text: str) -> Iterator[str]:
        """Give a text in pieces, each when it may be written."""
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + _PIECE]
            # Counted as it travels: a newline is two characters there, an escape is six.
            self._wait(len(json.dumps(piece, ensure_ascii=False).encode("utf-8", "replace")), 0)
            yield piece

    def messages(self, count: int) -> None:
        """Return when so many messages may go."""
        self._wait(0, count)

    def _wait(self, size: int, messages: int) -> None:
        with self._lock:
            now = time.monotonic()
            wait = max(self._bytes.take(size, now), self._messages.take(messages, now))
        if wait > 0:
            time.sleep(wait)


def outflow_of_this_kernel() -> Outflow | None:
    """Return what paces this kernel; None unless a Jupyter server started it for a notebook."""
    return Outflow() if os.environ.get("JPY_SESSION_NAME") else None
