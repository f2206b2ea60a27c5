"""When notebooks are due: plans as values, and what becomes of them as time passes.

No input or output, no clock: times are seconds since 1970, cron's fields are read by the clock of
this machine's time zone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from cronsim import CronSim, CronSimError

from ..wire.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds that a start may be late and still counts as in time.
LATE = 90.0
#: Ends that are remembered.
REMEMBERED = 20
#: Missed times that are counted one by one.
_COUNTED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What became of one time at which a notebook was due.

    Attributes
    ----------
    state
        ``ok``, ``error``, ``cancelled``, ``interrupted`` by the server's end, ``skipped`` since the
        one before still ran, ``missed`` since the server was off.
    at
        When it was over, or due.
    output
        The notebook that has run, as the browser names it.
    """

    state: str
    at: float
    seconds: float | None = None
    output: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A run whose end a plan waits for.

    Attributes
    ----------
    whatever
        Whether its end may be a bad one.
    """

    run: str
    host: str
    whatever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A notebook that is to run: once, or again and again.

    Attributes
    ----------
    path, output
        The notebook and where the one that has run goes, below the server's root; without an
        output each run gets a file of its own, named for its time.
    on
        Where it runs, as ``--on`` has it; None leaves that to the placement.
    at, cron
        When it is due; neither means now, or when the runs have ended that it follows.
    after, awaits
        The runs that it follows, as the browser named them; those whose end is not known yet.
    priority
        What its cells' place in a queue is worth.
    concurrency
        What happens if it is due while it runs: ``skip`` or ``queue``.
    missed
        What happens with times while the server was off: ``skip``, or ``once`` for all of them.
    key
        What the browser calls this request, so that the same one twice is one.
    next
        When it is due next; None is never again.
    missed_times
        How many times passed while the server was off.
    began
        When what runs now began; None if nothing does.
    history
        What became of the last times, the newest first.
    """

    id: str
    path: str
    created: float
    on: str | None = None
    at: float | None = None
    cron: str | None = None
    after: tuple[str, ...] = ()
    awaits: tuple[Awaited, ...] = ()
    priority: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    output: str | None = None
    concurrency: Literal["skip", "queue"] = "skip"
    missed: Literal["skip", "once"] = "skip"
    key: str = ""
    next: float | None = None
    is_paused: bool = False
    missed_times: int = 0
    began: float | None = None
    history: tuple[End, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether it never becomes due again."""
        return self.next is None and not self.awaits

    def ended(self, end: End) -> Plan:
        """Return it with one more end remembered, and nothing running."""
        return replace(self, began=None, history=(end, *self.history)[:REMEMBERED])

    def plain(self) -> dict[str, Any]:
        """Return it as a file holds it."""
        return asdict(self)


def planned(plan: Plan, now: float) -> Plan:
    """Return a new plan with its first time.

    Raises
    ------
    InputError
        If it has two kinds of times, or one that is past, or no cron line.
    """
    if sum(map(bool, (plan.at is not None, plan.cron is not None, plan.after))) > 1:
        raise InputError(
            "A notebook runs at one time, by cron or after runs: one of these.",
            next="Leave the others out.",
        )
    if plan.at is not None and plan.at < now - LATE:
        raise InputError("That time is past.", next="Name a time that is still to come.")
    if plan.awaits:
        return plan
    if plan.cron is None:
        return replace(plan, next=now if plan.at is None else plan.at)
    return replace(plan, next=after(plan.cron, now))


def after(cron: str, now: float) -> float | None:
    """Return the next time of a cron line after `now`; None if there is none.

    Raises
    ------
    InputError
        If it is no cron line.
    """
    try:
        # Without a time zone it is the wall clock's, which is what people mean by 3:00.
        return next(CronSim(cron, datetime.fromtimestamp(now)), datetime.max).timestamp()
    except CronSimError as error:
        raise InputError(
            f"{cron[:80]!r} is no cron line: {error}.",
            next="Five fields: minute, hour, day of the month, month, day of the week.",
        ) from None
    except (OverflowError, ValueError):
        return None


def looked_at(plan: Plan, now: float) -> tuple[Plan, bool]:
    """Return what a plan becomes at a look at the clock, and whether it is due.

    Its next time is the first one that is still to come: several that passed are one.
    """
    if plan.next is None or plan.is_paused or now < plan.next:
        return plan, False
    was, coming = plan.next, None if plan.cron is None else after(plan.cron, now)
    plan = replace(plan, next=coming)
    if now - was <= LATE:
        return plan, True
    times = _times(plan.cron, was, now)
    plan = replace(plan, missed_times=plan.missed_times + times)
    if plan.missed == "once":
        return plan, True
    many = "" if times == 1 else f", with {times - 1} more since"
    text = f"the server was off or asleep when it was due{many}"
    end = End(state="missed", at=was, message=text)
    return replace(plan, history=(end, *plan.history)[:REMEMBERED]), False


def heard(plan: Plan, awaited: Awaited, row: Mapping[str, Any] | None, now: float) -> Plan:
    """Return what a plan becomes when it is known how a run stands that it waits for.

    Parameters
    ----------
    row
        Of the run; None if its host does not know it any more, which then has ended somehow.
    """
    if awaited not in plan.awaits or (row and not row["moved"] and not row["final"]):
        return plan
    if row and row["moved"]:
        follow = replace(awaited, run=row["moved"]["run"], host=row["moved"]["host"])
        return replace(
            plan, awaits=tuple(follow if each == awaited else each for each in plan.awaits)
        )
    if awaited.whatever or (row and row["state"] == "ok"):
        awaits = tuple(each for each in plan.awaits if each != awaited)
        return replace(plan, awaits=awaits, next=plan.next if awaits else now)
    how = f"ended: {row['state']}" if row else "is not known there any more"
    text = f"run {awaited.run[:8]} on {awaited.host}, which it was to follow, {how}"
    end = End(state="cancelled", at=round(now, 3), message=f"it was not started: {text}")
    return replace(plan, awaits=(), history=(end, *plan.history)[:REMEMBERED])


def resumed(plan: Plan, now: float) -> Plan:
    """Return a paused plan that goes on: times that passed meanwhile are not made up for."""
    due = plan.next
    if plan.cron is not None:
        due = after(plan.cron, now)
    elif due is not None and due < now:
        due = now if plan.after else None
    return replace(plan, is_paused=False, next=due)


def read_plan(data: Any) -> Plan:
    """Read what `Plan.plain` made.

    Raises
    ------
    ValueError, TypeError
        If it is not that.
    """
    known = {each.name for each in fields(Plan)}
    values = {name: value for name, value in dict(data).items() if name in known}
    values["after"] = tuple(map(str, values.get("after", ())))
    values["awaits"] = tuple(Awaited(**each) for each in values.get("awaits", ()))
    values["history"] = tuple(End(**end) for end in values.get("history", ()))
    return Plan(**values)


def _times(cron: str | None, first: float, now: float) -> int:
    """Return how many times there were from the first one until now."""
    count, at = 1, first
    while cron is not None and count < _COUNTED:
        following = after(cron, at)
        if following is None or following > now:
            break
        count, at = count + 1, following
    return count
