"""Where a cell stands in a queue, in words. Pure."""

from __future__ import annotations

from .wire.jobs import NOT_YET
from .wire.plain import plain_line

#: What is said of a run with a time, as long as that is still to come.
_ELSE = "or at the next contact if its host is asleep or off then"


def standing(
    position: int | None,
    wait: float | None = None,
    reason: str = "",
    where: str = "",
    starts: str = "",
) -> str:
    """Return what is said of a cell that waits.

    Parameters
    ----------
    position
        How many runs are before it; None is unknown.
    wait
        In how many seconds it is expected to begin; None is unknown.
    reason
        What holds it back beside these.
    where
        The hosts that it waits on, if there are several.
    starts
        When it starts, if its time is still to come; see `moments.starts`.
    """
    if starts:
        more = f"; {plain_line(reason)}" if reason and reason != NOT_YET else ""
        return f"{starts}, {_ELSE}{more}"
    if position is None and wait is None and reason and not where:
        return f"waiting: {plain_line(reason)}"
    parts = [f"waiting for a free slot{where and f' on {where}'}"]
    if position is not None:
        parts.append(f"{position} before this one" if position > 0 else "next in line")
    if wait is not None and wait > 0:
        parts.append(f"starts in about {span(wait)}")
    text = ", ".join(parts)
    return f"{text}; {plain_line(reason)}" if reason else text


def span(seconds: float) -> str:
    """Return a span of time as a person says it: ``40 s``, ``12 min``, ``3 h``, ``7 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 172800:
        return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"
