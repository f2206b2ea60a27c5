"""A cable that is out for a while: how soon a notebook is back once it is in again.

``MACGPU_RETURNS=200`` sets how often it is pulled; then a silent line counts as dead after as many
seconds as for users. What was measured is printed (``-s``).
"""

from __future__ import annotations

import os
import random
import secrets
import time
from functools import partial
from pathlib import Path

import pytest

from tests.network import Network
from tests.ssh_home import Home
from tests.sshd import Servers

from . import invariants
from .away import desk_at
from .cells import Flood
from .desk import Desk, token
from .test_ssh_network import Meanwhile, some_output

IS_FULL = "MACGPU_RETURNS" in os.environ
LEVEL = int(os.environ.get("MACGPU_RETURNS", "2"))
SEED = int(os.environ.get("MACGPU_SEED", "0")) or secrets.randbelow(10**6)
#: Seconds without a word after which a line counts as dead, for users and here.
SILENCE = 15.0 if IS_FULL else 1.5
#: Seconds after which a notebook is back, nineteen times of twenty; a busy machine takes longer.
RECOVERY = 3.0
BUSY = 15.0
#: Lines that the cell writes in a second, at most.
RATE = 60

pytestmark = pytest.mark.timeout(120 + 60 * LEVEL)


class Return:
    """How long after its network a notebook is back; `seen` looks until then, or until the end."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.took: float | None = None

    def seen(self) -> None:
        since = time.monotonic()
        while self.took is None and self._desk.busy:
            if any("reconnected" in notice for notice in self._desk.record.notices):
                self.took = time.monotonic() - since
            time.sleep(0.005)


def test_a_notebook_is_back_soon_after_its_network(
    network: Network, servers: Servers, home: Home, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not IS_FULL:
        request.getfixturevalue("impatient")
    server = servers.start(namespace=network.far, address=network.address)
    home.know(server)
    chance, took = random.Random(SEED), []
    with network.inside():
        desk = desk_at(home, server)
        assert desk.run("pass").state == "ok"
        for _ in range(LEVEL):
            out = SILENCE + chance.uniform(1.0, 2 * SILENCE)
            lines = int((out + RECOVERY) * RATE)
            cell = Flood(
                token=token(), side=tmp_path / "began", lines=lines, every=3, pause=3 / RATE
            )
            back = Return(desk)
            pulled = Meanwhile(
                some_output(desk), network.pull, partial(time.sleep, out), network.plug, back.seen
            )
            told = desk.run(cell.source)
            pulled.done()
            assert told.state == "ok", told.error
            invariants.never_twice(cell, told)
            invariants.nothing_lost(cell, told.record, whole=True)
            assert back.took is not None, (SEED, out, told.record.notices)
            took.append(back.took)
        desk.close()
    took.sort()
    late = took[int(0.95 * len(took))]
    print(f"seed {SEED}: {LEVEL} times, median {took[len(took) // 2]:.2f} s, p95 {late:.2f} s,")
    print(f"longest {took[-1]:.2f} s")
    assert late < (RECOVERY if IS_FULL else BUSY), took
