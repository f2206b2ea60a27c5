"""Puts what a worker writes and what it displays into one order.

Runs on the Mac. Only Python and `wire` may be imported here. Pure: bytes in, records out.

A worker's output comes on three ways: two pipes (whatever writes to its file descriptors 1 and 2,
C libraries and child processes included) and messages (displays, errors, the end of the run). At
each place where the order matters the worker writes the same numbered mark into both pipes. A mark
is a barrier: what stands before it in either pipe comes first, then the event of that number if it
has one, then the rest.

After a supervisor died, marks and events that it had taken are missing. `salvage` says up to which
mark that can be so; up to there a mark that is seen in one pipe is enough.
"""

from __future__ import annotations

import base64
import math
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..wire.messages import Event

PIPES = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes that came through a pipe."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Mark:
    number: int
    has_event: bool


@dataclass(slots=True)
class _Pipe:
    name: str
    unread: bytearray = field(default_factory=bytearray)
    parts: deque[bytes | _Mark] = field(default_factory=deque)


class Merger:
    """Merges one worker's pipes and events.

    Parameters
    ----------
    nonce
        The worker's own word in its marks, so that a cell cannot forge one by accident.
    salvage
        Marks up to this number may be missing in a pipe. 0 for a fresh worker.
    """

    def __init__(self, nonce: str, salvage: int = 0) -> None:
        self._prefix = b"\x1b]macgpu;" + nonce.encode() + b";"
        prefix = re.escape(self._prefix)
        self._whole = re.compile(prefix + rb"([0-9]{1,18});([es])\x07")
        self._begun = re.compile(prefix + rb"[0-9]{0,18}(;[es]?)?\Z")
        self._salvage = salvage
        # Pipes that a dead supervisor may have read up to the middle of a mark.
        self._torn = set(PIPES) if salvage else set()
        self._pipes = {name: _Pipe(name) for name in PIPES}
        self._events: dict[int, Event] = {}

    @classmethod
    def restored(cls, nonce: str, state: dict[str, Any]) -> Merger:
        """Return a merger that goes on where another one, of which this is the `state`, ended."""
        merger = cls(nonce, state["salvage"])
        merger._torn = set(state["torn"])
        for name in PIPES:
            torn = merger._torn & {name}
            merger._torn -= torn
            merger.feed(name, base64.b64decode(state["pipes"][name]))
            merger._torn |= torn
        return merger

    def state(self) -> dict[str, Any]:
        """Return what was read and not yet given out, as a JSON value.

        Events are not in it: the worker tells them again.
        """
        held = {
            name: b"".join(map(self._written_mark, pipe.parts)) + bytes(pipe.unread)
            for name, pipe in self._pipes.items()
        }
        return {
            "salvage": self._salvage,
            "torn": sorted(self._torn),
            "pipes": {name: base64.b64encode(data).decode() for name, data in held.items()},
        }

    def _written_mark(self, part: bytes | _Mark) -> bytes:
        if isinstance(part, bytes):
            return part
        return self._prefix + b"%d;%s\x07" % (part.number, b"e" if part.has_event else b"s")

    def feed(self, name: str, data: bytes) -> None:
        """Take bytes that were read from the pipe `name`."""
        pipe = self._pipes[name]
        pipe.unread += self._mend(name, data)
        start = 0
        while (at := pipe.unread.find(self._prefix, start)) >= 0:
            found = self._whole.match(pipe.unread, at)
            if found is None:
                if self._begun.match(pipe.unread, at):
                    break
                start = at + 1  # a cell wrote what looks like one
                continue
            if at:
                pipe.parts.append(bytes(pipe.unread[:at]))
            pipe.parts.append(_Mark(int(found[1]), found[2] == b"e"))
            start, end = 0, found.end()
            found = None  # or it would hold the bytes that are deleted now
            del pipe.unread[:end]
        keep = len(pipe.unread) - (at if at >= 0 else self._tail(pipe.unread))
        if keep < len(pipe.unread):
            cut = len(pipe.unread) - keep
            pipe.parts.append(bytes(pipe.unread[:cut]))
            del pipe.unread[:cut]

    def event(self, event: Event) -> None:
        """Take a message that belongs at its mark."""
        self._events[event.mark] = event

    def waits(self, name: str) -> bool:
        """Return whether the pipe `name` stands at a mark that the other one has not come to.

        What is read from it now would be held here, and go with a supervisor that dies.
        """
        mine = self._pipes[name].parts
        if not mine or not isinstance(mine[0], _Mark) or mine[0].number <= self._salvage:
            return False
        return any(not pipe.parts for pipe in self._pipes.values() if pipe.name != name)

    def take(self) -> Iterator[Written | Event]:
        """Yield what is known to be next, in order."""
        while True:
            for pipe in self._pipes.values():
                if not self._salvage or self._is_next(pipe):
                    yield from self._written(pipe)
            heads = [pipe.parts[0] if pipe.parts else None for pipe in self._pipes.values()]
            marks = [head for head in heads if isinstance(head, _Mark)]
            old = [mark for mark in marks if mark.number <= self._salvage]
            if old:
                yield from self._pass(min(mark.number for mark in old))
            elif len(marks) == len(heads) and self._complete(marks[0]):
                self._salvage = 0
                yield from self._pass(marks[0].number)
            else:
                return

    def overdue(self) -> Iterator[Event]:
        """Yield the events that an earlier supervisor may have read the marks of.

        For when both pipes were found empty after these events came: then their marks, if
        they are not here, will not come.
        """
        for number in sorted(known for known in self._events if known <= self._salvage):
            yield self._events.pop(number)

    def drain(self) -> Iterator[Written | Event]:
        """Yield all that is left, when the worker is gone and no more will come."""
        for pipe in self._pipes.values():
            if pipe.unread:
                pipe.parts.append(bytes(pipe.unread))
                pipe.unread.clear()
        while any(pipe.parts for pipe in self._pipes.values()):
            for pipe in self._pipes.values():
                yield from self._written(pipe)
            # Bytes are gone from the front of each pipe, so that marks are left there, or nothing.
            first = min(self._first_mark(pipe) for pipe in self._pipes.values())
            if isinstance(first, int):
                yield from self._pass(first)
        for number in sorted(self._events):
            yield self._events.pop(number)

    def _is_next(self, pipe: _Pipe) -> bool:
        """Say whether a pipe's first bytes may pass: no mark before them is left elsewhere.

        Each mark stands in both pipes, so bytes before mark 7 were written after mark 6.
        """
        first = self._first_mark(pipe)
        others = [self._first_mark(other) for other in self._pipes.values() if other is not pipe]
        return not any(other < first and other <= self._salvage for other in others)

    @staticmethod
    def _first_mark(pipe: _Pipe) -> float:
        return next((part.number for part in pipe.parts if isinstance(part, _Mark)), math.inf)

    def _complete(self, mark: _Mark) -> bool:
        return not mark.has_event or mark.number in self._events

    def _pass(self, number: int) -> Iterator[Event]:
        for pipe in self._pipes.values():
            head = pipe.parts[0] if pipe.parts else None
            if isinstance(head, _Mark) and head.number == number:
                pipe.parts.popleft()
        for known in sorted(n for n in self._events if n <= number):
            yield self._events.pop(known)

    @staticmethod
    def _written(pipe: _Pipe) -> Iterator[Written]:
        pieces: list[bytes] = []
        while pipe.parts and isinstance(first := pipe.parts[0], bytes):
            pieces.append(first)
            pipe.parts.popleft()
        if pieces:
            yield Written(pipe.name, b"".join(pieces))

    def _mend(self, name: str, data: bytes) -> bytes:
        """Return the first bytes of a pipe without the rest of a mark that was read in part.

        A mark is written in one piece, so its rest is here in one piece.
        """
        if name not in self._torn:
            return data
        self._torn.remove(name)
        ends = b"|".join(re.escape(self._prefix[at:]) for at in range(1, len(self._prefix)))
        rest = re.match(rb"((%s|)[0-9]{0,18};)?[es]?\x07" % ends, data)
        return data[rest.end() :] if rest else data

    def _tail(self, data: bytearray) -> int:
        """Return where a mark may begin whose rest has not come yet."""
        at = data.find(b"\x1b", max(0, len(data) - len(self._prefix)))
        while at >= 0:
            if self._prefix.startswith(data[at:]):
                return at
            at = data.find(b"\x1b", at + 1)
        return len(data)
