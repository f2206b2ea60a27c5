"""What cells started and left behind: found by a variable that a worker's children inherit.

Runs on the Mac. Only Python and `wire` may be imported here.

A process group is left by whoever calls ``setsid``, and parents are lost by whoever forks twice;
the environment that a process was started with stays. A child that was given another environment
and has left the group as well is not found.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import store

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The variable: a worker's folder. `start.scrubbed` takes it off what is to outlive a worker.
VARIABLE = "MACGPU_WORKER"
#: Seconds that ``ps`` may take.
_PATIENCE = 5.0
#: Looks until nothing is found: a process may fork while it is being ended.
_ROUNDS = 5
#: Characters of a command line that are told.
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Straggler:
    """One process that a worker, or a child of it, started.

    Attributes
    ----------
    start
        As `store.process_start` has it: a later process of that id has another.
    session
        Whose worker it was.
    command
        The beginning of its command line; empty where the system does not say.
    """

    pid: int
    start: str
    session: str
    command: str


def found(folder: Path) -> list[Straggler]:
    """Return the processes of the worker in `folder`, or of all workers in folders beneath it.

    The workers themselves are among them, this process never is. Takes some milliseconds: for a
    worker's end and for who asks, not for each cell.
    """
    prefix = f"{VARIABLE}={folder}".encode()
    every = []
    for pid, words, variables in _processes():
        marks = [each for each in variables if each == prefix or each.startswith(prefix + b"/")]
        start = store.process_start(pid) if marks and pid != os.getpid() else ""
        if start:
            session = os.fsdecode(marks[0]).rpartition("/")[2]
            command = words.decode(errors="replace").strip()[:_SHOWN]
            every.append(Straggler(pid=pid, start=start, session=session, command=command))
    return every


def orphans(place: store.Store) -> list[Straggler]:
    """Return the processes that outlived their worker; there should be none.

    A client asks for them by ``Operate(session="", action="orphans")``; the answer's detail holds
    them as ``orphans``, a list of ``pid``, ``session`` and ``command``. `macgpu doctor` may do so.
    """
    every = found(place.root / "workers")
    living = {each.session for each in every if _is_worker(place, each)}
    return [each for each in every if each.session not in living]


def reap(folder: Path) -> int:
    """Kill all that the worker of `folder` left, itself included; return how many there were."""
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        left = found(folder)
        if not left:
            break
        for each in left:
            if store.process_start(each.pid) == each.start:
                ended.add(each.pid)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(each.pid, signal.SIGKILL)
    return len(ended)


def _is_worker(place: store.Store, straggler: Straggler) -> bool:
    try:
        known = json.loads((place.worker(straggler.session) / "process").read_bytes())
        return bool(known == {"pid": straggler.pid, "start": straggler.start})
    except (OSError, ValueError):
        return False


def _processes() -> Iterator[tuple[int, bytes, list[bytes]]]:
    """Yield the processes that may have the variable: id, command line, variables."""
    return _listed_by_ps() if sys.platform == "darwin" else _listed_by_proc()


def _listed_by_proc() -> Iterator[tuple[int, bytes, list[bytes]]]:
    try:
        names = os.listdir("/proc")  # noqa: PTH208 (hundreds, at a worker's end)
    except OSError:
        return  # no descriptor is left, or there is no such folder
    for name in names:
        if not name.isdigit():
            continue
        try:
            variables = Path("/proc", name, "environ").read_bytes()
            if VARIABLE.encode() not in variables:
                continue
            words = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue  # not ours, or gone
        yield int(name), words, variables.split(b"\0")


def _listed_by_ps() -> Iterator[tuple[int, bytes, list[bytes]]]:
    """Ask macOS: its ``ps -E`` puts the variables behind the command line, divided by blanks.

    The folder's own name may hold blanks too (``Application Support``): so the variable is cut
    out at the next ``NAME=``.
    """
    command = ["/bin/ps", "-Eww", "-U", str(os.getuid()), "-o", "pid=,command="]
    try:
        said = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return
    yield from read_ps(said)


def read_ps(said: bytes) -> Iterator[tuple[int, bytes, list[bytes]]]:
    """Yield what lines of ``ps -E`` say: id, command line, and the variable if it is there."""
    for line in said.splitlines():
        number, _, rest = line.strip().partition(b" ")
        command, mark, behind = rest.partition(b" %s=" % VARIABLE.encode())
        if number.isdigit() and mark:
            value = behind
            words = behind.split(b" ")
            for at, word in enumerate(words):
                name, equals, _ = word.partition(b"=")
                if at and equals and name.replace(b"_", b"").isalnum():
                    value = b" ".join(words[:at])
                    break
            yield int(number), command, [b"%s=%s" % (VARIABLE.encode(), value)]
