"""The supervisor's book: its runs and sessions, and the steps that they take.

Runs on the Mac. Only Python and `wire` may be imported here. Pure: no IO, no clock.

Every step is written as effects (`effects`), in the order in which they are to be carried out: the
record of a step stands before the step.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace
from typing import Any

from ..wire import messages as m
from ..wire.jobs import NOT_YET
from . import effects as e
from .estimates import estimated_wait, roughly
from .jobs import again, held_back, went_on, with_reason
from .leases import Leases
from .records import Run, Session, asking
from .reservations import Reservations

#: Runs whose running time counts for the estimate of a wait.
RECENT = 50


class Book:
    """All runs and sessions of one account on one host.

    Parameters
    ----------
    slots
        Runs at a time by kind of slot.
    boot
        Identity of this boot of the host; part of every `started` record.
    """

    def __init__(self, slots: dict[str, int], boot: str) -> None:
        self.boot = boot
        self.leases = Leases(slots)
        self.reservations = Reservations(self)
        self.runs: dict[str, Run] = {}
        self.sessions: dict[str, Session] = {}
        self.clients: dict[int, m.Hello] = {}
        #: Accepted runs that are not in the queue yet: others go before them.
        self.held: dict[str, Run] = {}
        self.operations: dict[str, tuple[int, str, str]] = {}
        #: Ids of runs that ended and were removed: they must not run again.
        self.removed: set[str] = set()
        #: Running times of runs, by kind of slot, for the estimate of how long others wait.
        self.took: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))
        #: Runs of which something was written down or told; who watches them is told.
        self.touched: set[str] = set()
        #: Seconds by which the time of day, since 1970, is ahead of the clock that steps are told.
        self.ahead = 0.0
        self._began: dict[str, float] = {}
        self._todo: list[e.Effect] = []
        self._live: dict[str, Run] = {}

    def add(self, run: Run) -> None:
        """Take a run that is new here."""
        self.runs[run.run] = self._live[run.run] = run

    def live(self) -> list[Run]:
        """Return the runs that have not ended.

        Each submission asks: it must not take longer, the more runs are remembered.
        """
        known = self._live.items()
        self._live = {name: run for name, run in known if run.live and name in self.runs}
        return list(self._live.values())

    def wait(self, run: Run, now: float) -> None:
        """Put a run into the queue, or beside it while others go before it.

        After a restart of the supervisor it has its old place.
        """
        reason, never = held_back(run, self.runs, now + self.ahead)
        if never:
            self.end(run, "cancelled", {"what": never}, now)
        elif reason:
            self.held[run.run] = run
            self._hold(run, reason, now)
        elif not self.reservations.take_over(run, asking(run)):
            self.leases.ask(replace(asking(run), since=self.asked(run, now)))

    def asked(self, run: Run, now: float) -> float:
        """Return since when a run has waited for a slot: not before its time."""
        asked = run.detail.get("asked", now) if run.detail.get("boot") == self.boot else now
        due = asked if run.due is None else run.due - self.ahead
        return float(min(max(asked, due), now))

    def is_time(self, now: float) -> bool:
        """Say whether a run is held back whose time has come."""
        waiting = (run for run in self.held.values() if run.detail.get("reason") == NOT_YET)
        return any(run.due is None or run.due <= now + self.ahead for run in waiting)

    def holding(self, kind: str | None = None) -> list[Run]:
        """Return the runs that hold a slot, of any kind or of one; reservations are no runs."""
        held = (self.runs.get(run) for run in self.leases.holding(kind))
        return [run for run in held if run is not None]

    def lasted(self, kind: str, now: float) -> list[float]:
        """Return the seconds that each of those which hold a slot of a kind has lasted."""
        runs = self.holding(kind)
        lasted = [now - run.since if run.state == "started" else 0.0 for run in runs]
        others = [each.age for each in self.leases.crowd.held if each.kind == kind]
        return lasted + others + [0.0] * (len(self.leases.holding(kind)) - len(runs))

    def wait_for(self, kind: str, position: int | None, now: float) -> float | None:
        """Return roughly in how many seconds one that waits may begin; None is unknown."""
        if position is None or self.leases.bounds.closed:
            return None
        slots = self.leases.slots.get(kind, 1)
        return roughly(estimated_wait(slots, self.lasted(kind, now), position, self.took[kind]))

    def accept(self, run: Run, now: float, client: int | None = None) -> None:
        """Note that all of a run is here; it waits from now on."""
        sender = run.detail.pop("from", None)
        run.detail.pop("inline", None)
        self._accept(run, now)
        self.schedule(now)
        if run.detached:
            self.answer(sender if client is None else client, run)
        elif client is not None:
            self.follow(client, run, 0)

    def _accept(self, run: Run, now: float) -> None:
        run.become("accepted", now)
        kept = {"boot": self.boot, "asked": round(now, 3)}
        run.detail |= kept
        entry = {"run": run.run, "state": "accepted", "detail": kept}
        self.do(e.Log(entry=entry, durable=run.detached))
        self.wait(run, now)

    def schedule(self, now: float) -> None:
        """Start what may start, and tell the others their place."""
        self._release(now)
        self.leases.grant()
        for run in self.holding():
            if run.state not in ("accepted", "queued"):
                continue
            session = self.sessions.setdefault(
                run.session, Session(session=run.session, client="", notebook="")
            )
            if session.listens:
                self.start(run, session, now)
            elif session.worker == "none":
                session.worker, session.reason = "starting", ""
                environment = session.environment
                self.do(e.StartWorker(session=session.session, environment=environment))
        self.places(now)

    def _release(self, now: float) -> None:
        """Let those into the queue that have nobody before them any more; end those in vain."""
        before = None
        while self.held and before != list(self.held):
            # The end of one may be what another one waits for.
            before = list(self.held)
            for run in [self.held[name] for name in before]:
                if held_back(run, self.runs, now + self.ahead) != (run.detail.get("reason"), ""):
                    del self.held[run.run]
                    run.detail |= {"asked": round(now, 3), "reason": ""}
                    self.wait(run, now)

    def _hold(self, run: Run, reason: str, now: float) -> None:
        self._queued(run, now)
        if run.detail.get("reason") != reason:
            run.detail["reason"] = reason
            self.tell(run, run.standing)

    def _queued(self, run: Run, now: float) -> None:
        if run.state == "accepted":
            run.become("queued", now)
            self.do(e.Log(entry={"run": run.run, "state": "queued"}, durable=True))

    def places(self, now: float) -> None:
        """Tell those that wait their place, where it or what is to be said of it has changed."""
        waiting = self.leases.waiting()
        if self.leases.cleared is not None:
            waiting = [run for run in waiting if run not in self.leases.fresh]
        for run_id in [*waiting, *self.leases.holding()]:
            if run_id in self.reservations:
                self.reservations.tell(run_id, now)
        for run_id in waiting:
            if run_id in self.runs and run_id not in self.reservations:
                self.queue(self.runs[run_id], now)

    def queue(self, run: Run, now: float) -> None:
        """Note a run's place in the queue."""
        self._queued(run, now)
        place = self.leases.position(run.run)
        wait = self.wait_for(run.kind, place, now)
        said = {"place": place, "wait": wait, "reason": self.leases.reason(run.run)}
        if any(run.detail.get(key, "") != value for key, value in said.items()):
            run.detail |= said
            self.tell(run, {"reason": said["reason"]})

    def start(self, run: Run, session: Session, now: float) -> None:
        """Have a session's worker execute a run that holds a slot."""
        # The disk knows a queued run. It must learn of its start, or the host's next boot
        # would find it in the queue and run it again.
        durable = run.state == "queued" or run.detached
        run.become("started", now)
        run.detail |= {"boot": self.boot}
        self._leave_queue(run)
        self._began[run.run] = now
        entry = {"run": run.run, "state": "started", "detail": {"boot": self.boot}}
        self.do(e.Log(entry=entry, durable=durable))
        self.do(
            e.Execute(session=session.session, run=run.run, epoch=run.epoch, options=run.options)
        )
        self.tell(run)

    def stop(self, run: Run, why: str, now: float) -> None:
        """Begin to stop a started run: ``interrupt``, ``timeout`` or ``kill``."""
        if run.stopping == "kill" != why:
            return
        run.stopping, run.stopped_at = why, now
        self.do(e.Log(entry={"run": run.run, "stopping": why}))
        if why in ("kill", "memory"):
            self.do(e.EndWorker(session=run.session))
        else:
            self.do(e.Interrupt(session=run.session, run=run.run, epoch=run.epoch))

    def end(
        self,
        run: Run,
        state: str,
        summary: dict[str, Any],
        now: float,
        event: m.Event | None = None,
    ) -> None:
        """Write a run's end, with the worker's `event` if that is how it ended."""
        summary = with_reason(run, state, summary)
        following = again(run, now) if state in ("died", "lost") and run.retry else None
        if following is not None:
            summary = {**summary, "retried": following.run}
        self._finish(run, state, summary, event)
        run.become(state, now)
        run.asking = 0
        self._leave_queue(run)
        self.leases.release(run.run)
        self.held.pop(run.run, None)
        if run.session in self.sessions:
            self.sessions[run.session].idle_since = now
        entry: dict[str, Any] = {"run": run.run, "state": state}
        if (began := self._began.pop(run.run, None)) is not None:
            entry["took"] = round(now - began, 3)
            self.took[run.kind].append(entry["took"])
        detail = {
            **went_on(summary),
            **({"file": True} if event is not None and event.path else {}),
        }
        if detail:
            entry["detail"] = detail
            run.detail |= detail
        self.do(e.Log(entry=entry, durable=run.detached))
        if following is not None:
            self.try_again(run, following, now)

    def _finish(self, run: Run, state: str, summary: dict[str, Any], event: m.Event | None) -> None:
        if event is None:
            self.do(e.Finish(run=run.run, state=state, summary=summary))
        else:
            self.do(
                e.Finish(
                    run=run.run,
                    state=state,
                    summary=summary,
                    buffers=event.buffers,
                    path=event.path,
                    size=event.size,
                    result=event.result,
                    mark=event.mark,
                )
            )

    def try_again(self, run: Run, following: Run, now: float) -> None:
        """Accept the run that does again what one was to do that died or was lost."""
        if following.run in self.runs or following.run in self.removed:
            return
        self.add(following)
        options = following.options
        self.do(e.CopySubmit(run=following.run, source=run.run, options=options))
        self.do(e.Log(entry=following.entry()))
        self._accept(following, now)

    def _leave_queue(self, run: Run) -> None:
        for said in ("place", "wait", "reason"):
            run.detail.pop(said, None)

    def holder(self, session_id: str) -> Run | None:
        """Return the run of a session that holds a slot."""
        return next((run for run in self.holding() if run.session == session_id), None)

    def running(self, session_id: str) -> Run | None:
        """Return the run that a session's worker is in."""
        run = self.holder(session_id)
        return run if run is not None and run.state == "started" else None

    def is_idle(self, session: Session) -> bool:
        """Say whether a session's worker has nothing to do and nothing waiting."""
        held = {run.session for run in self.held.values()}
        return session.listens and session.session not in self.leases.sessions() | held

    def retire(self, session: Session) -> None:
        """End a session that is idle."""
        if self.is_idle(session):
            session.worker, session.reason = "ending", "close"
            self.do(e.EndWorker(session=session.session, polite=True))

    def end_session(self, session: Session) -> None:
        """Forget a session that has no worker."""
        del self.sessions[session.session]
        self.do(e.Log(entry={"session": session.session, "gone": True}))

    def drop(self, run: Run) -> None:
        """Forget a run and all that is stored of it, but not that it ran."""
        del self.runs[run.run]
        if not run.live:
            self.removed.add(run.run)
        self.do(e.Log(entry={"run": run.run, "removed": True, "ended": not run.live}))
        self.do(e.Forget(run=run.run, journal=True))

    def follow(self, client: int, run: Run, offset: int) -> None:
        """Send a client a run's records from `offset` on."""
        self.do(
            e.Follow(
                client=client,
                run=run.run,
                offset=offset,
                epoch=run.epoch,
                state=run.state,
                position=self.leases.position(run.run),
                wait=run.detail.get("wait"),
                detail={"asking": run.asking, **run.standing},
            )
        )

    def answer(self, client: int, run: Run) -> None:
        """Tell a client where a run is, without its records."""
        state = m.RunState(
            run=run.run,
            epoch=run.epoch,
            state=run.state,
            position=self.leases.position(run.run),
            detail=run.standing,
        )
        self.send(client, state)

    def tell(self, run: Run, detail: dict[str, Any] | None = None) -> None:
        """Tell all who follow a run where it is now."""
        position = self.leases.position(run.run)
        self.do(
            e.Tell(
                run=run.run,
                epoch=run.epoch,
                state=run.state,
                position=position,
                wait=run.detail.get("wait"),
                detail=detail or {},
            )
        )

    def refuse(
        self,
        client: int,
        about: str,
        subject: str,
        reason: str,
        text: str,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Tell a client that what it asked was not done."""
        refused = m.Refused(
            about=about, subject=subject, reason=reason, text=text, detail=detail or {}
        )
        self.send(client, refused)

    def send(self, client: int, message: m.Message) -> None:
        """Say something to a client."""
        self.do(e.Send(client=client, message=message))

    def do(self, effect: e.Effect) -> None:
        """Add an effect."""
        if isinstance(effect, (e.Log, e.Tell)):
            self.touched.add(
                effect.entry.get("run", "") if isinstance(effect, e.Log) else effect.run
            )
        self._todo.append(effect)

    def done(self) -> list[e.Effect]:
        """Return the effects so far, and begin anew."""
        todo, self._todo = self._todo, []
        return todo
