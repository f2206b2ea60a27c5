"""Times, as people write them and as they are told. Pure: the time of day is given.

A time without a zone is meant by the clock of this machine's time zone. One that this clock shows
twice, or never, since it is set forward or back that night, is an error and not a guess.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any

from .amounts import read_duration
from .grammar import Unreadable
from .wire.errors import InputError
from .wire.jobs import NOT_YET
from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: States of a run that has not begun; ``waiting`` is one whose kernel has still to hand it in.
WAITING = frozenset({"waiting", "receiving", "accepted", "queued"})
#: Seconds by which a time may be past and still means now.
LATE = 60.0
#: Seconds for which a time may be ahead: past a year a digit is wrong.
FURTHEST = 366 * 86400.0
#: Seconds since 1970 that no clock shows; what a host says may be anything.
_NEVER = 2.0**36
FORMS = "18:30, tomorrow 7:00, 2026-12-01 18:30, 2026-12-01T18:30+01:00, +90m or in 2h"
_SPAN = re.compile(r"(?:\+ ?|in )(.+)")
_DAY = r"today|tomorrow|[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = re.compile(
    rf"(?:({_DAY})[t ])?([0-9]{{1,2}}):([0-9]{{2}})(?::([0-9]{{2}})(?:\.([0-9]{{1,6}}))?)?"
    r" ?(z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)


def read_moment(text: str, now: float) -> float:
    """Return the time that a text means, in seconds since 1970; see `FORMS`.

    One that is told as a span of time ends with a whole second: people read it again.

    Parameters
    ----------
    now
        The time of day, in seconds since 1970.

    Raises
    ------
    Unreadable
        If it is no time, one that is past, or one that this machine's clock does not show once.
    """
    said, remedy = " ".join(text.lower().split()), f"Write {FORMS}."
    if span := _SPAN.fullmatch(said):
        at = float(math.ceil(now + read_duration(span[1].replace(" ", ""))))
    elif found := _TIME.fullmatch(said):
        at = _at(found, now)
    elif re.fullmatch(_DAY, said):
        raise Unreadable("the time of day is missing", f"Write {said} 18:30.")
    else:
        raise Unreadable("this is no time", remedy)
    if at < now - LATE:
        clock = f"it is {shown(now, now)} now"
        again = f"Write tomorrow {said}, or the day." if said[:2].strip(":").isdigit() else remedy
        raise Unreadable(f"that is past: {clock}", again if len(said) <= 8 else remedy)
    if at > now + FURTHEST:
        raise Unreadable("that is more than a year ahead", remedy)
    return at


def meant(words: Iterable[str], now: float) -> float:
    """Return the time that the words behind ``--at`` mean; see `read_moment`.

    Raises
    ------
    InputError
        If they mean none. Nothing was sent.
    """
    text = " ".join(words)
    try:
        return read_moment(text, now)
    except Unreadable as unreadable:
        what = f"--at {plain_line(text[:60])}: {unreadable.problem}."
        raise InputError(what, next=unreadable.remedy) from None


def written(at: float) -> str:
    """Return a time in the one form that means it whenever and wherever it is read."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def shown(at: float, now: float) -> str:
    """Return a time as this machine's clock shows it: ``18:30``, with the day if that is not today.

    Parameters
    ----------
    now
        The time of day; both in seconds since 1970.
    """
    moment = datetime.fromtimestamp(at)
    clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    is_today = moment.date() == datetime.fromtimestamp(now).date()
    return clock if is_today else f"{moment:%Y-%m-%d} {clock}"


def start_of(options: Mapping[str, Any] | None) -> float | None:
    """Return the time before which a run does not start, as its host has it; None if it has none.

    Parameters
    ----------
    options
        The run's, or what is told of how it waits.
    """
    at: Any = (options or {}).get("at")
    return float(at) if type(at) in (int, float) and 0 <= at < _NEVER else None


def starts(told: Mapping[str, Any] | None, reason: object, now: float) -> str:
    """Return when a run starts that waits for its time, or ``""``.

    Parameters
    ----------
    told
        The run's options, or what is told of how it waits; see `start_of`.
    reason
        Why it waits, as its host says. Its host's clock may be another one: its word counts.
    now
        The time of day, in seconds since 1970.
    """
    at = start_of(told)
    waits = at is not None and (reason == NOT_YET or at > now)
    return f"starts at {shown(at, now)}" if waits and at is not None else ""


def why_it_waits(row: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return what is shown of why a run waits, if it does: ``at``, ``starts`` and ``reason``.

    Parameters
    ----------
    row
        As its host lists it.
    """
    options, reason = row.get("options"), (row.get("detail") or {}).get("reason") or ""
    waits = row["state"] in WAITING
    when = starts(options, reason, now) if waits else ""
    return {"at": start_of(options), "starts": when, "reason": reason}


def _at(found: re.Match[str], now: float) -> float:
    day, hour, minute, second, part, offset = found.groups()
    try:
        zone = None if offset is None else _zone(offset)
        today = datetime.fromtimestamp(now, zone).date()
        on = today + timedelta(days=day == "tomorrow")
        if day and day[0].isdigit():
            on = date.fromisoformat(day)
        clock = time(int(hour), int(minute), int(second or 0), int((part or "").ljust(6, "0")))
        moment = datetime.combine(on, clock, zone)
        return _once(moment) if zone is None else moment.timestamp()
    except (ValueError, OverflowError, OSError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("there is no such day or time of day", f"Write {FORMS}.") from None


def _zone(offset: str) -> timezone:
    if offset == "z":
        return UTC
    sign, digits = -1 if offset[0] == "-" else 1, offset[1:].replace(":", "")
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])))


def _once(moment: datetime) -> float:
    """Return a time of this machine's clock; raise for one that it does not show just once."""
    first, second = moment.timestamp(), moment.replace(fold=1).timestamp()
    if first == second:
        return first
    if first > second:
        raise Unreadable(
            "clocks are set forward then, and do not show that time",
            "Write an earlier or a later one.",
        )
    both = [f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%dT%H:%M%z}" for at in (first, second)]
    raise Unreadable(
        "clocks are set back then, and show that time twice", f"Write {both[0]} or {both[1]}."
    )
