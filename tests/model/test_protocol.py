"""The whole protocol under any schedule of losses, crashes and reboots."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jupyter_macgpu.mac.succession import GAP
from jupyter_macgpu.moving import _id_there
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import Connection
from jupyter_macgpu.wire.errors import (
    RunCancelled,
    RunLost,
    RunRefused,
    RunUnknown,
    TransportError,
)
from jupyter_macgpu.wire.order import LEAST, MOST
from jupyter_macgpu.wire.policy import HostPolicy, Limits, render
from jupyter_macgpu.wire.states import FINAL
from tests.model.caller import THERE, hand_in, letting_go, moving
from tests.model.client import Client
from tests.model.process import NAMES, Process
from tests.model.world import World, modelled

EXAMPLES = int(os.environ.get("MACGPU_MODEL_EXAMPLES", "400"))
#: Turns within which a healthy world comes to rest.
ENOUGH = 1000
CLIENTS = 5
#: Cells that nobody waits for.
JOBS = 2
INDEX = st.integers(0, 9)
OPTIONS = [{}, {"cpu": True}, {"timeout": 20}, {"wait": 15}, {"again": True}, {"mem": 5}]
OPTIONS += [{"priority": 2}]
PRIORITIES = st.integers(LEAST, MOST)
#: Lengths of the blobs of a cell: short ones are sent unasked.
BLOBS = [(), (), (120,), (900,), (120, 900), (150, 120, 700)]
#: What the host's administrator lays down; with the last two nothing begins.
POLICIES = [
    None,
    render(HostPolicy(limits=Limits(max_runs=1, max_memory=5))),
    render(HostPolicy(slots=2)),
    render(HostPolicy(limits=Limits(owner_hours=("00:00-24:00",)))),
    b"torn",
]


def faults_in(shown: list[Any], story: list[Any]) -> str:
    """Return how what was shown differs from what happened, or ``""``.

    Until a gap is declared it is what happened, from the beginning. Behind one some bytes may be
    missing, and a display may have moved among the bytes; no display is missing, nothing comes
    twice, and each kind is in order.
    """
    gap = shown.index(None) if None in shown else len(shown)
    if shown[:gap] != story[:gap]:
        return "not a prefix"
    after, rest = [item for item in shown[gap:] if item is not None], story[gap:]
    displays = [item for item in after if isinstance(item, int)]
    if displays != [item for item in rest if isinstance(item, int)][: len(displays)]:
        return f"displays {displays} are not those that happened"
    written, missing = (item for item in rest if not isinstance(item, int)), 0
    for item in (item for item in after if not isinstance(item, int)):
        for happened in written:
            if happened == item:
                break
            missing += 1
        else:
            return f"{item} was shown and did not happen there"
    return "" if missing <= GAP * shown.count(None) else "the gap is larger than declared"


class Protocol(RuleBasedStateMachine):
    """Anything may happen to anybody between any two bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="macgpu-model-", dir=_memory()))
        self.world = World(self.folder)
        self.sizes = modelled(self.world)
        self.sizes.__enter__()
        self.ended: dict[str, str] = {}
        #: The supervisor that lets nothing begin, and what held a slot then.
        self.closed: tuple[object, set[str]] = (None, set())

    def client(self, index: int) -> Client:
        return self.world.clients[index % len(self.world.clients)]

    def busy(self, index: int) -> list[Process]:
        """Return one process that is in a cell, or none if none is."""
        busy = [p for p in self.world.processes.values() if p.alive and p.run]
        return [busy[index % len(busy)]] if busy else []

    # Notebooks.

    @initialize(
        size=st.sampled_from([5, 2000]), turns=st.integers(0, 25), large=st.sampled_from(BLOBS)
    )
    def begin(self, size: int, turns: int, large: Sequence[int] = ()) -> None:
        self.world.ensure_server()
        self.world.submit(1, 1, size, {}, large=large)
        for _ in range(turns):
            self.world.step()

    @precondition(lambda self: len(self.world.clients) < CLIENTS)
    @rule(
        notebook=st.integers(1, 2),
        cell=st.integers(1, 2),
        size=st.sampled_from([5, 2000]),
        options=st.sampled_from(OPTIONS),
        reserves=st.booleans(),
        large=st.sampled_from(BLOBS),
    )
    def submit(
        self,
        notebook: int,
        cell: int,
        size: int,
        options: dict[str, Any],
        reserves: bool,
        large: Sequence[int],
    ) -> None:
        self.world.submit(notebook, cell, size, options, reserves, large)

    @rule(notebook=st.integers(1, 4), kind=st.sampled_from(["gpu", "cpu"]), priority=PRIORITIES)
    def reserve_and_say_no_more(self, notebook: int, kind: str, priority: int) -> None:
        """Somebody takes a place, and is silent from then on."""
        if not self.world.ensure_server():
            return
        options = {"cpu": kind == "cpu", "priority": priority}
        run, session = f"{self.world.number():032x}", f"{notebook:032x}"
        line, connection = self.world.connect(), Connection("client", "supervisor")
        line.send(connection.send(m.Hello(role="client", client="silent", notebook="silent")))
        line.send(connection.send(m.Reserve(run=run, session=session, options=options)))

    @precondition(lambda self: 0 < len(self.world.clients) < CLIENTS)
    @rule(index=INDEX, notebook=st.integers(1, 3))
    def attach(self, index: int, notebook: int) -> None:
        self.world.attach(self.client(index).run, str(notebook))

    @rule(index=INDEX, twice=st.booleans())
    def interrupt(self, index: int, twice: bool) -> None:
        client = self.client(index)
        self.world.stopped.add(client.run)
        for _ in range(1 + twice):
            client.interrupts.count()

    @rule(index=INDEX, damaged=st.booleans())
    def say_it_again(self, index: int, damaged: bool) -> None:
        """Somebody sends what was submitted once more, and an order of an epoch that never was."""
        client = self.client(index)
        # A copy comes behind the original, and no network brings one over a reboot.
        same_boot = client.boot == self.world.boots and self.world.reachable
        known = same_boot and client.run in self.runs()
        if client.submission is None or not known:
            return
        message, pieces = client.submission.message, client.submission.pieces
        whole = b"".join(pieces) + b"x" * damaged
        again = m.Submit(
            run=message.run,
            epoch=1,
            session=message.session,
            size=message.size,
            digest=message.digest,
            origin=message.origin,
            blobs=message.blobs,
            buffers=(whole,),
        )
        line, connection = self.world.connect(), Connection("client", "supervisor")
        line.send(connection.send(m.Hello(role="client", client="again", notebook="again")))
        line.send(connection.send(again))
        line.send(connection.send(m.Cancel(run=message.run, epoch=0, how="kill")))

    @rule(seconds=st.sampled_from([0, 1.0]))
    def watch(self, seconds: float) -> None:
        """Somebody watches the host, and reads what it says of its runs or does not."""
        if self.world.ensure_server():
            line, connection = self.world.connect(), Connection("client", "supervisor")
            line.send(connection.send(m.Hello(role="client", client="watch", notebook="watch")))
            line.send(connection.send(m.Watch(every=seconds)))

    # Jobs.

    @precondition(lambda self: len(self.world.jobs) < JOBS)
    @rule(
        size=st.sampled_from([5, 2000]),
        options=st.sampled_from([{}, {"cpu": True}, {"retry": 1}]),
        ahead=st.sampled_from([None, None, 0.0, 2.0, 30.0]),
    )
    def hand_in(self, size: int, options: dict[str, Any], ahead: float | None = None) -> None:
        """A cell is handed in, and nobody waits for it; it may start at a time only."""
        if ahead is not None:
            options = {**options, "at": self.world.time_of_day + ahead}
        self.world.jobs.append(f"{self.world.number():032x}")
        self.world.call(hand_in(self.world.jobs[-1], size, options))

    @precondition(lambda self: self.world.jobs and len(self.world.callers) < 3 * JOBS)
    @rule(index=INDEX)
    def move(self, index: int) -> None:
        """A kernel moves a job, or goes on with a move; two may do so at a time."""
        self.world.call(moving(self.world.jobs[index % len(self.world.jobs)]))

    @precondition(lambda self: self.world.clients and len(self.world.callers) < 3 * JOBS)
    @rule(index=INDEX)
    def let_go(self, index: int) -> None:
        """Another kernel detaches a run that a cell waits for."""
        self.world.call(letting_go(self.client(index).run))

    @precondition(lambda self: self.world.callers)
    @rule(index=INDEX, most=st.integers(0, 400))
    def cut_a_caller(self, index: int, most: int) -> None:
        line = self.world.callers[index % len(self.world.callers)].line
        if line is not None:
            line.move(most)
            line.cut()

    # The network.

    @rule(most=st.integers(1, 400), tick=st.booleans())
    def trickle(self, most: int, tick: bool) -> None:
        self.world.step(bytes_moved=most, tick=tick)

    @rule(turns=st.integers(1, 6), seconds=st.sampled_from([0.1, 1.0, 6.0]))
    def flow(self, turns: int, seconds: float) -> None:
        for _ in range(turns):
            self.world.step(seconds=seconds)

    @rule(index=INDEX, most=st.integers(0, 400), noticed=st.booleans())
    def cut(self, index: int, most: int, noticed: bool) -> None:
        line = self.client(index).line
        if line is not None:
            line.move(most)
            if noticed:
                line.cut()
            else:
                line.close()

    @rule(reachable=st.booleans())
    def reach(self, reachable: bool) -> None:
        self.world.reachable = reachable

    # Cells.

    @rule(index=INDEX, name=st.sampled_from(NAMES), times=st.integers(1, 30))
    def write(self, index: int, name: str, times: int) -> None:
        for process in self.busy(index):
            process.write(name, b"<%d>" % self.world.number() * times)

    @rule(index=INDEX)
    def display(self, index: int) -> None:
        for process in self.busy(index):
            process.display()

    @rule(index=INDEX, ename=st.sampled_from(["", "", "ValueError"]))
    def finish(self, index: int, ename: str) -> None:
        for process in self.busy(index):
            process.finish(ename)

    @rule(index=INDEX)
    def be_stubborn(self, index: int) -> None:
        for process in self.busy(index):
            process.stubborn = True

    # Crashes.

    @rule(index=INDEX)
    def crash_worker(self, index: int) -> None:
        processes = list(self.world.processes.values())
        for process in processes[index % max(1, len(processes)) :][:1]:
            process.die()

    @rule()
    def crash_supervisor(self) -> None:
        self.world.crash_server()

    @rule(effects=st.integers(0, 12))
    def crash_supervisor_soon(self, effects: int) -> None:
        self.world.fuse = effects

    @rule(kept=st.floats(0, 1))
    def reboot(self, kept: float) -> None:
        self.world.reboot(kept)

    @rule(full=st.booleans())
    def fill_the_disk(self, full: bool) -> None:
        self.world.full = full

    @rule(index=INDEX, delete=st.booleans())
    def spoil_what_is_kept(self, index: int, delete: bool) -> None:
        self.world.spoil(index, delete=delete)

    @rule(policy=st.sampled_from(POLICIES))
    def lay_down(self, policy: bytes | None) -> None:
        self.world.lay_down(policy)

    # What always holds.

    @invariant()
    def no_run_happens_twice(self) -> None:
        assert max(self.world.executions.values(), default=0) <= 1
        for job in self.world.jobs:
            assert self.world.executions[job] + self.world.executions[id_there(job)] <= 1

    @invariant()
    def a_cell_reads_what_was_sent(self) -> None:
        assert not self.world.misread

    @invariant()
    def nothing_starts_before_its_time(self) -> None:
        assert not self.world.early

    @invariant()
    def nobody_breaks_the_rules(self) -> None:
        assert not self.world.crashes
        assert not any(client.execution._faults for client in self.world.clients)

    @invariant()
    def what_is_shown_has_happened(self) -> None:
        for client in self.world.clients:
            assert not faults_in(client.shown, self.world.story[client.run])

    @invariant()
    def epochs_only_grow(self) -> None:
        for client in self.world.clients:
            assert client.epochs == sorted(client.epochs)

    @invariant()
    def an_end_stays(self) -> None:
        server = self.world.server
        runs = server.mind.runs.values() if server is not None else ()
        for run in runs:
            if run.run in self.ended:
                assert run.state == self.ended[run.run]
            elif run.state in FINAL and server is not None and not server._hands.backlog:
                # Until it is written down nobody was told, and a crash may take it back.
                self.ended[run.run] = run.state

    @invariant()
    def only_live_runs_and_reservations_hold_slots(self) -> None:
        server = self.world.server
        if server is not None:
            book = server.mind._book
            there = [*book.leases.holding(), *book.leases.waiting()]
            assert len(set(there)) == len(there)
            for run in there:
                assert run in book.reservations or book.runs[run].live

    @invariant()
    def the_queue_is_in_order(self) -> None:
        server = self.world.server
        if server is not None:
            places = [each.place.order for each in server.mind._book.leases._queue]
            assert places == sorted(places)

    @invariant()
    def where_nothing_may_begin_nothing_does(self) -> None:
        server = self.world.server
        if server is None or not server.mind.bounds.closed:
            self.closed = (None, set())
            return
        before, held = self.closed
        holding = set(server.mind._book.leases.holding())
        assert before is not server or holding <= held
        self.closed = (server, holding)

    # What holds when everything is well again.

    def teardown(self) -> None:
        try:
            self.heal()
            self.check_ends()
            self.check_jobs()
            observers = [self.world.attach(run, "observer") for run in self.runs()]
            self.rest()
            self.check_observers(observers)
        finally:
            self.world.close()
            self.sizes.__exit__(None, None, None)
            shutil.rmtree(self.folder, ignore_errors=True)

    def heal(self) -> None:
        self.world.fuse, self.world.reachable, self.world.full = None, True, False
        self.world.lay_down(None)
        # What was begun is finished by the same again, from either end.
        for job in self.world.jobs:
            for run in (job, id_there(job)):
                self.world.call(moving(run))
        self.rest()

    def rest(self) -> None:
        for _ in range(ENOUGH):
            if self.is_at_rest():
                break
            for process in self.world.processes.values():
                if process.alive and process.run:
                    process.finish()
            self.world.step(seconds=0.3)
        waiting = [client.run for client in self.world.clients if not client.done]
        waiting += ["a caller" for caller in self.world.callers if not caller.done]
        live = [run for run in self.runs().values() if run.live]
        assert not waiting, waiting
        assert not live, live
        assert not self.queue()
        self.no_run_happens_twice()
        self.nothing_starts_before_its_time()
        self.nobody_breaks_the_rules()
        self.what_is_shown_has_happened()
        self.an_end_stays()

    def is_at_rest(self) -> bool:
        done = all(each.done for each in (*self.world.clients, *self.world.callers))
        return done and not any(run.live for run in self.runs().values()) and not self.queue()

    def queue(self) -> list[str]:
        """Return what holds a slot or waits for one."""
        started = self.world.ensure_server()
        if not started or self.world.server is None:
            return []
        leases = self.world.server.mind._book.leases
        return [*leases.holding(), *leases.waiting()]

    def runs(self) -> dict[str, Any]:
        started = self.world.ensure_server()  # it may die of a fuse
        return self.world.server.mind.runs if started and self.world.server else {}

    def check_ends(self) -> None:
        for client in self.world.clients:
            if client.let_go:
                assert "detach" in self.runs()[client.run].options
            elif client.outcome is None:
                self.check_failure(client)
            else:
                self.check_end(client)

    def check_failure(self, client: Client) -> None:
        """A client that knows no end says what it knows, and that is right."""
        error = client.error
        nothing_ran = (RunRefused, RunCancelled, TransportError)
        assert isinstance(error, (RunLost, RunUnknown, *nothing_ran)), error
        if isinstance(error, nothing_ran) and client.submission is not None:
            assert self.world.executions[client.run] == 0

    def check_end(self, client: Client) -> None:
        assert client.outcome is not None
        end, run = client.outcome.end, client.run
        assert end.state in FINAL
        assert self.ended.get(run, end.state) == end.state
        if end.state in ("ok", "error"):
            assert run in self.world.over
            assert [bytes(part) for part in client.outcome.parts] == [b"result of " + run.encode()]
            if None not in client.shown:
                assert client.shown == self.world.story[run]
        if end.state == "cancelled":
            limits = {"timeout", "wait"} & self.options(run)
            moved = {id_at for job in self.world.jobs for id_at in (job, id_there(job))}
            assert run in self.world.stopped | moved or limits

    def check_jobs(self) -> None:
        """A job that its host has written down is on one host or the other, and comes to an end."""
        runs = self.runs()
        for job in [runs[job] for job in self.world.jobs if job in runs]:
            assert job.state in FINAL
            if job.state == "cancelled":
                copy = runs[id_there(job.run)]
                assert job.detail["moved"]["run"] == copy.run
                assert copy.state in {"ok", "error", "died", "lost"}
            if self.world.executions[job.run]:
                assert "moved" not in job.detail
            if job.options.get("retry") and job.state in ("died", "lost"):
                assert runs[job.detail["retried"]].state in FINAL

    def options(self, run: str) -> set[str]:
        submitted = [c.submission for c in self.world.clients if c.run == run and c.submission]
        return set(submitted[0].message.options) if submitted else set()

    def check_observers(self, observers: list[Client]) -> None:
        """Whoever attaches later sees the same."""
        for observer in observers:
            assert observer.outcome is not None, observer.error
            assert observer.outcome.end.state == self.ended[observer.run]
            self.check_end(observer)
            for client in self.world.clients:
                if client.run == observer.run and client.outcome is not None:
                    assert client.shown == observer.shown


def id_there(job: str) -> str:
    """Return the id that a job has where it is moved."""
    return _id_there(job, THERE)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


TestProtocol = pytest.mark.timeout(0)(Protocol.TestCase)
TestProtocol.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def test_a_worker_that_died_while_the_disk_was_full_is_seen_when_it_has_room() -> None:
    """One schedule of ten thousand, kept."""
    history = Protocol()
    history.begin(size=5, turns=3)
    history.be_stubborn(index=0)
    for _ in range(3):
        history.attach(index=0, notebook=1)
    history.fill_the_disk(full=True)
    history.attach(index=0, notebook=1)
    history.trickle(most=190, tick=False)
    history.interrupt(index=0, twice=True)
    history.teardown()


@pytest.mark.parametrize("delete", [False, True])
def test_what_is_kept_of_a_cells_inputs_and_was_spoiled_is_asked_for(delete: bool) -> None:
    history = Protocol()
    history.begin(size=5, turns=12, large=(120, 900))
    history.finish(index=0, ename="")
    history.flow(turns=6, seconds=0.1)
    for spoiled in (False, True):
        for index in (0, 1) if spoiled else ():
            history.spoil_what_is_kept(index, delete)
        before = len(history.world.clients)
        history.submit(1, 1, 5, {}, reserves=False, large=(120, 900))
        history.flow(turns=12, seconds=0.1)
        history.finish(index=0, ename="")
        history.flow(turns=6, seconds=0.1)
        assert history.world.clients[before].outcome is not None
        history.a_cell_reads_what_was_sent()
    history.teardown()


def test_trouble_with_the_disk_is_told_in_the_epoch_in_which_a_run_is_followed() -> None:
    history = Protocol()
    history.begin(size=5, turns=0, large=())
    history.attach(index=0, notebook=1)
    history.flow(seconds=0.1, turns=4)
    history.crash_supervisor()
    history.crash_worker(index=0)
    history.attach(index=0, notebook=1)
    history.hand_in(options={}, size=5)
    history.reserve_and_say_no_more(kind="gpu", notebook=1, priority=0)
    history.fill_the_disk(full=True)
    history.flow(seconds=0.1, turns=3)
    history.epochs_only_grow()
    history.teardown()


def test_a_copy_of_a_submission_in_one_piece_does_not_end_the_upload_in_parts() -> None:
    history = Protocol()
    history.begin(size=2000, turns=0, large=())
    history.flow(seconds=0.1, turns=1)
    history.cut(index=0, most=0, noticed=False)
    history.flow(seconds=0.1, turns=4)
    history.say_it_again(damaged=False, index=0)
    history.flow(seconds=0.1, turns=3)
    history.teardown()
    history.a_cell_reads_what_was_sent()


def test_a_submission_that_was_cut_is_made_again_with_fewer_words() -> None:
    """Its blobs are held by then: the journal that is begun again is shorter than the first."""
    history = Protocol()
    history.begin(size=5, turns=2, large=())
    history.submit(cell=1, large=(120,), notebook=1, options={}, reserves=False, size=2000)
    history.crash_worker(index=0)
    history.flow(seconds=0.1, turns=2)
    history.crash_supervisor()
    history.teardown()
    assert history.world.clients[1].outcome is not None


@pytest.mark.parametrize("effects", range(36))
def test_a_move_whose_supervisor_dies_before_any_of_its_effects(effects: int) -> None:
    history = Protocol()
    history.begin(size=5, turns=12)
    history.hand_in(size=5, options={})
    history.flow(turns=6, seconds=0.1)
    history.move(index=0)
    history.crash_supervisor_soon(effects=effects)
    history.flow(turns=12, seconds=0.1)
    history.teardown()


@pytest.mark.parametrize("effects", range(12))
def test_a_job_is_tried_again_though_the_supervisor_dies_as_it_ends(effects: int) -> None:
    history = Protocol()
    history.begin(size=5, turns=12)
    history.finish(index=0, ename="")
    history.hand_in(size=5, options={"retry": 1})
    history.flow(turns=20, seconds=0.1)
    (job,) = history.world.jobs
    assert history.world.executions[job] == 1
    history.world.processes[job].die()
    history.crash_supervisor_soon(effects=effects)
    history.flow(turns=6, seconds=0.1)
    history.teardown()


@pytest.mark.parametrize("effects", range(24))
def test_a_job_keeps_its_time_though_it_is_moved_and_the_supervisor_dies(effects: int) -> None:
    history = Protocol()
    history.begin(size=5, turns=12)
    history.finish(index=0, ename="")
    history.hand_in(size=5, options={}, ahead=20.0)
    history.flow(turns=6, seconds=0.1)
    history.move(index=0)
    history.crash_supervisor_soon(effects=effects)
    history.flow(turns=12, seconds=0.1)
    history.teardown()


def test_a_kernel_that_moves_a_job_hears_that_another_one_stopped_its_copy() -> None:
    history = Protocol()
    history.begin(size=5, turns=0)
    history.hand_in(size=5, options={})
    for _ in range(3):
        history.move(index=0)
    history.hand_in(size=2000, options={})
    history.flow(turns=5, seconds=1.0)
    # The copy is under way when its source ends, so that whoever moves it next cancels it.
    history.move(index=1)
    history.crash_worker(index=0)
    history.flow(turns=10, seconds=1.0)
    history.trickle(most=1, tick=False)
    history.teardown()
