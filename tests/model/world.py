"""One host, its notebooks and the network between them, on one thread and a clock of its own.

Real: the supervisor's loop body, mind, hands, journals and log; both ends of every connection; the
worker's link with its pipes and marks; the notebook's execution. Made up: the processes, the
network, the clock and the machine's reboot.
"""

from __future__ import annotations

import contextlib
import errno
import os
import types
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_macgpu import execution, fetching, interrupts, link, lookout, moving, shipping, waiting
from jupyter_macgpu.execution import Submission
from jupyter_macgpu.mac import (
    carry,
    condition,
    journal,
    policy,
    serve,
    store,
    stragglers,
    telemetry,
)
from jupyter_macgpu.wire import bulk, bundle
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.blobs import digests_of
from jupyter_macgpu.wire.bundle import digest_of
from tests.model.caller import Caller
from tests.model.client import Client
from tests.model.network import Line
from tests.model.process import ModelWorker, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_macgpu.mac import effects as e

#: The time of day at the model's zero, as the kernels' clocks have it, and by how many seconds the
#: host's is behind.
ZERO, BEHIND = 1e9, 5000.0
#: Small sizes, so that short cells fill windows and are uploaded in parts.
INLINE, WINDOW, PART, ACK = 300, 256, 100, 64


class Crashed(BaseException):
    """The supervisor's process dies here."""


class Disk:
    """What the journals and the log know of the system: `os`, on a disk that may be full.

    A full one takes half of what it is given, and then nothing.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pwrite(self, fd: int, data: memoryview, at: int) -> int:
        return os.pwrite(fd, self._taken(data), at)

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, self._taken(memoryview(data)))

    def _taken(self, data: memoryview) -> memoryview:
        if not self._world.full:
            return data
        if len(data) < 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return data[: len(data) // 2]


class NoProbe(telemetry.Probe):
    """The tools of a host, which say nothing."""

    def begin(self) -> None:
        self.tried = self._now()


class ModelCarrier(carry.Carrier):
    """The supervisor's hands, which may die before any effect."""

    world: World

    def _do(self, effect: e.Effect) -> None:
        self.world.before_effect()
        super()._do(effect)

    def _log(self, effects: list[e.Log]) -> None:
        for effect in effects:
            self.world.before_effect()
            super()._log([effect])


class ModelServer(serve.Server):
    """The supervisor's body, stepped by the model."""

    world: World

    def now(self) -> float:
        return self.world.now

    def step(self, tick: bool) -> None:
        """Do what `run` does in one turn."""
        for key, events in self.selector.select(0):
            if key.fd in self.selector.get_map():
                key.data(events)
        self.mind.time_is(self.now(), serve.time.time())
        if tick:
            self._tick()
        self._flush()
        self._hands.journals.make_spare()


class World:
    """Everything that the model's rules act on."""

    def __init__(self, root: Path) -> None:
        self.now = 1000.0
        self.place = store.Store(root)
        self.place.prepare()
        self.lock = self.place.take_lock() or -1
        #: What the host's administrator laid down.
        self.policy = root / "host.yaml"
        self.boots = 1
        self.full = False
        self.reachable = True
        self.server: ModelServer | None = None
        self.processes: dict[str, Process] = {}
        self.clients: list[Client] = []
        #: Kernels with errands about jobs, and the jobs.
        self.callers: list[Caller] = []
        self.jobs: list[str] = []
        self.lines: list[Line] = []
        self.executions: Counter[str] = Counter()
        #: What was submitted, by run; and the runs whose worker found something else.
        self.digests: dict[str, str] = {}
        self.blobs_of: dict[str, dict[str, bytes]] = {}
        self.misread: list[str] = []
        #: The runs that a worker had before their time.
        self.early: list[str] = []
        self.story: dict[str, list[Any]] = defaultdict(list)
        self.over: set[str] = set()
        self.stopped: set[str] = set()
        self.notices: list[str] = []
        self.crashes: list[BaseException] = []
        self.fuse: int | None = None
        self.running: Client | Caller
        self._number = 0

    @property
    def time_of_day(self) -> float:
        """What the kernels' clocks show."""
        return ZERO + self.now

    def number(self) -> int:
        """Return the next number of the model."""
        self._number += 1
        return self._number

    # What workers do, as it really was.

    def executed(self, message: m.Execute) -> None:
        """Note that a worker has a run, with what it finds of its inputs."""
        self.executions[message.run] += 1
        if (message.options.get("at") or 0.0) > self.time_of_day:
            self.early.append(message.run)
        if message.run not in self.digests:
            return  # a copy that was moved or is tried again; its host made it
        path = Path(message.path) if message.path else None
        whole = b"".join(message.buffers) if path is None else path.read_bytes()
        folder = Path(message.blobs)
        found = {name: (folder / name).read_bytes() for name in self.blobs_of[message.run]}
        if (digest_of([whole]), found) != (self.digests[message.run], self.blobs_of[message.run]):
            self.misread.append(message.run)

    def wrote(self, run: str, name: str, data: bytes) -> None:
        self.story[run] += [(name, byte) for byte in data]

    def told(self, run: str, number: int) -> None:
        self.story[run].append(number)

    def finished(self, run: str) -> None:
        self.over.add(run)

    # The supervisor.

    def before_effect(self) -> None:
        """Blow the fuse, if it is its turn."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Crashed

    def ensure_server(self) -> bool:
        """Start a supervisor, as a door does; return whether one runs."""
        if self.server is None:
            server = ModelServer.__new__(ModelServer)
            try:
                server.__init__(self.place, self.lock, {"gpu": 1, "cpu": 1})  # type: ignore[misc]
            except Crashed:
                server.close()
                return False
            self.server = server
        return True

    def crash_server(self) -> None:
        """End the supervisor's process."""
        self.fuse = None
        if self.server is not None:
            self.server.close()
            self.server = None

    def reboot(self, kept: float) -> None:
        """Restart the host: processes end, and the log's end was perhaps not on the disk."""
        self.crash_server()
        for process in self.processes.values():
            process.die()
        self.processes.clear()
        for line in self.lines:
            line.cut()
        synced = SYNCED.get(self.place.log.stat().st_ino, 0)
        size = self.place.log.stat().st_size
        os.truncate(self.place.log, synced + int((size - synced) * kept))
        self.boots += 1

    def lay_down(self, content: bytes | None) -> None:
        """Write the host's policy, or delete it."""
        if content is None:
            self.policy.unlink(missing_ok=True)
        else:
            fresh = self.policy.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.chmod(0o644)
            fresh.replace(self.policy)

    def spoil(self, index: int, *, delete: bool) -> None:
        """Delete a blob that is kept, or put something else in its place."""
        kept = sorted(path for path in self.place.kept("").rglob("*") if path.is_file())
        if not kept:
            return
        path = kept[index % len(kept)]
        size = path.stat().st_size
        path.unlink()
        if not delete:
            path.write_bytes(b"x" * size)

    # Notebooks.

    def connect(self) -> Line:
        """Open a line to the supervisor."""
        assert self.server is not None
        line = Line()
        fd = line.far.detach()
        self.server.add_client(fd, fd)
        self.lines.append(line)
        return line

    def submit(
        self,
        notebook: int,
        cell: int,
        size: int,
        options: dict[str, Any],
        reserves: bool = False,
        large: Sequence[int] = (),
    ) -> Client:
        """Run a cell from a new kernel's hand, which may reserve its slot first.

        Parameters
        ----------
        large
            Length of each blob. Blobs of one length are alike.
        """
        pieces = bundle.pack([b"%d" % self._number * size])
        data = [memoryview(b"%d" % length * length)[:length] for length in large]
        apart = dict(zip(digests_of(data), data, strict=True))
        run = f"{self.number():032x}"
        self.digests[run] = bundle.digest_of(pieces)
        self.blobs_of[run] = {name: bytes(view) for name, view in apart.items()}
        message = m.Submit(
            run=run,
            epoch=1,
            session=f"{notebook:032x}",
            size=bundle.size_of(pieces),
            digest=self.digests[run],
            origin={"notebook": str(notebook), "cell": str(cell)},
            options=options,
            blobs={name: view.nbytes for name, view in apart.items()},
        )
        submission = Submission(message=message, pieces=pieces, blobs=apart)
        return self._client(message.run, submission, str(notebook), reserves)

    def attach(self, run: str, notebook: str) -> Client:
        """Attach to a run from another kernel."""
        return self._client(run, None, notebook)

    def _client(
        self, run: str, submission: Submission | None, notebook: str, reserves: bool = False
    ) -> Client:
        client = Client(self, run, submission, notebook, reserves)
        self.clients.append(client)
        return client

    def call(self, errand: Callable[[Caller], None]) -> None:
        """Send a kernel on an errand."""
        self.callers.append(Caller(self, errand))

    # Time.

    def step(self, *, bytes_moved: int = 1 << 30, seconds: float = 0.1, tick: bool = True) -> None:
        """Let everybody do one thing."""
        self.now += seconds
        for each in (*self.clients, *self.callers):
            self.running = each
            each.turns.run()
        for line in self.lines:
            line.move(bytes_moved)
        self.lines = [line for line in self.lines if not line.dead]
        self._step_server(tick)
        for process in list(self.processes.values()):
            if process.alive:
                process.step()
        self.processes = {name: p for name, p in self.processes.items() if p.alive}
        for line in self.lines:
            line.move(bytes_moved)

    def _step_server(self, tick: bool) -> None:
        if self.server is None:
            return
        try:
            self.server.step(tick)
        except Crashed:
            self.crash_server()

    def close(self) -> None:
        """End all threads and close all descriptors."""
        for each in (*self.clients, *self.callers):
            each.turns.stop()
        self.crash_server()
        for process in self.processes.values():
            process.die()
        for line in self.lines:
            line.cut()
        os.close(self.lock)


#: Bytes of each file, by inode, that a reboot cannot take.
SYNCED: dict[int, int] = {}


def _sync(fd: int) -> None:
    info = os.fstat(fd)
    SYNCED[info.st_ino] = info.st_size


@contextlib.contextmanager
def modelled(world: World) -> Iterator[None]:
    """Make sizes small, and give both sides the model's clock, boots and processes."""
    clock = types.SimpleNamespace(
        monotonic=lambda: world.now,
        time=lambda: world.time_of_day,
        sleep=lambda seconds: world.running.sleep(seconds),
    )
    of_host = types.SimpleNamespace(
        monotonic=lambda: world.now, time=lambda: world.time_of_day - BEHIND
    )
    changes: list[tuple[types.ModuleType, str, Any]] = [
        (m, "INLINE", INLINE),
        (bulk, "FIRST_WINDOW", WINDOW),
        (bulk, "MIN_WINDOW", WINDOW),
        (bulk, "PART", PART),
        (execution, "_ACK_EVERY", ACK),
        (shipping, "INLINE", INLINE),
        (shipping, "UNASKED", INLINE),
        (serve, "Worker", ModelWorker),
        (carry, "Carrier", ModelCarrier),
        (condition, "Probe", NoProbe),
        (condition, "PolicyFile", lambda: policy.PolicyFile(world.policy)),
        (store, "sync", _sync),
        (journal, "os", Disk(world)),
        (moving, "secrets", types.SimpleNamespace(token_hex=lambda _: f"{world.number():032x}")),
        (stragglers, "reap", lambda _folder: 0),
        (store, "boot_id", lambda: f"boot-{world.boots}"),
        *((module, "time", of_host) for module in (carry, serve)),
        *(
            (module, "time", clock)
            for module in (execution, fetching, interrupts, link, lookout, shipping, waiting)
        ),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    ModelServer.world = ModelCarrier.world = ModelWorker.world = world
    SYNCED.clear()
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
