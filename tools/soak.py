"""The tests of faults at full size, one after another, and a table of how they went.

``make soak`` runs all of it, which takes hours; ``make soak ONLY=kills`` one piece.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One test at full size.

    Attributes
    ----------
    what
        What its size means.
    tests
        Words for pytest.
    sizes
        Variables that set it.
    """

    what: str
    tests: Sequence[str]
    sizes: dict[str, str] = field(default_factory=dict)


FAULTS = "tests/faults"
PIECES = {
    "kills": Piece(
        what="1,000 kills of an SSH connection over at least 50 MB",
        tests=[f"{FAULTS}/test_ssh_kills.py"],
        sizes={"MACGPU_KILLS": "1000"},
    ),
    "returns": Piece(
        what="how soon a notebook is back after its cable is in again, 200 times",
        tests=[f"{FAULTS}/test_ssh_returns.py", "-s"],
        sizes={"MACGPU_RETURNS": "200"},
    ),
    "processes": Piece(
        what="500 kills and interrupts of each kind",
        tests=[f"{FAULTS}/test_harness.py"],
        sizes={"MACGPU_HARNESS": "500"},
    ),
    "ambiguous": Piece(
        what="2,000 cuts of a submission",
        tests=[f"{FAULTS}/test_on_the_way.py", "-k", "cut_at_every_place"],
        sizes={"MACGPU_CUTS": "2000"},
    ),
    "model": Piece(
        what="10,000 schedules of the protocol",
        tests=["tests/model"],
        sizes={"MACGPU_MODEL_EXAMPLES": "10000"},
    ),
    "kernels": Piece(
        what="500 deaths of a notebook's kernel",
        tests=[f"{FAULTS}/test_kernel_death.py"],
        sizes={"MACGPU_KERNEL_DEATHS": "500"},
    ),
    "jobs": Piece(
        what="500 deaths of a kernel whose detached run goes on",
        tests=[f"{FAULTS}/test_job_kernels.py"],
        sizes={"MACGPU_JOB_KERNELS": "500"},
    ),
    "logins": Piece(
        what="100 logins at once",
        tests=[f"{FAULTS}/test_ssh_crowd.py"],
        sizes={"MACGPU_CLIENTS": "100"},
    ),
    "disk": Piece(
        what="a full disk at 200 calls, a kill at each call ten times",
        tests=[f"{FAULTS}/test_disk.py"],
        sizes={"MACGPU_DISK": "200", "MACGPU_CRASHES": "10"},
    ),
    "gaps": Piece(
        what="200 kills of the supervisor while five processes write",
        tests=[f"{FAULTS}/test_gaps.py"],
        sizes={"MACGPU_GAPS": "200"},
    ),
    "races": Piece(
        what="1,000 cancels against the end, 100 submissions of one run",
        tests=[f"{FAULTS}/test_races.py"],
        sizes={"MACGPU_RACES": "1000"},
    ),
    "output": Piece(
        what="200 MB in one line",
        tests=[f"{FAULTS}/test_output.py"],
        sizes={"MACGPU_OUTPUT": "200"},
    ),
    "sleep": Piece(
        what="ten minutes of sleep, of the laptop and of the host",
        tests=[f"{FAULTS}/test_host.py", "-k", "f33 or f34"],
        sizes={"MACGPU_ASLEEP": "600"},
    ),
    "oracle": Piece(
        what="2,000 generated notebooks, here and away",
        tests=["tests/semantics"],
        sizes={"MACGPU_ORACLE_PROGRAMS": "2000"},
    ),
    "queue": Piece(
        what="50 notebooks for three hosts",
        tests=[f"{FAULTS}/test_queues.py"],
        sizes={"MACGPU_RACERS": "50"},
    ),
    "wheel": Piece(
        what="the wheel with all that it needs, on a machine without Node.js",
        tests=["tests/server/test_wheel.py"],
        sizes={"MACGPU_FRESH": "1"},
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Went:
    """How a piece went: what pytest counted, and how many seconds it took."""

    name: str
    well: bool
    counts: str
    seconds: float


def run(name: str, piece: Piece) -> Went:
    """Run one piece; what it prints goes to this terminal as well."""
    print(f"\n== {name}: {piece.what}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "--timeout=86400", *piece.tests]
    begun = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **piece.sizes},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if re.search(r"\d (passed|failed|error|skipped)", line) else last
    counts = last.strip().strip("=").strip() or "nothing was run"
    well = process.returncode == 0
    return Went(name=name, well=well, counts=counts, seconds=time.monotonic() - begun)


def table(went: Sequence[Went]) -> str:
    """Return one line for each piece."""
    head = f"{'piece':<10} {'went':<6} {'seconds':>8}  size; what pytest counted"
    rows = [
        f"{each.name:<10} {'well' if each.well else 'FAILED':<6} {each.seconds:>8.0f}  "
        f"{PIECES[each.name].what}; {each.counts}"
        for each in went
    ]
    return "\n".join([head, *rows])


def main(names: Sequence[str]) -> int:
    """Run the pieces of these names, or all; return the exit status."""
    unknown = [name for name in names if name not in PIECES]
    if unknown:
        print(f"There is no piece {unknown[0]!r}. There are: {', '.join(PIECES)}.")
        return 2
    went = [run(name, PIECES[name]) for name in names or PIECES]
    print("\n" + table(went))
    return 0 if all(each.well for each in went) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
