"""When notebooks are due, as time passes, is left out, and comes again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from jupyter_macgpu.server import timetable
from jupyter_macgpu.server.timetable import End, Plan, after, looked_at, planned, read_plan, resumed
from jupyter_macgpu.wire.errors import InputError

NOON = datetime(2026, 11, 29, 12, 0).timestamp()
HOUR = 3600.0


def plan(**more: Any) -> Plan:
    return planned(Plan(id="1", path="a.ipynb", created=NOON, **more), NOON)


def test_without_a_time_it_is_due_at_once_and_once() -> None:
    now, is_due = looked_at(plan(), NOON)
    assert is_due
    assert now.next is None
    assert looked_at(now, NOON + 1e9) == (now, False)


def test_at_its_time_it_is_due_and_not_before() -> None:
    later = plan(at=NOON + HOUR)
    assert looked_at(later, NOON + HOUR - 0.1) == (later, False)
    assert looked_at(later, NOON + HOUR)[1]


def test_cron_has_its_next_time_by_the_clock_on_the_wall() -> None:
    nightly = plan(cron="30 3 * * *")
    assert nightly.next == datetime(2026, 11, 30, 3, 30).timestamp()
    now, is_due = looked_at(nightly, nightly.next)
    assert is_due
    assert now.next == datetime(2026, 12, 1, 3, 30).timestamp()


def test_times_while_the_server_was_off_are_said_and_not_made_up_for() -> None:
    nightly = plan(cron="30 3 * * *")
    late = datetime(2026, 12, 2, 9, 0).timestamp()
    now, is_due = looked_at(nightly, late)
    assert not is_due
    assert now.missed_times == 3
    assert now.history[0].state == "missed"
    assert "2 more" in now.history[0].message
    assert now.next == datetime(2026, 12, 3, 3, 30).timestamp()


def test_or_made_up_for_once() -> None:
    now, is_due = looked_at(plan(cron="* * * * *", missed="once"), NOON + HOUR)
    assert is_due
    assert now.missed_times == 60
    assert now.next == NOON + HOUR + 60


def test_one_time_that_was_missed_is_over() -> None:
    now, is_due = looked_at(plan(at=NOON + 60), NOON + HOUR)
    assert not is_due
    assert now.next is None
    assert [end.state for end in now.history] == ["missed"]


def test_what_is_paused_is_not_due_and_goes_on_at_its_next_time() -> None:
    paused = replace(plan(cron="0 * * * *"), is_paused=True)
    assert looked_at(paused, NOON + 10 * HOUR) == (paused, False)
    assert resumed(paused, NOON + 10 * HOUR + 1).next == NOON + 11 * HOUR
    once = replace(plan(at=NOON + 60), is_paused=True)
    assert resumed(once, NOON + HOUR).next is None
    assert resumed(once, NOON).next == NOON + 60


@pytest.mark.parametrize("cron", ["", "x", "61 * * * *", "* * * *", "*/0 * * * *", "* " * 500])
def test_what_is_no_cron_line_is_refused(cron: str) -> None:
    with pytest.raises(InputError):
        plan(cron=cron)


@pytest.mark.parametrize("more", [{"at": NOON - HOUR}, {"at": NOON + HOUR, "cron": "* * * * *"}])
def test_times_that_are_past_or_two_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        plan(**more)


def test_a_day_that_never_comes_has_no_time() -> None:
    with pytest.raises(InputError):
        after("0 0 30 2 *", NOON)


def test_ends_are_remembered_the_newest_first_and_not_for_ever() -> None:
    held = plan()
    for number in range(timetable.REMEMBERED + 5):
        held = held.ended(End(state="ok", at=float(number)))
    assert len(held.history) == timetable.REMEMBERED
    assert held.history[0].at > held.history[1].at


def test_a_plan_is_read_as_it_was_written_by_a_later_version_too() -> None:
    held = plan(cron="0 3 * * *", parameters={"a": [1, None]}).ended(End(state="ok", at=1.0))
    written = json.loads(json.dumps(held.plain()))
    assert read_plan({**written, "unknown": 1}) == held
