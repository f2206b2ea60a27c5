"""2 place, where hosts are busy: a cell waits on several of them and takes the first free slot.

What is reserved is a place in each host's queue (`wire.reserving`); nothing of the cell is sent
before one of them grants it a slot, and nothing to any other. The best host is asked alone at
first: if it has a free slot, no other hears of the cell.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .declined import refusal_of
from .execution import BLINK, HEARTBEAT
from .fetching import SILENCE
from .standing import span
from .swaps import Stand
from .wire import messages as m
from .wire.errors import (
    ALL_KEPT,
    NOTHING_SENT,
    MacGPUError,
    ProtocolError,
    RunCancelled,
    RunRefused,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    from .execution import Show
    from .interrupts import Interrupts
    from .session import Session

    Further = Callable[
        [Mapping[str, Stand], Collection[str]], tuple[Sequence[Session], Sequence[str]]
    ]

#: Seconds that the best host has to grant a slot before the others are asked too.
HASTE = 0.3
#: Seconds until the next look for better hosts: at first, when they may just be slow to answer,
#: and at most.
_SOON, _ROUND = 0.3, 2.0
#: Seconds by which a short wait is rounded up when it is told.
_ROUNDED = 10.0
#: What one host refuses the others may well take.
_ELSEWHERE = frozenset({"managed", "too-large", "too-many", "not-available", "reserved"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a cell asks for.

    Attributes
    ----------
    run
        Id of the run to come.
    origin, options
        As in its `Submit`.
    limit
        Seconds after which the cell gives up; None waits.
    """

    run: str
    origin: Mapping[str, Any]
    options: Mapping[str, Any]
    limit: float | None = None


@dataclass(slots=True)
class _Queue:
    """One host's queue that the cell is in, as the host said last."""

    session: Session
    said: m.Reserved | None = None
    pinged: float = 0.0


class Waiting:
    """One cell that waits on several hosts.

    Parameters
    ----------
    request
        What it asks for.
    further
        Told how the cell stands with each host that it waits on, and which hosts refused it;
        returns sessions on hosts to wait on too, and the names of hosts to leave for them. It asks
        no host anything.
    show, interrupts
        Where it is said how the cell stands, and what the user pressed meanwhile.
    """

    def __init__(
        self,
        request: Request,
        further: Further,
        show: Show,
        interrupts: Interrupts,
    ) -> None:
        self._request = request
        self._further = further
        self._show = show
        self._interrupts = interrupts
        self._queues: list[_Queue] = []
        self._refusals: dict[str, RunRefused] = {}
        self._begun = self._look_at = time.monotonic()
        self._pause = _SOON / 2
        self._told: m.RunState | None = None

    @property
    def waited(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._begun

    def first(self, sessions: Sequence[Session]) -> Session | None:
        """Return the session whose host is the first to hold a slot for the cell.

        All other reservations are given back, and all of them on any error.

        Parameters
        ----------
        sessions
            One for each host, the best one first; connected.

        Returns
        -------
        session
            None if no host is left to wait on: their connections were lost.

        Raises
        ------
        RunRefused
            If no host will have the cell, or one says that it runs already.
        RunCancelled
            If the user interrupts it, or it waited as long as it may. Nothing was sent.
        """
        if not _reserves(sessions[0]):
            return sessions[0]
        won: Session | None = None
        try:
            self._reserve(sessions[0])
            won = self._granted(HASTE, at_once=True)
            if won is None:
                for session in sessions[1:]:
                    self._reserve(session)
            while won is None and self._queues:
                won = self._granted(BLINK)
                self._look_further()
            if won is None and self._refusals:
                raise list(self._refusals.values())[-1]
            return won
        finally:
            self._leave(won)

    def _granted(self, seconds: float, at_once: bool = False) -> Session | None:
        """Listen to all hosts for a while; return the first session that is granted a slot.

        Parameters
        ----------
        at_once
            Whether to stop as soon as a host has said that the cell must wait.
        """
        deadline = time.monotonic() + seconds
        while self._queues:
            for queue in list(self._queues):
                with self._losing(queue):
                    if self._hear(queue, seconds / len(self._queues)):
                        return queue.session
            self._tell()
            self._mind_the_user()
            if time.monotonic() >= deadline or (at_once and self._told is not None):
                break
        return None

    def _hear(self, queue: _Queue, seconds: float) -> bool:
        """Take what a host says; say whether it has granted a slot."""
        link, run = queue.session.link, self._request.run
        message = link.listen(min(seconds, BLINK))
        while message is not None:
            if isinstance(message, m.Reserved) and message.run == run:
                queue.said = message
                if message.state == "granted":
                    return True
                if message.state == "expired":
                    link.say(self._wish(queue.session))
            elif isinstance(message, m.Refused) and message.subject == run:
                self._refused(queue, message)
                return False
            message = link.listen(0.0)
        now = time.monotonic()
        if now - link.heard > SILENCE:
            link.drop()
            raise TransportError(f"{link.host} has been silent for {SILENCE:g} s.")
        if now - queue.pinged > HEARTBEAT:
            queue.pinged = now
            link.say(m.Ping(number=1))
        return False

    def _refused(self, queue: _Queue, refused: m.Refused) -> None:
        name = queue.session.host.name
        error = refusal_of(refused, name)
        if refused.reason not in _ELSEWHERE:
            raise error
        self._refusals[name] = error
        self._queues.remove(queue)

    def _reserve(self, session: Session) -> None:
        stores = {_store(queue.session) for queue in self._queues}
        if not _reserves(session) or _store(session) in stores:
            return  # two names may mean one machine
        queue = _Queue(session, pinged=time.monotonic())
        self._queues.append(queue)
        with self._losing(queue):
            session.link.connect()
            session.link.say(self._wish(session))

    def _wish(self, session: Session) -> m.Reserve:
        request = self._request
        return m.Reserve(
            run=request.run,
            session=session.session,
            origin=dict(request.origin),
            options=dict(request.options),
        )

    @contextlib.contextmanager
    def _losing(self, queue: _Queue) -> Any:
        """Go on without a host whose connection is lost: its queue has lost us too."""
        try:
            yield
        except (TransportError, ProtocolError):
            self._queues.remove(queue)

    def _look_further(self) -> None:
        """Wait on hosts that have become better since, as many at most; leave others for them."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._pause = min(_ROUND, 2 * self._pause)
        self._look_at = now + self._pause
        waits = {queue.session.host.name: _stand(queue.said) for queue in self._queues}
        join, leave = self._further(waits, self._refusals)
        for queue in [queue for queue in self._queues if queue.session.host.name in leave]:
            self.give_back(queue.session)
            self._queues.remove(queue)
        for session in join:
            self._reserve(session)

    def _tell(self) -> None:
        """Say how the cell stands, as the host says where it is expected to begin first."""
        said = [queue.said for queue in self._queues if queue.said is not None]
        if not said:
            return
        unknown = float("inf")
        best = min(said, key=lambda each: (_or(each.wait, unknown), _or(each.position, unknown)))
        names = [queue.session.host.name for queue in self._queues]
        detail = {"reason": best.reason, "where": ", ".join(names)}
        state = m.RunState(
            run=self._request.run,
            epoch=0,
            state="queued",
            position=best.position,
            wait=best.wait,
            detail=detail,
        )
        if state != self._told:
            self._told = state
            self._show.state(state)

    def _mind_the_user(self) -> None:
        names = ", ".join(queue.session.host.name for queue in self._queues)
        limit = self._request.limit
        is_limit = False
        if self._interrupts.take():
            why = f"interrupted after {span(self.waited)} in the queue of {names}"
        elif limit is not None and self.waited > limit:
            is_limit = True
            why = f"cancelled: it waited longer than {limit:g} s for {names}"
        else:
            return
        error = RunCancelled(
            f"The cell was {why}.",
            known=f"It has left the queue. {NOTHING_SENT}",
            kept=ALL_KEPT,
            next="Run the cell again, with a longer --wait if that was the reason.",
        )
        error.is_limit = is_limit
        raise error

    def give_back(self, session: Session) -> None:
        """Give a host its slot back, if one was granted there: the run does not come."""
        granted = any(queue.session is session for queue in self._queues)
        if granted and session.link.open:
            with contextlib.suppress(MacGPUError):
                session.link.say(m.Release(run=self._request.run))

    def _leave(self, won: Session | None) -> None:
        for queue in self._queues:
            if queue.session is not won:
                self.give_back(queue.session)
        self._queues = [queue for queue in self._queues if queue.session is won]


def _reserves(session: Session) -> bool:
    """Say whether a host knows of reservations: an older supervisor does not."""
    hello = session.link.hello
    return hello is not None and "reservations" in hello.capabilities


def _store(session: Session) -> str:
    return "" if session.link.hello is None else session.link.hello.store


def _stand(said: m.Reserved | None) -> Stand:
    """Return how a cell stands, as its host said last; waits are told rounded up."""
    if said is None or said.wait is None:
        return Stand(before=said.position if said is not None else None)
    return Stand(before=said.position, wait=max(0.0, said.wait - min(said.wait, _ROUNDED) / 2))


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
