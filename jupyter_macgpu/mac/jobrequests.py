"""What clients may ask of jobs, and when what nobody came for is deleted.

Runs on the Mac. Only Python and `wire` may be imported here. Pure: no IO, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..wire import messages as m
from ..wire.order import LEAST, MOST
from . import effects as e

if TYPE_CHECKING:
    from .book import Book
    from .records import Run

#: Seconds after which a session without a worker is forgotten.
KEEP_SESSION = 7 * 86400.0


def purge(book: Book, now: float) -> None:
    """Delete what nobody came for in time; later forget that it was there at all.

    A run that was purged stays in the list for as long again, so that who asks learns why.
    """
    followed = {name for run in book.held.values() for name, _ in run.options.get("after") or ()}
    for run in [run for run in book.runs.values() if not run.live]:
        age = now - run.since
        if age <= run.keep or run.run in followed:
            continue
        if run.collected or age > 2 * run.keep:
            book.drop(run)
        elif not run.purged:
            run.detail["purged"] = True
            book.do(e.Log(entry={"run": run.run, "detail": {"purged": True}}))
            book.do(e.Forget(run=run.run, journal=True))
    in_use = {run.session for run in book.live()}
    for session in list(book.sessions.values()):
        used = session.session in in_use or session.worker != "none"
        if not used and now - session.idle_since > KEEP_SESSION:
            book.end_session(session)


class JobRequests:
    """Does what clients say of jobs."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def detach(self, client: int, message: m.Detach, _now: float) -> None:
        """Let whoever waits for a run go on without it, when the run is on the disk."""
        run = self._book.runs.get(message.run)
        if run is None or not run.live or run.state == "receiving":
            self._book.refuse(client, "detach", message.run, *_not_live(run))
            return
        run.options["detach"] = True
        self._book.do(e.Log(entry={"run": run.run, "options": {"detach": True}}, durable=True))
        self._book.tell(run, {"detached": True})
        self._book.answer(client, run)

    def withdraw(self, client: int, message: m.Withdraw, now: float) -> None:
        """Take back a run of which nothing has started."""
        run = self._book.runs.get(message.run)
        if run is not None and run.detail.get("moved") == message.to and message.to:
            self._book.send(client, m.Withdrawn(run=run.run, to=message.to))
        elif run is None or not run.live or run.state == "receiving":
            self._book.refuse(client, "withdraw", message.run, *_not_live(run))
        elif run.state == "started":
            text = "it has started; what has begun is not moved"
            self._book.refuse(client, "withdraw", run.run, "has-started", text)
        elif follower := self._follower(run):
            text = f"run {follower.run[:8]} is to follow it here"
            self._book.refuse(client, "withdraw", run.run, "followed", text)
        else:
            where = f"to {message.to['host']}" if "host" in message.to else "away"
            self._book.end(
                run,
                "cancelled",
                {"what": f"it was moved {where} before it began", "moved": message.to},
                now,
            )
            run.collected = True
            self._book.do(e.Log(entry={"run": run.run, "collected": True}, durable=True))
            self._book.send(client, m.Withdrawn(run=run.run, to=message.to))
            self._book.schedule(now)

    def _follower(self, run: Run) -> Run | None:
        held = self._book.held.values()
        following = (
            other
            for other in held
            for name, _ in other.options.get("after") or ()
            if name == run.run
        )
        return next(following, None)

    def proceed(self, client: int, message: m.Proceed, now: float) -> None:
        """Let a parked run wait for its slot."""
        run = self._book.runs.get(message.run)
        if run is None:
            self._book.refuse(client, "proceed", message.run, *_not_live(run))
            return
        if run.live and run.options.get("parked") and not run.detail.get("proceeds"):
            run.detail["proceeds"] = True
            entry = {"run": run.run, "detail": {"proceeds": True}}
            self._book.do(e.Log(entry=entry, durable=True))
            self._book.schedule(now)
        self._book.answer(client, run)

    def prioritise(self, client: int, message: m.Prioritise, now: float) -> None:
        """Give a run that waits another priority; it keeps the time since which it waits."""
        run = self._book.runs.get(message.run)
        word, text = _not_live(run)
        if run is not None and run.live and run.state != "receiving":
            word, text = self._settled(run, message.priority)
        if run is None or word:
            self._book.refuse(client, "prioritise", message.run, word, text)
            return
        run.options["priority"] = message.priority
        entry = {"run": run.run, "options": {"priority": message.priority}}
        self._book.do(e.Log(entry=entry, durable=run.detached))
        self._book.leases.reorder(run.run, message.priority)
        self._book.schedule(now)
        self._book.answer(client, run)

    def _settled(self, run: Run, priority: int) -> tuple[str, str]:
        """Return why a live run's priority cannot become another one, or two ``""``."""
        if type(priority) is not int or not LEAST <= priority <= MOST:
            return "bad-priority", f"a priority is a whole number from {LEAST} to {MOST}"
        if run.state == "started" or run.run in self._book.leases.holding():
            return "has-started", "it has its slot; what has begun waits for nothing"
        if self._book.leases.cleared is not None:
            text = "its place is in the queue of all accounts of this machine, and stays what it is"
            return "shared-queue", text
        return "", ""


def _not_live(run: Run | None) -> tuple[str, str]:
    if run is None or run.state == "receiving":
        return "unknown-run", "this host does not know that run"
    return "has-ended", f"this run has ended: {run.state}"
