"""The supervisor's mind about runs that nobody waits for."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_macgpu.mac import effects as e
from jupyter_macgpu.mac.records import KEEP
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.jobs import NOT_YET
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
    run_id,
    submit,
)

S3 = "3" * 32
DAY = 86400.0


def job(run: str = R1, session: str = S1, **options: Any) -> m.Submit:
    return submit(run, session, options={"detach": True, "own": True, **options})


def begun(stage: Stage, run: str = R1, session: str = S1, **options: Any) -> Stage:
    """Let a job begin."""
    stage.say(job(run, session, **options))
    stage.ready(session)
    assert stage.state(run) == "started"
    return stage


def state_told(effects: list[e.Effect], run: str = R1) -> m.RunState:
    """Return the one state of a run that its client is told without its records."""
    said = [effect.message for effect in effects if isinstance(effect, e.Send)]
    (state,) = [each for each in said if isinstance(each, m.RunState) and each.run == run]
    return state


# On the disk first.


def test_a_job_is_on_the_disk_before_its_client_hears_that_it_is_accepted(stage: Stage) -> None:
    effects = stage.say(job())
    kinds = names(effects)
    durable = [at for at, each in enumerate(effects) if isinstance(each, e.Log) and each.durable]
    assert durable
    assert durable[0] < kinds.index("Send")
    assert "Follow" not in kinds
    assert state_told(effects).state == "accepted"


def test_a_job_whose_inputs_come_in_parts_is_answered_when_they_are_here(stage: Stage) -> None:
    in_parts = submit(R1, buffers=(), options={"detach": True, "own": True})
    assert "Receive" in names(stage.say(in_parts))
    effects = stage.keep(stage.mind.uploaded(R1, stage.now))
    assert state_told(effects).state == "accepted"


def test_start_and_end_of_a_job_are_brought_to_the_disk(stage: Stage) -> None:
    stage.say(job())
    started = stage.ready()
    assert next(each for each in started if isinstance(each, e.Log)).durable
    ended = stage.worker(finished())
    assert next(each for each in ended if isinstance(each, e.Log)).durable


@pytest.mark.parametrize("detached", [True, False])
def test_an_accepted_run_after_a_reboot_begins_only_if_it_cannot_have_begun(
    stage: Stage, detached: bool
) -> None:
    stage.say(job() if detached else submit())
    after = stage.restarted("boot-2")
    after.settled()
    assert after.state() == ("accepted" if detached else "lost")


# Workers of their own.


def test_the_worker_of_its_own_ends_with_the_run(stage: Stage) -> None:
    begun(stage)
    effects = stage.worker(finished())
    assert only(e.EndWorker, effects).polite
    stage.gone()
    assert S1 not in stage.mind.sessions


def test_a_worker_of_its_own_stays_while_a_value_lives_in_it(stage: Stage) -> None:
    begun(stage)
    assert "EndWorker" not in names(stage.worker(finished(live=1)))
    stage.client(2, kernel="k2")
    assert "EndWorker" not in names(stage.done)
    assert stage.mind.sessions[S1].worker == "ready"


def test_a_new_kernel_does_not_end_a_job(stage: Stage) -> None:
    begun(stage)
    stage.keep(stage.mind.disconnected(1, stage.now))
    stage.client(2, kernel="k2")
    assert stage.state() == "started"


# After others.


def test_a_run_follows_another_one(stage: Stage) -> None:
    begun(stage)
    effects = stage.say(job(R2, S2, after=[[R1, False]]))
    assert stage.state(R2) == "queued"
    assert "follows run" in state_told(effects, R2).detail["reason"]
    effects = stage.worker(finished())
    assert "StartWorker" in names(effects)
    stage.ready(S2)
    assert stage.state(R2) == "started"


def test_it_does_not_begin_although_a_slot_is_free(stage: Stage) -> None:
    begun(stage, R1, S1, cpu=True)
    stage.say(job(R2, S2, after=[[R1, False]]))
    stage.tick(1.0)
    assert stage.state(R2) == "queued"
    assert "StartWorker" not in names(stage.done)


@pytest.mark.parametrize(
    ("whatever", "state"), [(False, "cancelled"), (True, "queued")], ids=["after", "any"]
)
def test_a_run_after_one_that_failed(stage: Stage, whatever: bool, state: str) -> None:
    begun(stage)
    stage.say(job(R2, S2, after=[[R1, whatever]]))
    effects = stage.worker(finished(status="error", error={"ename": "ValueError"}))
    assert stage.state(R2) == state
    if not whatever:
        ends = [each for each in effects if isinstance(each, e.Finish) and each.run == R2]
        assert "ended: error" in ends[0].summary["what"]
    else:
        stage.ready(S2)
        assert stage.state(R2) == "started"


def test_the_end_of_one_in_vain_is_that_of_all_behind_it(stage: Stage) -> None:
    begun(stage)
    stage.say(job(R2, S2, after=[[R1, False]]))
    stage.say(job(R3, S3, after=[[R2, False]]))
    stage.say(m.Cancel(run=R1, epoch=1, how="interrupt"))
    stage.worker(finished(status="error", error={"ename": "KeyboardInterrupt"}))
    assert [stage.state(run) for run in (R1, R2, R3)] == ["cancelled"] * 3


def test_a_run_after_one_that_has_ended_well_goes_into_the_queue_at_once(stage: Stage) -> None:
    begun(stage)
    stage.worker(finished())
    stage.say(job(R2, S2, after=[[R1, False]]))
    stage.ready(S2)
    assert stage.state(R2) == "started"


def test_a_run_after_one_that_nobody_knows_is_refused(stage: Stage) -> None:
    assert refusal(stage.say(job(R2, S2, after=[[R1, False]]))) == "no-such-run"
    assert R2 not in stage.mind.runs


def test_several_are_waited_for(stage: Stage) -> None:
    begun(stage, R1, S1)
    begun(stage, R2, S2, cpu=True)
    stage.say(job(R3, S3, after=[[R1, False], [R2, True]]))
    stage.worker(finished(R1))
    assert stage.state(R3) == "queued"
    stage.worker(finished(R2, status="error"), S2)
    stage.ready(S3)
    assert stage.state(R3) == "started"


def test_the_time_behind_others_is_no_time_in_the_queue(stage: Stage) -> None:
    begun(stage)
    begun(stage, run_id(9), S3, cpu=True)
    stage.say(job(R2, S2, after=[[run_id(9), False]], wait=5.0))
    stage.tick(60.0)
    assert stage.state(R2) == "queued"
    stage.worker(finished(run_id(9)), S3)
    stage.tick(4.0)
    assert stage.state(R2) == "queued"
    stage.tick(2.0)
    assert stage.state(R2) == "cancelled"


def test_a_run_still_follows_when_the_supervisor_was_restarted(stage: Stage) -> None:
    begun(stage)
    stage.say(job(R2, S2, after=[[R1, False]]))
    after = stage.restarted()
    after.keep(after.mind.adopted(S1, 0.0))
    after.settled()
    assert after.state(R2) == "queued"
    after.keep(after.mind.confirmed(S1, {R1}, 0.0))
    assert "StartWorker" not in names(after.done)
    after.worker(finished())
    after.ready(S2)
    assert after.state(R2) == "started"


def test_the_supervisor_stays_while_a_run_waits_for_another(stage: Stage) -> None:
    begun(stage)
    stage.say(job(R2, S2, after=[[R1, False]]))
    stage.keep(stage.mind.disconnected(1, stage.now))
    stage.gone()  # its run died; the next one is cancelled with it
    assert stage.state(R2) == "cancelled"
    stage.tick(1.0)
    assert "Exit" in names(stage.tick(11 * 60.0))


# Once more.


def following(stage: Stage, run: str = R1) -> str:
    return str(stage.mind.runs[run].detail["retried"])


def test_a_run_whose_worker_died_is_tried_again_under_a_new_id(stage: Stage) -> None:
    begun(stage, retry=1)
    effects = stage.gone()
    assert stage.state() == "died"
    second = following(stage)
    copied = only(e.CopySubmit, effects)
    assert (copied.run, copied.source) == (second, R1)
    ended = next(each for each in effects if isinstance(each, e.Finish))
    assert ended.summary["retried"] == second
    stage.ready()
    assert stage.state(second) == "started"
    stage.gone()
    assert stage.state(second) == "died"
    assert "retried" not in stage.mind.runs[second].detail


def test_an_error_of_the_cell_is_its_end(stage: Stage) -> None:
    begun(stage, retry=5)
    stage.worker(finished(status="error", error={"ename": "ValueError"}))
    assert (stage.state(), len(stage.mind.runs)) == ("error", 1)


def test_a_run_that_was_killed_on_purpose_is_not_tried_again(stage: Stage) -> None:
    begun(stage, retry=5)
    stage.say(m.Cancel(run=R1, epoch=1, how="kill"))
    stage.gone()
    assert (stage.state(), len(stage.mind.runs)) == ("cancelled", 1)


def test_a_run_that_is_lost_with_its_host_is_tried_again(stage: Stage) -> None:
    begun(stage, retry=1)
    after = stage.restarted("boot-2")
    after.settled()
    assert after.state() == "lost"
    after.ready()
    assert after.state(following(after)) == "started"


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_retry_is_taken_up_wherever_the_supervisor_ends(stage: Stage, cut: int) -> None:
    begun(stage, retry=1)
    before = len(stage.log)
    stage.gone()
    stage.log = stage.log[: before + cut]
    after = stage.restarted()
    after.settled()
    second = following(after)
    assert after.state() == "died"
    assert after.mind.runs[second].live
    assert len(after.mind.runs) == 2


def test_who_follows_a_run_follows_its_last_try(stage: Stage) -> None:
    begun(stage, retry=1)
    stage.say(job(R2, S2, after=[[R1, False]]))
    stage.gone()
    assert stage.state(R2) == "queued"
    stage.ready()
    stage.worker(finished(following(stage)))
    stage.ready(S2)
    assert stage.state(R2) == "started"


# The same cell.

CELL = {"notebook": "nb", "cell": "1"}


def cell_job(run: str, **options: Any) -> m.Submit:
    return submit(run, origin=CELL, options={"detach": True, **options})


def test_the_same_cell_is_refused_while_its_job_lives(stage: Stage) -> None:
    stage.say(cell_job(R1))
    assert refusal(stage.say(cell_job(R2))) == "same-cell"
    assert R2 not in stage.mind.runs
    stage.say(cell_job(R3, again=True))
    assert R3 in stage.mind.runs


def test_runs_of_one_group_are_there_at_once(stage: Stage) -> None:
    stage.say(cell_job(R1, group="g"))
    stage.say(cell_job(R2, group="g"))
    assert R2 in stage.mind.runs
    assert refusal(stage.say(cell_job(R3, group="h"))) == "same-cell"


# How long things are kept.


def test_what_nobody_came_for_is_deleted_and_said_so(stage: Stage) -> None:
    begun(stage)
    stage.worker(finished())
    stage.gone()
    stage.tick(KEEP - DAY)
    assert not stage.mind.runs[R1].purged
    effects = stage.tick(2 * DAY)
    assert only(e.Forget, effects).journal
    assert stage.mind.runs[R1].purged
    assert refusal(stage.say(m.Attach(run=R1))) == "purged"
    assert refusal(stage.say(job())) == "purged"
    stage.tick(KEEP)
    assert R1 not in stage.mind.runs
    assert refusal(stage.say(job())) == "removed"


def test_a_job_may_ask_to_be_kept_for_longer(stage: Stage) -> None:
    begun(stage, keep=30 * DAY)
    stage.worker(finished())
    stage.tick(29 * DAY)
    assert not stage.mind.runs[R1].purged
    stage.tick(2 * DAY)
    assert stage.mind.runs[R1].purged


def test_a_live_run_is_never_purged(stage: Stage) -> None:
    begun(stage)
    stage.tick(100 * DAY)
    assert stage.state() == "started"


def test_a_result_that_others_may_want_is_kept_when_one_has_seen_it(stage: Stage) -> None:
    begun(stage)
    stage.worker(m.Event(run=R1, mark=9, what="finished", content={"status": "ok"}, path="p"))
    assert "Forget" not in names(stage.say(m.Collected(run=R1, keep=True)))
    assert stage.mind.runs[R1].collected


def test_a_predecessor_is_not_forgotten_while_a_run_waits_for_others_too(stage: Stage) -> None:
    begun(stage, R1, S1, keep=DAY)
    begun(stage, R2, S2, cpu=True)
    stage.say(job(R3, S3, after=[[R1, False], [R2, False]]))
    stage.worker(finished(R1))
    stage.tick(5 * DAY)
    assert R1 in stage.mind.runs
    stage.worker(finished(R2), S2)
    assert stage.mind.runs[R3].live


def test_a_session_without_a_worker_is_forgotten_by_age(stage: Stage) -> None:
    stage.say(submit())
    stage.ready()
    stage.worker(finished())
    stage.gone()
    assert S1 in stage.mind.sessions
    stage.tick(8 * DAY)
    assert S1 not in stage.mind.sessions
    assert {"session": S1, "gone": True} in stage.log


def test_ages_are_those_of_before_when_the_supervisor_was_restarted(stage: Stage) -> None:
    begun(stage)
    stage.worker(finished())
    stage.gone()
    log = [{**entry, "at": 1000.0} for entry in stage.log]
    after = Stage()
    after.mind.restore(log, now=50.0, wall=1600.0)
    assert after.mind.runs[R1].listed(50.0, None)["age"] == 600.0
    after.now = 50.0
    after.tick(KEEP - 599.0)
    assert after.mind.runs[R1].purged


# Let go, taken back, moved.


def test_who_drives_a_run_is_told_to_let_go_of_it(stage: Stage) -> None:
    stage.say(submit())
    stage.ready()
    stage.client(2)
    effects = stage.say(m.Detach(run=R1), client=2)
    log, tell = only(e.Log, effects), only(e.Tell, effects)
    assert log.durable
    assert tell.detail == {"detached": True}
    after = stage.restarted()
    assert after.mind.runs[R1].detached


@pytest.mark.parametrize("message", [m.Detach(run=R1), m.Withdraw(run=R1), m.Proceed(run=R1)])
def test_what_is_not_known_is_refused(stage: Stage, message: m.Message) -> None:
    assert refusal(stage.say(message)) == "unknown-run"


TO: dict[str, Any] = {"host": "mini", "run": R3}


def waiting(stage: Stage, **options: Any) -> Stage:
    begun(stage)
    stage.say(job(R2, S2, **options))
    assert stage.state(R2) == "queued"
    return stage


def test_a_run_that_waits_is_taken_back_for_good(stage: Stage) -> None:
    waiting(stage)
    effects = stage.say(m.Withdraw(run=R2, to=TO))
    kinds = names(effects)
    assert stage.state(R2) == "cancelled"
    durable = [at for at, each in enumerate(effects) if isinstance(each, e.Log) and each.durable]
    answered = next(at for at, each in enumerate(effects) if isinstance(each, e.Send))
    assert max(durable) < answered
    assert "Withdrawn" in {type(effects[answered].message).__name__}  # type: ignore[attr-defined]
    assert kinds.count("Finish") == 1
    stage.worker(finished())
    assert stage.state(R2) == "cancelled"


def test_taking_back_can_be_said_again_after_a_crash_but_only_alike(stage: Stage) -> None:
    waiting(stage).say(m.Withdraw(run=R2, to=TO))
    after = stage.restarted()
    after.settled()
    after.client()
    assert isinstance(only(e.Send, after.say(m.Withdraw(run=R2, to=TO))).message, m.Withdrawn)
    other = {**TO, "host": "studio"}
    assert refusal(after.say(m.Withdraw(run=R2, to=other))) == "has-ended"


def test_what_has_started_is_not_taken_back(stage: Stage) -> None:
    begun(stage)
    assert refusal(stage.say(m.Withdraw(run=R1, to=TO))) == "has-started"
    assert stage.state() == "started"


def test_what_others_follow_here_is_not_taken_back(stage: Stage) -> None:
    waiting(stage)
    stage.say(job(R3, S3, after=[[R2, False]]))
    assert refusal(stage.say(m.Withdraw(run=R2, to=TO))) == "followed"
    assert stage.state(R2) == "queued"


def test_a_parked_run_begins_when_it_may_proceed_and_not_before(stage: Stage) -> None:
    stage.say(job(parked=True))
    stage.tick(60.0)
    assert stage.state() == "queued"
    after = stage.restarted("boot-2")
    after.settled()
    after.tick(60.0)
    assert after.state() == "queued"
    after.client()
    effects = after.say(m.Proceed(run=R1))
    assert "StartWorker" in names(effects)
    assert state_told(effects).state in ("accepted", "queued")
    again = after.restarted("boot-3")
    again.settled()
    assert "StartWorker" in names(again.done)


@pytest.mark.parametrize(
    "options",
    [
        {"after": "x"},
        {"after": [["../x", False]]},
        {"after": [[R1, 1]]},
        {"after": [[R1]]},
        {"retry": -1},
        {"retry": True},
        {"retry": 1000},
        {"keep": 0},
        {"keep": "7d"},
        {"group": 3},
    ],
)
def test_options_that_are_not_what_they_must_be_are_refused(
    stage: Stage, options: dict[str, Any]
) -> None:
    assert refusal(stage.say(job(R2, **options))) == "bad-submit"


# Another priority.


def queued(stage: Stage) -> Stage:
    begun(stage)
    stage.say(job(R2, S2))
    stage.say(job(R3, S3))
    assert stage.mind.listed([R2, R3], 0.0)[1]["position"] == 1
    return stage


def test_a_run_that_waits_gets_another_priority_for_good_and_the_others_hear_of_it(
    stage: Stage,
) -> None:
    queued(stage).mind.touched()
    effects = stage.say(m.Prioritise(run=R3, priority=2))
    assert state_told(effects, R3).position == 0
    assert stage.mind.touched() == {R2, R3}
    assert only(e.Log, effects).durable
    after = stage.restarted()
    after.settled()
    # The first one's worker is not found again, so its slot goes to the new first of the queue.
    assert [row["position"] for row in after.mind.listed([R2, R3], 0.0)] == [0, None]


def test_it_keeps_the_time_since_which_it_waits(stage: Stage) -> None:
    begun(stage)
    stage.say(job(R2, S2))
    stage.tick(400.0)
    stage.say(job(R3, S3))
    assert state_told(stage.say(m.Prioritise(run=R3, priority=1)), R3).position == 1
    assert state_told(stage.say(m.Prioritise(run=R3, priority=2)), R3).position == 0


@pytest.mark.parametrize(
    ("run", "priority", "word"),
    [
        (R1, 1, "has-started"),
        ("f" * 32, 1, "unknown-run"),
        (R2, 6, "bad-priority"),
        (R2, True, "bad-priority"),
    ],
)
def test_what_can_have_no_other_priority_keeps_its_own(
    stage: Stage, run: str, priority: int, word: str
) -> None:
    queued(stage)
    assert refusal(stage.say(m.Prioritise(run=run, priority=priority))) == word


def test_a_place_in_the_queue_of_all_accounts_stays(stage: Stage) -> None:
    queued(stage)
    stage.keep(stage.mind.share(frozenset({R1}), stage.now))
    assert refusal(stage.say(m.Prioritise(run=R2, priority=1))) == "shared-queue"


def test_whoever_watches_hears_of_each_run_that_is_another_and_of_no_other(stage: Stage) -> None:
    queued(stage).mind.touched()
    stage.tick(1.0)
    assert stage.mind.touched() == set()
    stage.worker(finished())
    assert stage.mind.touched() == {R1, R3}
    stage.ready(S2)
    assert R2 in stage.mind.touched()
    assert [row["state"] for row in stage.mind.listed([R1, "f" * 32], 0.0)] == ["ok"]
    assert "rank" not in stage.mind.listed([R1], 0.0)[0]


# At a time.


HOUR = 3600.0


def timed(stage: Stage, delay: float, run: str = R1, session: str = S1, **options: Any) -> None:
    """Hand a job in whose time is to come. Its client's clock shows what no other one does."""
    stage.say(job(run, session, at=5e8, delay=delay, **options))


def test_a_job_begins_at_its_time_and_not_before(stage: Stage) -> None:
    timed(stage, HOUR)
    assert stage.state() == "queued"
    assert "StartWorker" not in names(stage.done)
    assert state_told(stage.done).detail == {"reason": NOT_YET, "at": 5e8}
    assert not stage.mind.wanting()
    assert "StartWorker" not in names(stage.tick(HOUR - 1.0))
    assert "StartWorker" in names(stage.tick(1.0))
    stage.ready()
    assert stage.state() == "started"


def test_a_job_whose_time_has_come_begins_at_once(stage: Stage) -> None:
    timed(stage, 0.0)
    assert "StartWorker" in names(stage.done)


def test_who_attaches_is_told_when_it_starts(stage: Stage) -> None:
    timed(stage, HOUR)
    told = only(e.Follow, stage.say(m.Attach(run=R1)))
    assert (told.detail["reason"], told.detail["at"]) == (NOT_YET, 5e8)


def test_others_go_before_a_job_whose_time_is_to_come_and_lose_nothing_to_it(stage: Stage) -> None:
    timed(stage, HOUR, priority=5, mem=10**12)
    assert stage.mind.asked == 0
    assert stage.mind.lanes(stage.now)["gpu"].queued == 0
    begun(stage, R2, S2)


def test_the_time_of_day_counts_and_not_the_clock_that_stops_while_a_mac_sleeps(
    stage: Stage,
) -> None:
    stage.mind.time_is(stage.now, 9e8)
    timed(stage, HOUR)
    stage.mind.time_is(stage.now + 1.0, 9e8 + HOUR)
    assert "StartWorker" in names(stage.tick(1.0))


def test_a_job_that_was_late_begins_at_the_next_contact(stage: Stage) -> None:
    timed(stage, HOUR)
    after = stage.restarted("boot-2")
    after.mind.time_is(after.now, HOUR + 1.0)
    assert "StartWorker" in names(after.settled())


@pytest.mark.parametrize("boot", ["boot-1", "boot-2"])
def test_a_job_keeps_its_time_in_the_next_supervisor(stage: Stage, boot: str) -> None:
    timed(stage, HOUR)
    stage.tick(HOUR / 2)
    after = stage.restarted(boot)
    after.mind.time_is(after.now, stage.now)
    assert "StartWorker" not in names(after.settled())
    assert after.state() == "queued"
    assert "StartWorker" not in names(after.tick(HOUR / 2 - 1.0))
    assert "StartWorker" in names(after.tick(1.0))


def test_the_supervisor_stays_for_a_job_whose_time_is_to_come(stage: Stage) -> None:
    timed(stage, 9 * HOUR)
    stage.keep(stage.mind.disconnected(1, stage.now))
    assert "Exit" not in names(stage.tick(8 * HOUR))


def test_the_wait_of_a_job_counts_from_its_time(stage: Stage) -> None:
    begun(stage, R2, S2)
    timed(stage, HOUR, wait=60.0)
    stage.tick(HOUR)
    stage.tick(59.0)
    assert stage.state() == "queued"
    stage.tick(2.0)
    assert stage.state() == "cancelled"


def test_the_wait_of_a_job_counts_from_its_time_in_the_next_supervisor_too(stage: Stage) -> None:
    begun(stage, R2, S2)
    timed(stage, HOUR, wait=60.0)
    stage.tick(HOUR)
    after = stage.restarted()
    after.now = stage.now
    after.mind.time_is(after.now, stage.now)
    after.keep(after.mind.adopted(S2, after.now))
    after.keep(after.mind.confirmed(S2, {R2}, after.now))
    after.settled()
    after.tick(59.0)
    assert after.state() == "queued"
    after.tick(2.0)
    assert after.state() == "cancelled"


def test_a_job_with_a_time_follows_others_too_and_both_must_be(stage: Stage) -> None:
    begun(stage, R2, S2)
    timed(stage, HOUR, after=[[R2, False]])
    assert stage.mind.runs[R1].detail["reason"].startswith("it follows run")
    stage.worker(finished(R2), S2)
    assert stage.mind.runs[R1].detail["reason"] == NOT_YET
    assert "StartWorker" in names(stage.tick(HOUR))
    begun(stage, R3, S3, cpu=True)
    timed(stage, HOUR, run_id(4), "4" * 32, after=[[R3, False]], cpu=True)
    assert "StartWorker" not in names(stage.tick(HOUR + 1.0))
    assert "StartWorker" in names(stage.worker(finished(R3), S3))


def test_a_job_with_a_time_ends_at_once_if_what_it_follows_fails(stage: Stage) -> None:
    begun(stage, R2, S2)
    timed(stage, HOUR, after=[[R2, False]])
    stage.worker(finished(R2, status="error"), S2)
    assert stage.state() == "cancelled"


def test_a_job_is_cancelled_moved_and_given_a_priority_before_its_time(stage: Stage) -> None:
    timed(stage, HOUR)
    stage.say(m.Prioritise(run=R1, priority=3))
    assert state_told(stage.done).state == "queued"
    stage.say(m.Cancel(run=R1, epoch=1, how="interrupt"))
    assert stage.state() == "cancelled"
    timed(stage, HOUR, R2, S2)
    stage.say(m.Withdraw(run=R2, to={"host": "b", "run": R3}))
    assert only(e.Send, stage.done).message == m.Withdrawn(run=R2, to={"host": "b", "run": R3})
    assert "StartWorker" not in names(stage.tick(2 * HOUR))


def test_a_copy_that_is_moved_here_waits_for_its_time_by_this_clock(stage: Stage) -> None:
    timed(stage, HOUR, parked=True, due=1e12)
    stage.say(m.Proceed(run=R1))
    assert stage.mind.runs[R1].detail["reason"] == NOT_YET
    assert "StartWorker" in names(stage.tick(HOUR))


def test_a_job_that_is_tried_again_does_not_wait_for_its_time_once_more(stage: Stage) -> None:
    timed(stage, HOUR, retry=1)
    stage.tick(HOUR)
    stage.ready()
    assert "StartWorker" in names(stage.gone(signal="SIGKILL"))


@pytest.mark.parametrize(
    "options",
    [
        {"at": 5e8},
        {"delay": 5.0},
        {"at": "18:30", "delay": 5.0},
        {"at": 5e8, "delay": float("inf")},
        {"at": 5e8, "delay": float("nan")},
        {"at": True, "delay": 5.0},
    ],
)
def test_a_time_that_is_none_is_refused(stage: Stage, options: dict[str, Any]) -> None:
    assert refusal(stage.say(job(**options))) == "bad-submit"


def test_nobody_sets_what_the_host_reckons(stage: Stage) -> None:
    assert "StartWorker" in names(stage.say(job(due=1e12)))
