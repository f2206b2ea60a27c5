"""Times as people write them, and as they are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from jupyter_macgpu.grammar import Unreadable
from jupyter_macgpu.moments import FURTHEST, meant, read_moment, shown, start_of, starts, written
from jupyter_macgpu.wire.errors import InputError
from jupyter_macgpu.wire.jobs import NOT_YET

DAY = 86400.0


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be where clocks are set forward on 29 March 2026 at 2:00, and back on 25 October at 3:00."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


NOON = "2026-11-29T12:00:00+01:00"
#: What is written -> what it means at noon of 29 November 2026 in Berlin.
MEANT = {
    "18:30": "2026-11-29T18:30+01:00",
    "today 18:30": "2026-11-29T18:30+01:00",
    "18:30:15.25": "2026-11-29T18:30:15.250+01:00",
    "18:30:15": "2026-11-29T18:30:15+01:00",
    "11:59:30": "2026-11-29T11:59:30+01:00",
    "tomorrow 7:00": "2026-11-30T07:00+01:00",
    "  Tomorrow   07:00 ": "2026-11-30T07:00+01:00",
    "2026-12-01 18:30": "2026-12-01T18:30+01:00",
    "2026-12-01T18:30": "2026-12-01T18:30+01:00",
    "2027-07-01 18:30": "2027-07-01T18:30+02:00",
    "2026-12-01T18:30+01:00": "2026-12-01T18:30+01:00",
    "2026-12-01 18:30 -0500": "2026-12-01T18:30-05:00",
    "2026-12-01T18:30:00.000Z": "2026-12-01T18:30+00:00",
    "18:30Z": "2026-11-29T18:30+00:00",
    "+90m": "2026-11-29T13:30+01:00",
    "+1h30m": "2026-11-29T13:30+01:00",
    "in 2h": "2026-11-29T14:00+01:00",
    "in 90 m": "2026-11-29T13:30+01:00",
}


@pytest.mark.parametrize(("text", "at"), MEANT.items())
def test_what_people_write_is_a_time(text: str, at: str) -> None:
    assert read_moment(text, moment(NOON)) == moment(at)


#: What is written -> what the answer names: the mistake, and then the way out.
MISTAKES = {
    "": ("no time", "18:30"),
    "soon": ("no time", "tomorrow 7:00"),
    "7pm": ("no time", "18:30"),
    "1830": ("no time", "18:30"),
    "25:00": ("no such day or time", "18:30"),
    "18:60": ("no such day or time", "18:30"),
    "2026-02-30 18:30": ("no such day or time", "18:30"),
    "18:30+25:00": ("no such day or time", "18:30"),
    "2026-12-01": ("the time of day is missing", "2026-12-01 18:30"),
    "tomorrow": ("the time of day is missing", "tomorrow 18:30"),
    "+90": ("the unit is missing", "90m"),
    "in a while": ("no length of time", "2h"),
    "+0m": ("would stop", "2h"),
    "11:58": ("that is past: it is 12:00 now", "tomorrow 11:58"),
    "2026-11-28 18:30": ("that is past: it is 12:00 now", "2026-12-01"),
    "2026-11-29T12:00+02:00": ("that is past: it is 12:00 now", "2026-12-01"),
    "2036-12-01 18:30": ("more than a year ahead", "18:30"),
    "2027-03-28 02:30": ("set forward then", "earlier or a later"),
    "2027-10-31 02:30": (
        "show that time twice",
        "Write 2027-10-31T02:30+0200 or 2027-10-31T02:30+0100.",
    ),
}


@pytest.mark.parametrize(("text", "named"), MISTAKES.items())
def test_what_is_no_time_is_said_with_the_way_out(text: str, named: tuple[str, str]) -> None:
    with pytest.raises(Unreadable) as caught:
        read_moment(text, moment(NOON))
    assert named[0] in caught.value.problem
    assert named[1] in caught.value.remedy


def test_the_two_times_that_are_offered_for_one_are_the_two_that_it_was() -> None:
    now = moment("2026-10-24T12:00+02:00")
    with pytest.raises(Unreadable) as caught:
        read_moment("tomorrow 2:30", now)
    first, second = caught.value.remedy.removeprefix("Write ").removesuffix(".").split(" or ")
    assert read_moment(second, now) - read_moment(first, now) == 3600.0
    assert read_moment("tomorrow 1:59", now) < read_moment(first, now)
    assert read_moment("tomorrow 3:00", now) > read_moment(second, now)


def test_a_time_is_past_only_when_it_was_a_minute_ago() -> None:
    now = moment(NOON)
    assert read_moment("12:00", now + 60.0) == now
    with pytest.raises(Unreadable):
        read_moment("12:00", now + 61.0)


def test_a_year_ahead_is_the_furthest() -> None:
    now = moment(NOON)
    assert read_moment("in 366d", now) == now + FURTHEST
    with pytest.raises(Unreadable):
        read_moment("in 367d", now)


def test_a_span_ends_with_a_whole_second_and_not_before_what_was_meant() -> None:
    assert read_moment("+2s", 1000.25) == 1003.0


def test_words_of_a_line_are_one_time_and_what_is_wrong_is_named_in_a_line() -> None:
    assert meant(("tomorrow", "7:00"), moment(NOON)) == moment("2026-11-30T07:00+01:00")
    with pytest.raises(InputError) as caught:
        meant(("next\x1b[31m", "week"), moment(NOON))
    assert "\x1b" not in caught.value.what
    assert caught.value.what.startswith("--at next")


def test_a_time_is_told_by_this_clock_with_the_day_if_that_is_another() -> None:
    now = moment(NOON)
    assert shown(moment("2026-11-29T18:30+01:00"), now) == "18:30"
    assert shown(moment("2026-11-29T18:30:05+01:00"), now) == "18:30:05"
    assert shown(moment("2026-11-29T23:30+00:00"), now) == "2026-11-30 00:30"
    assert shown(now, now + DAY) == "2026-11-29 12:00"


def test_a_time_that_is_written_down_is_read_as_the_same() -> None:
    at = moment("2026-12-01T18:30:07.250+01:00")
    assert read_moment(written(at), moment(NOON)) == at


TOLD: dict[str, tuple[dict[str, object] | None, str, str]] = {
    "a time to come": ({"at": 1000.0}, "it follows run 1", "starts at 1970-01-01 01:16:40"),
    "the host's word counts": ({"at": 10.0}, NOT_YET, "starts at 1970-01-01 01:00:10"),
    "it is time": ({"at": 10.0}, "", ""),
    "no time": ({"at": None}, "", ""),
    "nothing known": (None, "", ""),
    "a host's nonsense": ({"at": "soon"}, NOT_YET, ""),
    "beyond all clocks": ({"at": 1e300}, NOT_YET, ""),
    "no number": ({"at": float("nan")}, NOT_YET, ""),
    "a truth value": ({"at": True}, NOT_YET, ""),
}


@pytest.mark.parametrize("name", TOLD)
def test_a_run_starts_at_its_time_as_long_as_that_is_to_come(name: str) -> None:
    told, reason, said = TOLD[name]
    on_that_day: Callable[[str], str] = lambda text: text.replace("1970-01-01 ", "")  # noqa: E731
    assert starts(told, reason, 500.0) == on_that_day(said)
    assert start_of(told) == (told["at"] if said or name == "it is time" else None)  # type: ignore[index]
