"""Who goes first: a total order that starves nobody, and a queue that keeps to it."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.mac.estimates import roughly
from jupyter_macgpu.mac.leases import Leases, Waiting
from jupyter_macgpu.standing import span, standing
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.order import LEAST, LONGEST, MOST, STEP, Place
from tests.unit.supervisor_stage import R1, R2, R3, S1, S2, Stage, finished, run_id, submit

#: Places, and who goes first.
ORDERS = {
    "first come, first served": ([(0, 0), (1, 0), (2, 0)], "abc"),
    "a higher priority goes first": ([(0, 0), (1, 2), (2, 1)], "bca"),
    "a lower one lets others pass": ([(0, -1), (1, 0), (2, 0)], "bca"),
    "who waited long enough is not passed": ([(0, 0), (STEP + 1, 1)], "ab"),
    "each level counts": ([(0, 0), (2 * STEP - 1, 2), (2 * STEP + 1, 2)], "bac"),
    "what is out of range counts as the end of it": ([(0, MOST), (1, 10**9)], "ab"),
    "the same time: the number decides": ([(5, 1), (5, 1), (5, 1)], "abc"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_who_goes_first(name: str) -> None:
    places, expected = ORDERS[name]
    named = {
        letter: Place(since=since, priority=priority, number=number)
        for number, (letter, (since, priority)) in enumerate(zip("abc", places, strict=False))
    }
    assert "".join(sorted(named, key=lambda letter: named[letter].order)) == expected


PLACES = st.builds(
    Place,
    since=st.floats(0, 2 * LONGEST),
    priority=st.integers(-(10**12), 10**12),
    number=st.integers(0, 3),
    name=st.sampled_from(["", "a", "b"]),
)


@given(st.lists(PLACES, max_size=8), st.randoms())
def test_the_order_is_total_and_does_not_depend_on_how_it_was_found(
    places: list[Place], chance: Random
) -> None:
    expected = sorted(place.order for place in places)
    chance.shuffle(places)
    assert sorted(place.order for place in places) == expected
    for one, other in itertools.combinations(places, 2):
        if (one.number, one.name) != (other.number, other.name):
            assert one.order != other.order


@given(PLACES, PLACES)
def test_whoever_comes_late_enough_goes_behind(one: Place, other: Place) -> None:
    if other.since - one.since > LONGEST:
        assert one.order < other.order


@given(
    st.lists(st.tuples(st.floats(0, LONGEST), st.integers(LEAST, MOST)), max_size=10),
    st.integers(LEAST, MOST),
)
def test_nobody_starves(others: list[tuple[float, int]], priority: int) -> None:
    """One run against a stream of others: only those that came within the bound pass it."""
    leases = Leases({"gpu": 1})
    leases.ask(Waiting(run="mine", session="mine", kind="gpu", priority=priority, since=0.0))
    since, passed = 0.0, []
    for number, (pause, theirs) in enumerate(others):
        since += pause
        run = str(number)
        leases.ask(Waiting(run=run, session=run, kind="gpu", priority=theirs, since=since))
    while "mine" not in leases.holding():
        for held in leases.holding():
            leases.release(held)
        passed += [each.since for each in leases.grant() if each.run != "mine"]
    assert max(passed, default=0.0) <= LONGEST


# The supervisor.


def told(effects: list[Any], run: str) -> list[tuple[str, int | None, float | None]]:
    return [
        (effect.state, effect.position, effect.wait)
        for effect in effects
        if type(effect).__name__ in ("Tell", "Follow") and effect.run == run
    ]


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.client()
    return made


def begin(stage: Stage, run: str = R1, session: str = S1) -> None:
    stage.say(submit(run, session))
    stage.ready(session)


def test_a_waiting_run_is_told_its_place_and_when_it_may_begin(stage: Stage) -> None:
    begin(stage)
    stage.now += 100
    stage.worker(finished())
    begin(stage, R2)
    effects = stage.say(submit(R3, S2))
    assert told(effects, R3)[-1] == ("queued", 0, 100.0)
    assert told(stage.tick(29), R3) == [("queued", 0, 80.0)]
    assert told(stage.tick(0.5), R3) == []
    listed = stage.mind.runs[R3].listed(stage.now, 0)
    assert listed["wait"] == 80.0


def test_a_higher_priority_passes_and_who_is_passed_hears_of_it(stage: Stage) -> None:
    begin(stage)
    stage.say(submit(R2, S2))
    effects = stage.say(submit(R3, run_id(33), options={"priority": 1}))
    assert told(effects, R3)[-1][1] == 0
    assert told(effects, R2)[-1][1] == 1
    stage.worker(finished())
    assert stage.mind._book.leases.holding() == [R3]


def test_a_place_outlives_the_supervisor(stage: Stage) -> None:
    begin(stage)
    stage.say(submit(R2, S2))
    stage.now += STEP + 1
    stage.say(submit(R3, run_id(33), options={"priority": 1}))
    again = Stage(log=stage.log)
    again.now = stage.now + 5
    again.mind.restore([], again.now)
    again.keep(again.mind.adopted(S1, again.now))
    again.settled()
    assert again.mind._book.leases.waiting() == [R2, R3]


@pytest.mark.parametrize("priority", [MOST + 1, LEAST - 1, True, "1", 1.0])
def test_a_priority_out_of_range_is_refused(priority: object, stage: Stage) -> None:
    effects = stage.say(submit(options={"priority": priority}))
    (refused,) = [e.message for e in effects if isinstance(e.message, m.Refused)]
    assert refused.reason == "bad-submit"
    assert stage.mind.runs == {}


# Words.


def test_an_estimate_is_said_no_more_precisely_than_it_is_worth() -> None:
    assert [roughly(wait) for wait in (None, 0.0, 1.0, 119.0, 121.0, 3601.0)] == [
        None,
        0.0,
        10.0,
        120.0,
        180.0,
        4200.0,
    ]


def test_where_a_cell_stands_is_said_in_one_line() -> None:
    assert standing(0) == "waiting for a free slot, next in line"
    assert standing(2, 180.0) == (
        "waiting for a free slot, 2 before this one, starts in about 3 min"
    )
    text = standing(None, None, "the host is\npaused \x1b[31mby its owner", "a, b")
    assert text == "waiting for a free slot on a, b; the host is paused by its owner"
    assert [span(each) for each in (40, 700, 9000)] == ["40 s", "12 min", "2 h"]
