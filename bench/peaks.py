"""The most memory that processes have had so far, as the system counts it. Linux only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path


def peak(processes: Iterable[int]) -> float | None:
    """Return the most MiB that processes have had resident since they began, added up.

    Returns
    -------
    float or None
        None where there is none of them, or the system does not tell.
    """
    found = [kib for pid in processes if (kib := _kib(pid)) is not None]
    return round(sum(found) / 1024, 1) if found else None


def supervisors(state: Path) -> list[int]:
    """Return the supervisors' processes of a state folder."""
    return _noted(state.glob("*/*/version"))


def workers(state: Path) -> list[int]:
    """Return the workers' processes of a state folder."""
    return _noted(state.glob("*/*/workers/*/process"))


def sessions(config: Path) -> list[int]:
    """Return the processes in which an SSH server of a configuration serves its connections."""
    words = ["ps", "-A", "-o", "pid=,ppid=,args="]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    family = {int(row[0]) for row in rows if len(row) == 3 and str(config) in row[2]}
    servers = set(family)
    while more := {int(row[0]) for row in rows if int(row[1]) in family} - family:
        family |= more
    # A family of its own is what it starts: the door, which ends when it has handed over.
    return [
        int(row[0])
        for row in rows
        if int(row[0]) in family - servers and len(row) == 3 and "sshd" in row[2].split()[0]
    ]


def _noted(notes: Iterable[Path]) -> list[int]:
    return [int(json.loads(note.read_bytes())["pid"]) for note in notes]


def _kib(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
