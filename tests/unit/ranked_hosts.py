"""Hosts for tests of placement: a Mac at rest, all known of it, and a machine without a GPU."""

from __future__ import annotations

import dataclasses
from typing import Any

from jupyter_macgpu.scheduling.rank import Ranking
from jupyter_macgpu.scheduling.status import HostStatus, Lane, Memory, Speed, State
from jupyter_macgpu.scheduling.taints import Taint

NOW = 1000.0
GIB = 2**30
MAC = HostStatus(
    name="mac",
    labels={"apple.com/gpu": "true", "gpu-type": "metal", "chip": "m2-ultra"},
    taints=(Taint(key="apple.com/gpu", value="present"),),
    state=State.READY,
    seen=NOW,
    gpu_test=True,
    gpu_speed=Speed(value=4.0, source="calibrated"),
    cpu_speed=Speed(value=2.0, source="calibrated"),
    gpu_taken=0.0,
    cpu_taken=0.0,
    gpu=Lane(running=0, queued=0),
    cpu=Lane(slots=2, running=0, queued=0),
    memory=Memory(total=64 * GIB, free=40 * GIB, limit=48 * GIB, asked=0, held=0),
    pressure=1,
    is_swapping=False,
    heat=0,
    owner_idle=4000.0,
    on_battery=False,
    link=50e6,
    environment="ready",
)
BOX = HostStatus(name="box", state=State.READY, seen=NOW, has_gpu=False, cpu_taken=0.0)


def mac(**changes: Any) -> HostStatus:
    return dataclasses.replace(MAC, **changes)


def memory(**changes: Any) -> Memory:
    return dataclasses.replace(MAC.memory, **changes)


def order(ranking: Ranking) -> list[str]:
    return [one.host for one in ranking.feasible]
