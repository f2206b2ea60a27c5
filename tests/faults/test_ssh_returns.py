"""A cable that is out for a while: how soon a notebook is back once it is in again.

``MACGPU_RETURNS=200`` sets how often it is pulled; then a silent line counts as dead after as many
seconds as for users. What was measured is printed (``-s``).
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from pathlib import Path

import pytest

from tests.network import Network
from tests.ssh_home import Home
from tests.sshd import Servers

from . import invariants
from .away import desk_at
from .cells import Flood
from .desk import Desk, token

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


class Cable:
    """Pulls the cable while a cell writes, puts it back, and looks when the notebook is back."""

    def __init__(self, network: Network, desk: Desk, out: float) -> None:
        self._network = network
        self._desk = desk
        self._out = out
        self.took: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Return when the cable is in again."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not (self._desk.busy and len(self._desk.record.outputs) > 3):
            time.sleep(0.01)
        record = self._desk.record
        self._network.pull()
        time.sleep(self._out)
        self._network.plug()
        since = time.monotonic()
        while not self._over.wait(0.005):
            if any("reconnected" in notice for notice in record.notices):
                self.took = time.monotonic() - since
                return


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
            cable = Cable(network, desk, out)
            told = desk.run(cell.source)
            cable.stop()
            assert told.state == "ok", told.error
            invariants.never_twice(cell, told)
            invariants.nothing_lost(cell, told.record, whole=True)
            assert cable.took is not None, (SEED, out, told.record.notices)
            took.append(cable.took)
        desk.close()
    took.sort()
    late = took[int(0.95 * len(took))]
    print(f"seed {SEED}: {LEVEL} times, median {took[len(took) // 2]:.2f} s, p95 {late:.2f} s,")
    print(f"longest {took[-1]:.2f} s")
    assert late < (RECOVERY if IS_FULL else BUSY), took
