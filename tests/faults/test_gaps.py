"""The supervisor dies while several processes flood both pipes: how much may be missing."""

from __future__ import annotations

import os
import random
import re
import secrets
import threading
import time
from pathlib import Path

import pytest

from . import invariants, processes
from .desk import Desk, Told

KILLS = int(os.environ.get("MACGPU_GAPS", "8"))
SEED = int(os.environ.get("MACGPU_SEED", "0")) or secrets.randbelow(10**6)
#: Bytes of one line of a child.
LINE = 80
CELL = """
import os, subprocess, sys, time
write = '''
import os, sys
fd, lines = int(sys.argv[1]), int(sys.argv[2])
for number in range(lines):
    os.write(fd, b"%s %07d %s\\\\n" % (sys.argv[3].encode(), number, b"x" * 69))
'''
children = [
    subprocess.Popen([sys.executable, "-c", write, str(fd), "30000", name])
    for fd, name in ((1, "a"), (1, "b"), (2, "c"), (2, "d"))
]
number = 0
while any(child.poll() is None for child in children):
    # In one piece each: `print` writes the end of a line for itself.
    sys.stdout.write("e %07d\\n" % number)
    sys.stderr.write("f %07d\\n" % number)
    number += 1
    time.sleep(0.001)
del children, write
"""

pytestmark = pytest.mark.timeout(300 + 20 * KILLS)


def missing(pieces: list[bytes]) -> list[int]:
    """Return how many bytes of the children's lines are missing at each gap of one pipe."""
    lost, last = [], dict.fromkeys(b"abcd", -1)
    for piece in pieces:
        first: dict[int, int] = {}
        for found in re.finditer(rb"(?m)^([abcd]) (\d{7}) x{69}$", piece):
            name, number = found[1][0], int(found[2])
            assert number > last[name], "a line came twice, or out of order"
            if name in first:
                assert number == last[name] + 1, "lines are missing where no gap is declared"
            else:
                first[name] = number - last[name] - 1
            last[name] = number
        lost.append(LINE * sum(first.values()))
    return lost


def test_a_gap_is_no_larger_than_declared_whoever_writes(state: Path) -> None:
    desk, chance = Desk(), random.Random(SEED)
    print(f"seed {SEED}")
    desk.run("pass")
    told: list[Told] = []
    kills = 0
    while kills < KILLS:
        told.clear()
        thread = threading.Thread(target=lambda: told.append(desk.run(CELL)))
        thread.start()
        while thread.is_alive():
            time.sleep(chance.uniform(0.3, 0.6))
            kills += sum(each.kill() for each in processes.found(state, "supervisor"))
        assert told[0].state == "ok", told[0].error
        for name in ("stdout", "stderr"):
            pieces = told[0].record.stream(name)
            # A line that a gap cut in two counts as missing, at both ends.
            assert max(missing(pieces)[1:], default=0) <= invariants.GAP + 4 * LINE
    invariants.nothing_left(state, desk)
