"""Which run is stopped when a host's memory runs out, and when."""

from __future__ import annotations

import os

import pytest

from jupyter_macgpu.mac import effects as e
from jupyter_macgpu.mac import memory
from jupyter_macgpu.mac.pressure import LASTING, Pressure, Size, largest
from jupyter_macgpu.mac.records import Run
from tests.unit.supervisor_stage import R1, S1, Stage, names, only, submit

GIB = 2**30
READINGS = {
    "never critical": ([(False, 0), (False, 9)], False),
    "not for long enough": ([(True, 0), (True, 4.9)], False),
    "for long enough": ([(True, 0), (True, 2), (True, LASTING)], True),
    "with a break": ([(True, 0), (False, 3), (True, 4), (True, 8)], False),
    "with a gap in what is known": ([(True, 0), (None, 3), (True, 5)], False),
    "one reading told again": ([(True, 1), (True, 1), (True, 1)], False),
}


def size(gib: float) -> Size:
    return Size(now=int(gib * GIB), peak=int(2 * gib * GIB))


def run(name: str, state: str = "started", stopping: str = "") -> Run:
    made = Run(run=name, session=f"of-{name}", digest="", size=0, stopping=stopping)
    made.state = state
    return made


@pytest.mark.parametrize(("readings", "due"), READINGS.values(), ids=READINGS)
def test_pressure_has_to_last(readings: list[tuple[bool | None, float]], due: bool) -> None:
    pressure = Pressure()
    said = [pressure.lasts(critical, at) for critical, at in readings]
    assert said[-1] is due
    assert not any(said[:-1])


def test_what_was_done_gets_time_to_take_effect() -> None:
    pressure = Pressure()
    pressure.lasts(True, 0)
    assert pressure.lasts(True, 5)
    pressure.acted(5)
    assert not pressure.lasts(True, 9)
    assert pressure.lasts(True, 10)


def test_the_largest_started_run_goes_and_one_at_a_time() -> None:
    small, large, waiting = run("small"), run("large"), run("waiting", "queued")
    sizes = {"of-small": size(1), "of-large": size(9), "of-waiting": size(50)}
    assert largest([small, large, waiting], sizes) is large
    assert largest([small, waiting], sizes) is small
    assert largest([waiting], sizes) is None
    large.stopping = "memory"
    assert largest([small, large], sizes) is None


def test_a_run_that_is_stopped_for_memory_says_its_peak() -> None:
    stage = Stage()
    stage.client()
    stage.say(submit())
    stage.ready()
    effects = stage.mind.relieve({S1: size(20)}, stage.now)
    assert names(effects) == ["Log", "EndWorker"]
    assert only(e.Log, effects).entry["stopping"] == "memory"
    ended = stage.gone(what="its worker was ended by SIGTERM", signal="SIGTERM", peak=1)
    assert stage.state(R1) == "cancelled"
    summary = only(e.Finish, ended).summary
    assert "40.00 GiB at its peak" in summary["what"]
    assert summary["stopping"] == "memory"


def test_idle_workers_without_values_go_first() -> None:
    stage = Stage()
    stage.client()
    stage.say(submit())
    stage.ready()
    stage.mind.sessions["idle"] = idle = type(stage.mind.sessions[S1])(
        session="idle", client="k2", notebook="other", worker="ready"
    )
    effects = stage.mind.relieve({S1: size(1)}, stage.now)
    assert [effect.session for effect in effects if isinstance(effect, e.EndWorker)] == ["idle", S1]
    assert idle.worker == "ending"


def test_memory_is_counted() -> None:
    before = memory.footprint(os.getpid())
    held = bytearray(os.urandom(1 << 16) * 512)
    after = memory.footprint(os.getpid())
    assert after.now - before.now > len(held) // 2
    assert after.peak >= after.now
    assert memory.footprint(2**30) == Size(now=0, peak=0)
