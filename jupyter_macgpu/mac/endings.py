"""How a worker's process ended, in words and values. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import signal
from typing import Any


def how_ended(code: int, peak: int) -> dict[str, Any]:
    """Say in words and values how a process ended.

    Parameters
    ----------
    code
        As `os.waitstatus_to_exitcode` gives it: negative for a signal.
    peak
        Its largest resident size in bytes.
    """
    if code < 0:
        known = {number.value: number.name for number in signal.Signals}
        name = known.get(-code, f"signal {-code}")
        return {"what": f"its worker was ended by {name}", "signal": name, "peak": peak}
    return {"what": f"its worker exited with code {code}", "exit": code, "peak": peak}
