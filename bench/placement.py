"""Which of 10,000 hosts takes a cell: what one decision costs, and how it grows.

Every host has labels and taints, most have telemetry; the cell has a selector, a required and a
preferred affinity, tolerations and a need of memory. Nothing is kept from one decision to the next.
The peer is ten decisions over a tenth of the hosts: a ratio of 1 is linear growth.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence

from jupyter_macgpu.scheduling.affinity import Affinity, preferred_terms, required_terms
from jupyter_macgpu.scheduling.needs import Needs
from jupyter_macgpu.scheduling.rank import rank
from jupyter_macgpu.scheduling.selectors import parse_selector
from jupyter_macgpu.scheduling.status import HostStatus, Lane, Memory, Speed, State
from jupyter_macgpu.scheduling.taints import Taint

from .report import Comparison, Report

HOSTS, ROUNDS, NOW, GIB = 10_000, 15, 1000.0, 2**30
CHIPS = ("m1", "m1-max", "m2-ultra", "m3-max", "m4")


def measure(rounds: int = ROUNDS) -> Report:
    """Decide over all hosts, and over a tenth of them ten times, in turn."""
    hosts, needs = _fleet(HOSTS), _needs()
    sizes = {size: hosts[:size] for size in (HOSTS // 100, HOSTS // 10, HOSTS)}
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size, some in sizes.items():
            times[size].append(_milliseconds(some, needs, HOSTS // size) / (HOSTS // size))
    tenth = [time * 10 for time in times[HOSTS // 10]]
    return Report(
        name="placement",
        unit="ms",
        whole=Comparison(ours=times[HOSTS], peers={"ten times a tenth": tenth}),
        parts={f"{size} hosts": Comparison(ours=times[size], peers={}) for size in sizes},
        notes={
            "feasible": len(rank(hosts, needs, NOW).feasible),
            "us a host": round(statistics.median(times[HOSTS]) * 1000 / HOSTS, 1),
        },
    )


def _milliseconds(hosts: Sequence[HostStatus], needs: Needs, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        rank(hosts, needs, NOW)
    return (time.perf_counter() - started) * 1000


def _fleet(count: int) -> list[HostStatus]:
    chance = random.Random(1)
    return [_host(f"mac-{i}", chance) for i in range(count)]


def _host(name: str, chance: random.Random) -> HostStatus:
    labels = {
        "apple.com/gpu": "true",
        "gpu-type": "metal",
        "chip": chance.choice(CHIPS),
        "zone": f"floor-{chance.randrange(8)}",
    }
    taints = [Taint(key="apple.com/gpu", value="present")]
    if chance.random() < 0.3:
        taints.append(Taint(key="lab", value="vision", effect="PreferNoSchedule"))
    if chance.random() < 0.1:
        taints.append(Taint(key="maintenance", effect="NoExecute"))
    is_known = chance.random() < 0.8
    return HostStatus(
        name=name,
        labels=labels,
        taints=tuple(taints),
        state=State.READY,
        seen=NOW - chance.uniform(0, 120),
        gpu_speed=Speed(value=chance.uniform(1, 12), source="prior"),
        gpu_taken=chance.random() if is_known else None,
        gpu=Lane(running=chance.randrange(2), queued=chance.randrange(3)),
        memory=Memory(total=64 * GIB, free=chance.randrange(8, 60) * GIB if is_known else None),
        owner_idle=chance.uniform(0, 5000) if is_known else None,
        heat=chance.randrange(3) if is_known else None,
    )


def _needs() -> Needs:
    def chips(*names: str) -> dict[str, object]:
        condition = {"key": "chip", "operator": "In", "values": list(names)}
        return {"matchExpressions": [condition]}

    return Needs(
        selector=parse_selector("gpu-type=metal,zone notin (floor-3)"),
        affinity=Affinity(
            required=(required_terms([chips("m2-ultra", "m3-max"), chips("m1-max", "m4")]),),
            preferred=preferred_terms([{"weight": 10, "preference": chips("m2-ultra")}]),
        ),
        mem=16 * GIB,
        input_bytes=100_000_000,
    )
