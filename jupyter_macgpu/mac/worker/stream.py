"""sys.stdout and sys.stderr of the cells.

Text is written at each newline, so that it stands in one order with what C libraries and child
processes write; without one it is written after `outlet.DELAY` seconds, or before anything else
happens.
"""

from __future__ import annotations

import io
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from .outlet import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import ReadableBuffer

    from .outlet import Outlet, Pipe

#: Characters without a newline that are written at once.
_LONG = 8192


class TextStream(io.TextIOBase):
    """One of the two text streams. For all threads.

    Parameters
    ----------
    name
        As `sys.stdout.name` has it.
    outlet, pipe
        Where it goes.
    """

    encoding = "UTF-8"  # as ipykernel spells it
    errors = "backslashreplace"
    newlines = None
    line_buffering = True

    def __init__(self, name: str, outlet: Outlet, pipe: Pipe) -> None:
        self.name = name
        self.mode = "w"
        self.buffer = ByteStream(self, pipe)
        self._outlet = outlet
        self._pipe = pipe
        self._parts: list[str] = []
        self._size = 0
        self._rest = memoryview(b"")
        self._child = 0

    def write(self, text: str) -> int:
        """Write text; surrogates that UTF-8 does not have are escaped."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        outlet = self._outlet
        if outlet.forked:
            return self._write_as_child(text)
        with outlet.lock:
            if outlet.busy:
                outlet.later.append(partial(self.write, text))
                return len(text)
            outlet.busy = True
            try:
                if outlet.current is not self:
                    outlet.turn_to(self)
                self._parts.append(text)
                self._size += len(text)
                if "\n" in text or "\r" in text or self._size > _LONG:
                    self.send()
                elif not outlet.ticking:
                    outlet.settle_soon()
            finally:
                outlet.busy = False
            if outlet.later:
                outlet.catch_up()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Write each text."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Write what is left."""
        if self._outlet.forked:
            self._write_as_child("", flush=True)
        else:
            self._outlet.settle()

    def send(self) -> None:
        """Bring what was written into the pipe. The caller is `busy`."""
        hold, flush = self._pipe.hold, self._pipe.flush
        flush()
        while self._rest or self._parts:
            if not self._rest:
                data = memoryview("".join(self._parts).encode("utf-8", "backslashreplace"))
                self._rest, self._parts, self._size = data, [], 0
            # CPython looks for signals behind a call, never between two stores or between
            # a store and a call of C: an interrupt finds each byte in exactly one place.
            piece, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
            hold(piece)
            flush()

    def write_bytes(self, data: memoryview) -> None:
        """Write bytes after the text that was written before them."""
        outlet = self._outlet
        if outlet.forked:
            self.flush()
            write_all(self._pipe.fd, data)
            return
        with outlet.lock:
            if outlet.busy:
                outlet.later.append(partial(self.write_bytes, memoryview(bytes(data))))
                return
            outlet.busy = True
            try:
                if outlet.current is not self:
                    outlet.turn_to(self)
                self.send()
                # A copy: if an interrupt comes, the rest is written when the caller's is gone.
                self._rest = memoryview(bytes(data))
                self.send()
            finally:
                outlet.busy = False
            outlet.catch_up()

    def _write_as_child(self, text: str, *, flush: bool = False) -> int:
        # A forked child writes to its own descriptor, which it may have redirected, and in
        # whole lines, as its brothers write there too. What its parent had not written yet is
        # the parent's.
        with self._outlet.lock:
            if self._child != os.getpid():
                self._child, self._parts = os.getpid(), []
            self._parts.append(text)
            if flush or "\n" in text or "\r" in text:
                data = "".join(self._parts).encode("utf-8", "backslashreplace")
                self._parts = []
                write_all(self._pipe.fd, memoryview(data))
        return len(text)

    def fileno(self) -> int:
        """Return 1 or 2: what is written there lands in the notebook too."""
        return self._pipe.fd

    def isatty(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def reconfigure(self, **settings: Any) -> None:
        """Accept and ignore what `io.TextIOWrapper` can be told: the notebook takes UTF-8."""

    def close(self) -> None:
        """Flush only: other parts of the process go on writing here."""
        self.flush()


class ByteStream(io.BufferedIOBase):
    """`sys.stdout.buffer`: bytes, written at once."""

    def __init__(self, text: TextStream, pipe: Pipe) -> None:
        self._text = text
        self._pipe = pipe

    def write(self, data: ReadableBuffer) -> int:
        """Write bytes, after the text that was printed before them."""
        view = memoryview(data).cast("B")
        self._text.write_bytes(view)
        return len(view)

    def flush(self) -> None:
        """Write the text that is left."""
        self._text.flush()

    def fileno(self) -> int:
        """Return 1 or 2."""
        return self._pipe.fd

    def writable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Flush only."""
        self.flush()


def write_all(fd: int, data: memoryview) -> None:
    """Write all of `data` to a descriptor."""
    while data:
        data = data[os.write(fd, data) :]
