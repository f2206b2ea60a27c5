"""The supervisor's mind: what happens in, what is to be done out.

Runs on the Mac. Only Python and `wire` may be imported here.

Rule 1: pure. No IO and no clock: each call brings the time, and returns effects (`effects`) that
`serve` carries out in their order. So every schedule of losses and crashes can be replayed in a
test.

Rule 2: a run goes forward only (`states.NEXT`). Its id is known for ever after, so the same id
again attaches, and a run that was started is never started again.

Rule 3: the record of a step is written before the step is taken: `Log` stands before what it
records in the list of effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from ..wire.states import FINAL
from . import effects as e
from .book import Book
from .bounds import Bounds
from .leases import Waiting
from .pressure import relieve
from .queues import Lane, lanes_of
from .records import Run, Session, asking, is_sound, known_fields
from .requests import Requests
from .turns import ALONE, Crowd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .pressure import Size

#: Seconds after which an idle worker ends: without values that exist nowhere else, and with.
IDLE_EMPTY = 30 * 60.0
IDLE_HOLDING = 8 * 60 * 60.0
#: Seconds that a run has to obey an interrupt which its time limit caused.
GRACE = 10.0
#: Seconds without clients, workers and queue after which the supervisor leaves.
IDLE_EXIT = 10 * 60.0
#: Bytes that a supervisor may have read from a worker and not written down when it died.
GAP = 64 * 1024
#: Reasons to stop a run after which the end of its worker is no surprise.
FATAL = ("kill", "timeout", "memory")
#: Ended runs that are remembered, and how long, in seconds, the others are.
KEPT_RUNS = 1000


class Supervisor:
    """One account's runs on one host.

    Parameters
    ----------
    slots
        Runs at a time by kind of slot.
    boot
        Identity of this boot of the host.
    """

    def __init__(self, slots: dict[str, int], boot: str) -> None:
        self._book = Book(slots, boot)
        self._requests = Requests(self._book)
        self._idle_since = 0.0

    @property
    def runs(self) -> dict[str, Run]:
        """All runs by id."""
        return self._book.runs

    @property
    def sessions(self) -> dict[str, Session]:
        """All sessions by id."""
        return self._book.sessions

    @property
    def slots(self) -> dict[str, int]:
        """Slots by kind."""
        return self._book.leases.slots

    @property
    def bounds(self) -> Bounds:
        """What the administrator and the owner allow now."""
        return self._book.leases.bounds

    @property
    def busy(self) -> bool:
        """Whether a run holds a slot."""
        return bool(self._book.holding())

    def lanes(self, now: float) -> dict[str, Lane]:
        """Return what runs and waits by kind of slot, and how long a new run would wait."""
        return lanes_of(self._book, now)

    @property
    def asked(self) -> int:
        """The bytes of memory that the runs which hold a slot asked for."""
        return self._book.leases.asked()

    # What happens: each of these returns the effects, in order.

    def connected(self, client: int, hello: m.Hello) -> list[e.Effect]:
        """Note a client; a notebook's new kernel ends the worker of its old one."""
        self._book.clients[client] = hello
        for session in self._book.sessions.values():
            if session.notebook == hello.notebook and session.client != hello.client:
                self._book.retire(session)
        return self._book.done()

    def heard(self, client: int, now: float) -> None:
        """Note that a client is there."""
        self._book.reservations.heard(client, now)

    def disconnected(self, client: int, now: float) -> list[e.Effect]:
        """Forget a client and what it reserved. Its runs go on."""
        self._book.clients.pop(client, None)
        for run in [run for run in self._book.runs.values() if run.state == "receiving"]:
            if run.detail.get("from") == client:
                self._book.drop(run)
        self._book.reservations.left(client, now)
        return self._book.done()

    def message(self, client: int, message: m.Message, now: float) -> list[e.Effect]:
        """Do what a client says."""
        self._requests.heed(client, message, now)
        return self._book.done()

    def uploaded(self, run_id: str, now: float, problem: str = "") -> list[e.Effect]:
        """Note that a run's bundle is whole and right, or what is wrong with it."""
        run = self._book.runs.get(run_id)
        if run is not None and run.state == "receiving":
            if problem:
                client = run.detail["from"]
                self._book.drop(run)
                if client in self._book.clients:
                    self._book.refuse(client, "submit", run_id, "damaged", problem)
            else:
                self._book.accept(run, now)
        return self._book.done()

    def worker_ready(self, session_id: str, now: float) -> list[e.Effect]:
        """Note that a session's worker takes messages."""
        session = self._book.sessions[session_id]
        session.worker = "ready"
        session.idle_since = now
        self._book.schedule(now)
        return self._book.done()

    def worker_said(self, session_id: str, message: m.Message, now: float) -> list[e.Effect]:
        """Do what a worker says; its events come here in the order of its output."""
        if isinstance(message, m.Event):
            self._event(session_id, message, now)
        elif isinstance(message, m.Operated):
            self._requests.answered(session_id, message)
        return self._book.done()

    def worker_wrote(self, session_id: str, name: str, data: bytes) -> list[e.Effect]:
        """Append what a worker wrote to the journal of its run."""
        run = self._book.running(session_id)
        if run is not None:
            self._book.do(
                e.Append(run=run.run, what="stream", content={"name": name}, buffers=(data,))
            )
        return self._book.done()

    def worker_gone(self, session_id: str, how: dict[str, Any], now: float) -> list[e.Effect]:
        """Note a worker's death: its run ends with what is known of it."""
        session = self._book.sessions[session_id]
        started = session.worker != "starting"
        session.worker, session.values, session.silent = "none", 0, False
        self._requests.abandoned(session_id)
        live = [run for run in self._book.runs.values() if run.session == session_id and run.live]
        for run in live:
            if run.state == "started":
                state = "cancelled" if run.stopping in FATAL else "died"
                self._book.end(run, state, {**how, "stopping": run.stopping}, now)
            elif not started:
                self._book.end(run, "died", {**how, "phase": "start"}, now)
        if session.reason == "close" and not any(run.live for run in live):
            del self._book.sessions[session_id]
        self._book.schedule(now)
        return self._book.done()

    def tick(self, now: float) -> list[e.Effect]:
        """Look at what is due. Called about once a second."""
        for run in self._book.live():
            self._check_limits(run, now)
        self._book.reservations.expire(now)
        self._book.places(now)
        for session in self._book.sessions.values():
            limit = IDLE_HOLDING if session.values else IDLE_EMPTY
            if self._book.is_idle(session) and now - session.idle_since > limit:
                self._book.retire(session)
        self._purge()
        busy = self._book.clients or any(s.worker != "none" for s in self._book.sessions.values())
        if busy or self._book.leases.waiting():
            self._idle_since = now
        elif now - self._idle_since > IDLE_EXIT:
            self._book.do(e.Exit())
        return self._book.done()

    def relieve(self, sizes: Mapping[str, Size], now: float) -> list[e.Effect]:
        """Make room on a host whose memory runs out."""
        relieve(self._book, sizes, now)
        return self._book.done()

    def bound(self, bounds: Bounds, now: float) -> list[e.Effect]:
        """Keep to what the administrator and the owner allow from now on."""
        if bounds != self._book.leases.bounds:
            self._book.leases.bounds = bounds
            self._book.schedule(now)
        return self._book.done()

    def wanting(self) -> list[Waiting]:
        """Return what could begin if a slot of the machine were free, first one first."""
        return self._book.leases.wanting()

    def having(self) -> list[Waiting]:
        """Return what holds a slot."""
        return self._book.leases.having()

    def share(
        self, cleared: frozenset[str] | None, now: float, crowd: Crowd = ALONE
    ) -> list[e.Effect]:
        """Keep to the queue of all accounts; see `Leases` for what is given."""
        leases, was = self._book.leases, self._book.leases.fresh
        leases.fresh = set()
        if was or (cleared, crowd) != (leases.cleared, leases.crowd):
            leases.cleared, leases.crowd = cleared, crowd
            self._book.schedule(now)
        return self._book.done()

    def forget(self, run_id: str, now: float) -> list[e.Effect]:
        """Unmake a run that could not be written down; it was never accepted."""
        run = self._book.runs.pop(run_id)
        self._book.leases.release(run_id)
        # The log may hold a part of it, which a later supervisor must not take for the whole.
        self._book.do(e.Log(entry={"run": run.run, "removed": True, "ended": False}))
        self._book.do(e.Forget(run=run_id, journal=True))
        self._book.schedule(now)
        return self._book.done()

    # After a start: what the log says, and which workers live.

    def restore(self, entries: list[dict[str, Any]], now: float) -> None:
        """Take up the log of an earlier supervisor, oldest entry first. Called once, first."""
        self._idle_since = now
        for entry in filter(is_sound, entries):
            if "notebook" in entry:
                session = Session(**known_fields(Session, entry))
                self._book.sessions.setdefault(session.session, session)
                continue
            known = self._book.runs.get(entry.get("run", ""))
            if known is None:
                if "digest" in entry:
                    self._book.add(Run(**known_fields(Run, entry) | {"since": now}))
                elif "removed" in entry:
                    self._book.removed.add(entry["run"])
                continue
            known.state = entry.get("state", known.state)
            known.epoch = entry.get("epoch", known.epoch)
            known.stopping, known.stopped_at = entry.get("stopping", known.stopping), now
            known.collected = entry.get("collected", known.collected)
            known.detail |= entry.get("detail", {})
            if "took" in entry:
                self._book.took[known.kind].append(entry["took"])

    def concluded(self, run_id: str, end: m.End, now: float) -> list[e.Effect]:
        """Note a run whose end is written in its journal, but not in the log.

        The log may also lack the steps before it, if the machine crashed.
        """
        run = self.runs[run_id]
        run.state, run.since = end.state, now
        run.detail["file"] = end.size > 0
        entry = {"run": run_id, "state": end.state, "detail": {"file": end.size > 0}}
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
            if run.state == "started" or (run.state == "accepted" and rebooted):
                # Only a queued run's start is brought to the disk: an accepted one may have run.
                what = "the host restarted" if rebooted else "its worker is gone"
                killed = "cancelled" if run.stopping in FATAL else "died"
                summary = {"what": what, "stopping": run.stopping}
                self._book.end(run, "lost" if rebooted else killed, summary, now)
            elif run.state == "receiving":
                self._book.drop(run)
            else:
                self._book.wait(run, now)
        self._book.schedule(now)
        return self._book.done()

    # Small things that the above says.

    def _event(self, session_id: str, event: m.Event, now: float) -> None:
        run = self._book.runs.get(event.run)
        if run is None or run.state != "started" or run.session != session_id:
            return
        if event.what == "finished":
            self._finish(run, event, now)
            return
        if event.what == "input_request":
            run.asking = event.mark
        self._book.do(
            e.Append(
                run=run.run,
                what=event.what,
                content=event.content,
                buffers=event.buffers,
                mark=event.mark,
            )
        )

    def _finish(self, run: Run, event: m.Event, now: float) -> None:
        content = event.content
        interrupted = (content.get("error") or {}).get("ename") == "KeyboardInterrupt"
        state = "ok" if content.get("status") == "ok" else "error"
        if state == "error" and run.stopping and interrupted:
            state = "cancelled"
        session = self._book.sessions[run.session]
        session.values = int(content.get("live") or 0)
        summary = {**content, "stopping": run.stopping}
        self._book.end(run, state, summary, now, event)
        self._book.schedule(now)

    def _check_limits(self, run: Run, now: float) -> None:
        (timeout, whose), wait = self._time_limit(run), run.options.get("wait")
        stopping = run.stopping in FATAL
        if run.state == "started" and timeout and not stopping and now - run.since > timeout:
            run.detail |= whose
            self._book.stop(run, "timeout", now)
        elif run.stopping == "timeout" and now - run.stopped_at > GRACE:
            run.stopped_at = now
            self._book.do(e.EndWorker(session=run.session))
        elif run.state in ("accepted", "queued") and wait and now - run.since > wait:
            why = f"; {run.detail['reason']}" if run.detail.get("reason") else ""
            what = f"it waited longer than {wait:g} s{why}"
            self._book.end(run, "cancelled", {"what": what}, now)
            self._book.schedule(now)

    def _time_limit(self, run: Run) -> tuple[float | None, dict[str, str]]:
        """Return how many seconds a run may last, and what is to be said if that is not its own."""
        own, most = run.options.get("timeout"), self._book.leases.bounds.max_time
        if most is None or (own and own <= most):
            return own, {}
        return most, {"limit": f"the host's policy lets a run last {most:g} s"}

    def _purge(self) -> None:
        ended = [run for run in self._book.runs.values() if run.state in FINAL and run.collected]
        for run in ended[: max(0, len(ended) - KEPT_RUNS)]:
            self._book.drop(run)
