"""Which host takes a cell: what keeps one from it, and what counts how much."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from jupyter_macgpu.scheduling import weights
from jupyter_macgpu.scheduling.affinity import Affinity, preferred_terms, required_terms
from jupyter_macgpu.scheduling.chips import prior_speed
from jupyter_macgpu.scheduling.explain import explain, summary, table
from jupyter_macgpu.scheduling.heat import Heat, heat_after
from jupyter_macgpu.scheduling.memory import room
from jupyter_macgpu.scheduling.needs import Needs
from jupyter_macgpu.scheduling.rank import rank
from jupyter_macgpu.scheduling.selectors import parse_selector
from jupyter_macgpu.scheduling.status import HostStatus, Lane, Memory, Speed, State
from jupyter_macgpu.scheduling.taints import Taint
from tests.unit.ranked_hosts import BOX, GIB, MAC, NOW, mac, memory, order


def in_metal(operator: str, *values: str) -> tuple[Any, ...]:
    condition = {"key": "gpu-type", "operator": operator, "values": list(values)}
    return (required_terms([{"matchExpressions": [condition]}]),)


#: What is wrong; the host, the needs, and the codes of the reasons. A star: it may pass.
REASONS: dict[str, tuple[HostStatus, Needs, str]] = {
    "nothing": (MAC, Needs(), ""),
    "another one was named": (MAC, Needs(host="box"), "host"),
    "labels": (MAC, Needs(selector=parse_selector("chip=m1")), "selector"),
    "affinity": (MAC, Needs(affinity=Affinity(required=in_metal("NotIn", "metal"))), "affinity"),
    "node selector": (MAC, Needs(affinity=Affinity(node_selector={"x": "y"})), "affinity"),
    "values live elsewhere": (MAC, Needs(holders=frozenset({"box"})), "values"),
    "values live here": (MAC, Needs(holders=frozenset({"mac"})), ""),
    "not tolerated": (MAC, Needs(tolerations=()), "taint"),
    "cpu work comes to a Mac too": (MAC, Needs(is_cpu=True), ""),
    "another taint": (mac(taints=(Taint(key="x", effect="NoExecute"),)), Needs(), "taint"),
    "a taint to be avoided": (
        mac(taints=(Taint(key="x", effect="PreferNoSchedule"),)),
        Needs(),
        "",
    ),
    "draining": (mac(state=State.DRAINING, is_draining=True), Needs(), "draining*"),
    "drained by policy": (mac(is_draining=True), Needs(), "draining*"),
    "asleep": (mac(state=State.ASLEEP), Needs(), "asleep*"),
    "unreachable": (mac(state=State.UNREACHABLE), Needs(), "unreachable*"),
    "refused": (mac(state=State.REFUSED), Needs(), "refused"),
    "unusable": (mac(state=State.UNUSABLE), Needs(), "unusable"),
    "slow is not dead": (mac(state=State.SLOW), Needs(), ""),
    "busy": (mac(state=State.BUSY, gpu=Lane(running=1, queued=3)), Needs(), ""),
    "paused": (mac(is_paused=True), Needs(), "paused*"),
    "GPU broken": (mac(gpu_test=False), Needs(), "gpu-test"),
    "GPU broken, not needed": (mac(gpu_test=False), Needs(is_cpu=True), ""),
    "battery": (mac(on_battery=True), Needs(), "battery*"),
    "battery, selected": (mac(on_battery=True), Needs(selector=parse_selector("chip")), "battery*"),
    "battery, named": (mac(on_battery=True), Needs(host="mac"), ""),
    "battery, values there": (mac(on_battery=True), Needs(holders=frozenset({"mac"})), ""),
    "battery, session there": (mac(on_battery=True, live_values=1), Needs(), ""),
    "hot": (mac(heat=3), Needs(), "heat*"),
    "hot still": (mac(heat=2, heat_before=Heat.HOT), Needs(), "heat*"),
    "cooled down": (mac(heat=1, heat_before=Heat.HOT), Needs(), ""),
    "hot when last seen": (mac(heat=3, seen=NOW - 100), Needs(), ""),
    "pressure": (mac(pressure=4), Needs(), "pressure*"),
    "pressure when last seen": (mac(pressure=4, seen=NOW - 100), Needs(), ""),
    "fits": (MAC, Needs(mem=40 * GIB), ""),
    "not now": (MAC, Needs(mem=41 * GIB), "memory*"),
    "never": (MAC, Needs(mem=49 * GIB), "memory"),
    "inputs need room too": (MAC, Needs(input_bytes=41 * GIB), "memory*"),
    "environment": (mac(environment="impossible"), Needs(), "environment"),
    "all at once": (
        mac(state=State.ASLEEP, is_paused=True, heat=4, environment="impossible"),
        Needs(host="box", mem=49 * GIB, tolerations=()),
        "host taint asleep* paused* heat* memory environment",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_against_a_host_is_given(name: str) -> None:
    status, needs, codes = REASONS[name]
    (candidate,) = rank([status], needs, NOW).candidates
    assert " ".join(f"{r.code}{'*' * r.is_passing}" for r in candidate.reasons) == codes
    assert candidate.is_feasible == (codes == "") == (candidate.score is not None)


#: What differs from a Mac at rest, and what that adds to its score.
POINTS: dict[str, tuple[dict[str, Any], dict[str, Any], str, float]] = {
    "four times an M1": ({}, {}, "speed", 2.0),
    "twice an M1's CPU": ({}, {"is_cpu": True}, "speed", 1.0),
    "speed not known": ({"gpu_speed": None}, {}, "speed", 0.0),
    "no such speed": ({"gpu_speed": Speed(value=math.nan, source="prior")}, {}, "speed", 0.0),
    "half of the GPU": ({"gpu_taken": 0.5}, {}, "share", -1.0),
    "all of the GPU": ({"gpu_taken": 1.0}, {}, "share", -4.0),
    "all of it a minute ago": (
        {"gpu_taken": 1.0, "seen": NOW - 60},
        {},
        "share",
        math.log2(0.75 * (1 - math.exp(-1))),
    ),
    "use not known": ({"gpu_taken": None}, {}, "share", math.log2(0.75)),
    "shared with a cell": ({"gpu": Lane(slots=2, running=1)}, {}, "share", -1.0),
    "half of the CPU": ({"cpu_taken": 0.5}, {"is_cpu": True}, "share", -1.0),
    "warm": ({"heat": 2}, {}, "heat", -1.0),
    "warm still": ({"heat": 1, "heat_before": Heat.WARM}, {}, "heat", -1.0),
    "heat not known": ({"heat": None}, {}, "heat", 0.0),
    "warm before, not known now": ({"heat": None, "heat_before": Heat.WARM}, {}, "heat", -1.0),
    "pressure": ({"pressure": 2}, {}, "pressure", math.log2(0.4)),
    "swapping": ({"is_swapping": True}, {}, "pressure", math.log2(0.6)),
    "pressure not known": ({"pressure": None, "is_swapping": None}, {}, "pressure", 0.0),
    "slow connection": ({"state": State.SLOW}, {}, "link", -1.0),
    "never seen": ({"seen": None}, {}, "news", -1.0),
    "just seen": ({}, {}, "news", 0.0),
    "one before it": ({"gpu": Lane(running=1)}, {}, "queue", -math.log2(2.5)),
    "one sent there": ({"sent_since": 1}, {}, "queue", -math.log2(2.5)),
    "the host says when": ({"gpu": Lane(running=1, wait=11.25)}, {}, "queue", -1.0),
    "the host could not know of one": (
        {"gpu": Lane(running=1, wait=11.25), "sent_since": 1},
        {},
        "queue",
        -math.log2(3.5),
    ),
    "a long cell waits": (
        {"gpu": Lane(running=1, wait=7.5)},
        {"seconds": 60},
        "queue",
        -math.log2(1.5),
    ),
    "nothing there yet": ({}, {"input_bytes": 187_500_000}, "data", -1.0),
    "half there": (
        {"inputs_there": 75_000_000},
        {"input_bytes": 150_000_000},
        "data",
        -math.log2(1.4),
    ),
    "all there": ({"inputs_there": 300}, {"input_bytes": 300}, "data", 0.0),
    "link not known": ({"link": None}, {"input_bytes": 187_500_000}, "data", -1.0),
    "to be built": ({"environment": "buildable"}, {}, "build", -math.log2(19 / 3)),
    "environment not known": ({"environment": None}, {}, "build", 0.0),
    "home": ({}, {"home": "mac"}, "home", 1.0),
    "GPU not needed": ({}, {"is_cpu": True}, "spare", -8.0),
    "GPU not known": ({"labels": {}}, {"is_cpu": True}, "spare", -4.0),
    "no GPU to keep free": ({"has_gpu": False}, {"is_cpu": True}, "spare", 0.0),
    "owner there": ({"owner_idle": 299.0}, {}, "owner", -100.0),
    "owner away": ({"owner_idle": 300.0}, {}, "owner", 0.0),
    "owner not known": ({"owner_idle": None}, {}, "owner", 0.0),
    "owner was there": ({"owner_idle": 10.0, "seen": NOW - 290}, {}, "owner", -100.0),
    "owner was there long ago": ({"owner_idle": 10.0, "seen": NOW - 310}, {}, "owner", 0.0),
    "no GPU": ({"has_gpu": False}, {}, "no-gpu", -200.0),
    "labelled as without": ({"labels": {"nvidia.com/gpu": "false"}}, {}, "no-gpu", -200.0),
    "values live there": ({"live_values": 3}, {}, "live", 400.0),
}


@pytest.mark.parametrize("name", POINTS)
def test_each_term_counts_as_the_table_says(name: str) -> None:
    changes, asked, term, points = POINTS[name]
    best = rank([mac(**changes)], Needs(**asked), NOW).best
    assert best is not None
    found = {one.name: one.points for one in best.terms}
    assert found[term] == pytest.approx(points)
    assert best.score == pytest.approx(sum(found.values()))


def test_the_terms_about_time_add_up_to_the_expected_time() -> None:
    slow = mac(gpu_taken=0.5, gpu=Lane(running=1, wait=20.0), environment="buildable")
    best = rank([slow], Needs(seconds=40.0, input_bytes=500_000_000), NOW).best
    assert best is not None
    # Each second of sending counts threefold: a slot stands empty meanwhile.
    running, waiting, sending, building = 40.0 / 4 / 0.5, 20.0, 3 * 10.0, 60.0
    assert 40.0 / 2**best.score == pytest.approx(running + waiting + sending + building)


def test_preferences_and_taints_are_compared_over_the_hosts() -> None:
    liked = preferred_terms(
        [{"weight": 9, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}]
    )
    avoided = Taint(key="lab", effect="PreferNoSchedule")
    hosts = [
        mac(name="a", taints=(avoided,)),
        mac(name="b", labels={"zone": ""}),
        mac(name="c"),
    ]
    ranking = rank(hosts, Needs(affinity=Affinity(preferred=liked)), NOW)
    assert order(ranking) == ["b", "c", "a"]
    terms = {one.host: {term.name: term.points for term in one.terms} for one in ranking.feasible}
    assert [terms[name]["prefer"] for name in "abc"] == [0.0, weights.PREFERRED, 0.0]
    assert [terms[name]["taints"] for name in "abc"] == [weights.AVOIDED, 0.0, 0.0]


def test_work_goes_where_it_belongs() -> None:
    assert order(rank([BOX, MAC], Needs(), NOW)) == ["mac", "box"]
    assert order(rank([BOX, MAC], Needs(is_cpu=True), NOW)) == ["box", "mac"]


def test_hosts_that_are_alike_are_in_the_order_of_their_names() -> None:
    assert order(rank([mac(name="b"), mac(name="c"), mac(name="a")], Needs(), NOW)) == [
        "a",
        "b",
        "c",
    ]


def test_a_table_tells_all_terms_and_no_others() -> None:
    rows = re.findall(r"^([a-z-]+) {2,}", weights.__doc__ or "", re.MULTILINE)
    best = rank([MAC], Needs(), NOW).best
    assert best is not None
    assert rows[1:] == [term.name for term in best.terms]


#: Thermal levels in time, and what is thought at each.
HEATS = {
    "comes and goes": ([0, 1, 2, 1, 0, 1], "cool cool warm warm cool cool"),
    "hot stays hot": ([3, 2, 3, 2, 1, 2, 0], "hot hot hot hot warm warm cool"),
    "unknown changes nothing": ([3, None, 2, None, 0, None], "hot hot hot hot cool cool"),
    "sleeping": ([4, 1, 1], "hot warm warm"),
}


@pytest.mark.parametrize("name", HEATS)
def test_heat_has_hysteresis(name: str) -> None:
    levels, thoughts = HEATS[name]
    heat, seen = Heat.COOL, []
    for level in levels:
        heat = heat_after(heat, level)
        seen.append(heat)
    assert " ".join(seen) == thoughts


#: Memory of a host, changes to it, and GiB that a cell can have there now.
ROOMS: dict[str, tuple[Memory, dict[str, Any], int | None]] = {
    "free": (memory(), {}, 40),
    "the GPU's limit": (memory(free=60 * GIB), {}, 48),
    "cpu work has no such limit": (memory(free=60 * GIB), {"is_cpu": True}, 60),
    "limit not known": (memory(free=63 * GIB, limit=None), {}, 48),
    "small memory, limit not known": (memory(total=24 * GIB, free=None, limit=None), {}, 16),
    "no GPU that could have a limit": (memory(free=60 * GIB), {"has_gpu": False}, 60),
    "nothing known": (Memory(), {}, None),
    "only what is free": (Memory(free=5 * GIB), {}, 5),
    "free not known": (memory(free=None), {}, 48),
    "free long ago": (memory(free=2 * GIB), {"seen": NOW - 91}, 48),
    "promised, not taken yet": (
        memory(asked=30 * GIB, held=10 * GIB),
        {"gpu": Lane(slots=2, running=1)},
        18,
    ),
    "taken more than asked": (
        memory(asked=10 * GIB, held=30 * GIB),
        {"gpu": Lane(slots=2, running=1)},
        18,
    ),
    "after the one before it": (
        memory(free=8 * GIB, asked=30 * GIB, held=30 * GIB),
        {"gpu": Lane(running=1)},
        38,
    ),
    "after one of two": (
        memory(free=8 * GIB, asked=20 * GIB, held=20 * GIB),
        {"gpu": Lane(slots=2, running=2)},
        18,
    ),
    "for the owner": (memory(), {"owner_idle": 1.0}, 24),
    "for the owner of a small one": (memory(total=16 * GIB, free=12 * GIB), {"owner_idle": 1.0}, 4),
    "never less than nothing": (memory(free=GIB), {"owner_idle": 1.0}, 0),
}


@pytest.mark.parametrize("name", ROOMS)
def test_room_in_unified_memory(name: str) -> None:
    held, changes, expected = ROOMS[name]
    status = mac(memory=held, **{key: changes[key] for key in changes if key != "is_cpu"})
    now = room(status, NOW, is_cpu=changes.get("is_cpu", False)).now
    assert now == (None if expected is None else expected * GIB)


def asked(*hosts: HostStatus) -> list[str]:
    return [one.host for one in rank(hosts, Needs(), NOW).to_ask()]


def test_slots_are_asked_for_at_the_best_hosts_that_come_near_each_other() -> None:
    slow = Speed(value=0.25, source="prior")
    assert asked(*[mac(name=f"h{i}") for i in range(6)]) == ["h0", "h1", "h2", "h3"]
    assert asked(mac(name="busy", gpu=Lane(running=1)), MAC) == ["mac", "busy"]
    assert asked(mac(name="slow", gpu_speed=slow), MAC) == ["mac"]
    assert asked(mac(name="busy", gpu=Lane(running=3)), mac(name="desk", owner_idle=1)) == ["busy"]
    assert asked(mac(name="home", live_values=1, gpu=Lane(running=3)), MAC) == ["home"]
    assert asked(mac(is_paused=True)) == asked() == []


def test_a_ranking_can_be_kept_and_read() -> None:
    evil = mac(name="evil", state=State.UNUSABLE, state_reason="\x1b[2J\nno disk")
    ranking = rank([evil, MAC, BOX, mac(name="warm", heat=2, gpu_taken=None)], Needs(), NOW)
    rows = explain(ranking)
    assert json.loads(json.dumps(rows)) == rows
    assert [(row["place"], row["host"]) for row in rows] == [
        (1, "mac"),
        (2, "warm"),
        (3, "box"),
        (None, "evil"),
    ]
    assert table(rows).splitlines() == [
        "   host  points  why",
        "1  mac      2.0  4 times an M1 (+2.0)",
        "2  warm     0.6  4 times an M1 (+2.0), use by others not known (-0.4), warm (-1.0)",
        "3  box   -200.4  use by others not known (-0.4), no GPU (-200.0)",
        "-  evil       -  not usable: ?[2J?no disk",
    ]
    assert summary(ranking.candidates[1]) == "4 times an M1; warm"
    assert summary(ranking.candidates[3]) == "not usable: ?[2J?no disk"


def test_speeds_of_chips_are_in_their_order() -> None:
    chips = ["m1", "M1 Pro", "Apple M1 Max", "m1-ultra", "m2-ultra"]
    speeds = [prior_speed(chip) for chip in chips]
    values = [speed.value for speed in speeds if speed]
    assert len(values) == len(chips)
    assert values == sorted(values)
    reference, unsold = prior_speed("M1", 8), prior_speed("M4 Max", 39)
    assert reference == Speed(value=1.0, source="prior")
    assert unsold == prior_speed("M4 Max", 32)
    assert prior_speed("M9") is prior_speed(None) is None
