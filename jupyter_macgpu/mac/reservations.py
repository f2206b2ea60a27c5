"""Places in the queue of runs that were not sent yet. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.

A reservation waits in the same queue as the runs, under the id of the run to come. That run's
`Submit` takes its place or its slot over. It dies with its client's connection, after `SILENCE` of
that client, and `UNUSED` after its grant; it is never written down, since whoever starts again
finds no client that holds one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..wire import messages as m

if TYPE_CHECKING:
    from .leases import Leases, Waiting
    from .records import Run

#: Seconds without a word of a client after which its reservations are over.
SILENCE = 60.0
#: Seconds that a slot is held for a run whose submission does not come, or does not get on.
UNUSED = 60.0
#: Reservations of one client.
MOST = 16


class _Keeper(Protocol):
    """What keeps the runs: `book.Book`, whose methods these are."""

    leases: Leases
    runs: dict[str, Run]

    def schedule(self, now: float) -> None: ...

    def wait_for(self, kind: str, position: int | None, now: float) -> float | None: ...

    def send(self, client: int, message: m.Message) -> None: ...

    def refuse(
        self,
        client: int,
        about: str,
        subject: str,
        reason: str,
        text: str,
        detail: dict[str, Any] | None = None,
    ) -> None: ...


@dataclass(slots=True)
class _Reservation:
    """One reservation.

    Attributes
    ----------
    client
        Whose it is.
    granted
        When it was granted, in seconds of the supervisor's monotonic clock; None if it waits.
    said
        What the client was told last.
    is_sent
        Whether its run's submission has come; it is held until all of that is here.
    """

    client: int
    granted: float | None = None
    said: m.Reserved | None = None
    is_sent: bool = False


class Reservations:
    """All reservations of one account on one host."""

    def __init__(self, book: _Keeper) -> None:
        self._book = book
        self._all: dict[str, _Reservation] = {}
        self._heard: dict[int, float] = {}

    def __contains__(self, run: object) -> bool:
        return run in self._all

    def heard(self, client: int, now: float) -> None:
        """Note that a client is there."""
        self._heard[client] = now

    def make(self, client: int, waiting: Waiting, now: float) -> None:
        """Reserve for a client, or tell it once more how its reservation stands."""
        known = self._all.get(waiting.run)
        mine = sum(each.client == client for each in self._all.values())
        if (known is not None and known.client != client) or waiting.run in self._book.runs:
            text = "this run id was used before"
            self._book.refuse(client, "reserve", waiting.run, "reserved", text)
        elif known is not None:
            known.said = None
            self.tell(waiting.run, now)
        elif mine >= MOST:
            text = f"a client reserves {MOST} places at most"
            self._book.refuse(client, "reserve", waiting.run, "too-many", text)
        else:
            self.heard(client, now)
            self._all[waiting.run] = _Reservation(client)
            self._book.leases.ask(replace(waiting, since=now))
            self._book.schedule(now)

    def tell(self, run: str, now: float) -> None:
        """Tell its client how a reservation stands, if that has changed."""
        mine, leases = self._all[run], self._book.leases
        if mine.is_sent:
            return
        if (held := leases.waits(run)) is None:
            mine.granted = now if mine.granted is None else mine.granted
            said = m.Reserved(run=run, state="granted")
        else:
            position = leases.position(run)
            wait = self._book.wait_for(held.kind, position, now)
            reason = leases.reason(run)
            said = m.Reserved(run=run, state="waiting", position=position, wait=wait, reason=reason)
        if said != mine.said:
            mine.said = said
            self._book.send(mine.client, said)

    def sent(self, run: Run) -> None:
        """Note that a run's submission has come: it is held until all of it is here."""
        mine = self._all.get(run.run)
        if mine is not None and mine.client == run.detail.get("from"):
            mine.is_sent = True

    def take_over(self, run: Run, waiting: Waiting) -> bool:
        """Let a run that is all here have its reservation's place or slot, if it has one."""
        if self._all.pop(run.run, None) is None:
            return False
        return self._book.leases.take_over(waiting)

    def release(self, client: int, run: str, now: float) -> None:
        """Give a client's reservation back, unless its run was sent."""
        mine = self._all.get(run)
        if mine is not None and mine.client == client and not mine.is_sent:
            self._end(run)
            self._book.schedule(now)

    def left(self, client: int, now: float) -> None:
        """End the reservations of a client whose connection is over."""
        self._heard.pop(client, None)
        mine = [run for run, each in self._all.items() if each.client == client]
        for run in mine:
            self._end(run)
        if mine:
            self._book.schedule(now)

    def expire(self, now: float) -> None:
        """End the reservations of silent clients, and those that nobody uses."""
        over = [run for run, each in self._all.items() if self._is_over(each, now)]
        for run in over:
            mine = self._all[run]
            self._end(run)
            if not mine.is_sent:
                self._book.send(mine.client, m.Reserved(run=run, state="expired"))
        if over:
            self._book.schedule(now)

    def _is_over(self, mine: _Reservation, now: float) -> bool:
        unused = mine.granted is not None and not mine.is_sent and now - mine.granted > UNUSED
        return unused or now - self._heard.get(mine.client, now) > SILENCE

    def _end(self, run: str) -> None:
        del self._all[run]
        self._book.leases.release(run)
