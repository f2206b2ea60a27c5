"""A stream that holds several files: a run's bundle, and blobs behind it.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from typing import TYPE_CHECKING

from ..wire import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable

    from .streams import Incoming


class Several:
    """One stream that holds several files, one after the other; see `streams.Incoming`.

    Parameters
    ----------
    files
        Length of each in bytes, and what opens it.
    arrived
        Told the number of each file that is whole and right.
    """

    def __init__(
        self, files: list[tuple[int, Callable[[], Incoming]]], arrived: Callable[[int], None]
    ) -> None:
        self._files = files
        self._arrived = arrived
        self._starts = [0, *itertools.accumulate(size for size, _ in files)]
        self._open: dict[int, Incoming] = {}
        self._over: set[int] = set()

    @property
    def done(self) -> bool:
        """Whether all files are whole."""
        return len(self._over) == len(self._files)

    @property
    def offset(self) -> int:
        """How many bytes of whole files are here."""
        return sum(self._files[number][0] for number in self._over)

    def take(self, part: m.Part) -> str:
        """Take one part, which may hold bytes of many files; return what is wrong, or ``""``."""
        if part.total != self._starts[-1] or part.offset < 0:
            return "the inputs arrived out of order"
        at = part.offset
        for buffer in part.buffers:
            view = memoryview(buffer)
            if problem := self._cut(at, view):
                return problem
            at += view.nbytes
        return ""

    def finish(self) -> str:
        """Do nothing more: each file was given its name when it was whole."""
        return ""

    def close(self) -> None:
        """Close what is open; what did not become whole is deleted."""
        for incoming in self._open.values():
            incoming.close()
        self._open.clear()

    def _cut(self, at: int, view: memoryview) -> str:
        while view.nbytes:
            number = bisect_right(self._starts, at) - 1
            if number == len(self._files):
                return "the inputs: more arrived than was announced"
            start, size = self._starts[number], self._files[number][0]
            piece, view = view[: start + size - at], view[start + size - at :]
            problem = number not in self._over and self._pass_on(number, at - start, size, piece)
            if problem:
                return problem
            at = start + size
        return ""

    def _pass_on(self, number: int, at: int, size: int, piece: memoryview) -> str:
        if number not in self._open:
            self._open[number] = self._files[number][1]()
        incoming = self._open[number]
        problem = incoming.take(m.Part(stream="", offset=at, total=size, buffers=(piece,)))
        if problem or not incoming.done:
            return problem
        problem = incoming.finish()
        self._open.pop(number).close()
        if not problem:
            self._over.add(number)
            self._arrived(number)
        return problem
