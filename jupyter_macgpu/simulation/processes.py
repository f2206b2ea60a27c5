"""The processes of simulated hosts: found by their parents and their notes, told by their ids."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Seconds that a process may take to end, on a machine that does much else.
_PATIENCE = 60.0


def below(roots: Iterable[int]) -> set[int]:
    """Return these processes and all that descend from them."""
    rows = [line.split() for line in _ps("pid=,ppid=").splitlines()]
    children: dict[int, list[int]] = {}
    for row in rows:
        if len(row) == 2:
            children.setdefault(int(row[1]), []).append(int(row[0]))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def of_store(store: Path) -> list[int]:
    """Return the supervisor and the workers of a store, as far as they live; it comes first."""
    notes = [store / "version", *sorted(store.glob("workers/*/process"))]
    pids = []
    for note in notes:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            pid = int(json.loads(note.read_bytes())["pid"])
            # A number may have gone to somebody else's process since.
            if "jupyter_macgpu" in _shown(pid, "command"):
                pids.append(pid)
    return pids


def named(pids: Iterable[int], name: str) -> set[int]:
    """Return those that live and have `name` in their command line."""
    return {pid for pid in pids if name in _shown(pid, "command")}


def tell(pids: Iterable[int], sign: signal.Signals) -> None:
    """Send a signal to each process that is there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, sign)


def end(pids: Iterable[int]) -> None:
    """Kill these processes and wait until they are gone."""
    ended = list(pids)
    tell(ended, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE
    # One that nobody reaps has ended too.
    while any(_shown(pid, "stat")[:1] not in ("", "Z") for pid in ended):
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _shown(pid: int, column: str) -> str:
    return _ps(f"{column}=", "-p", str(pid)).strip()


def _ps(columns: str, *which: str) -> str:
    # Cut at no width: COLUMNS may be set.
    words = ["ps", "-ww", "-o", columns, *(which or ("-A",))]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout
