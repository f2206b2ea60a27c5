"""What happens to simulated Macs changes where a cell goes, over real servers and supervisors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu import overview
from jupyter_macgpu.fleet.file import load_fleet
from jupyter_macgpu.options import CellOptions
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.scheduling.heat import HOT_FROM
from jupyter_macgpu.simulation import servers
from jupyter_macgpu.simulation.fleet import SimulatedFleet, SimulatedHost
from jupyter_macgpu.simulation.weather import SPELL, state_at, weather_at

pytestmark = pytest.mark.skipif(
    bool(servers.why_none()), reason=servers.why_none() or "there is an sshd"
)
#: Seconds into a spell: its heat and pressure have come, and most of it is left.
INTO = 11.0
ULTRA, SMALL, LAPTOP = "sim-m2-ultra", "sim-m4", "sim-m1-max"
LAPTOP_OR_SMALL = "chip in (m4, m1-max)"


def moment(**states: str) -> tuple[int, float]:
    """Return a seed and an age at which the hosts, in their order, are in these states."""
    for seed in range(5000):
        for spell in range(3, 16):
            age = spell * SPELL + INTO
            if not all(state_at(seed + i, age) == state for i, state in enumerate(states.values())):
                continue
            if "hot" not in states.values() or weather_at(seed, age).heat >= HOT_FROM:
                return seed, age
    raise AssertionError(f"no such moment: {states}")


def said_anew(host: SimulatedHost, old: str, new: str) -> None:
    """Change what a host's server has been told, before anybody has come."""
    assert host.server is not None
    host.server.end()
    config = host.server.folder / "sshd_config"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    host.server.start()


@contextmanager
def weathered(patch: pytest.MonkeyPatch, ultra: str, small: str, laptop: str) -> Iterator[Pool]:
    """Give a notebook's pool on three Macs in these states, all of which have told how they are."""
    seed, age = moment(ultra=ultra, small=small, laptop=laptop)
    with SimulatedFleet(3, seed=seed, age=age) as fleet:
        patch.setenv("MACGPU_FLEET", str(fleet.file))
        for host in fleet.hosts:
            # It is that moment for as long as the test takes.
            said_anew(host, f"--since {fleet.since}", f"--at {age}")
        pool = Pool(load_fleet(), Reach(nobody_to_ask), "")
        try:
            deadline = time.monotonic() + 100.0
            while any(row.get("free") is None for row in overview.status(pool)):
                assert time.monotonic() < deadline
            yield pool
        finally:
            pool.close()


def placed(pool: Pool, on: str | None = None) -> tuple[str, dict[str, dict[str, Any]]]:
    found = overview.where(pool, CellOptions(on=on))
    return found["host"], {row["host"]: row for row in found["rows"]}


def codes(row: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in row["reasons"]]


def test_in_calm_weather_the_fastest_takes_it(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with weathered(monkeypatch, "calm", "calm", "calm") as pool:
        host, rows = placed(pool)
        assert host == ULTRA
        assert all(codes(row) == [] for row in rows.values())
        assert placed(pool, LAPTOP_OR_SMALL)[0] == LAPTOP


def owner_is_back(rows: dict[str, dict[str, Any]]) -> bool:
    # It is the last one, and would be taken if there were no other.
    return rows[ULTRA]["terms"]["owner"]["points"] == -100 and rows[ULTRA]["place"] == 3


def is_hot(rows: dict[str, dict[str, Any]]) -> bool:
    return codes(rows[ULTRA]) == ["heat"]


def is_pressed(rows: dict[str, dict[str, Any]]) -> bool:
    return codes(rows[ULTRA]) == ["pressure"]


CHANGES: dict[str, Callable[[dict[str, dict[str, Any]]], bool]] = {
    "owner": owner_is_back,
    "hot": is_hot,
    "pressed": is_pressed,
}


@pytest.mark.parametrize("weather", CHANGES)
def test_an_owner_heat_and_pressure_change_the_placement(
    weather: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with weathered(monkeypatch, weather, "calm", "calm") as pool:
        host, rows = placed(pool)
        assert CHANGES[weather](rows), rows[ULTRA]
        assert host == LAPTOP


def test_a_laptop_on_battery_is_left_alone_unless_it_is_named(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with weathered(monkeypatch, "calm", "calm", "battery") as pool:
        host, rows = placed(pool, LAPTOP_OR_SMALL)
        assert host == SMALL
        assert codes(rows[LAPTOP]) == ["battery"]
        assert placed(pool, LAPTOP)[0] == LAPTOP


def test_a_measured_chip_is_placed_by_its_measurement(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = json.dumps({"state": "ok", "line": "torch 9 on mps", "device": "mps"})
    figures = {"tflops": 150.0, "half_tflops": 160.0, "gb_per_s": 900.0, "package": "torch"}
    planted = tmp_path / "python3"
    planted.write_text(
        "#!/bin/sh\nfor what; do :; done\n"
        f"[ $what = test ] && echo 'macgpu-gauge {tested}' || "
        f"echo 'macgpu-gauge {json.dumps(figures)}'\n"
    )
    planted.chmod(0o755)
    with SimulatedFleet(2, seed=7, age=-86_400.0) as fleet:
        monkeypatch.setenv("MACGPU_FLEET", str(fleet.file))
        said_anew(fleet[SMALL], "SetEnv ", f'SetEnv "MACGPU_GAUGE={planted}" ')
        pool = Pool(load_fleet(), Reach(nobody_to_ask), "")
        try:
            deadline = time.monotonic() + 100.0
            while not overview.describe(pool, SMALL)["said"].get("calibration"):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            described = overview.described(overview.describe(pool, SMALL))
            assert "measured: 150.0 TFLOPS (16 bits: 160.0), 900.0 GB/s with torch" in described
            assert "times what the table of chips says" in described
            assert "by the table of chips" in overview.described(overview.describe(pool, ULTRA))
            where = overview.where(pool, CellOptions())
            assert where["host"] == SMALL
            assert f"{SMALL}: " in overview.ranked(where)
            assert "measured: 150.0 TFLOPS" in overview.ranked(where)
        finally:
            pool.close()
