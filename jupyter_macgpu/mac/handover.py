"""What one supervisor leaves to the next one when it retires, so that nothing of it is missing.

Runs on the Mac. Only Python and `wire` may be imported here.

A worker's process, its socket and its events stay with the worker. What the retiring supervisor
had read from the worker's pipes and could not write down yet, since it waits for its place in the
order, is left in a file of the worker's folder.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import build

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from pathlib import Path

    from .records import Run

#: Seconds within which a worker begins a run that it was handed.
_BEGUN = 0.5
#: Longest line that a door may say, in bytes.
_LINE = 4096
FILE = "handed"


def asked(link: socket.socket) -> build.Build | None:
    """Read whom a door wants in this supervisor's place; None if that cannot be understood.

    Raises
    ------
    OSError
        If the door is gone, or says nothing.
    """
    line = b""
    while not line.endswith(b"\n") and len(line) < _LINE and (data := link.recv(_LINE)):
        line += data
    try:
        return build.parse(json.loads(line))
    except ValueError:
        return None


def all_begun(runs: Iterable[Run], now: float) -> bool:
    """Say whether each run that a worker was handed is surely begun there.

    A worker forgets what it has not begun when another supervisor comes.
    """
    return all(now - run.since > _BEGUN for run in runs if run.state == "started")


def leave(folder: Path, state: dict[str, Any]) -> None:
    """Write down a worker's `state` for the next supervisor.

    Parameters
    ----------
    folder
        The worker's.
    state
        JSON values; ``pid`` and ``start`` say of which process.
    """
    fresh = folder / f"{FILE}.new"
    fresh.write_text(json.dumps(state))
    fresh.replace(folder / FILE)


def take(folder: Path) -> dict[str, Any] | None:
    """Return what was left with the process that is in this folder; it is good for one time."""
    path = folder / FILE
    try:
        handed: dict[str, Any] = json.loads(path.read_bytes())
        path.unlink()
        process = json.loads((folder / "process").read_bytes())
        same = all(handed[key] == process[key] for key in ("pid", "start"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return handed if same else None
