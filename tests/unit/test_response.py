"""The simulation behind `bench response`: it does all the work once, and the same each time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.rules import RULES, clairvoyant
from bench.trace import trace
from bench.world import World
from jupyter_macgpu.wire.telemetry import gpu_share

CELLS, MACS = 150, 12


def simulated(name: str, load: float = 0.8, seed: int = 3) -> World:
    world = World(trace(seed, load, CELLS, MACS), seed)
    world.run(RULES[name](world))
    return world


@pytest.mark.parametrize("name", RULES)
def test_every_cell_runs_once_where_it_fits_and_hosts_run_one_at_a_time(name: str) -> None:
    world = simulated(name)
    assert sorted(job.cell.name for job in world.done) == sorted(
        cell.name for cell in world.trace.cells
    )
    for host in world.hosts:
        mine = sorted((job for job in world.done if job.chosen is host), key=lambda j: j.began)
        assert all((job.cell.mem or 0) <= gpu_share(host.mac.memory) for job in mine)
        assert all(one.ended <= two.began + 1e-9 for one, two in pairwise(mine))
        assert host.leases.holding() == []
        assert host.leases.waiting() == []
    assert all(job.began >= job.cell.at for job in world.done)


@pytest.mark.parametrize("name", RULES)
def test_the_same_seed_gives_the_same_times(name: str) -> None:
    ends = [
        [(job.cell.name, job.ended) for job in simulated(name, load=0.5).done] for _ in range(2)
    ]
    assert ends[0] == ends[1]


def test_work_is_done_at_the_pace_that_others_leave() -> None:
    world = simulated("fewest-runs")
    for job in world.done:
        fastest = job.cell.work / job.chosen.mac.speed
        assert job.ended - job.began >= fastest - 1e-6


def test_who_knows_all_is_faster_than_who_knows_nothing() -> None:
    def mean(name: str) -> float:
        return sum(job.ended - job.cell.at for job in simulated(name).done) / CELLS

    assert mean("clairvoyant") < mean("ours") < mean("random")
    assert clairvoyant is RULES["clairvoyant"]
