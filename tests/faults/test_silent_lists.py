"""Lists of runs where a host is silent: what is not known is said, and the rest is there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu import cli
from jupyter_macgpu.fleet.file import load_fleet
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.runs import heard_runs
from tests.ssh_home import Home
from tests.sshd import Servers, Sshd

from .relay import DOWN, Toxics
from .tcp_relay import Relays, TcpRelay


@pytest.fixture
def relay(
    servers: Servers, sshd: Sshd, home: Home, relays: Relays, tmp_path: Path
) -> Iterator[TcpRelay]:
    """Two hosts that the fleet file names; the relay stands before the second one."""
    other = servers.start(state=tmp_path / "mini-state")
    relay = relays.before(other.address, other.port)
    for server in (sshd, other):
        home.know(server)
    home.know(other, name=f"[{relay.address}]:{relay.port}")
    home.write_fleet({"studio": sshd, "mini": other})
    home.fleet.write_text(
        home.fleet.read_text().replace(f"port: {other.port}\n", f"port: {relay.port}\n")
    )
    yield relay
    relay.toxics = Toxics()


def test_a_host_that_is_not_there_is_named_beside_the_list_of_runs(
    relay: TcpRelay, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--on", "studio", "--as", "here", "--", "true"]) == 0
    assert cli.main(["logs", "nosuch"]) == 1
    assert "No host knows a run 'nosuch'." in capfd.readouterr().err
    relay.close()
    assert cli.main(["runs", "--json"]) == 0
    told = capfd.readouterr()
    assert [row["name"] for row in json.loads(told.out)] == ["here"]
    assert "macgpu: mini does not answer; its runs are not listed\n" in told.err
    assert cli.main(["logs", "nosuch"]) == 1
    said = capfd.readouterr().err
    assert "No host that answers knows a run 'nosuch'." in said
    assert "mini does not answer" in said


def test_a_host_that_falls_silent_while_it_is_asked_takes_nothing_from_the_list(
    relay: TcpRelay, impatient: None
) -> None:
    assert cli.main(["run", "--on", "studio", "--as", "here", "--", "true"]) == 0
    pool = Pool(load_fleet(), Reach(nobody_to_ask), "")
    try:
        deadline = time.monotonic() + 60
        while heard_runs(pool)[
            1
        ]:  # on a busy machine a host may take longer than the line's limits
            assert time.monotonic() < deadline
        relay.toxics = Toxics(silent=DOWN)
        runs, silent = heard_runs(pool)
        assert ([known.shown()["name"] for known in runs], silent) == (["here"], ["mini"])
    finally:
        relay.toxics = Toxics()
        pool.close()
