"""F41: a host whose GPU does not compute gets no GPU cell until it does, and says why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_macgpu import overview
from jupyter_macgpu.fleet.file import load_fleet
from jupyter_macgpu.options import CellOptions
from jupyter_macgpu.placement import wish_of
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.simulation import servers
from jupyter_macgpu.simulation.fleet import SimulatedFleet
from jupyter_macgpu.trial import value_of
from jupyter_macgpu.wire.errors import MacGPUError, PlacementError

pytestmark = pytest.mark.skipif(
    bool(servers.why_none()), reason=servers.why_none() or "there is an sshd"
)
GOOD = json.dumps({"state": "ok", "line": "torch 9 on mps", "device": "mps"})
#: An interpreter whose GPU is broken until ``mended`` is beside it.
PLANTED = """\
#!/bin/sh
if [ -e {folder}/mended ]; then echo 'macgpu-gauge {good}'; exit; fi
{fault}
"""
#: What it does until then, and what is said of it. Other faults are those of the gauge's own tests.
FAULTS = {"exec sleep 500": "no answer within 2 s"}


@pytest.fixture(params=FAULTS, ids=["hangs"])
def fleet(
    request: pytest.FixtureRequest, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatedFleet]:
    """Two Macs. The better one's interpreter is planted."""
    planted = tmp_path / "python3"
    planted.write_text(PLANTED.format(folder=tmp_path, good=GOOD, fault=request.param))
    planted.chmod(0o755)
    with SimulatedFleet(2, seed=7, age=-86_400.0) as fleet:
        monkeypatch.setenv("MACGPU_FLEET", str(fleet.file))
        server = fleet["sim-m2-ultra"].server
        assert server is not None
        server.end()
        config = server.folder / "sshd_config"
        more = f'SetEnv "MACGPU_GAUGE={planted}" "MACGPU_GAUGE_LIMIT=2" '
        config.write_text(config.read_text().replace("SetEnv ", more))
        server.start()
        yield fleet


def until(pool: Pool, happened: Callable[[dict[str, dict[str, object]]], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened(rows := {str(row["host"]): row for row in overview.status(pool)}):
        assert time.monotonic() < deadline, rows
        time.sleep(0.2)


def test_f41_a_gpu_that_fails_its_test_is_not_placed_and_is_when_it_is_mended(
    fleet: SimulatedFleet, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    reason = FAULTS[request.node.callspec.params["fleet"]]
    pool = Pool(load_fleet(), Reach(nobody_to_ask), "")
    try:
        until(pool, lambda rows: rows["sim-m2-ultra"]["state"] == "unusable")
        until(pool, lambda rows: rows["sim-m4"]["state"] == "ready")
        shown = {row["host"]: row for row in overview.status(pool)}["sim-m2-ultra"]
        assert str(shown["reason"]).startswith("GPU test failed: ")
        assert reason in str(shown["reason"])
        where = overview.where(pool, CellOptions())
        assert where["host"] == "sim-m4"
        text = overview.ranked(where)
        assert "its GPU failed the test: " in text
        assert reason in text
        with pytest.raises(PlacementError, match="failed the test"):
            pool.decide(wish_of(CellOptions(on="sim-m2-ultra"), pool.fleet))
        # The processor is none the worse for it.
        host = next(host for host in pool.fleet.hosts if host.name == "sim-m2-ultra")
        assert value_of(pool, host, "6 * 7", cpu=True) == 42
        assert overview.where(pool, CellOptions())["host"] == "sim-m4"
        # A worker that crashes is a reason to look again, whenever the next test is due.
        (tmp_path / "mended").touch()
        with pytest.raises(MacGPUError):
            value_of(pool, host, "import os; os.abort()", cpu=True)
        until(pool, lambda rows: rows["sim-m2-ultra"]["state"] == "ready")
        pool.current = None
        assert overview.where(pool, CellOptions())["host"] == "sim-m2-ultra"
    finally:
        pool.close()
