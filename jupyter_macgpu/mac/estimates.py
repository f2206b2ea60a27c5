"""How long a run would wait. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Sequence


def estimated_wait(
    slots: int, elapsed: Sequence[float], queued: int, recent: Sequence[float]
) -> float | None:
    """Return the seconds after which a run that came now would begin.

    Each run is taken to last as long as the median of recent ones. One that has lasted longer is
    taken to last as long again: running times are heavy-tailed, so that the longer a run has
    lasted, the more is to be expected.

    Parameters
    ----------
    elapsed
        Seconds that each run which holds a slot has lasted.
    recent
        Running times of runs that have ended; without any, only an empty queue is judged.
    """
    if len(elapsed) + queued < slots:
        return 0.0
    if not recent:
        return None
    typical = statistics.median(recent)
    free_at = [max(typical - each, 0.0) if each < typical else each for each in elapsed]
    free_at += [0.0] * (slots - len(free_at))
    heapq.heapify(free_at)
    # More may run than there are slots now, if an administrator took one away.
    for _ in range(len(free_at) - slots):
        heapq.heappop(free_at)
    for _ in range(queued):
        heapq.heappush(free_at, heapq.heappop(free_at) + typical)
    return free_at[0]


def roughly(wait: float | None) -> float | None:
    """Return a wait as precisely as it is worth saying: people are told only when this changes."""
    if wait is None:
        return None
    step = 10.0 if wait < 120 else 60.0 if wait < 3600 else 600.0
    return step * math.ceil(wait / step)
