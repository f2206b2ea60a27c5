"""Journals to those who follow them, and bulk both ways, each at the pace of its receiver.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import bulk
from ..wire import messages as m

if TYPE_CHECKING:
    from pathlib import Path

    from .folder import Folder
    from .journal import Journal

_ENDLESS = 1 << 62
#: Parts of one stream that are read before others get their turn. There is always another: the
#: client's credit for these asks for more.
_AT_ONCE = 8


class Follower:
    """Sends one run's records to one client from an offset on.

    The client acknowledges what it has shown; at most a window of bytes is under way.
    """

    def __init__(self, journal: Journal, offset: int) -> None:
        self.journal = journal
        self.position = journal.boundary(offset)
        self.finished = False
        self._window = bulk.Window(_ENDLESS, self.position)

    def acknowledge(self, offset: int, now: float) -> None:
        """Note that the client has shown everything before `offset`."""
        self._window.credit(offset, now)

    def fresh(self, output: m.Output, now: float) -> m.Output | None:
        """Return a record that was just written, if it is the next one and there is room."""
        if output.start != self.position or not self._window.room():
            return None
        self._took(output, now)
        return output

    def ended(self, end: m.End) -> bool:
        """Say whether an end that was just written is what comes next."""
        self.finished = self.finished or end.offset == self.position
        return end.offset == self.position

    def more(self, epoch: int, now: float) -> list[m.Message]:
        """Return records that may be sent now; the end when it is its turn."""
        records: list[m.Message] = []
        if self.finished or self.journal.forgotten:
            return records
        if self.position >= self.journal.end and not self.journal.closed:
            return records
        for record in self.journal.read(self.position):
            if isinstance(record, m.End):
                self.finished = True
                records.append(replace(record, epoch=epoch))
                break
            if not self._window.room():
                break
            self._took(record, now)
            records.append(record)
        return records

    def _took(self, output: m.Output, now: float) -> None:
        self._window.add(output.end - output.start, now)
        self.position = output.end


class Outgoing:
    """Sends stored bytes to a client as one bulk stream; a descriptor becomes its own."""

    def __init__(
        self, stream: str, source: Path | memoryview | int, start: int, total: int
    ) -> None:
        self.stream = stream
        self._source = source
        self._start = start
        self._window = bulk.Window(total, 0)
        self._fd = -1
        if not isinstance(source, memoryview):
            self._fd = source if isinstance(source, int) else os.open(source, os.O_RDONLY)

    @property
    def done(self) -> bool:
        """Whether the client has all of it."""
        return self._window.done

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent, whatever the client says."""
        return False

    def credit(self, offset: int, now: float) -> None:
        """Note what the client has taken."""
        self._window.credit(offset, now)

    def more(self, now: float) -> list[m.Message]:
        """Return the parts that may be sent now, `_AT_ONCE` at most."""
        parts: list[m.Message] = []
        while (size := self._window.room()) and len(parts) < _AT_ONCE:
            at = self._window.sent
            data = self._read(self._start + at, size)
            if not data:
                break
            total = self._window.total
            parts.append(m.Part(stream=self.stream, offset=at, total=total, buffers=(data,)))
            self._window.add(len(data), now)
        return parts

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self, at: int, size: int) -> bytes | memoryview:
        if isinstance(self._source, memoryview):
            return self._source[at : at + size]
        return os.pread(self._fd, size, at)


class Download(Outgoing):
    """Sends one file of a session's folder, and behind it what it was."""

    def __init__(self, operation: str, fd: int, size: int, detail: dict[str, Any]) -> None:
        super().__init__(f"get:{operation}", fd, 0, size)
        self._operation = operation
        self._detail = detail
        self._digest = hashlib.sha256()
        self._answered = False

    @property
    def over(self) -> bool:
        """Whether the answer was sent."""
        return self._answered

    def more(self, now: float) -> list[m.Message]:
        """Return the parts that may be sent now; the answer when all of them are sent."""
        if self._answered:
            return []
        said: list[m.Message] = []
        error = ""
        try:
            said += super().more(now)
        except OSError as problem:
            error = f"it cannot be read: {problem.strerror}"
        whole = self._window.sent == self._window.total
        if not error and not whole and not said and self._window.room():
            error = "it became shorter while it was sent"
        if error:
            said.append(self._answer(error=error))
        elif whole:
            said.append(self._answer(size=self._window.total, result=self._digest.hexdigest()))
        return said

    def _answer(self, **what: Any) -> m.Operated:
        self._answered = True
        self.close()
        return m.Operated(operation=self._operation, detail=self._detail, **what)

    def _read(self, at: int, size: int) -> bytes | memoryview:
        data = super()._read(at, size)
        self._digest.update(data)
        return data


class Incoming:
    """Takes one run's bundle from a client's parts into a file."""

    #: What its complaints call it.
    what = "the inputs"

    def __init__(self, path: Path, size: int, digest: str) -> None:
        self._path = path
        # A name of its own: a client that connects again may send while its old bytes still come.
        self._partial = path.with_suffix(f".{secrets.token_hex(4)}")
        self._size = size
        self._expected = digest
        self._digest = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._partial, flags, 0o600)
        self.offset = 0

    @property
    def done(self) -> bool:
        """Whether all bytes are here."""
        return self.offset >= self._size

    def take(self, part: m.Part) -> str:
        """Write one part; return what is wrong, or ``""``."""
        if part.offset != self.offset or part.total != self._size:
            return f"{self.what} arrived out of order"
        for buffer in part.buffers:
            view = memoryview(buffer)
            self.offset += view.nbytes
            if self.offset > self._size:
                return f"{self.what}: more arrived than was announced"
            self._digest.update(view)
            while view:
                view = view[os.write(self._fd, view) :]
        return ""

    def finish(self) -> str:
        """Put the file in its place; return what is wrong, or ``""``."""
        if self._digest.hexdigest() != self._expected:
            self.close()
            return f"{self.what} arrived damaged"
        self.settle()
        self.close()
        return ""

    def settle(self) -> None:
        """Give the whole file its name."""
        self._partial.replace(self._path)

    def close(self) -> None:
        """Close the file; what did not become whole is deleted."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._partial.unlink(missing_ok=True)


class Upload(Incoming):
    """Takes one file of a session's folder from a client's parts.

    It grows beside the folder and is moved in when it is whole.
    """

    what = "the file"

    def __init__(self, folder: Folder, path: str, size: int, digest: str, mode: int) -> None:
        super().__init__(folder.path, size, digest)
        os.fchmod(self._fd, mode)
        self._folder = folder
        self._name = path

    def settle(self) -> None:
        """Move the whole file into its folder."""
        self._folder.place(self._partial, self._name, self._expected)
