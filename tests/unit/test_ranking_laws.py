"""Laws of the order of hosts, for any hosts and needs: much of what is asked may be unknown."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_macgpu.scheduling.explain import explain, text_of
from jupyter_macgpu.scheduling.heat import Heat
from jupyter_macgpu.scheduling.memory import gpu_limit
from jupyter_macgpu.scheduling.needs import Needs
from jupyter_macgpu.scheduling.rank import rank
from jupyter_macgpu.scheduling.selectors import parse_selector
from jupyter_macgpu.scheduling.status import HostStatus, Lane, Memory, Speed, State
from jupyter_macgpu.scheduling.taints import Taint
from jupyter_macgpu.scheduling.terms import Term
from tests.unit.ranked_hosts import GIB, NOW, mac, order

SHARES = st.none() | st.floats(-1, 2) | st.sampled_from([math.nan, math.inf])
COUNTS = st.none() | st.integers(0, 5)
SIZES = st.none() | st.integers(0, 80).map(lambda gib: gib * GIB)
FLAGS = st.none() | st.booleans()
LANES = st.builds(
    Lane, slots=st.integers(1, 3), running=COUNTS, queued=COUNTS, wait=st.none() | st.floats()
)
SPEEDS = st.none() | st.builds(
    Speed, value=st.floats(0, 100) | st.just(math.inf), source=st.just("prior")
)
TAINTS = st.builds(
    Taint,
    key=st.sampled_from(["apple.com/gpu", "lab"]),
    effect=st.sampled_from(["NoSchedule", "PreferNoSchedule"]),
)
STATUSES = st.builds(
    HostStatus,
    name=st.sampled_from([f"h{i}" for i in range(20)]),
    labels=st.dictionaries(st.sampled_from(["zone", "apple.com/gpu"]), st.just("a"), max_size=2),
    taints=st.lists(TAINTS, max_size=2).map(tuple),
    state=st.none() | st.sampled_from(State),
    seen=st.none() | st.floats(NOW - 400, NOW + 10),
    has_gpu=FLAGS,
    gpu_test=FLAGS,
    gpu_speed=SPEEDS,
    cpu_speed=SPEEDS,
    gpu_taken=SHARES,
    cpu_taken=SHARES,
    gpu=LANES,
    cpu=LANES,
    sent_since=st.integers(0, 3),
    memory=st.builds(Memory, total=SIZES, free=SIZES, limit=SIZES, asked=SIZES, held=SIZES),
    pressure=st.none() | st.integers(0, 4),
    is_swapping=FLAGS,
    heat=st.none() | st.integers(0, 4),
    heat_before=st.sampled_from(Heat),
    owner_idle=st.none() | st.floats(0, 1000),
    is_paused=FLAGS,
    is_draining=FLAGS,
    on_battery=FLAGS,
    live_values=st.integers(0, 1),
    inputs_there=SIZES,
    link=st.none() | st.floats(0, 1e9),
    environment=st.sampled_from([None, "ready", "buildable", "impossible"]),
)
#: Nothing keeps these from taking a cell, whatever else is known of them.
ABLE = STATUSES.map(
    lambda status: dataclasses.replace(
        status,
        taints=(),
        state=State.READY,
        gpu_test=None,
        pressure=None,
        heat=None,
        heat_before=Heat.COOL,
        is_paused=None,
        is_draining=None,
        on_battery=None,
        environment="ready",
    )
)
NEEDS = st.builds(
    Needs,
    host=st.none() | st.just("h1"),
    selector=st.sampled_from([None, parse_selector("zone=a"), parse_selector("!zone")]),
    tolerations=st.just(()) | st.just(Needs().tolerations),
    is_cpu=st.booleans(),
    mem=SIZES,
    input_bytes=st.integers(0, 2**33),
    holders=st.frozensets(st.sampled_from(["h1", "h2"]), max_size=1),
    home=st.sampled_from([None, "h1", "h2"]),
    seconds=st.none() | st.floats(),
)


def fleets(statuses: st.SearchStrategy[HostStatus], least: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(statuses, min_size=least, max_size=8, unique_by=lambda status: status.name)


@settings(max_examples=100)
@given(fleets(STATUSES), NEEDS, st.randoms(use_true_random=False))
def test_the_order_is_total_and_does_not_depend_on_the_order_of_hosts(
    hosts: list[HostStatus], needs: Needs, shuffler: random.Random
) -> None:
    ranking = rank(hosts, needs, NOW)
    mixed = list(hosts)
    shuffler.shuffle(mixed)
    assert rank(mixed, needs, NOW) == ranking
    assert sorted(one.host for one in ranking.candidates) == sorted(one.name for one in hosts)
    keys = [(-one.score, one.host) for one in ranking.feasible if one.score is not None]
    assert keys == sorted(keys)
    assert [one.place for one in ranking.feasible] == list(range(1, len(keys) + 1))


@settings(max_examples=100)
@given(fleets(STATUSES), NEEDS)
def test_no_host_is_picked_that_there_is_a_reason_against(
    hosts: list[HostStatus], needs: Needs
) -> None:
    ranking = rank(hosts, needs, NOW)
    best = ranking.best
    assert (best is None) == all(one.reasons for one in ranking.candidates)
    for one in ranking.candidates:
        assert (one.place is None) == (one.score is None) == bool(one.reasons)
        assert one.score is None or math.isfinite(one.score)
        assert all(math.isfinite(term.points) for term in one.terms)
        assert all(text_of(term) for term in one.terms)
    if best is not None:
        chosen = next(host for host in hosts if host.name == best.host)
        assert not chosen.is_paused
        assert chosen.state not in (State.ASLEEP, State.UNREACHABLE, State.REFUSED)
        assert needs.host in (None, best.host)
        assert best.host in (needs.holders or {best.host})
    json.dumps(explain(ranking), allow_nan=False)


MORE_LOAD = st.sampled_from(["running", "queued", "sent", "taken", "wait", "swapping", "data"])


def with_more_load(status: HostStatus, kind: str) -> HostStatus:
    """Return the same host with more of one kind of load; what is unknown stays so."""

    def lane(lane: Lane) -> Lane:
        changes: dict[str, Any] = {
            "running": {"running": (lane.running or 0) + 1},
            "queued": {"queued": (lane.queued or 0) + 2},
            "wait": {} if lane.wait is None else {"wait": lane.wait + 100},
        }
        return dataclasses.replace(lane, **changes.get(kind, {}))

    def taken(share: float | None) -> float | None:
        return share if share is None or kind != "taken" else share + 0.3

    return dataclasses.replace(
        status,
        gpu=lane(status.gpu),
        cpu=lane(status.cpu),
        gpu_taken=taken(status.gpu_taken),
        cpu_taken=taken(status.cpu_taken),
        sent_since=status.sent_since + (kind == "sent"),
        is_swapping=status.is_swapping or kind == "swapping",
        inputs_there=0 if kind == "data" else status.inputs_there,
    )


@settings(max_examples=100)
@given(fleets(STATUSES, least=1), NEEDS, MORE_LOAD, st.integers(0, 7))
def test_more_load_never_ranks_better(
    hosts: list[HostStatus], needs: Needs, kind: str, which: int
) -> None:
    name = hosts[which % len(hosts)].name
    loaded = list(hosts)
    loaded[which % len(hosts)] = with_more_load(hosts[which % len(hosts)], kind)
    before = place_of(name, hosts, needs)
    if before == math.inf:
        # A cell that waits counts on memory that running cells give back. So a host may come
        # to fit by being busier; nothing but memory may do that.
        needs = dataclasses.replace(needs, mem=None, input_bytes=0)
        before = place_of(name, hosts, needs)
    assert place_of(name, loaded, needs) >= before


def place_of(name: str, hosts: list[HostStatus], needs: Needs) -> float:
    (candidate,) = (one for one in rank(hosts, needs, NOW).candidates if one.host == name)
    return math.inf if candidate.place is None else candidate.place


@settings(max_examples=50)
@given(ABLE, NEEDS, st.floats(0, 1))
def test_unknown_is_better_than_bad_and_worse_than_good(
    status: HostStatus, needs: Needs, seen: float
) -> None:
    def score(taken: float | None) -> float:
        known = dataclasses.replace(status, seen=NOW - seen, gpu_taken=taken, cpu_taken=taken)
        best = rank([known], Needs(is_cpu=needs.is_cpu), NOW).best
        assert best is not None
        assert best.score is not None
        return best.score

    assert score(0.0) >= score(None) >= score(1.0)
    assert score(math.nan) == score(None)


LAST_WORDS = ("live", "no-gpu", "owner")


@settings(max_examples=100)
@given(fleets(ABLE), st.booleans())
def test_live_values_then_the_gpu_then_the_owner_decide_before_all_else(
    hosts: list[HostStatus], is_cpu: bool
) -> None:
    def worth(terms: tuple[Term, ...]) -> list[bool]:
        points = {term.name: term.points for term in terms}
        return [points["live"] > 0, points["no-gpu"] == 0, points["owner"] == 0]

    feasible = rank(hosts, Needs(is_cpu=is_cpu), NOW).feasible
    worths = [worth(one.terms) for one in feasible]
    assert worths == sorted(worths, reverse=True)
    rest = [sum(t.points for t in one.terms if t.name not in LAST_WORDS) for one in feasible]
    assert max(rest, default=0) - min(rest, default=0) < 100


@settings(max_examples=50)
@given(fleets(ABLE), st.integers(1, 60))
def test_a_host_that_has_the_data_wins_over_its_like(hosts: list[HostStatus], gib: int) -> None:
    needs = Needs(input_bytes=gib * GIB, is_cpu=True)
    there = mac(name="there", memory=Memory(), inputs_there=gib * GIB)
    away = mac(name="away", memory=Memory(), inputs_there=None)
    ranked = order(rank([*hosts, away, there], needs, NOW))
    assert ranked.index("there") < ranked.index("away")


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(8, 64), st.integers(0, 64)), min_size=1, max_size=4),
    st.booleans(),
)
def test_memory_is_never_promised_twice(
    asks: list[int], sizes: list[tuple[int, int]], takes_it: bool
) -> None:
    hosts = {
        f"h{i}": mac(
            name=f"h{i}",
            gpu=Lane(slots=99, running=0),
            memory=Memory(total=total * GIB, free=min(free, total) * GIB, asked=0, held=0),
        )
        for i, (total, free) in enumerate(sizes)
    }
    start = dict(hosts)
    for gib in asks:
        best = rank(hosts.values(), Needs(mem=gib * GIB), NOW).best
        if best is None:
            continue
        hosts[best.host] = started(hosts[best.host], gib * GIB, takes_it=takes_it)
    for name, host in hosts.items():
        limit, free = gpu_limit(host.memory), start[name].memory.free
        assert limit is not None
        assert free is not None
        assert (host.memory.asked or 0) <= min(limit, free)


def started(status: HostStatus, size: int, *, takes_it: bool) -> HostStatus:
    memory, lane = status.memory, status.gpu
    assert memory.free is not None
    taken = size if takes_it else 0
    return dataclasses.replace(
        status,
        gpu=dataclasses.replace(lane, running=(lane.running or 0) + 1),
        memory=dataclasses.replace(
            memory,
            asked=(memory.asked or 0) + size,
            held=(memory.held or 0) + taken,
            free=memory.free - taken,
        ),
    )
