"""The supervisor's mind, as tables: what is asked of a run, and what is to be done."""

from __future__ import annotations

import pytest

from jupyter_macgpu.mac import effects as e
from jupyter_macgpu.mac.supervisor import GRACE, IDLE_EMPTY
from jupyter_macgpu.wire import messages as m
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
    refusal,
    submit,
)

# Submitting.


def test_each_step_is_logged_before_it_is_taken(stage: Stage) -> None:
    effects = stage.say(submit())
    assert names(effects) == ["Log", "OpenJournal", "Log", "Log", "StartWorker", "Follow"]
    effects = stage.ready()
    assert names(effects) == ["Log", "Execute", "Tell"]
    assert effects[0].entry["state"] == "started"
    effects = stage.worker(finished())
    assert names(effects)[:2] == ["Finish", "Log"]
    assert stage.state() == "ok"


def test_the_same_id_again_attaches(running: Stage) -> None:
    effects = running.say(submit())
    assert names(effects) == ["Follow"]
    running.worker(finished())
    assert names(running.say(submit())) == ["Follow"]


#: What is submitted after run 1 of cell 1 runs, and why it is refused ("" if it is not).
CELL = {"notebook": "nb", "cell": "1"}
SECOND = {
    "the same id for something else": (submit(R1, payload=b"other"), "other-payload"),
    "the same cell": (submit(R2, origin=CELL), "same-cell"),
    "the same cell, again on purpose": (submit(R2, origin=CELL, options={"again": True}), ""),
    "another cell": (submit(R2, origin={**CELL, "cell": "2"}), ""),
    "the same cell of another notebook": (submit(R2, origin={**CELL, "notebook": "b"}), ""),
    "a cell that nobody knows": (submit(R2, origin={"notebook": "nb"}), ""),
    "damaged inputs": (submit(R2, size=3, buffers=(b"bad",)), "damaged"),
    "an id that is a path": (submit("../" + "0" * 29), "bad-submit"),
    "a session that is a path": (submit(R2, session="/etc"), "bad-submit"),
    "a limit that is a text": (submit(R2, options={"timeout": "10"}), "bad-submit"),
    "a limit that is a truth": (submit(R2, options={"wait": True}), "bad-submit"),
    "no limit": (submit(R2, options={"wait": None, "timeout": 1.5}), ""),
    "an interpreter that is a number": (submit(R2, environment={"python": 3}), "bad-submit"),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_second_submission(name: str, stage: Stage) -> None:
    stage.say(submit(R1, origin=CELL))
    message, reason = SECOND[name]
    effects = stage.say(message)
    if reason:
        assert (names(effects), refusal(effects)) == (["Send"], reason)
        assert list(stage.mind.runs) == [R1]
    else:
        assert R2 in stage.mind.runs


def test_the_same_cell_may_run_when_its_last_run_ended(running: Stage) -> None:
    running.worker(finished())
    running.say(submit(R2, origin=CELL))
    assert running.state(R2) == "started"


def test_an_upload_is_accepted_when_it_is_whole(stage: Stage) -> None:
    effects = stage.say(submit(buffers=()))
    assert names(effects)[-2:] == ["Follow", "Receive"]
    assert stage.state() == "receiving"
    effects = stage.keep(stage.mind.uploaded(R1, stage.now))
    assert "StartWorker" in names(effects)
    assert stage.state() == "accepted"


def test_an_upload_that_stops_leaves_nothing_and_may_come_again(stage: Stage) -> None:
    stage.say(submit(buffers=()))
    effects = stage.keep(stage.mind.disconnected(1, stage.now))
    assert names(effects) == ["Log", "Forget"]
    stage.client(2)
    assert refusal(stage.say(m.Attach(run=R1), client=2)) == "unknown-run"
    assert "Receive" in names(stage.say(submit(buffers=()), client=2))


def test_an_upload_moves_to_a_new_connection_before_the_old_one_is_seen_to_end(
    stage: Stage,
) -> None:
    stage.say(submit(buffers=()))
    stage.client(2)
    assert refusal(stage.say(m.Attach(run=R1), client=2)) == "unknown-run"
    receive = only(e.Receive, stage.say(submit(buffers=()), client=2))
    assert (receive.client, receive.run) == (2, R1)
    assert stage.keep(stage.mind.disconnected(1, stage.now)) == []
    stage.keep(stage.mind.uploaded(R1, stage.now))
    assert stage.state() == "accepted"


def test_a_damaged_upload_is_refused(stage: Stage) -> None:
    stage.say(submit(buffers=()))
    effects = stage.keep(stage.mind.uploaded(R1, stage.now, "the inputs arrived damaged"))
    assert refusal(effects) == "damaged"
    assert R1 not in stage.mind.runs


# Driving.


def test_a_cancel_in_the_queue_ends_the_run_and_the_next_one_moves_up(running: Stage) -> None:
    running.say(submit(R2, S2))
    running.say(submit(R3, S2))
    assert (running.state(R2), running.mind.runs[R3].detail["place"]) == ("queued", 1)
    effects = running.say(m.Cancel(run=R2, epoch=1, how="interrupt"))
    assert only(e.Finish, effects).state == "cancelled"
    assert running.mind.runs[R3].detail["place"] == 0
    assert "Interrupt" not in names(effects)


@pytest.mark.parametrize(("how", "effect"), [("interrupt", "Interrupt"), ("kill", "EndWorker")])
def test_a_cancel_of_a_started_run(how: str, effect: str, running: Stage) -> None:
    assert names(running.say(m.Cancel(run=R1, epoch=1, how=how))) == ["Log", effect]
    assert running.state() == "started"


def test_a_kill_is_not_weakened_by_a_later_interrupt(running: Stage) -> None:
    running.say(m.Cancel(run=R1, epoch=1, how="kill"))
    assert running.say(m.Cancel(run=R1, epoch=1, how="interrupt")) == []
    assert only(e.Finish, running.gone()).state == "cancelled"


def test_an_unknown_way_to_stop_is_refused(running: Stage) -> None:
    assert refusal(running.say(m.Cancel(run=R1, epoch=1, how="gently"))) == "not-available"


def test_an_older_epoch_is_fenced(running: Stage) -> None:
    running.client(2, kernel="k2")
    effects = running.say(m.Attach(run=R1), client=2)
    assert only(e.Follow, effects).epoch == 2
    assert refusal(running.say(m.Cancel(run=R1, epoch=1, how="kill"))) == "older-epoch"
    assert names(running.say(m.Cancel(run=R1, epoch=2, how="kill"), client=2)) == [
        "Log",
        "EndWorker",
    ]


def test_a_watcher_takes_nothing_over(running: Stage) -> None:
    running.client(2)
    assert only(e.Follow, running.say(m.Attach(run=R1, watch=True), client=2)).epoch == 1


def test_epochs_grow_over_a_restart(running: Stage) -> None:
    running.say(m.Attach(run=R1))
    after = running.restarted()
    after.keep(after.mind.adopted(S1, after.now))
    after.client()
    assert only(e.Follow, after.say(m.Attach(run=R1))).epoch == 3


def test_a_question_is_answered_once_and_by_the_newest(running: Stage) -> None:
    running.worker(m.Event(run=R1, mark=4, what="input_request"))
    running.say(m.Attach(run=R1))
    assert refusal(running.say(m.InputReply(run=R1, epoch=1, text="old"))) == "older-epoch"
    reply = m.InputReply(run=R1, epoch=2, text="new")
    assert only(e.ToWorker, running.say(reply)).message == reply
    assert running.say(reply) == []


# Limits.


def test_a_time_limit_interrupts_and_then_ends_the_worker(stage: Stage) -> None:
    stage.say(submit(options={"timeout": 5}))
    stage.ready()
    assert stage.tick(5) == []
    assert names(stage.tick(1)) == ["Log", "Interrupt"]
    assert stage.tick(GRACE) == []
    assert names(stage.tick(1)) == ["EndWorker"]
    assert only(e.Finish, stage.gone()).state == "cancelled"


def test_a_swallowed_interrupt_does_not_lift_the_time_limit(stage: Stage) -> None:
    stage.say(submit(options={"timeout": 5}))
    stage.ready()
    stage.say(m.Cancel(run=R1, epoch=1, how="interrupt"))
    assert names(stage.tick(6)) == ["Log", "Interrupt"]
    assert names(stage.tick(GRACE + 1)) == ["EndWorker"]


def test_a_run_waits_no_longer_than_it_said(running: Stage) -> None:
    running.say(submit(R2, S2, options={"wait": 5}))
    running.tick(5)
    assert running.state(R2) == "queued"
    running.tick(1)
    assert running.state(R2) == "cancelled"


# Ends.

#: How a worker says that a cell ended, whether it was interrupted, and the run's state.
INTERRUPTED = {"status": "error", "error": {"ename": "KeyboardInterrupt"}}
FINISHES = {
    "well": ({"status": "ok"}, False, "ok"),
    "with an error": ({"status": "error", "error": {"ename": "ValueError"}}, False, "error"),
    "with its own KeyboardInterrupt": (INTERRUPTED, False, "error"),
    "interrupted": (INTERRUPTED, True, "cancelled"),
    "well, in spite of an interrupt": ({"status": "ok"}, True, "ok"),
}


@pytest.mark.parametrize("name", FINISHES)
def test_how_a_cell_ends(name: str, running: Stage) -> None:
    content, interrupt, state = FINISHES[name]
    if interrupt:
        running.say(m.Cancel(run=R1, epoch=1, how="interrupt"))
    running.worker(finished(**content))
    assert running.state() == state
    assert running.worker(finished(status="error")) == []
    assert running.gone() == []
    assert running.state() == state


def test_a_worker_that_dies_ends_its_run_and_the_next_one_gets_a_new_worker(running: Stage) -> None:
    running.say(submit(R2))
    effects = running.gone(signal="SIGSEGV")
    assert only(e.Finish, effects).summary["signal"] == "SIGSEGV"
    assert (running.state(), running.state(R2)) == ("died", "queued")
    assert only(e.StartWorker, effects).session == S1
    running.ready()
    assert running.state(R2) == "started"


def test_a_worker_that_cannot_start_ends_the_run_that_waits_for_it(stage: Stage) -> None:
    stage.say(submit())
    assert only(e.Finish, stage.gone(what="no python")).summary["phase"] == "start"


def test_a_run_that_comes_while_its_worker_leaves_gets_a_new_one(running: Stage) -> None:
    running.worker(finished())
    assert "EndWorker" in names(running.tick(IDLE_EMPTY + 1))
    running.say(submit(R2, environment={"python": "/other"}))
    assert running.state(R2) == "accepted"
    assert "StartWorker" in names(running.gone())
    running.ready()
    assert running.state(R2) == "started"


def test_what_a_worker_writes_between_cells_is_nobodys(running: Stage) -> None:
    running.worker(finished())
    assert running.keep(running.mind.worker_wrote(S1, "stdout", b"late")) == []
    assert running.worker(m.Event(run=R1, mark=10, what="display_data")) == []
    assert running.worker(m.Event(run="", mark=11, what="display_data")) == []
