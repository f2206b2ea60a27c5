"""Several ends at once: who leaves many hosts does not wait for the slowest of them in turn."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def at_once(acts: Iterable[Callable[[], object]], patience: float) -> int:
    """Do several things at the same time, each in a thread of its own.

    Parameters
    ----------
    patience
        Seconds that all of them have together.

    Returns
    -------
    int
        How many had not ended by then. They go on, at most until this process ends.
    """
    threads = []
    for act in acts:
        thread = threading.Thread(target=act, name="macgpu-end", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter ends, and begins no thread any more
            act()
        else:
            threads.append(thread)
    return await_all(threads, patience)


def await_all(threads: Iterable[threading.Thread], patience: float) -> int:
    """Wait until threads have ended; return how many had not after `patience` seconds."""
    deadline = time.monotonic() + patience
    left = 0
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        left += thread.is_alive()
    return left
