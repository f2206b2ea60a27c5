"""How this host is and what may run on it: kept up to date, said to who asks, held to.

Runs on the Mac. Only Python and `wire` may be imported here.

The host's tools are asked every `ACTIVE` seconds while a run is active, every `WATCHED` while a
client watches, and otherwise when a client comes or asks and what is known is old.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from ..wire.usage import to_json
from . import hardware, memory, stragglers
from .awake import Awake
from .bounds import bounds_of
from .gauging import Gauge
from .pause import Pause
from .policy import PolicyFile
from .pressure import Pressure
from .sharing import Sharing
from .telemetry import Probe, cpu_taken, gpu_taken

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable

    from . import effects as e
    from .client import Client
    from .store import Store
    from .supervisor import Supervisor

#: Seconds from the end of one round of the probe to the next: while a run is active, while only
#: somebody watches.
ACTIVE, WATCHED = 5.0, 15.0
#: The same while nobody does, and the chip waits to be measured.
SELDOM = 60.0
#: What is older, in seconds, is asked for anew when a client comes or asks.
FRESH = 5.0
#: Seconds after which what the tools said of memory says nothing of now.
_STALE = 15.0
#: Seconds between two looks at what may run.
LOOK = 0.5
#: A client is told no more often, in seconds, unless the tools have just answered.
SHORTEST = 1.0
#: What ends a process whose GPU fails.
_CRASHES = ("SIGABRT", "SIGBUS", "SIGILL", "SIGSEGV", "SIGTRAP")
#: Seconds over which the system's load is a mean: what ran within them is in it.
LOAD = 60.0
_OF_HOST = ("pause", "resume", "orphans")


@dataclass(slots=True)
class _Watcher:
    """A client that watches: every so many seconds, the next time at `due`.

    `lanes` are runs and queue by kind of slot, as it was told last.
    """

    every: float
    due: float
    lanes: dict[str, tuple[int, int]]

    @property
    def told(self) -> float:
        """When it was told last."""
        return self.due - self.every


class Condition:
    """How the host is, as its supervisor knows it.

    Parameters
    ----------
    place
        The store.
    mind
        What decides; it is told what may run.
    selector, now
        The loop's, and its clock.
    clients
        All of them, by number.
    """

    def __init__(
        self,
        place: Store,
        mind: Supervisor,
        selector: selectors.BaseSelector,
        now: Callable[[], float],
        clients: dict[int, Client],
    ) -> None:
        self.devices = hardware.devices()
        self.policy = PolicyFile()
        self._pause = Pause(place.root / "pause")
        self._awake = Awake()
        self._pressure = Pressure()
        self._probe = Probe(selector, now)
        self.gauge = Gauge(place.root / "gauge.json", selector, now)
        self.sharing = Sharing(mind, now)
        self._mind, self._now, self._clients = mind, now, clients
        self._place = place
        self._watchers: dict[int, _Watcher] = {}
        #: Who gets the next sample alone.
        self._waiting: set[int] = set()
        self._wanted = False
        self._told = (0, 0)
        self._restarts: int | None = None
        self._due = 0.0
        self._busy_at = -math.inf
        self._gpu_taken: float | None = None
        self._cpu_taken: float | None = None

    def begin(self) -> list[e.Effect]:
        """Hold the mind to what is allowed before anything begins. Called once, first of all."""
        return [*self.sharing.begin(), *self.bind()]

    def bind(self) -> list[e.Effect]:
        """Look at what the policy, the clock and the owner allow, and hold the mind to it."""
        clock, held = time.localtime(), self.policy.held()
        bounds = bounds_of(
            held.policy,
            held.problem,
            weekday=clock.tm_wday,
            minute=60 * clock.tm_hour + clock.tm_min,
            pause=self._pause.left(),
        )
        return self._mind.bound(bounds, self._now())

    def greeted(self) -> dict[str, Any]:
        """Return the sample for a client that came."""
        self._wanted = self._wanted or self._is_old()
        return self.sample()

    def sample(self) -> dict[str, Any]:
        """Return what `messages.Telemetry` holds."""
        now, bounds, ended = self._now(), self._mind.bounds, self._probe.ended
        return {
            "age": None if ended is None else round(now - ended, 3),
            "telemetry": self._probe.plain,
            "probing": self._probe.asking or self._wanted,
            "lanes": {kind: asdict(lane) for kind, lane in self._mind.lanes(now).items()},
            "policy": self.policy.held().policy.plain(),
            "draining": bounds.drained,
            "paused": bounds.paused,
            "reason": bounds.closed,
            "queue": self.sharing.said(),
            "devices": self.devices,
            "gpu_taken": self._gpu_taken,
            "cpu_taken": self._cpu_taken,
            "asked": self._mind.asked,
            **self.gauge.plain(),
        }

    def takes(self, message: m.Message) -> bool:
        """Say whether a client's message is about the host and not about a run."""
        of_host = isinstance(message, m.Operate) and message.action in _OF_HOST
        return of_host or isinstance(message, m.Watch)

    def heard(self, client: Client, message: m.Message) -> list[e.Effect]:
        """Do what a client says of the host."""
        if isinstance(message, m.Watch):
            self._watch(client, message.every)
        elif isinstance(message, m.Operate) and message.action == "orphans":
            known = [asdict(each) for each in stragglers.orphans(self._place)]
            answer = m.Operated(operation=message.operation, detail={"orphans": known})
            client.endpoint.send(answer)
        elif isinstance(message, m.Operate):
            return self._operate(client, message)
        return []

    def tick(self, starting: bool) -> list[e.Effect]:
        """Look at what is due.

        Parameters
        ----------
        starting
            Whether a worker starts; the tools can wait then, its cell should not.
        """
        now = self._now()
        self._probe.tick()
        effects = self.turn()
        if now < self._due:
            return effects
        self._due = now + LOOK
        if self._mind.busy:
            self._awake.hold()
        if not starting and (self._wanted or self._is_due(now)):
            self._begin()
        self._gauge(starting)
        relief = self._relieve(now)
        self._watchers = {n: each for n, each in self._watchers.items() if n in self._clients}
        if self._watchers:
            self._tell(self._to_hear(now))
        return [*effects, *relief, *self.bind()]

    def _to_hear(self, now: float) -> list[int]:
        """Return whose time has come, or who has not heard that a run began, ended or queued.

        How busy a host is decides more than all else where the next cell goes. Each is looked at
        alone: of many who watch, somebody is told at any moment.
        """
        lanes, latest = self._busy_lanes(now), now - SHORTEST
        return [
            number
            for number, each in self._watchers.items()
            if now >= each.due or (lanes != each.lanes and each.told <= latest)
        ]

    def _busy_lanes(self, now: float) -> dict[str, tuple[int, int]]:
        return {kind: (each.running, each.queued) for kind, each in self._mind.lanes(now).items()}

    def _relieve(self, now: float) -> list[e.Effect]:
        """Stop the largest run if the memory pressure stays critical."""
        if not self._mind.busy:
            self._pressure.lasts(None, now)
            return []
        critical, at = memory.critical(), now
        sample, ended = self._probe.sample, self._probe.ended
        if critical is None and sample is not None and ended is not None:
            # The system has no word of its own for it, or is a simulated one.
            critical, at = now - ended < _STALE and sample.memory.pressure == "critical", ended
        if not self._pressure.lasts(critical, at):
            return []
        self._pressure.acted(now)
        return self._mind.relieve(memory.sizes(self._place), now)

    def turn(self) -> list[e.Effect]:
        """Note after each turn of the loop whether a run is active, and what the tools said."""
        effects: list[e.Effect] = []
        if self._mind.busy or self.gauge.is_measuring:
            self._busy_at = self._now()
        if self._mind.busy:
            self._mind.meter.active(self._mind.active(), self._busy_at)
        else:
            self._awake.release()
        if (self._probe.rounds, self.gauge.version) != self._told:
            self._told = (self._probe.rounds, self.gauge.version)
            self._judge()
            effects = self._measure()
            self._tell([*self._watchers, *(self._waiting - self._watchers.keys())])
            self._waiting.clear()
        return effects

    def _measure(self) -> list[e.Effect]:
        """Count the newest reading, and have those who follow active runs told."""
        sample, read = self._probe.sample, self._probe.ended
        if sample is None or read is None or read != self._probe.tried:
            return []
        self._mind.meter.sampled(sample, read)
        effects: list[e.Effect] = []
        for run in self._mind.active():
            effects += self._mind.measured(run, to_json(self._mind.meter.usage(run, self._now())))
        return effects

    def worker_ended(self, sign: str) -> None:
        """Note the name of the signal that ended a worker; some may be the GPU's fault."""
        if sign in _CRASHES:
            self.gauge.suspect()

    def close(self) -> None:
        """End what was started beside the loop, and leave the machine's queue."""
        self.sharing.close()
        self._probe.close()
        self.gauge.close()
        self._awake.close()

    def _watch(self, client: Client, every: float) -> None:
        self._watchers.pop(client.number, None)
        if every > 0:
            every = max(SHORTEST, every)
            now = self._now()
            self._watchers[client.number] = _Watcher(every, now + every, self._busy_lanes(now))
        if self._is_old():
            self._begin()
        if self._probe.asking or self._wanted:
            self._waiting.add(client.number)
        client.endpoint.send(m.Telemetry(sample=self.sample()))

    def _operate(self, client: Client, message: m.Operate) -> list[e.Effect]:
        pausing = message.action == "pause"
        error = self._pause.begin(message.detail.get("seconds")) if pausing else self._pause.end()
        effects = self.bind()
        detail = {"paused": self._mind.bounds.paused, "left": round(self._pause.left(), 3)}
        answer = m.Operated(operation=message.operation, error=error, detail=detail)
        client.endpoint.send(answer)
        return effects

    def _is_old(self) -> bool:
        return self._probe.ended is None or self._now() - self._probe.ended > FRESH

    def _is_due(self, now: float) -> bool:
        period = ACTIVE if self._mind.busy else WATCHED
        if not self._mind.busy and not self._watchers:
            if not self.gauge.wants_sample:
                return False
            period = SELDOM
        return self._probe.tried is None or now - self._probe.tried >= period

    def _gauge(self, starting: bool) -> None:
        now, ended = self._now(), self._probe.ended
        self.gauge.tick(
            is_busy=starting or self._mind.busy,
            quiet=now - self._busy_at,
            sample=self._probe.sample,
            age=None if ended is None else now - ended,
        )

    def _begin(self) -> None:
        # What ends takes a moment: it is begun at the next look then.
        self._wanted = self._probe.ending
        self._probe.begin()

    def _judge(self) -> None:
        """Keep what others take, which can be told from what cells take only while none runs."""
        sample, begun = self._probe.sample, self._probe.begun
        if sample is None or begun is None or self._probe.ended != self._probe.tried:
            return
        restarts = sample.gpu.restarts if sample.gpu else None
        if restarts is not None and self._restarts is not None and restarts > self._restarts:
            self.gauge.suspect()
        self._restarts = restarts
        self._gpu_taken = gpu_taken(sample) if self._busy_at < begun else None
        self._cpu_taken = cpu_taken(sample) if self._busy_at < begun - LOAD else None

    def _tell(self, numbers: list[int]) -> None:
        if not numbers:
            return
        said, now = m.Telemetry(sample=self.sample()), self._now()
        lanes = self._busy_lanes(now)
        for number in numbers:
            watcher, client = self._watchers.get(number), self._clients.get(number)
            if watcher is not None:
                watcher.due = now + watcher.every
            if client is None or client.endpoint.congested:
                continue
            client.endpoint.send(said)
            if watcher is not None:
                watcher.lanes = lanes
