"""Runs that nobody waits for: after others, once more, elsewhere, and how long they are kept.

Runs on the Mac. Only Python and `wire` may be imported here. Pure: no IO, no clock.

What a run asks for stands in the options of its `Submit`:

``detach``
    Nobody waits for it. It is on the disk before it is accepted.
``own``
    It has a worker of its own, which ends with it unless a value lives in it alone.
``after``
    ``[[RUN, ANY]...]``: it waits until these runs of this host have ended, well or with ANY in
    whatever way. One that did not end well ends it as cancelled.
``at``, ``delay``
    It does not wait for a slot before this time: in seconds since 1970 by the clock of whoever
    asked, for people, and in how many seconds that was when it was sent. The clocks of two machines
    may differ, so that it is the second from which the host reckons ``due``, by its own clock.
``retry``
    How often it is tried again under a new id after it died or was lost. An error of the cell is
    its end.
``keep``
    Seconds for which its output and result wait to be collected.
``group``
    Runs of one cell that may be there at once, since they were asked for together.
``parked``
    It is on its way from another host and does not begin before `Proceed`.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING, Any

from ..wire.jobs import NOT_YET
from .records import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Times that a run may be tried again, and others that it may wait for.
MOST_RETRIES, MOST_AFTER = 100, 1000
_ID = re.compile(r"[0-9a-f]{32}")


def flaw(options: Mapping[str, Any]) -> str:
    """Return what is wrong with a job's options, or ``""``."""
    after = options.get("after") or []
    pairs = isinstance(after, list) and len(after) <= MOST_AFTER and all(map(_is_pair, after))
    if not pairs:
        return "after is a list of runs, each with whether its end may be a bad one"
    retry = options.get("retry") or 0
    if type(retry) is not int or not 0 <= retry <= MOST_RETRIES:
        return f"retry is a number up to {MOST_RETRIES}"
    keep = options.get("keep")
    if keep is not None and (type(keep) not in (int, float) or not keep > 0):
        return "keep is a number of seconds"
    for name in ("at", "delay"):
        seconds = options.get(name) or 0
        if type(seconds) not in (int, float) or not math.isfinite(seconds):
            return f"{name} is a number of seconds"
    if (options.get("at") is None) != (options.get("delay") is None):
        return "a time is said with how many seconds it is away"
    if not isinstance(options.get("group") or "", str):
        return "a group is a name"
    return ""


def _is_pair(pair: object) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    run, whatever = pair
    return isinstance(run, str) and _ID.fullmatch(run) is not None and isinstance(whatever, bool)


def dated(options: Mapping[str, Any], wall: float) -> dict[str, Any]:
    """Return a new run's options with when it is due, if it has a time.

    Parameters
    ----------
    wall
        The time of day now, by this host's clock, in seconds since 1970.
    """
    others = {name: value for name, value in options.items() if name != "due"}
    delay = options.get("delay")
    return others if delay is None else {**others, "due": round(wall + delay, 3)}


def last_of(run: Run, runs: Mapping[str, Run]) -> Run:
    """Return the run that a run became when it was tried again, or itself."""
    while (following := runs.get(str(run.detail.get("retried")))) is not None:
        run = following
    return run


def held_back(run: Run, runs: Mapping[str, Run], wall: float) -> tuple[str, str]:
    """Return what keeps a run out of the queue for now, and what of it is final; else two ``""``.

    The second is why the run can never begin, as one that it waits for did not end well.

    Parameters
    ----------
    wall
        The time of day, by this host's clock, in seconds since 1970.
    """
    if run.options.get("parked") and not run.detail.get("proceeds"):
        return "it is being moved here", ""
    for name, whatever in run.options.get("after") or ():
        if (first := runs.get(name)) is None:
            return "", f"run {name[:8]}, which it was to follow, was removed"
        before = last_of(first, runs)
        if before.live or before.detail.get("retried"):
            return f"it follows run {before.run[:8]}, which is {before.state}", ""
        if before.state != "ok" and not whatever:
            return "", f"run {before.run[:8]}, which it was to follow, ended: {before.state}"
    return NOT_YET if run.due is not None and wall < run.due else "", ""


def again(run: Run, now: float) -> Run:
    """Return the run that tries a run once more. Its id follows from the old one."""
    tried = int(run.options.get("tried") or 0) + 1
    options = {**run.options, "retry": run.options["retry"] - 1, "tried": tried}
    fresh = hashlib.sha256(f"{run.run}:retry".encode()).hexdigest()[:32]
    return Run(
        run=fresh,
        session=run.session,
        digest=run.digest,
        size=run.size,
        blobs=run.blobs,
        origin=run.origin,
        options={**options, "retry_of": run.run},
        rank=run.rank,
        since=now,
    )


def went_on(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an end's summary says of where its run goes on: moved, or tried again."""
    return {name: summary[name] for name in ("moved", "retried") if name in summary}


def with_reason(run: Run, state: str, summary: dict[str, Any]) -> dict[str, Any]:
    """Return a summary with what is known here of why the run was stopped."""
    if run.stopping == "timeout" and "limit" in run.detail:
        return {**summary, "limit": run.detail["limit"]}
    if run.stopping == "memory" and state == "cancelled" and "memory" in run.detail:
        return {**summary, "what": run.detail["memory"], "peak": run.detail["peak"]}
    return summary
