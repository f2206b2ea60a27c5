"""The server ends when it is told to, whatever its Macs do."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from pathlib import Path

import pytest

from jupyter_macgpu.simulation import processes
from jupyter_macgpu.simulation.fleet import SimulatedFleet

from .running import Listener, Running, running

HOSTS, HANGING = 12, 10
#: Seconds within which it has ended. One host after the other took more than twice as many.
BOUND = 20.0
#: What a connection to a host of this machine goes through.
DOOR = "jupyter_macgpu.mac.door"


def all_answered(listener: Listener) -> bool:
    rows = listener.hosts.values()
    return len(rows) == HOSTS and all(row["memory"]["total"] for row in rows)


@pytest.mark.timeout(480)
def test_a_server_ends_though_most_of_its_macs_hang(tmp_path: Path) -> None:
    with (
        SimulatedFleet(HOSTS, seed=3, age=-86_400.0, over_ssh=False) as fleet,
        running(tmp_path, environment={"MACGPU_FLEET": str(fleet.file)}) as server,
    ):
        with server.stream() as listener:
            listener.until(all_answered, 120.0)
            hanging = fleet.hosts[:HANGING]
            for host in hanging:
                host.sleep()
            asked = [
                threading.Thread(target=_ask, args=(server, host.name)) for host in hanging[:3]
            ]
            for thread in asked:
                thread.start()
            time.sleep(1.0)  # until the questions are under way
            doors = processes.named(processes.below([server.process.pid]), DOOR)
            assert len(doors) > HOSTS
            server.process.terminate()
            assert server.process.wait(BOUND) == 0
        for thread in asked:
            thread.join(60.0)
            assert not thread.is_alive()
        assert not processes.named(doors, DOOR)
        assert "did not answer" in server.log.read_text()


def _ask(server: Running, name: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.ask("GET", f"hosts/{name}")
