"""The supervisor's body: one loop that reads, lets `supervisor` decide, and carries it out.

Runs on the Mac. Only Python and `wire` may be imported here.

One thread, nothing blocks: a slow client has its own queue, a slow disk is the only thing waited
for, and a worker that does not answer is a worker that is busy.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import shutil
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from ..wire.connection import Connection
from . import build, carry, handover, journal, start, store, stragglers
from .client import Client
from .condition import Condition
from .door import ACKNOWLEDGED, DECLINED
from .endpoint import Endpoint
from .greeting import hello
from .reception import Reception
from .runnews import RunNews
from .supervisor import Supervisor
from .workers import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from . import effects as e

#: Seconds between two looks at limits and processes.
TICK = 0.5
#: The same while a worker starts, so that its first cell need not wait.
TICK_STARTING = 0.005
#: Pieces of what a worker writes or a client says that are taken before others get their turn.
_PIECES = 32


class Server:
    """One supervisor process.

    Parameters
    ----------
    place
        Its store, prepared.
    lock
        The store's lock file, held.
    slots
        Runs at a time by kind.
    """

    def __init__(self, place: store.Store, lock: int, slots: dict[str, int]) -> None:
        self.place = place
        self._lock = lock
        self.mind = Supervisor(slots, store.boot_id())
        self.selector = selectors.DefaultSelector()
        self._numbers = 0
        self._listener: socket.socket | None = None
        self._reception = Reception(self.add_client, self._asked_to_retire)
        #: The door of the supervisor that takes this one's place.
        self.successor: socket.socket | None = None
        place.sweep()
        entries = journal.compact(place.log)
        self._hands = carry.Carrier(place, self.mind, self.now, self.start_worker)
        self.mind.restore(entries, self.now(), time.time())
        self._condition = Condition(place, self.mind, self.selector, self.now, self._hands.clients)
        self._hands.blobs.sweep(self.mind.runs)
        self._news = RunNews(self.mind, self._hands.clients)
        self.do(self._condition.begin())
        self._adopt()

    @staticmethod
    def now() -> float:
        """Return the time in seconds of the clock that all of this uses."""
        return time.monotonic()

    def listen(self, listener: socket.socket) -> None:
        """Serve the doors that come to `listener`, which becomes ours."""
        self._listener = listener
        come = self._reception.come
        self.selector.register(listener, selectors.EVENT_READ, lambda _events: come(listener))

    def run(self) -> None:
        """Serve until there is nothing left to do."""
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self.selector.register(wake, selectors.EVENT_READ, lambda _events: self._child(wake))
        due = self.now()
        while not self._hands.leaving:
            starting = any(worker.hello is None for worker in self._hands.workers.values())
            patience = TICK_STARTING if starting else min(TICK, self._condition.sharing.patience)
            patience = 0.0 if self._hands.intake.is_hashing else patience
            ready = self.selector.select(patience)
            self.mind.time_is(self.now(), time.time())
            for key, events in ready:
                if key.fd in self.selector.get_map():
                    key.data(events)
            if starting or self.now() >= due:
                due = self.now() + TICK
                self._tick()
            self.do(self._condition.sharing.turn())
            self._flush()
            self._hands.journals.make_spare()
            self.do(self._condition.turn())
            runs = self.mind.runs.values()
            if self.successor is not None and handover.all_begun(runs, self.now()):
                break
        if self.successor is not None:
            for worker in self._hands.workers.values():
                worker.hand_on()

    def close(self) -> None:
        """Let go of all descriptors."""
        self._condition.close()
        self._hands.close()
        self._reception.close()
        self.selector.close()

    def add_client(self, fd_in: int, fd_out: int, door: socket.socket | None = None) -> None:
        """Serve a client over two descriptors, which become ours."""
        self._numbers += 1
        number = self._numbers
        connection = Connection("supervisor", "client")
        endpoint = Endpoint(self.selector, fd_in, fd_out, connection, lambda: self._client(number))
        self._hands.clients[number] = Client(number, endpoint, door)

    def do(self, effects: Iterable[e.Effect]) -> None:
        """Carry out what was decided."""
        self._hands.carry(effects)

    # Clients.

    def _asked_to_retire(self, link: socket.socket) -> None:
        """Make room for a supervisor of another build, if that one is to replace this one."""
        other = handover.asked(link)
        live = any(run.live for run in self.mind.runs.values())
        quiet = not live and not self._hands.clients
        waits = bool(self._hands.backlog)
        if other is None or waits or not other.replaces(build.ours(), quiet=quiet):
            link.send(DECLINED)
            link.close()
            return
        link.send(ACKNOWLEDGED)
        self.successor = link
        if self._listener is not None:
            self.selector.unregister(self._listener)
            self._listener.close()
        for client in list(self._hands.clients.values()):
            client.endpoint.flush()
            self._drop_client(client)

    def _client(self, number: int) -> None:
        client = self._hands.clients.get(number)
        if client is None:
            return
        for message in client.endpoint.messages(_PIECES):
            self._client_said(client, message)
        if client.endpoint.gone:
            self._drop_client(client)

    def _client_said(self, client: Client, message: m.Message) -> None:
        now = self.now()
        self.mind.heard(client.beside or client.number, now)
        if isinstance(message, m.Hello):
            self._hands.lanes.greet(client, message)
            client.endpoint.send(hello(self.place, self.mind, self._condition, client.number))
            client.greeted = not client.beside
            if client.greeted:
                self.do(self.mind.connected(client.number, message))
        elif isinstance(message, m.Ping):
            client.endpoint.send(m.Pong(number=message.number))
        elif isinstance(message, m.Goodbye):
            client.endpoint.gone = True
        elif client.beside or isinstance(message, (m.Ack, m.Credit, m.Part)):
            self._hands.lanes.heard(client, message, now)
        elif isinstance(message, m.Submit):
            worker = self._hands.workers.get(message.session)
            if worker is not None:
                # If it died just now, the run is not to be given to it.
                self._check(worker)
            self._hands.submit(client, message, now)
        elif isinstance(message, m.ListRuns) and message.watch:
            self._news.watch(client.number, now)
        elif self._condition.takes(message):
            self.do(self._condition.heard(client, message))
        elif not isinstance(message, m.Pong):
            self.do(self.mind.message(client.number, message, now))

    def _drop_client(self, client: Client) -> None:
        self._hands.clients.pop(client.number, None)
        client.streams.close()
        client.endpoint.close()
        if client.door is not None:
            client.door.close()
        if client.greeted:
            self.do(self.mind.disconnected(client.number, self.now()))

    # Workers.

    def start_worker(self, session: str, environment: dict[str, Any]) -> None:
        """Start the worker of a session."""
        worker = self._worker_of(session)
        self._hands.workers[session] = worker
        self._condition.gauge.cells_use(str(environment.get("python") or ""))
        try:
            worker.spawn(environment, self.now())
        except OSError as error:
            worker.how = {"what": f"its worker could not be started: {error}"}

    def _worker_of(self, session: str) -> Worker:
        known = self.mind.sessions.get(session)
        cwd = session if known is None else known.folder
        return Worker(self.place, session, cwd, self.selector, self._worker)

    def _adopt(self) -> None:
        self._conclude()
        for folder in sorted((self.place.root / "workers").iterdir()):
            worker = self._worker_of(folder.name)
            for run in self.mind.runs.values():
                started = run.session == folder.name and run.state == "started"
                if started and self.place.journal(run.run).exists():
                    worker.noted = self._hands.journal(run.run).mark
            if worker.adopt(self.now()):
                self._hands.workers[folder.name] = worker
                self.do(self.mind.adopted(folder.name, self.now(), worker.handed))
            else:
                stragglers.reap(folder)
                shutil.rmtree(folder, ignore_errors=True)
        self.do(self.mind.settle(self.now()))

    def _conclude(self) -> None:
        """Log the ends that an earlier supervisor wrote into a journal and could not log."""
        for run in [run for run in self.mind.runs.values() if run.live]:
            if self.place.journal(run.run).exists() and (
                end := self._hands.journal(run.run).ending
            ):
                self.do(self.mind.concluded(run.run, end, self.now()))

    def _worker(self, worker: Worker) -> None:
        """Read what a worker says and writes, in one order."""
        if worker.endpoint is None or self._hands.workers.get(worker.session) is not worker:
            return
        for message in worker.endpoint.messages():
            self._worker_said(worker, message)
        for _ in range(_PIECES):
            if self._hands.backlog:
                worker.hold(True)  # what it writes must wait where it is
                break
            more = worker.read()
            self._pass_on(worker)
            if not more:
                self._pass_on_overdue(worker)
                break
        worker.watch()
        if worker.endpoint.gone:
            self._check(worker)

    def _worker_said(self, worker: Worker, message: m.Message) -> None:
        if isinstance(message, m.Hello):
            if self._hands.workers.get(worker.session) is not worker:
                return  # its process has ended since it said so
            adopted = worker.session in self.mind.sessions and (
                self.mind.sessions[worker.session].worker == "ready"
            )
            worker.opened(message, int(message.detail.get("mark", 0)) if adopted else 0)
            if adopted:
                known = {str(message.detail.get("run")), *message.detail.get("finished", [])}
                asking = int(message.detail.get("asking", 0))
                self.do(self.mind.confirmed(worker.session, known, self.now(), asking))
            else:
                self.do(self.mind.worker_ready(worker.session, self.now()))
        elif isinstance(message, m.Event):
            if worker.merger is not None:
                worker.merger.event(message)
        elif isinstance(message, m.Ping):
            worker.send(m.Pong(number=message.number))
        else:
            self.do(self.mind.worker_said(worker.session, message, self.now()))

    def _pass_on(self, worker: Worker, everything: bool = False) -> None:
        if worker.merger is None:
            return
        for item in worker.merger.drain() if everything else worker.merger.take():
            if isinstance(item, m.Event):
                self._event(worker, item)
            else:
                self.do(self.mind.worker_wrote(worker.session, item.name, item.data))

    def _pass_on_overdue(self, worker: Worker) -> None:
        """Take the events whose marks an earlier supervisor had read: nothing else is coming."""
        if worker.merger is not None:
            for event in worker.merger.overdue():
                self._event(worker, event)

    def _event(self, worker: Worker, event: m.Event) -> None:
        self.do(self.mind.worker_said(worker.session, event, self.now()))
        if not self._hands.backlog:
            worker.note(event.mark)

    def _check(self, worker: Worker) -> None:
        """End a worker's story if its process has ended: first what it said, then that."""
        if worker.check(self.now()):
            return
        del self._hands.workers[worker.session]
        if worker.endpoint is not None:
            for message in worker.endpoint.messages():
                self._worker_said(worker, message)
        for _ in range(_PIECES):
            if not worker.read(everything=True):
                break
        self._pass_on(worker, everything=True)
        how = dict(worker.how or {})
        self._condition.worker_ended(str(how.get("signal")))
        if worker.hello is None:
            how["log"] = worker.start_log()
        worker.close()
        self.do(self.mind.worker_gone(worker.session, how, self.now()))
        worker.erase(self._hands.workers.values(), over=worker.session not in self.mind.sessions)

    # The loop's own.

    def _child(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        for worker in list(self._hands.workers.values()):
            self._check(worker)

    def _tick(self) -> None:
        if not self.place.is_locked_by(self._lock):
            # It was deleted: nobody can come back for what runs here.
            for worker in self._hands.workers.values():
                worker.destroy()
            self._hands.leaving = True
            return
        self._hands.retry()
        for worker in list(self._hands.workers.values()):
            if not worker.reached:
                worker.reach()
            worker.tell_noted()
            self._check(worker)
        starting = any(worker.hello is None for worker in self._hands.workers.values())
        self.do(self._condition.tick(starting))
        self.do(self.mind.tick(self.now()))
        self._hands.tidy()
        if not self._hands.workers and start.outdated(self.place):
            self._hands.leaving = True

    def _flush(self) -> None:
        self._hands.intake.turn()
        for worker in self._hands.workers.values():
            if worker.endpoint is not None:
                worker.endpoint.flush()
        self._news.turn(self.now())
        for client in list(self._hands.clients.values()):
            client.pump(self.now())
            client.endpoint.flush()
            if client.endpoint.gone:
                self._drop_client(client)


def main() -> None:
    """Be the supervisor of this account on this host, if no other is."""
    os.umask(0o077)
    place = store.Store(store.default_root())
    place.prepare()
    lock = place.take_lock()
    if lock is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    build.keep()
    process = {"pid": os.getpid(), "start": store.process_start(os.getpid())}
    build.write(place, build.ours(), process)
    slots = {"gpu": int(os.environ.get("MACGPU_SLOTS", "1")), "cpu": os.cpu_count() or 1}
    server = Server(place, lock, slots)
    listener = store.listen(place.socket, 64)
    listener.setblocking(False)
    server.listen(listener)
    # What is there now stays; runs make few cycles, and each look for them delays a cell.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    server.run()
    if place.is_locked_by(lock):
        place.socket.unlink(missing_ok=True)
    server.close()
    os.close(lock)
    if server.successor is not None:
        # Last of all: its door starts the next supervisor now.
        server.successor.close()
