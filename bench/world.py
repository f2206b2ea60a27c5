"""Macs, their queues and the cells in them, from event to event: time is simulated, rules are not.

Slots and queues are the supervisor's own (`mac.leases`), and so is the estimate of a wait
(`mac.queues`). A cell that is sent to one host is sent with its data, and waits there when all has
come. One that waits at several by reservation is sent to the first that grants it a slot, which
then stands empty until the data have come; the others hear of it one way later.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jupyter_macgpu.mac.book import RECENT
from jupyter_macgpu.mac.estimates import estimated_wait
from jupyter_macgpu.mac.leases import Leases, Waiting
from jupyter_macgpu.scheduling.status import HostStatus, Lane, Memory, Speed, State
from jupyter_macgpu.swaps import Stand
from jupyter_macgpu.wire.telemetry import gpu_share

from .trace import WORKER, Cell, Mac, Trace

#: Seconds for a message to a host or back, and for the worker of a notebook that has none there.
ONE_WAY = 0.05


@dataclass(eq=False, slots=True, kw_only=True)
class Job:
    """A cell on its way.

    Attributes
    ----------
    chosen
        Where it is sent to, or has run.
    asked
        Hosts at which it waits by reservation.
    left
        Work that is left, from its start on.
    """

    cell: Cell
    chosen: Host | None = None
    asked: list[Host] = field(default_factory=list)
    left: float = 0.0
    began: float | None = None
    ended: float | None = None


class Host:
    """One Mac with its supervisor's queue."""

    def __init__(self, mac: Mac) -> None:
        self.mac = mac
        self.leases = Leases({"gpu": 1})
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.jobs: dict[str, Job] = {}
        self.running: Job | None = None
        #: Cells that were sent here and are still under way, in the order of their sending.
        self.coming: list[Job] = []
        self.warm: set[int] = set()
        self.data: set[int] = set()
        self.taken = 0.0
        self.busy = 0.0
        self._since = 0.0
        self._stamp = 0

    @property
    def pace(self) -> float:
        """Work done in a second now."""
        return self.mac.speed * (1 - self.taken)

    def progress(self, now: float) -> None:
        """Take account of what was done since the last change."""
        if self.running is not None:
            self.running.left -= max(0.0, now - self._since) * self.pace
        self._since = max(now, self._since)

    def begin(self, job: Job, now: float) -> None:
        """Start a cell; its worker has to be started first where the notebook has none."""
        cell = job.cell
        self.running, job.began, job.left = job, now, cell.work
        self._since = now + (0.0 if cell.notebook in self.warm else WORKER)

    def ends_at(self) -> tuple[float, int]:
        """Return when the cell that runs will end as things are, and a stamp for this forecast."""
        assert self.running is not None
        self._stamp += 1
        return self._since + max(0.0, self.running.left) / self.pace, self._stamp

    def is_current(self, stamp: int) -> bool:
        """Say whether a forecast is the last one."""
        return stamp == self._stamp

    def missing(self, cell: Cell) -> int:
        """Return the bytes of a cell's data that have to be sent here."""
        return 0 if cell.notebook in self.data else cell.data

    def count(self) -> int:
        """Return how many cells are here: running, waiting or on the way."""
        return len(self.jobs) + len(self.coming)

    def fits(self, cell: Cell) -> bool:
        """Say whether a cell's memory can be had here."""
        return (cell.mem or 0) <= gpu_share(self.mac.memory)


class World:
    """All hosts, and what happens when.

    Attributes
    ----------
    now
        Seconds from the start.
    homes
        Where each notebook's last cell ran.
    """

    def __init__(self, trace: Trace, seed: int) -> None:
        self.trace = trace
        self.hosts = [Host(mac) for mac in trace.macs]
        self.named = {host.mac.name: host for host in self.hosts}
        self.now = 0.0
        self.homes: dict[int, Host] = {}
        self.done: list[Job] = []
        self.noise = random.Random(seed)
        chance = random.Random(-seed)
        #: Each Mac's speed, as it has measured it.
        self.measured = {
            mac.name: mac.speed * math.exp(chance.gauss(0, 0.05)) for mac in trace.macs
        }
        #: Told of each host whose slots or queue have changed.
        self.changed: Callable[[Host], None] = lambda _host: None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = itertools.count()

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Have something done at a time."""
        heapq.heappush(self._events, (when, next(self._counter), act))

    def run(self, arrive: Callable[[Job], None]) -> list[Job]:
        """Let all cells come and end; `arrive` has each one sent somewhere."""
        for host in self.hosts:
            for when, taken in host.mac.spells:
                self.at(when, lambda host=host, taken=taken: self._spell(host, taken))  # type: ignore[misc]
        for cell in self.trace.cells:
            self.at(cell.at, lambda cell=cell: arrive(Job(cell=cell)))  # type: ignore[misc]
        while len(self.done) < len(self.trace.cells):
            self.now, _, act = heapq.heappop(self._events)
            act()
        return self.done

    def send(self, job: Job, host: Host, delay: float = 0.0) -> None:
        """Send a cell with its data to one host, where it waits for its turn."""
        job.chosen = host
        host.coming.append(job)
        arrives = self.now + delay + ONE_WAY + host.missing(job.cell) / host.mac.link
        self.at(arrives, lambda: self._came(job, host))

    def reserve(self, job: Job, hosts: Sequence[Host], delay: float = 0.0) -> None:
        """Have a cell wait at several hosts, and take the first that grants it a slot."""
        job.asked = list(hosts)
        for host in hosts:
            self.at(self.now + delay + ONE_WAY, lambda host=host: self._ask(job, host))  # type: ignore[misc]

    def change(self, job: Job, join: Sequence[Host], leave: Sequence[Host]) -> None:
        """Have a cell that waits do so at other hosts too, or rather."""
        for host in leave:
            job.asked.remove(host)
            self.at(self.now + ONE_WAY, lambda host=host: self._leave(job, host))  # type: ignore[misc]
        job.asked += join
        for host in join:
            self.at(self.now + ONE_WAY, lambda host=host: self._ask(job, host))  # type: ignore[misc]

    def stand(self, job: Job, host: Host) -> Stand:
        """Return how a cell that waits at a host stands there, as the host tells it."""
        before = host.leases.position(job.cell.name) or 0
        wait = estimated_wait(1, self.lasted(host), before, host.recent)
        return Stand(before=before, wait=wait if job.cell.name in host.jobs else None)

    def lasted(self, host: Host) -> list[float]:
        """Return how long what holds the slot has lasted; a reservation has not begun."""
        running = host.running
        lasted = [] if running is None else [self.now - (running.began or 0.0)]
        return lasted + [0.0] * (len(host.leases.holding()) - len(lasted))

    def status(self, host: Host) -> HostStatus:
        """Return what a host says of itself now: what others take is read with an error."""
        mac = host.mac
        holding, queued = len(host.leases.holding()), host.leases.queued("gpu")
        asked = host.leases.asked()
        limit = gpu_share(mac.memory)
        return HostStatus(
            name=mac.name,
            labels={"apple.com/gpu": "true"},
            state=State.BUSY if holding else State.READY,
            seen=self.now,
            gpu_test=True,
            gpu_speed=Speed(value=self.measured[mac.name], source="calibrated"),
            gpu_taken=min(1.0, max(0.0, host.taken + self.noise.gauss(0, 0.08))),
            gpu=Lane(
                running=holding,
                queued=queued,
                wait=estimated_wait(1, self.lasted(host), queued, host.recent),
            ),
            memory=Memory(
                total=mac.memory,
                free=int(mac.memory * self.noise.uniform(0.8, 0.95)) - asked,
                limit=limit,
                asked=asked,
                held=asked,
            ),
            pressure=1,
            heat=0,
            on_battery=False,
            link=mac.link * self.noise.uniform(0.7, 1.2),
        )

    def _came(self, job: Job, host: Host) -> None:
        host.coming.remove(job)
        self._ask(job, host)

    def _ask(self, job: Job, host: Host) -> None:
        if job.chosen not in (None, host) or (job.asked and host not in job.asked):
            return  # another host was faster, or it has become better to wait elsewhere
        cell = job.cell
        host.jobs[cell.name] = job
        host.leases.ask(
            Waiting(
                run=cell.name,
                session=str(cell.notebook),
                kind="gpu",
                mem=cell.mem or 0,
                since=self.now,
            )
        )
        self._grant(host)

    def _grant(self, host: Host) -> None:
        self.changed(host)
        for waiting in host.leases.grant():
            job = host.jobs[waiting.run]
            if not job.asked:
                self._begin(job, host)
            else:
                self.at(self.now + ONE_WAY, lambda job=job: self._granted(job, host))  # type: ignore[misc]

    def _granted(self, job: Job, host: Host) -> None:
        """Have a client hear that one of its reservations was granted."""
        if host not in job.asked:
            return  # it has left that queue meanwhile, and says so
        if job.chosen is not None:
            self.at(self.now + ONE_WAY, lambda: self._leave(job, host))
            return
        job.chosen = host
        for other in job.asked:
            if other is not host:
                self.at(self.now + ONE_WAY, lambda other=other: self._leave(job, other))  # type: ignore[misc]
        arrives = self.now + ONE_WAY + host.missing(job.cell) / host.mac.link
        self.at(arrives, lambda: self._begin(job, host))

    def _leave(self, job: Job, host: Host) -> None:
        if job.chosen is not host and host.jobs.pop(job.cell.name, None) is not None:
            host.leases.release(job.cell.name)
            self._grant(host)

    def _begin(self, job: Job, host: Host) -> None:
        host.begin(job, self.now)
        host.data.add(job.cell.notebook)
        self._forecast(host)

    def _forecast(self, host: Host) -> None:
        when, stamp = host.ends_at()
        self.at(when, lambda: self._end(host, stamp))

    def _spell(self, host: Host, taken: float) -> None:
        host.progress(self.now)
        host.taken = taken
        if host.running is not None:
            self._forecast(host)

    def _end(self, host: Host, stamp: int) -> None:
        if not host.is_current(stamp):
            return
        job = host.running
        assert job is not None
        assert job.began is not None
        cell = job.cell
        host.running, job.ended = None, self.now
        host.busy += self.now - job.began
        host.recent.append(self.now - job.began)
        host.warm.add(cell.notebook)
        del host.jobs[cell.name]
        host.leases.release(cell.name)
        self.homes[cell.notebook] = host
        self.done.append(job)
        self._grant(host)
