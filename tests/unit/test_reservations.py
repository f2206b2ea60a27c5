"""Places that are reserved in a host's queue, as the supervisor's mind keeps them."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_macgpu.mac import effects as e
from jupyter_macgpu.mac.bounds import bounds_of
from jupyter_macgpu.mac.reservations import MOST, SILENCE, UNUSED
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import Connection
from jupyter_macgpu.wire.errors import RemoteProtocolError
from jupyter_macgpu.wire.policy import HostPolicy, Limits
from tests.unit.supervisor_stage import R1, R2, R3, S1, S2, Stage, finished, names, run_id, submit

S3 = "3" * 32


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    for number in (1, 2, 3):
        made.client(number, notebook=f"nb{number}", kernel=f"k{number}")
    return made


def reserve(run: str = R1, session: str = S1, **more: Any) -> m.Reserve:
    return m.Reserve(run=run, session=session, **more)


def said(effects: list[e.Effect]) -> list[tuple[int, str, str, int | None]]:
    """Return what clients were told of reservations: client, run, state, position."""
    return [
        (effect.client, effect.message.run, effect.message.state, effect.message.position)
        for effect in effects
        if isinstance(effect, e.Send) and isinstance(effect.message, m.Reserved)
    ]


def refused(effects: list[e.Effect]) -> list[tuple[str, str]]:
    return [
        (effect.message.about, effect.message.reason)
        for effect in effects
        if isinstance(effect, e.Send) and isinstance(effect.message, m.Refused)
    ]


def holding(stage: Stage) -> list[str]:
    return stage.mind._book.leases.holding()


def occupied(stage: Stage) -> Stage:
    """Let another notebook's run hold the GPU."""
    stage.say(submit(R3, S3), 3)
    stage.ready(S3)
    return stage


def test_where_a_slot_is_free_it_is_held_at_once_and_its_run_has_it(stage: Stage) -> None:
    assert said(stage.say(reserve())) == [(1, R1, "granted", None)]
    assert said(stage.say(reserve(R2, S2), 2)) == [(2, R2, "waiting", 0)]
    assert not stage.mind.busy
    stage.say(submit(R1))
    stage.ready()
    assert stage.state() == "started"
    assert holding(stage) == [R1]
    assert said(stage.worker(finished())) == [(2, R2, "granted", None)]


def test_a_reservation_waits_in_the_same_queue_as_the_runs(stage: Stage) -> None:
    occupied(stage)
    stage.say(reserve(R1, S1), 1)
    effects = stage.say(submit(R2, S2), 2)
    (follow,) = [effect for effect in effects if isinstance(effect, e.Follow)]
    assert follow.position == 1
    effects = stage.worker(finished(R3), S3)
    assert said(effects) == [(1, R1, "granted", None)]
    assert holding(stage) == [R1]
    # It is given back: the run behind it begins.
    stage.say(m.Release(run=R1), 1)
    stage.ready(S2)
    assert stage.state(R2) == "started"


def test_a_run_takes_the_place_of_its_reservation_with_it(stage: Stage) -> None:
    occupied(stage)
    stage.say(reserve(R1, S1), 1)
    stage.say(submit(R2, S2), 2)
    stage.say(submit(R1, S1), 1)
    assert stage.mind._book.leases.waiting() == [R1, R2]


def test_a_run_that_asks_for_more_than_was_reserved_has_nothing_reserved(stage: Stage) -> None:
    stage.say(reserve(R1, S1), 1)
    stage.say(reserve(R2, S2), 2)
    stage.say(submit(R1, S1, options={"mem": 5}), 1)
    assert holding(stage) == [R2]
    assert stage.mind._book.leases.waiting() == [R1]


def test_a_slot_is_held_while_the_inputs_of_its_run_are_on_the_way(stage: Stage) -> None:
    stage.say(reserve(R1, S1), 1)
    stage.say(submit(R1, S1, buffers=()), 1)
    assert stage.state() == "receiving"
    stage.now += UNUSED + 1
    stage.mind.heard(1, stage.now)
    assert said(stage.tick(0)) == []
    assert said(stage.say(reserve(R2, S2), 2)) == [(2, R2, "waiting", 0)]
    effects = stage.keep(stage.mind.uploaded(R1, stage.now))
    assert "StartWorker" in names(effects)
    assert holding(stage) == [R1]


@pytest.mark.parametrize("is_sent", [False, True], ids=["reserved", "on the way"])
def test_a_reservation_dies_at_once_with_its_connection(is_sent: bool, stage: Stage) -> None:
    stage.say(reserve(R1, S1), 1)
    stage.say(reserve(R2, S2), 2)
    if is_sent:
        stage.say(submit(R1, S1, buffers=()), 1)
    effects = stage.keep(stage.mind.disconnected(1, stage.now))
    assert said(effects) == [(2, R2, "granted", None)]
    assert R1 not in stage.mind.runs


def test_a_silent_clients_reservation_is_over_also_while_it_waits(stage: Stage) -> None:
    occupied(stage)
    stage.say(reserve(R1, S1), 1)
    stage.say(reserve(R2, S2), 2)
    stage.now += SILENCE - 1
    stage.mind.heard(2, stage.now)
    assert said(stage.tick(0)) == []
    assert (1, R1, "expired", None) in said(stage.tick(1.5))
    assert stage.mind._book.leases.waiting() == [R2]


def test_a_slot_that_nobody_uses_goes_to_the_next(stage: Stage) -> None:
    stage.say(reserve(R1, S1), 1)
    stage.say(reserve(R2, S2), 2)
    stage.now += UNUSED + 1
    for client in (1, 2, 3):
        stage.mind.heard(client, stage.now)
    effects = stage.tick(0)
    assert said(effects) == [(1, R1, "expired", None), (2, R2, "granted", None)]
    # Its run comes late: it waits like any other.
    stage.say(submit(R1, S1), 1)
    assert stage.mind._book.leases.waiting() == [R1]


def test_what_would_be_refused_of_the_run_is_refused_before_anything_waits(stage: Stage) -> None:
    where = {"notebook": "nb1", "cell": "c1"}
    stage.say(submit(R3, S3, origin=where), 1)
    assert refused(stage.say(reserve(R1, S1, origin=where))) == [("reserve", "same-cell")]
    assert refused(stage.say(reserve("x", S1))) == [("reserve", "bad-submit")]
    assert refused(stage.say(reserve(R1, S1, options={"priority": 99}))) == [
        ("reserve", "bad-submit")
    ]
    assert refused(stage.say(reserve(R3, S3))) == [("reserve", "reserved")]
    policy = HostPolicy(limits=Limits(managed_by="slurm"))
    stage.keep(stage.mind.bound(bounds_of(policy, weekday=0, minute=0), stage.now))
    assert refused(stage.say(reserve(R2, S2))) == [("reserve", "managed")]
    assert stage.mind._book.leases.waiting() == []


def test_nobody_reserves_without_end_nor_what_another_reserved(stage: Stage) -> None:
    for number in range(MOST):
        stage.say(reserve(run_id(100 + number), f"{number:032x}"), 1)
    assert refused(stage.say(reserve(R1, S1), 1)) == [("reserve", "too-many")]
    assert refused(stage.say(reserve(run_id(100), S2), 2)) == [("reserve", "reserved")]
    stage.say(m.Release(run=run_id(100)), 2)
    assert holding(stage) == [run_id(100)]
    assert said(stage.say(reserve(run_id(100), S1), 1)) == [(1, run_id(100), "granted", None)]


def test_a_drained_host_grants_no_reservation_and_says_why(stage: Stage) -> None:
    policy = HostPolicy(limits=Limits(drain=True))
    stage.keep(stage.mind.bound(bounds_of(policy, weekday=0, minute=0), stage.now))
    (told,) = [effect.message for effect in stage.say(reserve()) if isinstance(effect, e.Send)]
    assert isinstance(told, m.Reserved)
    assert (told.state, told.wait) == ("waiting", None)
    assert "drained" in told.reason
    stage.keep(stage.mind.bound(bounds_of(HostPolicy(), weekday=0, minute=0), stage.now))
    assert holding(stage) == [R1]


def test_nothing_is_said_of_a_reservation_once_its_run_is_known() -> None:
    ours, theirs = Connection("client", "supervisor"), Connection("supervisor", "client")
    ours.receive(theirs.send(m.Hello(role="supervisor")))
    ours.receive(theirs.send(m.Reserved(run=R1, state="granted")))
    ours.receive(theirs.send(m.RunState(run=R1, epoch=1, state="accepted", offset=0)))
    ours.receive(theirs.send(m.Reserved(run=R1, state="expired")))
    assert [type(ours.next()).__name__ for _ in range(3)] == ["Hello", "Reserved", "RunState"]
    with pytest.raises(RemoteProtocolError):
        ours.next()
