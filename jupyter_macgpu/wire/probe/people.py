"""Who is at the Mac, without a name: `IOHIDSystem`, the console, `who`, `w`, `last`, `uptime`.

A console row of `who` or `last` says who is logged in and may be weeks old; the idle time of `w`
counts a terminal. Only `IOHIDSystem` knows when somebody last touched the machine.
"""

from __future__ import annotations

import re

from ..gauges import People, System
from ..telemetry import Telemetry
from . import ioreg
from .scan import count, number

_UP = re.compile(r"\bup\s+(.{1,60}?),\s*([0-9]{1,5}) users?\b")
_UP_ALONE = re.compile(r"\bup\s+(.{1,60}?)(?:,\s*load average|$)", re.MULTILINE)
_LOADS = re.compile(r"load averages?: ([0-9.,]{1,12}?),? ([0-9.,]{1,12}?),? ([0-9.,]{1,12})")
_UNITS = {"day": 86400, "hr": 3600, "hour": 3600, "min": 60, "sec": 1}
_TERMINALS = re.compile(r"console|tty\w+|pts/[0-9]+|s[0-9]{3}|p[0-9]+|:[0-9]+")
_SCREENS = re.compile(r"console|tty[0-9]+|:[0-9]+")
#: Accounts of people begin here on macOS; the login window's is below.
_FIRST_PERSON = 500


def idle(text: str) -> Telemetry:
    """Read ``ioreg -c IOHIDSystem``: nanoseconds since the last key or movement."""
    for node in ioreg.nodes(text, frozenset({"HIDIdleTime"})):
        nanoseconds = node.properties.get("HIDIdleTime")
        if isinstance(nanoseconds, bytes) and len(nanoseconds) == 8:
            nanoseconds = int.from_bytes(nanoseconds, "big")
        if (value := count(nanoseconds)) is not None:
            return Telemetry(people=People(idle_seconds=value / 1e9))
    return Telemetry()


def console(text: str) -> Telemetry:
    """Read ``ioreg -n Root -d 1``: who is logged in at the screen, and whether it is locked."""
    wanted = frozenset({"IOConsoleUsers", "IOConsoleLocked", "CGSSessionScreenIsLocked"})
    for node in ioreg.nodes(text, wanted):
        users = node.properties.get("IOConsoleUsers")
        locked = node.properties.get("IOConsoleLocked")
        if users is None and locked is None:
            continue
        seats = [seat for seat in users if ioreg.is_table(seat)] if isinstance(users, list) else []
        shut = any(seat.get("CGSSessionScreenIsLocked") is True for seat in seats if _on(seat))
        return Telemetry(
            people=People(
                console_user=any(_is_person(seat) for seat in seats)
                if isinstance(users, list)
                else None,
                locked=True if shut else (locked if isinstance(locked, bool) else None),
            )
        )
    return Telemetry()


def _on(seat: dict[str, object]) -> bool:
    return seat.get("kCGSSessionOnConsoleKey") is True


def _is_person(seat: dict[str, object]) -> bool:
    """Return whether a session at the screen is a person's.

    At the login window there is a session too; it has no account of a person.
    """
    if not _on(seat) or seat.get("kCGSessionLoginDoneKey") is False:
        return False
    uid = count(seat.get("kCGSSessionUserIDKey"))
    if uid is not None:
        return uid > _FIRST_PERSON
    return isinstance(seat.get("kCGSSessionUserNameKey"), str)


def uptime(text: str) -> Telemetry:
    """Read `uptime`, or the first line of `w`, of macOS or Linux."""
    match = _UP.search(text)
    alone = match or _UP_ALONE.search(text)
    loads = _LOADS.search(text)
    load_1, load_5, load_15 = map(number, loads.groups()) if loads else (None, None, None)
    return Telemetry(
        system=System(
            uptime_seconds=duration(alone[1]) if alone else None,
            load_1=load_1,
            load_5=load_5,
            load_15=load_15,
        ),
        people=People(logins=int(match[2]) if match else None),
    )


def duration(text: str) -> float | None:
    """Return the seconds of ``20 days, 19:45``, ``1 day 23:56``, ``45 mins`` or ``3:26``."""
    total = 0
    clock = re.search(r"\b([0-9]{1,3}):([0-9]{2})(?::([0-9]{2}))?\b", text)
    if clock:
        total += int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3] or 0)
    spans = re.findall(r"\b([0-9]{1,6}) ?(day|hr|hour|min|sec)", text)
    total += sum(int(value) * _UNITS[unit] for value, unit in spans)
    return float(total) if clock or spans else None


def w(text: str) -> Telemetry:
    """Read `w`: the line of `uptime`, then a row for each session."""
    head, _, rows = text.lstrip().partition("\n")
    first = uptime(head)
    if first == Telemetry():
        return who(text)
    listed = who(rows).people
    logins = first.people.logins if first.people.logins is not None else listed.logins
    return Telemetry(
        system=first.system, people=People(console_user=listed.console_user, logins=logins)
    )


def who(text: str) -> Telemetry:
    """Read `who` or ``who -a``: rows of an account and a terminal.

    ``who -a`` also lists sessions that ended: these have an exit status.
    """
    seats = [row for line in text.splitlines() if (row := _row(line)) is not None]
    if not seats:
        return Telemetry()
    return Telemetry(
        people=People(
            console_user=any(_SCREENS.fullmatch(seat) for seat in seats), logins=len(seats)
        )
    )


def last(text: str) -> Telemetry:
    """Read `last`: of the sessions of months, those that are still there."""
    begun = [line for line in text.splitlines() if _row(line) is not None]
    if not begun:
        return Telemetry()
    open_now = "\n".join(line for line in begun if "still logged in" in line)
    people = who(open_now).people
    return Telemetry(
        people=People(console_user=bool(people.console_user), logins=people.logins or 0)
    )


def _row(line: str) -> str | None:
    """Return the terminal of a row that is a person's session."""
    words = line.split()
    if len(words) < 3 or words[0].startswith("_") or words[0] in ("USER", "reboot", "shutdown"):
        return None
    words = [word for word in words[:3] if word not in ("+", "-", "?")]
    ended = "exit=" in line
    return words[1] if len(words) > 1 and _TERMINALS.fullmatch(words[1]) and not ended else None
