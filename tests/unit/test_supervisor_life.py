"""The supervisor's mind, as tables: restarts, sessions, and what is kept."""

from __future__ import annotations

import json

import pytest

from jupyter_macgpu.mac import effects as e
from jupyter_macgpu.mac.supervisor import IDLE_EMPTY, IDLE_EXIT, IDLE_HOLDING, KEPT_RUNS
from jupyter_macgpu.wire import messages as m
from tests.unit.supervisor_stage import (
    R1,
    R2,
    S1,
    S2,
    Stage,
    finished,
    names,
    only,
    refusal,
    run_id,
    submit,
)

# After a start.


def test_an_adopted_run_goes_on_behind_a_declared_gap(running: Stage) -> None:
    after = running.restarted()
    gap = only(e.Append, after.keep(after.mind.adopted(S1, after.now)))
    assert (gap.what, gap.run) == ("gap", R1)
    assert after.settled() == []
    assert after.keep(after.mind.confirmed(S1, {R1}, after.now)) == []
    after.worker(finished())
    assert after.state() == "ok"


def test_a_run_that_never_reached_its_worker_is_lost_and_not_repeated(running: Stage) -> None:
    after = running.restarted()
    after.keep(after.mind.adopted(S1, after.now))
    after.settled()
    effects = after.keep(after.mind.confirmed(S1, set(), after.now))
    assert only(e.Finish, effects).state == "lost"
    assert "Execute" not in names(effects)


def test_an_adopted_worker_is_given_nothing_before_it_has_spoken(stage: Stage) -> None:
    stage.say(submit())
    after = stage.restarted()
    after.keep(after.mind.adopted(S1, after.now))
    assert "Execute" not in names(after.settled())
    assert "Execute" in names(after.keep(after.mind.confirmed(S1, set(), after.now)))


#: Until where run 1 came before the supervisor died, whether the host restarted: the state then.
RESTARTS = {
    ("started", False): "died",
    ("started", True): "lost",
    ("accepted", False): "accepted",
    ("accepted", True): "lost",
    ("queued", False): "queued",
    ("queued", True): "queued",
}


@pytest.mark.parametrize(("before", "rebooted"), RESTARTS)
def test_a_restart_without_a_worker(before: str, rebooted: bool, stage: Stage) -> None:
    if before == "queued":
        stage.say(submit(R2, S2))
    stage.say(submit())
    if before == "started":
        stage.ready()
    assert stage.state() == before
    after = stage.restarted("boot-2" if rebooted else "boot-1")
    effects = after.settled()
    assert after.state() == RESTARTS[before, rebooted]
    assert "Execute" not in names(effects)


def test_the_start_of_a_run_that_the_disk_has_queued_is_brought_to_the_disk(running: Stage) -> None:
    def durable(effects: list[e.Effect], state: str) -> bool:
        logs = [effect for effect in effects if isinstance(effect, e.Log)]
        (found,) = [
            log for log in logs if (log.entry["run"], log.entry.get("state")) == (R2, state)
        ]
        return bool(found.durable)

    assert durable(running.say(submit(R2)), "queued")
    assert durable(running.worker(finished()), "started")


def test_an_upload_does_not_survive_a_restart(stage: Stage) -> None:
    stage.say(submit(buffers=()))
    after = stage.restarted()
    assert names(after.settled()) == ["Log", "Forget"]


# Sessions.


def test_a_new_kernel_ends_the_idle_worker_of_the_old_one(running: Stage) -> None:
    running.worker(finished())
    running.client(2, notebook="another", kernel="k2")
    assert running.done == []
    running.client(3, notebook="nb", kernel="k2")
    assert only(e.EndWorker, running.done).session == S1
    running.gone()
    assert running.mind.sessions == {}


def test_a_new_kernel_leaves_a_run_alone(running: Stage) -> None:
    running.client(2, kernel="k2")
    assert running.done == []


@pytest.mark.parametrize(("values", "limit"), [(0, IDLE_EMPTY), (2, IDLE_HOLDING)])
def test_an_idle_worker_is_ended_later_if_it_holds_values(
    values: int, limit: float, running: Stage
) -> None:
    running.worker(finished(live=values))
    assert running.tick(limit) == []
    assert names(running.tick(1)) == ["EndWorker"]


@pytest.mark.parametrize("action", ["restart", "close"])
def test_a_worker_that_leaves_takes_no_new_run(action: str, running: Stage) -> None:
    operate = m.Operate(operation="1", session=S1, action=action)
    assert "cancel it first" in only(e.Send, running.say(operate)).message.error
    running.worker(finished())
    assert names(running.say(operate)) == ["EndWorker", "Send"]
    assert "Execute" not in names(running.say(submit(R2)))
    running.gone()
    running.ready()
    assert running.state(R2) == "started"


def test_an_operation_is_answered_to_whoever_asked(running: Stage) -> None:
    running.client(2)
    asked = only(e.ToWorker, running.say(m.Operate(operation="7", session=S1, action="values"), 2))
    answer = m.Operated(operation=asked.message.operation, detail={"values": 1})
    sent = only(e.Send, running.worker(answer))
    assert (sent.client, sent.message.operation) == (2, "7")


def test_an_operation_is_answered_also_if_the_worker_dies(running: Stage) -> None:
    running.say(m.Operate(operation="7", session=S1, action="values"))
    sent = only(e.Send, running.gone())
    assert (sent.message.operation, bool(sent.message.error)) == ("7", True)


@pytest.mark.parametrize("session", [S1, S2])
def test_an_operation_without_a_worker_that_listens_is_answered(session: str, stage: Stage) -> None:
    stage.say(submit())
    sent = only(e.Send, stage.say(m.Operate(operation="7", session=session, action="values")))
    assert sent.message.error


# Keeping and forgetting.


def test_a_removed_run_never_runs_again(running: Stage) -> None:
    assert refusal(running.say(m.Remove(run=R1))) == "live-run"
    running.worker(finished())
    assert names(running.say(m.Remove(run=R1))) == ["Log", "Forget", "Send"]
    assert refusal(running.say(m.Attach(run=R1))) == "unknown-run"
    assert refusal(running.say(submit())) == "removed"
    after = Stage(log=[running.log[-1]])
    after.client()
    assert refusal(after.say(submit())) == "removed"


def test_collected_runs_are_forgotten_oldest_first(stage: Stage) -> None:
    for number in range(1, KEPT_RUNS + 3):
        stage.say(submit(run_id(number)))
        stage.ready() if number == 1 else None
        stage.worker(finished(run_id(number)))
        stage.say(m.Collected(run=run_id(number)))
    forgotten = [effect.run for effect in stage.tick(1) if isinstance(effect, e.Forget)]
    assert forgotten == [R1, R2]
    assert len(stage.mind.runs) == KEPT_RUNS


def test_runs_are_listed_by_notebook(running: Stage) -> None:
    running.say(submit(R2, origin={"notebook": "other"}))
    rows = json.loads(only(e.Send, running.say(m.ListRuns())).message.buffers[0])
    assert [(row["run"], row["state"], row["position"]) for row in rows] == [
        (R1, "started", None),
        (R2, "queued", 0),
    ]
    rows = json.loads(only(e.Send, running.say(m.ListRuns(notebook="other"))).message.buffers[0])
    assert [row["run"] for row in rows] == [R2]


def test_it_leaves_when_nothing_is_left(stage: Stage) -> None:
    assert stage.tick(IDLE_EXIT + 1) == []
    stage.keep(stage.mind.disconnected(1, stage.now))
    assert stage.tick(IDLE_EXIT) == []
    assert names(stage.tick(1)) == ["Exit"]


def test_it_stays_while_a_run_waits(running: Stage) -> None:
    running.say(submit(R2))
    running.keep(running.mind.disconnected(1, running.now))
    assert "Exit" not in names(running.tick(IDLE_EXIT * 2))


def test_a_run_that_could_not_be_written_down_is_unmade(stage: Stage) -> None:
    stage.say(submit(buffers=()))
    assert names(stage.mind.forget(R1, 0.0)) == ["Log", "Forget"]
    assert R1 not in stage.mind.runs
