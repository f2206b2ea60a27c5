"""What a run's end is in a shell: an exit code, and a line where there is something to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .wire.errors import (
    InputError,
    MacGPUError,
    PlacementError,
    RemoteProtocolError,
    ResultLeft,
    RunCancelled,
    RunLost,
    RunRefused,
    RunUnknown,
    TransportError,
)
from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .way import Result

#: The program's own end: nothing went wrong, or an error that nobody caught.
OK, ERROR = 0, 1
#: The worker ended in mid-run; what became of the run cannot be known any more; the host is silent
#: and the run may be going on.
DIED, LOST, UNKNOWN = 121, 122, 123
#: A limit of time was reached; nothing was begun.
LIMIT, NOT_BEGUN = 124, 125
#: Ctrl-C, or a cancel from elsewhere.
CANCELLED = 130
#: Nobody reads what is printed, as for a program that SIGPIPE ended.
NOBODY_READS = 141

#: Errors before which nothing has begun, whatever was sent.
_BEFORE = (InputError, PlacementError, RunRefused)


def code_of(state: str, summary: Mapping[str, Any]) -> int:
    """Return the exit code for a run's end.

    Parameters
    ----------
    state
        One of the final ones.
    summary
        What the run's host says of it.
    """
    if state == "ok":
        return OK
    if state in ("died", "lost"):
        return DIED if state == "died" else LOST
    if summary.get("stopping") == "timeout" or (state == "cancelled" and _never_began(summary)):
        return LIMIT
    if state == "cancelled":
        return CANCELLED
    exit_code = summary.get("exit")
    return exit_code if isinstance(exit_code, int) and 0 < exit_code < 256 else ERROR


def code_for(error: MacGPUError, *, sent: bool) -> int:
    """Return the exit code for an error on the way.

    Parameters
    ----------
    sent
        Whether a run was on its way when it came up.
    """
    if isinstance(error, RunLost):
        return LOST
    if isinstance(error, RunCancelled):
        return LIMIT if error.is_limit else CANCELLED
    if isinstance(error, (RunUnknown, ResultLeft)) and sent:
        return UNKNOWN
    if not sent or isinstance(error, _BEFORE):
        return NOT_BEGUN
    return UNKNOWN if isinstance(error, (TransportError, RemoteProtocolError)) else NOT_BEGUN


def line_of(result: Result, what: str) -> str:
    """Return a line about a run that did not end by itself; empty if there is nothing to say.

    Parameters
    ----------
    what
        What ran, as the user calls it.
    """
    run, host, summary = result.run[:8], result.host, result.summary
    why = plain_line(str(summary.get("what") or ""))
    again = f"It will not be repeated by itself. macgpu logs {run} shows its output once more."
    if result.state == "lost":
        return f"run {run} on {host} is lost: {why}. How far it came is not known. {again}"
    if result.state == "died" and summary.get("phase") == "start":
        log = str(summary.get("log", "")).strip()
        return f"the worker on {host} did not start: {why}. Nothing ran." + (log and f"\n{log}")
    if result.state == "died":
        return f"run {run} on {host} died: {why}. {again}"
    if code_of(result.state, summary) == LIMIT:
        limit = plain_line(str(summary.get("limit") or why or "its time limit had passed"))
        return f"run {run} on {host} was stopped: {limit}. {again}"
    if result.state == "cancelled" and why:
        return f"run {run} on {host} was cancelled: {why}"
    signal = summary.get("signal")
    if result.state == "error" and signal:
        return f"{what} was ended by {plain_line(str(signal))} on {host}{_size(summary)}"
    return ""


def _never_began(summary: Mapping[str, Any]) -> bool:
    """Say whether it waited in the queue for as long as it was to wait."""
    return str(summary.get("what") or "").startswith("it waited longer")


def _size(summary: Mapping[str, Any]) -> str:
    peak = summary.get("peak")
    if summary.get("signal") not in ("SIGKILL", "SIGABRT") or not isinstance(peak, (int, float)):
        return ""
    return f"; its largest size was {peak / 2**30:.2f} GiB: was it out of memory?"
