"""What a supervisor takes up of an earlier one: the log, and the workers that live.

Runs on the Mac. Only Python and `wire` may be imported here. Pure: no IO, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import effects as e
from .jobs import again, went_on
from .records import Run, Session, asking, is_sound, known_fields

if TYPE_CHECKING:
    from ..wire import messages as m
    from .book import Book

#: Bytes that a supervisor may have read from a worker and not written down when it died.
GAP = 64 * 1024
#: Reasons to stop a run after which the end of its worker is no surprise.
FATAL = ("kill", "timeout", "memory")


class Succession:
    """The part of a supervisor's mind that begins where another one ended."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._idle_since = 0.0

    @property
    def runs(self) -> dict[str, Run]:
        """All runs by id."""
        return self._book.runs

    @property
    def sessions(self) -> dict[str, Session]:
        """All sessions by id."""
        return self._book.sessions

    def time_is(self, now: float, wall: float) -> None:
        """Note the time of day: it goes on while the machine sleeps, and may be set.

        Parameters
        ----------
        wall
            It, in seconds since 1970, when the clock that steps are told says `now`.
        """
        self._book.ahead = wall - now

    # After a start: what the log says, and which workers live.

    def restore(self, entries: list[dict[str, Any]], now: float, wall: float = 0.0) -> None:
        """Take up the log of an earlier supervisor, oldest entry first. Called once, first.

        Parameters
        ----------
        wall
            The time of day, in seconds of the clock by which entries say ``at``.
        """
        self._idle_since = now
        self.time_is(now, wall)
        for entry in filter(is_sound, entries):
            at = now - max(0.0, wall - entry.get("at", wall))
            if "run" not in entry:
                self._restore_session(entry, at)
                continue
            known = self._book.runs.get(entry.get("run", ""))
            if known is None:
                if "digest" in entry:
                    self._book.add(Run(**known_fields(Run, entry) | {"since": at}))
                elif "removed" in entry:
                    self._book.removed.add(entry["run"])
                continue
            if "state" in entry:
                known.state, known.since = entry["state"], at
            known.options |= entry.get("options", {})
            known.epoch = entry.get("epoch", known.epoch)
            known.stopping, known.stopped_at = entry.get("stopping", known.stopping), now
            known.collected = entry.get("collected", known.collected)
            known.detail |= entry.get("detail", {})
            if "took" in entry:
                self._book.took[known.kind].append(entry["took"])

    def _restore_session(self, entry: dict[str, Any], at: float) -> None:
        if "notebook" in entry:
            session = Session(**known_fields(Session, entry) | {"idle_since": at})
            self._book.sessions.setdefault(session.session, session)
        else:
            self._book.sessions.pop(str(entry.get("session")), None)

    def concluded(self, run_id: str, end: m.End, now: float) -> list[e.Effect]:
        """Note a run whose end is written in its journal, but not in the log.

        The log may also lack the steps before it, if the machine crashed.
        """
        run = self.runs[run_id]
        run.state, run.since = end.state, now
        run.detail |= (detail := {**went_on(end.summary), "file": end.size > 0})
        entry = {"run": run_id, "state": end.state, "detail": detail}
        self._book.do(e.Log(entry=entry))
        return self._book.done()

    def adopted(self, session_id: str, now: float, whole: bool = False) -> list[e.Effect]:
        """Note a worker of an earlier supervisor that lives; what it runs it has still to say.

        Parameters
        ----------
        whole
            Whether that supervisor handed on all that it had read: then there is no gap.
        """
        session = self.sessions.setdefault(
            session_id, Session(session=session_id, client="", notebook="")
        )
        session.worker, session.silent = "ready", True
        session.idle_since = now
        for run in self.runs.values():
            if run.session == session_id and run.state == "started":
                self._book.leases.hold(asking(run))
                if not whole:
                    self._book.do(e.Append(run=run.run, what="gap", content={"at_most": GAP}))
        return self._book.done()

    def confirmed(
        self, session_id: str, known: set[str], now: float, asking: int = 0
    ) -> list[e.Effect]:
        """Take an adopted worker's word for the runs that it knows; others never reached it.

        Parameters
        ----------
        asking
            Mark of the question that its run waits with: who answered it is asked again.
        """
        self.sessions[session_id].silent = False
        for run in self._book.holding():
            if run.session == session_id and run.state == "started" and run.run not in known:
                what = "the supervisor ended before it handed the run to its worker"
                self._book.end(run, "lost", {"what": what}, now)
        current = self._book.running(session_id)
        if current is not None and asking:
            current.asking = asking
            self._book.tell(current, {"asking": asking})
        self._book.schedule(now)
        return self._book.done()

    def settle(self, now: float) -> list[e.Effect]:
        """After all adoptions: end what nobody runs any more, queue what was never started."""
        holding = set(self._book.leases.holding())
        for run in [run for run in self._book.runs.values() if run.live and run.run not in holding]:
            rebooted = run.detail.get("boot") != self._book.boot
            unsure = run.state == "accepted" and not run.detached
            if run.state == "started" or (unsure and rebooted):
                # A queued run's start is brought to the disk, and a detached one's: of others
                # that are accepted nobody knows whether they have run.
                what = "the host restarted" if rebooted else "its worker is gone"
                killed = "cancelled" if run.stopping in FATAL else "died"
                summary = {"what": what, "stopping": run.stopping}
                self._book.end(run, "lost" if rebooted else killed, summary, now)
            elif run.state == "receiving":
                self._book.drop(run)
            else:
                self._book.wait(run, now)
        self._take_up_retries(now)
        self._book.schedule(now)
        return self._book.done()

    def _take_up_retries(self, now: float) -> None:
        """Accept what was to be tried again when the last supervisor ended."""
        for run in list(self._book.runs.values()):
            if run.detail.get("retried") and not run.purged:
                self._book.try_again(run, again(run, now), now)
