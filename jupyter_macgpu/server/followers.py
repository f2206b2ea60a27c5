"""Runs whose output somebody looks at: each is followed once, whoever looks.

A follower attaches as one who only watches: whoever drives the run goes on driving it. It has a
thread, and a channel of its own on the connection to the host.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from ..declined import refusal_of
from ..parting import await_all
from ..runs import shown_so_far
from ..wire import messages as m
from ..wire.errors import MacGPUError, TransportError
from .board import News
from .refusals import Unknown, told
from .tail import Had, Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..fleet.hosts import Host
    from ..link import Link
    from ..lookout import Lookouts
    from .rows import Row

#: Seconds for which records are gathered before they are told.
GATHER = 0.1
#: Seconds of silence after which a host is asked whether it is there, and given up.
ASK, SILENT = 10.0, 30.0
#: Seconds before a lost connection is made anew: at first, and at most.
SOON, LATER = 0.5, 15.0
#: What a host says of a run that it has not got, or no more.
_GONE = ("unknown-run", "removed")
#: Runs that are followed at the same time.
MOST = 64


class _Follower:
    """One run that is followed."""

    def __init__(self, tail: Tail, host: Host, go: Callable[[_Follower], None]) -> None:
        self.tail = tail
        self.host = host
        self.users = 1
        self.stopped = threading.Event()
        name = f"macgpu-follow-{tail.run[:8]}"
        self.thread = threading.Thread(target=go, args=(self,), name=name, daemon=True)


class Followers:
    """All runs that are followed.

    Parameters
    ----------
    lookouts
        The ways to the hosts.
    tell
        Called with what is news, by the followers' threads.
    ended
        Called with a run that has ended and its host before that is told, by the same.
    """

    def __init__(
        self,
        lookouts: Callable[[], Lookouts],
        tell: Callable[[News], None],
        ended: Callable[[str, Host], None],
    ) -> None:
        self._lookouts = lookouts
        self._tell = tell
        self._ended = ended
        self._all: dict[str, _Follower] = {}
        self._lock = threading.Lock()

    def follow(self, run: str, host: Host) -> bool:
        """Follow a run for one more; say whether that can be done now."""
        with self._lock:
            follower = self._all.get(run)
            if follower is not None:
                follower.users += 1
                return True
            if len(self._all) >= MOST:
                return False
            follower = _Follower(Tail(run, host.name, host.trust), host, self._go)
            self._all[run] = follower
        follower.thread.start()
        return True

    def leave(self, run: str) -> None:
        """Follow a run for one less; without any, no more."""
        with self._lock:
            follower = self._all.get(run)
            if follower is None:
                return
            follower.users -= 1
            if not follower.users:
                follower.stopped.set()
                del self._all[run]

    def since(self, run: str, first: int, had: Had) -> tuple[Row, Had] | None:
        """Return what a browser lacks of a run; None if nobody follows it. See `Tail.since`."""
        follower = self._all.get(run)
        return None if follower is None else follower.tail.since(first, had)

    def close(self, patience: float) -> None:
        """Follow nothing any more; wait at most `patience` seconds for the last word of hosts."""
        with self._lock:
            followers = list(self._all.values())
            self._all.clear()
        for follower in followers:
            follower.stopped.set()
        await_all([follower.thread for follower in followers], patience)

    def _go(self, follower: _Follower) -> None:
        pause, tail = SOON, follower.tail
        while not follower.stopped.is_set() and not tail.has_ended:
            before = tail.recorder.offset
            try:
                with self._lookouts().of(follower.host).link() as link:
                    for records in _records(link, tail, follower.stopped):
                        self._say(tail, tail.take(records))
            except TransportError:
                pause = SOON if tail.recorder.offset > before else min(LATER, 2 * pause)
                follower.stopped.wait(pause)
            except MacGPUError as error:
                self._tell(trouble(tail.run, error))
                break
        if tail.has_ended:
            # Whoever hears that nothing more comes is to know how it ended.
            with contextlib.suppress(MacGPUError):
                self._ended(tail.run, follower.host)
            tail.finish()
        self._say(tail, len(tail.whole()["outputs"]))

    def _say(self, tail: Tail, first: int) -> None:
        self._tell(News(kind="outputs", keys=(tail.run,), first=first))


def trouble(run: str, error: MacGPUError) -> News:
    """Return the news that a run cannot be followed, for those who wanted it."""
    content = {**told(error), "run": run, "gone": isinstance(error, Unknown)}
    return News(kind="problem", keys=(run,), content=content)


def read_whole(link: Link, tail: Tail, *, is_live: bool) -> None:
    """Read all that a run has shown by now; see `runs.shown_so_far`.

    Raises
    ------
    Unknown, RunRefused
        If its host has not got it any more, or not its output.
    TransportError
        If the host cannot be reached.
    """
    records = []
    for message in shown_so_far(link, tail.run, is_live=is_live):
        if isinstance(message, m.Output):
            records.append(message)
        elif isinstance(message, m.Refused):
            raise _declined(message, link)
        else:
            tail.has_ended = True
    tail.take(records)
    if tail.has_ended:
        tail.finish()


def _declined(refused: m.Refused, link: Link) -> MacGPUError:
    return Unknown() if refused.reason in _GONE else refusal_of(refused, link.host)


def _records(link: Link, tail: Tail, stopped: threading.Event) -> Iterator[list[m.Output]]:
    """Yield what comes, a tenth of a second's worth at a time, to the end of the run."""
    link.connect()
    link.say(m.Attach(run=tail.run, offset=tail.recorder.offset, watch=True))
    gathered: list[m.Output] = []
    since = 0.0
    while not stopped.is_set():
        message = next_message(link, GATHER if gathered else 1.0)
        if isinstance(message, m.Output) and message.run == tail.run:
            since = since or time.monotonic()
            gathered.append(message)
            link.say(m.Ack(run=tail.run, offset=message.end))
        elif isinstance(message, m.RunState) and message.offset is not None:
            tail.recorder.offset = message.offset
        elif isinstance(message, m.Refused) and message.subject == tail.run:
            raise _declined(message, link)
        is_over = isinstance(message, m.End) and message.run == tail.run
        if gathered and (message is None or is_over or time.monotonic() - since > GATHER):
            yield gathered
            gathered, since = [], 0.0
        if is_over:
            tail.has_ended = True
            return


def next_message(link: Link, timeout: float) -> m.Message | None:
    """Return the next message, or None; a host that says nothing at all is given up."""
    message = link.listen(timeout)
    if message is None:
        link.mind_the_silence(ASK, SILENT)
    return message
