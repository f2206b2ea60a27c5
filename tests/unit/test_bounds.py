"""What the administrator's policy and the owner's pause allow, as tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.mac import effects as e
from jupyter_macgpu.mac.bounds import Bounds, bounds_of, refusal
from jupyter_macgpu.mac.estimates import estimated_wait
from jupyter_macgpu.mac.leases import Leases, Waiting
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.policy import HostPolicy, Limits
from tests.unit.supervisor_stage import (
    R1,
    R2,
    R3,
    S1,
    S2,
    Stage,
    finished,
    names,
    only,
    submit,
)
from tests.unit.supervisor_stage import refusal as refused

GB = 10**9
MONDAY, SATURDAY = 0, 5


def limited(**limits: Any) -> HostPolicy:
    return HostPolicy(limits=Limits(**limits))


#: A policy, what is wrong with the file, the day, the seconds of a pause: what is said, and
#: whether that is the administrator's doing or the owner's.
CLOSED: dict[str, tuple[HostPolicy, str, int, float, str, bool, bool]] = {
    "nothing": (HostPolicy(), "", MONDAY, 0, "", False, False),
    "drained": (limited(drain=True), "", MONDAY, 0, "drained by its admin", True, False),
    "not believed": (HostPolicy(), "it is torn", MONDAY, 0, "it is torn", True, False),
    "paused": (HostPolicy(), "", MONDAY, 60, "paused by its owner", False, True),
    "a pause that is over": (HostPolicy(), "", MONDAY, -1, "", False, False),
    "owner's hours": (
        limited(owner_hours=("Mon-Fri 09:00-17:00",)),
        "",
        MONDAY,
        0,
        "owner's alone: Mon-Fri 09:00-17:00",
        False,
        True,
    ),
    "after hours": (
        limited(owner_hours=("Mon-Fri 09:00-17:00",)), "", SATURDAY, 0, "", False, False
    ),
    "drained and paused": (limited(drain=True), "", MONDAY, 60, "drained", True, True),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED)
def test_when_nothing_new_begins(name: str) -> None:
    policy, problem, weekday, pause, text, drained, paused = CLOSED[name]
    bounds = bounds_of(policy, problem, weekday=weekday, minute=600, pause=pause)
    assert (text in bounds.closed, bool(bounds.closed)) == (True, bool(text))
    assert (bounds.drained, bounds.paused) == (drained, paused)


REFUSED: dict[str, tuple[Bounds, int, str, str]] = {
    "no policy": (Bounds(), 10**15, "", ""),
    "little memory": (Bounds(max_memory=8 * GB), 8 * GB, "", ""),
    "too much memory": (Bounds(max_memory=8 * GB), 8 * GB + 1, "", "too-large"),
    "not through its manager": (Bounds(managed_by="slurm"), 0, "", "managed"),
    "through another one": (Bounds(managed_by="slurm"), 0, "pool", "managed"),
    "through its manager": (Bounds(managed_by="slurm"), 0, "slurm", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_never_begin_is_refused(name: str) -> None:
    bounds, mem, engine, word = REFUSED[name]
    assert refusal(bounds, mem, engine)[0] == word


def test_a_refusal_reaches_who_asked_and_leaves_nothing(stage: Stage) -> None:
    stage.keep(stage.mind.bound(Bounds(managed_by="slurm", max_memory=GB), 0.0))
    assert refused(stage.say(submit())) == "managed"
    slurm = {"engine": "slurm"}
    assert refused(stage.say(submit(options={**slurm, "mem": 2 * GB}))) == "too-large"
    assert stage.mind.runs == {}
    stage.say(submit(options={**slurm, "mem": GB}))
    assert stage.state() == "accepted"


@pytest.mark.parametrize("options", [{"mem": "8GB"}, {"mem": -1}, {"mem": True}, {"engine": 3}])
def test_needs_that_are_none_are_refused(options: dict[str, Any], stage: Stage) -> None:
    assert refused(stage.say(submit(options=options))) == "bad-submit"


# Leases.


def leases(bounds: Bounds, *runs: tuple[str, str, int], slots: int = 3) -> Leases:
    made = Leases({"gpu": slots, "cpu": slots})
    made.bounds = bounds
    for run, kind, mem in runs:
        made.ask(Waiting(run=run, session=run, kind=kind, mem=mem))
    return made


def granted(made: Leases) -> str:
    return "".join(waiting.run for waiting in made.grant())


def test_slots_of_the_policy_count_instead_of_the_hosts_own() -> None:
    runs = [("a", "gpu", 0), ("b", "gpu", 0), ("c", "cpu", 0), ("d", "cpu", 0)]
    assert granted(leases(Bounds(slots=1), *runs)) == "acd"
    assert leases(Bounds(slots=5)).slots == {"gpu": 5, "cpu": 3}


def test_an_account_has_no_more_runs_than_the_policy_says() -> None:
    made = leases(Bounds(max_runs=2), ("a", "gpu", 0), ("b", "cpu", 0), ("c", "gpu", 0))
    assert granted(made) == "ab"
    assert "2 at a time" in made.reason("c")
    assert made.reason("a") == ""
    made.release("a")
    assert granted(made) == "c"


def test_who_asks_for_much_memory_is_not_overtaken_by_who_asks_for_little() -> None:
    runs = [("a", "gpu", 6 * GB), ("b", "gpu", 6 * GB), ("c", "gpu", GB), ("d", "gpu", 0)]
    made = leases(Bounds(max_memory=8 * GB), *runs)
    assert granted(made) == "a"
    assert (made.asked(), "8 GB" in made.reason("b")) == (6 * GB, True)
    made.release("a")
    assert granted(made) == "bcd"


def test_who_asks_for_no_memory_is_not_counted() -> None:
    made = leases(Bounds(max_memory=GB), ("a", "gpu", GB), ("b", "gpu", 0))
    assert granted(made) == "ab"


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 10),
    st.lists(st.tuples(st.sampled_from(["gpu", "cpu"]), st.integers(0, 10)), max_size=12),
)
def test_bounds_hold_and_everyone_is_served(
    slots: int, most: int, memory: int, asked: list[tuple[str, int]]
) -> None:
    runs = [(str(n), kind, min(mem, memory)) for n, (kind, mem) in enumerate(asked)]
    made = leases(Bounds(slots=slots, max_runs=most, max_memory=memory), *runs)
    served = []
    while made.waiting() or made.holding():
        served += [waiting.run for waiting in made.grant()]
        held = [runs[int(run)] for run in made.holding()]
        assert held, "somebody waits, and nobody runs"
        assert len(held) <= most
        assert sum(kind == "gpu" for _, kind, _ in held) <= slots
        assert made.asked() == sum(mem for *_, mem in held) <= memory
        made.release(made.holding()[0])
    assert sorted(served) == sorted(run for run, *_ in runs)
    for kind in ("gpu", "cpu"):
        order = [int(run) for run in served if runs[int(run)][1] == kind]
        assert order == sorted(order)


# The mind.

DRAINED = Bounds(closed="the host is drained by its administrator", drained=True)


def test_a_drained_host_finishes_what_runs_and_says_why_the_rest_waits(running: Stage) -> None:
    running.keep(running.mind.bound(DRAINED, running.now))
    told = [effect for effect in running.say(submit(R2, S2)) if isinstance(effect, e.Tell)]
    assert [(tell.state, tell.detail["reason"]) for tell in told] == [("queued", DRAINED.closed)]
    running.worker(finished())
    assert (running.state(R1), running.state(R2)) == ("ok", "queued")
    row = running.mind.runs[R2].listed(running.now, 0)
    assert row["detail"]["reason"] == DRAINED.closed
    effects = running.keep(running.mind.bound(Bounds(), running.now))
    assert "StartWorker" in names(effects)
    running.ready(S2)
    assert running.state(R2) == "started"
    assert "reason" not in running.mind.runs[R2].detail


def test_whoever_attaches_to_a_run_that_is_held_back_learns_why(stage: Stage) -> None:
    stage.keep(stage.mind.bound(DRAINED, 0.0))
    follow = only(e.Follow, stage.say(submit()))
    assert (follow.state, follow.detail["reason"]) == ("queued", DRAINED.closed)
    assert "StartWorker" not in names(stage.done)
    assert only(e.Follow, stage.say(m.Attach(run=R1))).detail["reason"] == DRAINED.closed


def test_the_same_bounds_again_say_nothing(stage: Stage) -> None:
    stage.keep(stage.mind.bound(DRAINED, 0.0))
    stage.say(submit())
    assert stage.keep(stage.mind.bound(DRAINED, 1.0)) == []


def test_what_waits_out_its_time_says_what_it_waited_for(stage: Stage) -> None:
    stage.keep(stage.mind.bound(DRAINED, 0.0))
    stage.say(submit(options={"wait": 10}))
    finish = only(e.Finish, stage.tick(11))
    assert DRAINED.closed in finish.summary["what"]


def test_queued_runs_wait_for_the_bounds_also_after_a_restart(stage: Stage) -> None:
    stage.keep(stage.mind.bound(DRAINED, 0.0))
    stage.say(submit())
    after = stage.restarted()
    after.keep(after.mind.bound(DRAINED, 0.0))
    assert "StartWorker" not in names(after.settled())
    assert after.state() == "queued"


#: The run's own limit, the policy's; when it is stopped, and whether that is the policy's doing.
TIMES: dict[str, tuple[float | None, float | None, float | None, bool]] = {
    "none": (None, None, None, False),
    "its own": (5, None, 5, False),
    "the policy's": (None, 7, 7, True),
    "its own is shorter": (5, 7, 5, False),
    "its own is longer": (9, 7, 7, True),
}


@pytest.mark.parametrize("name", TIMES)
def test_the_shorter_limit_of_time_counts(name: str, stage: Stage) -> None:
    own, most, at, is_policy = TIMES[name]
    stage.keep(stage.mind.bound(Bounds(max_time=most), 0.0))
    stage.say(submit(options={"timeout": own}))
    stage.ready()
    if at is None:
        assert stage.tick(10_000) == []
        return
    assert stage.tick(at) == []
    assert "Interrupt" in names(stage.tick(0.5))
    error = {"ename": "KeyboardInterrupt"}
    summary = only(e.Finish, stage.worker(finished(status="error", error=error))).summary
    assert summary["stopping"] == "timeout"
    assert ("7 s" in summary.get("limit", "")) == is_policy


# Lanes.

WAITS: dict[str, tuple[int, list[float], int, list[float], float | None]] = {
    "a free slot": (2, [1.0], 0, [], 0.0),
    "nothing is known": (1, [1.0], 0, [], None),
    "the rest of a usual run": (1, [4.0], 0, [10.0], 6.0),
    "a long run goes on": (1, [30.0], 0, [10.0, 1.0, 10.0], 30.0),
    "the queue": (1, [4.0], 2, [10.0], 26.0),
    "two slots share the queue": (2, [4.0, 9.0], 2, [10.0], 11.0),
    "a slot was taken away": (1, [4.0, 9.0], 0, [10.0], 6.0),
    "nobody runs, since nothing may": (1, [], 2, [10.0], 20.0),
}


@pytest.mark.parametrize("name", WAITS)
def test_the_estimated_wait(name: str) -> None:
    slots, elapsed, queued, recent, expected = WAITS[name]
    assert estimated_wait(slots, elapsed, queued, recent) == expected


def test_lanes_tell_what_runs_and_waits(running: Stage) -> None:
    lanes = running.mind.lanes(running.now)
    gpu, cpu = lanes["gpu"], lanes["cpu"]
    assert (gpu.slots, gpu.running, gpu.queued, gpu.wait) == (1, 1, 0, None)
    assert (cpu.slots, cpu.running, cpu.queued, cpu.wait) == (1, 0, 0, 0.0)
    running.now += 8
    running.worker(finished())
    running.say(submit(R2))
    running.say(submit(R3, S2))
    running.now += 2
    assert running.mind.lanes(running.now)["gpu"].wait == 14.0
    # The next supervisor of this store still knows how long runs last here.
    after = running.restarted()
    after.keep(after.mind.adopted(S1, after.now))
    assert after.mind.lanes(after.now)["gpu"].wait == 8.0


def test_where_nothing_begins_no_wait_is_known(running: Stage) -> None:
    running.worker(finished())
    running.keep(running.mind.bound(DRAINED, running.now))
    assert running.mind.lanes(running.now)["gpu"].wait is None


def test_what_was_asked_for_is_summed(stage: Stage) -> None:
    assert (stage.mind.asked, stage.mind.busy) == (0, False)
    stage.say(submit(options={"mem": 3 * GB}))
    stage.say(submit(R2, S2, options={"mem": GB, "cpu": True}))
    stage.say(submit(R3, "3" * 32, options={"mem": GB}))
    assert (stage.mind.asked, stage.mind.busy) == (4 * GB, True)
