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
from ..wire.usage import KEY
from . import effects as e
from .book import Book
from .bounds import Bounds
from .jobrequests import purge
from .leases import Waiting
from .meter import Meter
from .pressure import relieve
from .queues import Lane, lanes_of
from .records import Run
from .reports import Reports
from .requests import Requests
from .succession import FATAL, Succession
from .turns import ALONE, Crowd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .pressure import Size

#: Seconds after which an idle worker ends: without values that exist nowhere else, and with.
IDLE_EMPTY = 30 * 60.0
IDLE_HOLDING = 8 * 60 * 60.0
#: Seconds that a run has to obey an interrupt which its time limit caused.
GRACE = 10.0
#: Seconds without clients, workers and queue after which the supervisor leaves.
IDLE_EXIT = 10 * 60.0
#: Ended runs that are remembered, and how long, in seconds, the others are.
KEPT_RUNS = 1000


class Supervisor(Succession):
    """One account's runs on one host.

    Parameters
    ----------
    slots
        Runs at a time by kind of slot.
    boot
        Identity of this boot of the host.
    """

    def __init__(self, slots: dict[str, int], boot: str) -> None:
        super().__init__(Book(slots, boot))
        self._reports = Reports(self._book)
        self._requests = Requests(self._book, self._reports)
        #: Counts what runs use.
        self.meter = Meter()

    def jobs(self) -> list[Run]:
        """Return the live runs that nobody waits for."""
        return [run for run in self._book.live() if run.detached]

    def listed(self, names: Iterable[str], now: float) -> list[dict[str, Any]]:
        """Return rows of the runs of these names, for those who watch all runs."""
        runs, leases = self._book.runs, self._book.leases
        found = [runs[name] for name in names if name in runs]
        rows = [run.listed(now, leases.position(run.run)) for run in found]
        return [{key: row[key] for key in row if key not in ("rank", "digest")} for row in rows]

    def touched(self) -> set[str]:
        """Return the runs that may be another since this was last asked."""
        touched, self._book.touched = self._book.touched, set()
        return touched

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

    def active(self) -> list[str]:
        """Return the runs that have begun and not ended."""
        book = self._book
        held = (book.runs.get(held) for held in book.leases.holding())  # or a reservation
        return [run.run for run in held if run is not None and run.state == "started"]

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
            if session.is_left_by(hello.notebook, hello.client):
                self._book.retire(session)
        return self._book.done()

    def heard(self, client: int, now: float) -> None:
        """Note that a client is there."""
        self._book.reservations.heard(client, now)

    def disconnected(self, client: int, now: float) -> list[e.Effect]:
        """Forget a client and what it reserved. Its runs go on."""
        self._book.clients.pop(client, None)
        self._reports.left(client)
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
            self._reports.event(session_id, message, now)
        elif isinstance(message, m.Operated):
            self._requests.answered(session_id, message)
        return self._book.done()

    def worker_wrote(self, session_id: str, name: str, data: bytes) -> list[e.Effect]:
        """Append what a worker wrote to the journal of its run."""
        self._reports.wrote(session_id, name, data)
        return self._book.done()

    def measured(self, run_id: str, usage: dict[str, Any]) -> list[e.Effect]:
        """Tell those who follow an active run what it has used so far."""
        run = self._book.runs.get(run_id)
        if run is not None and run.state == "started":
            self._book.tell(run, {KEY: usage})
        return self._book.done()

    def worker_gone(self, session_id: str, how: dict[str, Any], now: float) -> list[e.Effect]:
        """Note a worker's death: its run ends with what is known of it."""
        session = self._book.sessions[session_id]
        started = session.worker != "starting"
        self._reports.gone(session)
        session.worker, session.values, session.silent = "none", 0, False
        self._requests.abandoned(session_id)
        live = [run for run in self._book.runs.values() if run.session == session_id and run.live]
        for run in live:
            if run.state == "started":
                state = "cancelled" if run.stopping in FATAL else "died"
                self._book.end(run, state, {**how, "stopping": run.stopping}, now)
            elif not started:
                self._book.end(run, "died", {**how, "phase": "start"}, now)
        in_use = any(run.session == session_id for run in self._book.live())
        if (session.reason == "close" or session.own) and not in_use:
            self._book.end_session(session)
        self._book.schedule(now)
        return self._book.done()

    def tick(self, now: float) -> list[e.Effect]:
        """Look at what is due. Called about once a second."""
        for run in self._book.live():
            self._check_limits(run, now)
        self._book.reservations.expire(now)
        if self._book.is_time(now):
            self._book.schedule(now)
        self._book.places(now)
        for session in self._book.sessions.values():
            limit = IDLE_HOLDING if session.values or session.listener else IDLE_EMPTY
            if self._book.is_idle(session) and now - session.idle_since > limit:
                self._book.retire(session)
        self._reports.pass_on()
        self._purge()
        purge(self._book, now)
        busy = self._book.clients or any(s.worker != "none" for s in self._book.sessions.values())
        if busy or self._book.leases.waiting() or self._book.held:
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

    # Small things that the above says.

    def _check_limits(self, run: Run, now: float) -> None:
        (timeout, whose), wait = self._time_limit(run), run.options.get("wait")
        stopping = run.stopping in FATAL
        if run.state == "started" and timeout and not stopping and now - run.since > timeout:
            run.detail |= whose
            self._book.stop(run, "timeout", now)
        elif run.stopping == "timeout" and now - run.stopped_at > GRACE:
            run.stopped_at = now
            self._book.do(e.EndWorker(session=run.session))
        elif self._waited(run, now, wait):
            why = f"; {run.detail['reason']}" if run.detail.get("reason") else ""
            what = f"it waited longer than {wait:g} s{why}"
            self._book.end(run, "cancelled", {"what": what}, now)
            self._book.schedule(now)

    def _waited(self, run: Run, now: float, wait: float | None) -> bool:
        """Say whether a run has been in the queue for too long; behind others it is not in it."""
        if not wait or run.state not in ("accepted", "queued") or run.run in self._book.held:
            return False
        return now - max(run.since, self._book.asked(run, now)) > wait

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
