"""``map``: a function called for many arguments, on as many hosts as are free, order kept.

One thread, the caller's, pickles arguments and unpickles values, so that nothing of the user's is
touched beside the user's own code. Other threads, one a station, only send and wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .binding import bind
from .calls import VALUE, Call, options_of
from .desks import desk, raise_error_of
from .execution import Outcome, Submission
from .placing import wish_for
from .stations import Station, close_all, free_hosts
from .submission import new_run
from .submission import submission as make_submission
from .way import learn, read
from .wire import messages as m
from .wire.errors import InputError, MacGPUError, TransportError
from .wire.values.remote import RemoteValue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from .cell import Cell
    from .desks import Desk
    from .execution import Show
    from .inputs import Inputs
    from .options import CellOptions

T = TypeVar("T")


def map(
    function: Callable[..., T], xs: Iterable[Any], /, *, max: int | None = None, **options: Any
) -> Mapped[T]:
    """Call a function for each of `xs`, on all hosts that are free; return the values in order.

    The result is iterated with ``for`` or ``async for``. Values alone come back: what a call
    changes in its arguments or in ``__main__`` stays there. What it prints is shown when its turn
    comes. When the loop is left, also by an error or an interrupt, calls that run are cancelled.

    Parameters
    ----------
    xs
        One argument for each call; read as calls begin.
    max
        How many calls run at once at most; None is as many as there are free slots when the loop
        begins. A host that is busy then is left out, unless all are.
    **options
        As those of `run`.

    Raises
    ------
    InputError, PlacementError
        If something cannot be sent, or no host can take it; raised by the loop.
    RemoteError
        What a call raised, at its place; the values before it have come.
    """
    return Mapped(function, xs, options_of(options), max)


class Mapped(Generic[T]):
    """The values of a function for many arguments; nothing runs before the loop begins."""

    def __init__(
        self, function: Callable[..., T], xs: Iterable[Any], options: CellOptions, most: int | None
    ) -> None:
        if most is not None and most < 1:
            raise InputError(
                f"max={most}: at least one call must run.", next="Write max=1 or more."
            )
        if options.after or options.at or options.retry:
            raise InputError(
                "The calls of map follow nothing, start at once and are not tried again.",
                next="Leave out after, at and retry, or hand each call in with submit.",
            )
        self._function = function
        self._xs = xs
        self._options = replace(options, outputs=(VALUE,))
        self._most = most

    def __iter__(self) -> Iterator[T]:
        """Iterate over the values in order."""
        work = _Work(self._function, self._xs, self._options, self._most)
        try:
            work.begin()
            while work.fill():
                if work.is_ready:
                    yield work.value()
                else:
                    work.hear(block=True)
        finally:
            work.close()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Iterate over the values in order, and let other tasks go on meanwhile."""
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        work = _Work(self._function, self._xs, self._options, self._most)
        work.tell = lambda: _wake(loop, heard)
        try:
            await asyncio.to_thread(work.begin)
            while work.fill():
                if work.is_ready:
                    yield work.value()
                else:
                    await heard.wait()
                    heard.clear()
                    work.hear(block=False)
        finally:
            await asyncio.to_thread(work.close)

    def __repr__(self) -> str:
        """Say what it is: it is no list."""
        name = getattr(self._function, "__qualname__", type(self._function).__name__)
        return f"<values of {name}: iterate with for or async for>"


@dataclass(slots=True, kw_only=True)
class _Item:
    """One call: what is sent for it, what it has shown, how it ended."""

    station: Station
    cell: Cell
    inputs: Inputs
    shown: list[m.Output] = field(default_factory=list)
    sent: m.Submit | None = None
    end: Outcome | BaseException | None = None


class _Work:
    """One loop's calls. `begin` and `close` may run in any thread, all else in the caller's."""

    def __init__(
        self,
        function: Callable[..., Any],
        xs: Iterable[Any],
        options: CellOptions,
        most: int | None,
    ) -> None:
        self.tell: Callable[[], None] = lambda: None
        self._at: Desk = desk()
        self._function = function
        self._xs = iter(xs)
        self._options = options
        self._most = most
        self._idle: list[Station] = []
        self._all: list[Station] = []
        self._threads: list[threading.Thread] = []
        self._items: deque[_Item] = deque()
        self._returned: deque[_Item] = deque()
        self._events: queue.SimpleQueue[tuple[_Item, Outcome | BaseException]] = queue.SimpleQueue()
        self._is_exhausted = False

    def begin(self) -> None:
        """Find the stations."""
        options = self._options
        empty = Call(function=bool, args=(), kwargs={})
        inputs = read(empty.cell(self._at), {}, options)
        cell = Call(function=self._function, args=(), kwargs={}).cell(self._at)
        wish = replace(wish_for(cell, inputs, options, self._at.pool), stays=False)
        hosts = free_hosts(self._at.pool, wish, self._most)
        self._all = [Station(host, self._at.pool, options) for host in hosts]
        self._idle = list(reversed(self._all))

    def fill(self) -> bool:
        """Begin as many calls as there are idle stations; say whether there is a value to come."""
        while self._idle and self._returned:
            self._send(self._returned.popleft(), self._idle.pop())
        while self._idle and not self._is_exhausted:
            try:
                x = next(self._xs)
            except StopIteration:
                self._is_exhausted = True
                break
            item = self._item(x, self._idle[-1])
            self._items.append(item)
            self._send(item, self._idle.pop())
        return bool(self._items)

    @property
    def is_ready(self) -> bool:
        """Whether the next value, or its error, is here."""
        return self._items[0].end is not None

    def value(self) -> Any:
        """Show what the next call has shown, and return its value or raise its error."""
        item = self._items.popleft()
        host = item.station.host
        if isinstance(item.end, BaseException):
            raise item.end
        assert item.end is not None
        shown = self._at.shown(host)
        for output in item.shown:
            shown.output(output)
        imports: dict[str, Any] | None = {} if host.trust == "data" else None
        table = item.inputs.capture.table
        names, dialect = self._at.namespace, item.cell.dialect
        result = bind(item.end, table, names, host.name, dialect, imports=imports)
        if item.sent is not None:
            learn(result, item.sent, host, self._at.pool)
        value = names.pop(VALUE, None)
        raise_error_of(result, shown)
        if isinstance(value, RemoteValue):
            raise MacGPUError(
                f"The value of a call on {host.name} cannot travel: {value.info.reason}.",
                known="The call ran to its end.",
                kept="The values before it have come.",
                next="Return something that can be pickled.",
            )
        return value

    def hear(self, *, block: bool) -> None:
        """Take in what stations have to say; if need be wait for it."""
        while True:
            try:
                item, end = self._events.get(block=block)
            except queue.Empty:
                return
            block = False
            if not isinstance(end, _NotBegun):
                item.end = end
                self._idle.append(item.station)
                continue
            # Nothing was sent: another host does it.
            self._all.remove(item.station)
            item.station.close()
            if self._all:
                self._returned.append(item)
            else:
                item.end = end.error

    def close(self) -> None:
        """Cancel what runs, and end all sessions."""
        close_all(self._all, self._threads)

    def _item(self, x: Any, station: Station) -> _Item:
        call = Call(function=self._function, args=(x,), kwargs={})
        call.check()
        cell = call.cell(self._at)
        with call.lent(self._at.namespace):
            inputs = read(cell, self._at.namespace, self._options)
        if inputs.capture.holders:
            raise _lives_elsewhere(inputs.capture.holders)
        return _Item(cell=cell, inputs=inputs, station=station)

    def _send(self, item: _Item, station: Station) -> None:
        at, item.station = self._at, station
        made = make_submission(
            item.cell,
            item.inputs,
            self._options,
            run=new_run(),
            session=station.session,
            notebook=at.pool.notebook,
            rank={"host": station.host.name, "reason": "a free slot"},
            limits=at.limits,
        )
        # Arguments may change here while they are on their way.
        submission = made.copied()
        item.sent = made.message
        at.record(submission.message, station.host.name)
        thread = threading.Thread(target=self._drive, args=(item, submission), daemon=True)
        self._threads = [old for old in self._threads if old.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _drive(self, item: _Item, submission: Submission) -> None:
        show = _Kept(item)
        end: Outcome | BaseException
        try:
            end = _NotBegun.tried(item.station, show) or item.station.drive(submission, show)
        except BaseException as error:  # raised where its value would come
            end = error
        self._events.put((item, end))
        self.tell()


class _NotBegun(Exception):
    """A host cannot be had any more, and nothing was sent to it."""

    def __init__(self, error: MacGPUError) -> None:
        super().__init__(error)
        self.error = error

    @classmethod
    def tried(cls, station: Station, show: Show) -> _NotBegun | None:
        """Make a station ready; return why it is not to be had, or None."""
        try:
            station.prepare(show)
        except TransportError as error:
            return cls(error)
        return None


class _Kept:
    """Keeps what a call shows until its turn comes."""

    def __init__(self, item: _Item) -> None:
        self._item = item

    def output(self, output: m.Output) -> None:
        """Keep one record."""
        self._item.shown.append(output)

    def state(self, state: m.RunState) -> None:
        """Show nothing: many calls run at once."""

    def notice(self, text: str) -> None:
        """Keep a line of ours among the records."""
        self._item.shown.append(
            m.Output(run="", start=0, end=0, what="notice", content={"text": text})
        )

    def ask(self, prompt: str, password: bool) -> str:  # noqa: ARG002 (as `Show` has it)
        """Refuse: many calls run at once."""
        raise EOFError("a call of map asks nobody; hand over what it needs")


def _wake(loop: asyncio.AbstractEventLoop, heard: asyncio.Event) -> None:
    # The loop may be over: then nobody waits any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(heard.set)


def _lives_elsewhere(holders: Iterable[str]) -> InputError:
    return InputError(
        f"A value among the arguments lives on {', '.join(sorted(holders))}, not here.",
        next="Bring it with .fetch() first: the calls of map run in other sessions.",
    )
