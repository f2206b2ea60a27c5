"""Whose turn it is on a machine that several accounts share. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.

Each account's supervisor sees the same tickets (`tickets`) and decides by the same rule, for its
own tickets alone: one may take a slot if fewer tickets go before it (`wire.order`) than slots are
free. A ticket that does not take the slot which is free for it is passed after `PATIENCE`, for the
next `PASSED` seconds: its supervisor may be stopped, or may want nothing but to be in the way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..wire.order import Place

#: Seconds that others have to take a slot that is free for them.
PATIENCE = 5.0
PASSED = 60.0
#: Seconds for which the slot of a supervisor that has ended is kept for its successor, which takes
#: over what still runs.
GRACE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One cell that waits for a slot of the machine, or holds one.

    Attributes
    ----------
    name
        Its file's name.
    account, login
        Number and name of the account whose file it is; nobody can give another one's.
    place
        Its place, by when the machine itself saw the file come.
    age
        Seconds since it began to wait, or to hold its slot.
    is_held
        Whether it holds a slot.
    is_alive
        Whether its supervisor is there.
    """

    name: str
    account: int
    login: str
    kind: str
    place: Place
    mem: int = 0
    age: float = 0.0
    is_held: bool = False
    is_alive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What others do on the machine, as far as it concerns this account's own queue.

    Attributes
    ----------
    held
        Tickets of other accounts that hold a slot.
    waiting
        Tickets of other accounts that wait, in order.
    ahead
        How many of these go before each of our own runs that have a ticket.
    """

    held: tuple[Ticket, ...] = ()
    waiting: tuple[Ticket, ...] = ()
    ahead: Mapping[str, int] = field(default_factory=dict)

    def before(self, run: str, kind: str) -> int:
        """Return how many of the others' tickets go before a run; all, if it has no ticket yet."""
        return self.ahead.get(run, sum(each.kind == kind for each in self.waiting))


#: No other account does anything.
ALONE = Crowd()


def said_of(ticket: Ticket) -> str:
    """Return what everybody may know of who has a slot: who, since when, how much memory."""
    minutes = int(ticket.age // 60)
    memory = f", {ticket.mem / 1e9:g} GB" if ticket.mem else ""
    return f"{ticket.login} since {minutes} min{memory}"


def in_order(tickets: Iterable[Ticket]) -> list[Ticket]:
    """Return the tickets that wait, in the order in which they are served."""
    waiting = [each for each in tickets if not each.is_held]
    return sorted(waiting, key=lambda each: each.place.order)


def crowd_of(tickets: Collection[Ticket], mine: Mapping[str, str]) -> Crowd:
    """Return what the others do.

    Parameters
    ----------
    mine
        Our own runs by the names of their tickets.
    """
    line = in_order(tickets)
    others = [each for each in line if each.name not in mine]
    held = [each for each in tickets if each.is_held and each.name not in mine]
    ahead = {}
    for number, each in enumerate(line):
        if each.name in mine:
            before = line[:number]
            ahead[mine[each.name]] = sum(
                one.kind == each.kind and one.name not in mine for one in before
            )
    return Crowd(held=tuple(held), waiting=tuple(others), ahead=ahead)


class Turns:
    """Finds whose turn it is, again and again."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._dead: dict[str, float] = {}

    def living(self, tickets: Sequence[Ticket], now: float) -> list[Ticket]:
        """Return the tickets that count: not those whose supervisor is gone, but see `GRACE`."""
        dead = {each.name for each in tickets if not each.is_alive}
        self._dead = {name: self._dead.get(name, now) for name in dead}
        return [
            each
            for each in tickets
            if each.is_alive or (each.is_held and now - self._dead[each.name] < GRACE)
        ]

    def taken(
        self,
        tickets: Sequence[Ticket],
        mine: Collection[str],
        slots: Mapping[str, int],
        now: float,
    ) -> list[str]:
        """Return the names of our own tickets that may take a slot now, in order.

        Parameters
        ----------
        tickets
            All that count (`living`).
        slots
            Slots of the machine by kind; of an unknown kind there is one.
        """
        free: dict[str, int] = {}
        for each in tickets:
            free.setdefault(each.kind, slots.get(each.kind, 1))
            free[each.kind] -= each.is_held
        granted = []
        since = {name: at for name, at in self._since.items() if _is_passed(now - at)}
        for each in in_order(tickets):
            if free[each.kind] <= 0:
                continue
            if each.name in mine:
                granted.append(each.name)
                free[each.kind] -= 1
                continue
            # Since when the slot is free for it, or when it began to be passed.
            since[each.name] = at = since.get(each.name, self._since.get(each.name, now))
            if now - at >= PATIENCE + PASSED:
                since[each.name] = at = now
            if not _is_passed(now - at):
                free[each.kind] -= 1
        self._since = since
        return granted


def _is_passed(seconds: float) -> bool:
    return PATIENCE <= seconds < PATIENCE + PASSED
