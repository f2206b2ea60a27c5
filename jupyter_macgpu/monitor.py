"""All hosts of a fleet, watched: one connection each, and what is known of them at any moment.

For whoever shows a fleet for longer than a moment: ``status --watch``, a server. A kernel does not
need it; it ranks by what was last heard and connects to what comes into question.

Threads of its own do the work. Up to `HANDSHAKES` of them connect, so that hosts which do not
answer hold up nobody that does; one listens to all that are connected; one looks at the clock.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from .fleet.keyfiles import mark_of
from .fleet.pacing import FIRST, Pace
from .fleet.seen import Seen
from .fleet.status import shown_state
from .link import Link
from .parting import at_once, await_all
from .scheduling.status import State
from .statuses import Statuses, sample_of, tells
from .watched import Watched
from .wire import messages as m
from .wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .fleet.hosts import Host
    from .reach import Reach
    from .statuses import Known

#: Hosts that are being connected to at the same time.
HANDSHAKES = 4
#: Seconds after which a host tells anew how it is.
EVERY = 15.0
#: Seconds without a look at the monitor after which it closes its connections.
IDLE = 60.0
#: Seconds without a word, where one was due, after which a host is slow; and after which its
#: connection is given up and made anew.
SLOW, SILENT = 5.0, 30.0
#: Seconds between two rounds of listening, and of looking at the clock.
_ROUND = 0.25
#: Seconds that all connections together have to be closed.
_CLOSING = 10.0
#: Messages of one host that are taken before the next one's turn.
_PIECES = 8
_STOPPED = (
    "not tried again after {number} refusals, until its entry or a key changes or somebody asks"
)


class Monitor:
    """Watches hosts from `start` to `stop`. All methods may be called by any thread.

    While nobody looks (`view`, `wait`) for `IDLE` seconds, it closes its connections and asks
    nobody; who knows that nobody looks says so (`hush`), and it asks nobody at once. The next look
    goes on with what was known then, while all hosts are asked anew.

    Parameters
    ----------
    hosts
        Whom to watch.
    link_to
        Gives a host's link. Nobody else may listen to it while the monitor runs.
    statuses
        Where all that is heard goes, and comes from.
    every
        Seconds after which a host tells anew how it is.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        link_to: Callable[[Host], Link],
        statuses: Statuses,
        *,
        every: float = EVERY,
    ) -> None:
        self.statuses = statuses
        self._link_to = link_to
        self._every = every
        self._news = threading.Condition()
        self._version = 0
        self._watched = {host.name: self._new(host) for host in hosts}
        self._looked = time.monotonic()
        #: Whether nobody is asked and nobody heard, and whether connections are closed too.
        self._is_hushed = self._rests = False
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    @classmethod
    def of(
        cls,
        hosts: Sequence[Host],
        reach: Reach,
        *,
        every: float = EVERY,
        statuses: Statuses | None = None,
    ) -> Monitor:
        """Return a monitor with connections of its own, and what this account knows of the hosts.

        Parameters
        ----------
        reach
            The way to each of them.
        statuses
            What is known of them, to be shared with somebody; None reads the account's files.
        """
        client = secrets.token_hex(16)
        return cls(
            hosts,
            # It is no notebook's; as in `pool`, its own name stands for one.
            lambda host: Link(reach.transport(host), client, client),
            Statuses() if statuses is None else statuses,
            every=every,
        )

    def start(self) -> None:
        """Begin to watch. The first view may come before anybody has answered."""
        self.statuses.look([each.host for each in self._watched.values()])
        work = [self._listen, self._look_at_the_clock, *[self._connect] * HANDSHAKES]
        for number, target in enumerate(work):
            thread = threading.Thread(target=target, name=f"macgpu-monitor-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, patience: float = 2.0) -> None:
        """End watching and close all connections.

        Parameters
        ----------
        patience
            Seconds that are waited for threads that are just connecting, and then for the
            connections of all the others; what takes longer ends by itself.
        """
        self._stopped.set()
        with self._news:
            self._news.notify_all()
        await_all(self._threads, patience)
        self._close_all(patience)

    @property
    def version(self) -> int:
        """Counts the changes of what `view` returns; ages are not counted."""
        return self._version

    def view(self) -> tuple[Seen, ...]:
        """Return all hosts as they are seen now, in the order of the fleet."""
        with self._news:
            self._use()
            watched = list(self._watched.values())
        return tuple(self._seen(each) for each in watched)

    def wait(self, version: int, timeout: float) -> int:
        """Return the version when it is another one than `version`, or after `timeout` seconds."""
        with self._news:
            self._use()
            self._news.wait_for(lambda: self._version != version or self._stopped.is_set(), timeout)
            return self._version

    def ask(self, names: Sequence[str] = ()) -> None:
        """Look at hosts at once, those too that refused us; without names, at all."""
        now = time.monotonic()
        with self._news:
            for each in self._watched.values():
                if not names or each.host.name in names:
                    each.pace = each.pace.again(now)
            self._news.notify_all()

    def hush(self) -> None:
        """Ask nobody and hear nobody until the next look; connections stay for a while."""
        with self._news:
            self._is_hushed = True

    def watch(self, hosts: Sequence[Host]) -> None:
        """Watch these hosts from now on: the fleet file has changed."""
        with self._news:
            before, self._watched = self._watched, {}
            for host in hosts:
                known = before.get(host.name)
                if known is not None and known.host == host:
                    self._watched[host.name] = before.pop(host.name)
                else:
                    self._watched[host.name] = self._new(host)
            self._version += 1
            self._news.notify_all()
        for gone in before.values():
            # One that is being connected to is closed by its thread, which finds it gone.
            if not gone.busy:
                gone.link.drop()

    def _new(self, host: Host) -> Watched:
        # Not all at once: many may watch the same hosts, and begin together.
        pace = Pace(due=time.monotonic() + random.uniform(0.0, _ROUND))
        return Watched(host=host, link=self._link_to(host), pace=pace)

    # What is seen.

    def _seen(self, each: Watched) -> Seen:
        status, known = self.statuses.status(each.host), self.statuses.known(each.host)
        state, reason = shown_state(status, known.heard.said)
        if each.pace.has_stopped:
            reason = f"{reason}; {_STOPPED.format(number=each.pace.refusals)}".lstrip("; ")
        return Seen(
            host=each.host,
            state=state,
            reason=reason,
            age=known.age(self.statuses.now()),
            status=status,
            hello=each.link.hello,
            said=dict(known.heard.said),
            telemetry=known.heard.telemetry,
            is_connected=each.link.open,
            has_stopped=each.pace.has_stopped,
        )

    def _use(self) -> None:
        """Note that somebody looks. To be called with the lock held."""
        self._looked = time.monotonic()
        if self._is_hushed:
            self._is_hushed = self._rests = False
            self._news.notify_all()

    def _changed(self, each: Watched) -> None:
        known: Known = self.statuses.known(each.host)
        shown = (known.tried, known.heard.state, known.heard.reason, each.link.open, each.pace)
        with self._news:
            if shown != each.shown:
                each.shown = shown
                self._version += 1
                self._news.notify_all()

    # Connecting.

    def _connect(self) -> None:
        while (each := self._next()) is not None:
            error = None
            try:
                hello = each.link.connect()
                # A connection that was hushed has its hello from before.
                ago = time.monotonic() - each.link.greeted
                self.statuses.told(each.host, sample_of(hello), ago)
                if tells(hello):
                    each.link.say(m.Watch(every=self._every))
                each.tells = True
            except MacGPUError as failure:
                error = failure
                each.link.drop()
            self._came_back(each, error)

    def _next(self) -> Watched | None:
        """Return the host that is to be connected to now, when there is one; None at the end."""
        with self._news:
            while not self._stopped.is_set():
                now = time.monotonic()
                if due := [] if self._is_hushed else self._due(now):
                    chosen = min(due, key=lambda each: (each.pace.failures, each.pace.due))
                    chosen.busy, chosen.since, chosen.is_slow = True, now, False
                    chosen.mark = mark_of(chosen.host)
                    return chosen
                self._news.wait(_ROUND)
        return None

    def _due(self, now: float) -> list[Watched]:
        """Return who may be connected to now. To be called with the lock held."""
        failing = sum(each.busy and each.pace.failures > 0 for each in self._watched.values())
        # One thread stays free of hosts that failed before: those that hang keep nobody waiting.
        is_full = failing >= HANDSHAKES - 1
        return [
            each
            for each in self._watched.values()
            if not each.busy
            and not each.is_telling
            and each.pace.due <= now
            and not (is_full and each.pace.failures)
        ]

    def _came_back(self, each: Watched, error: MacGPUError | None) -> None:
        now = time.monotonic()
        if error is not None:
            self.statuses.failed(each.host, error)
            state = self.statuses.known(each.host).heard.state or State.UNREACHABLE
            each.pace = each.pace.failed(state, now, random.random())
        else:
            each.pace, each.opened = each.pace.well(), now
        with self._news:
            each.busy, each.since = False, now
            is_gone = self._watched.get(each.host.name) is not each
        if is_gone or self._stopped.is_set():
            each.link.drop()
        self._changed(each)

    # Listening.

    def _listen(self) -> None:
        while not self._stopped.wait(_ROUND):
            with self._news:
                telling = [e for e in self._watched.values() if not e.busy and e.is_telling]
                hear = self._silence if self._is_hushed else self._hear
            for each in telling:
                hear(each)

    def _silence(self, each: Watched) -> None:
        """Have a host say nothing more; its connection stays."""
        if tells(each.link.hello):
            with contextlib.suppress(MacGPUError):
                each.link.say(m.Watch())
        # Only then: whoever asks it anew does so behind this.
        each.tells = False

    def _hear(self, each: Watched) -> None:
        now = time.monotonic()
        try:
            for _ in range(_PIECES):
                message = each.link.listen(0.0)
                if message is None:
                    break
                each.since, each.is_slow = now, False
                if isinstance(message, m.Telemetry):
                    self.statuses.told(each.host, message.sample)
            silence = now - each.since - (self._every if tells(each.link.hello) else 0.0)
            if silence > SILENT:
                each.link.drop()
                each.pace = each.pace.again(now)
            elif silence > SLOW and tells(each.link.hello):
                self._slow(each, now - each.since)
        except MacGPUError:
            # How it is now, the next look says: that a connection ended is no news of the host.
            each.link.close()
            lasted = now - each.opened
            brief = each.pace.failed(State.UNREACHABLE, now, random.random())
            each.pace = each.pace.again(now) if lasted > FIRST else brief
        self._changed(each)

    def _slow(self, each: Watched, seconds: float) -> None:
        if not each.is_slow:
            each.is_slow = True
            self.statuses.slow(each.host, seconds)

    # The clock.

    def _look_at_the_clock(self) -> None:
        checked = 0.0
        while not self._stopped.wait(_ROUND):
            now = time.monotonic()
            with self._news:
                watched = list(self._watched.values())
                if now - self._looked > IDLE:
                    self._is_hushed = self._rests = True
            if self._rests:
                self._close_all(_CLOSING)
            if self._is_hushed:
                continue
            for each in watched:
                if each.busy and now - each.since > SLOW and not each.pace.failures:
                    self._slow(each, now - each.since)
                    self._changed(each)
            if now - checked > 2.0:
                checked = now
                self.statuses.look([each.host for each in watched])
                for each in watched:
                    if each.pace.has_stopped and mark_of(each.host) != each.mark:
                        each.pace = each.pace.again(now)

    def _close_all(self, patience: float) -> None:
        connected = [each for each in self._watched.values() if not each.busy and each.link.open]
        at_once([partial(self._close, each) for each in connected], patience)

    def _close(self, each: Watched) -> None:
        with contextlib.suppress(MacGPUError):
            each.link.close()
            each.link.transport.rest()
        self._changed(each)
