"""Journals to those who follow them, and bulk both ways, each at the pace of its receiver.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import blobs, bulk, bundle, spread
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


class _Source:
    """Stored bytes; a descriptor becomes its own, and is closed with the last of its readers."""

    def __init__(self, source: Path | bundle.Pieces | int) -> None:
        self.readers = 1
        self._memory = source if isinstance(source, bundle.Pieces) else None
        self._fd = -1
        if not isinstance(source, bundle.Pieces):
            self._fd = source if isinstance(source, int) else os.open(source, os.O_RDONLY)

    def read(self, at: int, size: int) -> bytes:
        if self._memory is not None:
            return b"".join(self._memory.cut(at, size))
        return os.pread(self._fd, size, at)

    def release(self) -> None:
        self.readers -= 1
        if not self.readers and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Outgoing:
    """Sends stored bytes to a client as one bulk stream, or as one channel's share of it.

    Parameters
    ----------
    source
        Where they are; a descriptor becomes its own.
    total
        How many there are.
    """

    def __init__(self, stream: str, source: Path | bundle.Pieces | int, total: int) -> None:
        self.stream = stream
        self._source = _Source(source)
        self._ledger = spread.Ledger(total)
        self._lane = spread.Lane(self._ledger)
        self._open = True
        self._short = False

    def beside(self) -> Outgoing | None:
        """Return the share of one more channel; None if this stream goes over one alone."""
        if not self._open:
            return None
        share = object.__new__(Outgoing)
        share.stream, share._source, share._ledger = self.stream, self._source, self._ledger
        share._lane = spread.Lane(self._ledger, self._lane)
        share._open, share._short = True, False
        self._source.readers += 1
        return share

    @property
    def done(self) -> bool:
        """Whether the client has all of it."""
        return self._ledger.done

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent, whatever the client says."""
        return self._ledger.done

    def credit(self, count: int, now: float) -> None:
        """Note how much of this share the client has taken."""
        self._lane.credit(count, now)

    def more(self, now: float) -> list[m.Message]:
        """Return the parts that may be sent now, `_AT_ONCE` at most."""
        parts: list[m.Message] = []
        while not self._short and len(parts) < _AT_ONCE and (piece := self._lane.take(now)):
            at, size = piece
            data = self._read(at, size)
            self._short = len(data) < size
            if not self._short:
                total = self._ledger.total
                parts.append(m.Part(stream=self.stream, offset=at, total=total, buffers=(data,)))
        return parts

    def close(self) -> None:
        """Close the file; what is under way on this share is left to the others."""
        if self._open:
            self._open = False
            self._lane.lose()
            self._source.release()

    def _read(self, at: int, size: int) -> bytes:
        return self._source.read(at, size)


class Download(Outgoing):
    """Sends one file of a session's folder, and behind it what it was."""

    def __init__(self, operation: str, fd: int, size: int, detail: dict[str, Any]) -> None:
        super().__init__(f"get:{operation}", fd, size)
        self._operation = operation
        self._detail = detail
        self._digest = hashlib.sha256()
        self._answered = False

    @property
    def over(self) -> bool:
        """Whether the answer was sent."""
        return self._answered

    def beside(self) -> None:
        """Share nothing: it is hashed as it is read."""

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
        if self._short:
            error = "it became shorter while it was sent"
        if error:
            said.append(self._answer(error=error))
        elif self._ledger.handed_out:
            size = self._ledger.total
            said.append(self._answer(size=size, result=self._digest.hexdigest()))
        return said

    def _answer(self, **what: Any) -> m.Operated:
        self._answered = True
        self.close()
        return m.Operated(operation=self._operation, detail=self._detail, **what)

    def _read(self, at: int, size: int) -> bytes:
        data = super()._read(at, size)
        self._digest.update(data)
        return data


class Incoming:
    """Takes one run's bundle, or a blob, from a client's parts into a file.

    Parameters
    ----------
    hashed
        What hashes it; None is SHA-256.
    """

    #: What its complaints call it.
    what = "the inputs"
    #: Whether its parts come over one channel.
    in_order = False

    def __init__(
        self, path: Path, size: int, digest: str, hashed: blobs.Digest | None = None
    ) -> None:
        self._path = path
        # A name of its own: a client that connects again may send while its old bytes still come.
        self._partial = path.with_suffix(f".{secrets.token_hex(4)}")
        self._size = size
        self._expected = digest
        self._digest = hashed or hashlib.sha256()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._partial, flags, 0o600)
        self._arrivals = spread.Arrivals(size)
        self._hashed = 0

    @property
    def offset(self) -> int:
        """All bytes before this one are here."""
        return self._arrivals.whole

    @property
    def done(self) -> bool:
        """Whether all bytes are here."""
        return self._arrivals.done

    def take(self, part: m.Part) -> str:
        """Write what is new in one part, in its place; return what is wrong, or ``""``.

        What is here already is not written over: it may have been hashed.
        """
        at = part.offset
        if part.total != self._size or at < 0 or (self.in_order and at != self.offset):
            return f"{self.what} arrived out of order"
        for buffer in part.buffers:
            view = memoryview(buffer)
            if at + view.nbytes > self._size:
                return f"{self.what}: more arrived than was announced"
            try:
                fresh = self._arrivals.add(at, view.nbytes)
            except ValueError as error:
                return f"{self.what}: {error}"
            for start, end in fresh:
                self._write(start, view[start - at : end - at])
            at += view.nbytes
        self._hash_to(self._arrivals.whole)
        return ""

    def _write(self, at: int, view: memoryview) -> None:
        if at == self._hashed:
            self._digest.update(view)
            self._hashed += view.nbytes
        while view:
            written = os.pwrite(self._fd, view, at)
            view, at = view[written:], at + written

    def _hash_to(self, end: int) -> None:
        """Hash what came before its turn, now that all before it is here."""
        while self._hashed < end:
            data = os.pread(self._fd, min(bulk.PART, end - self._hashed), self._hashed)
            if not data:
                raise OSError("it became shorter while it was written")
            self._digest.update(data)
            self._hashed += len(data)

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
    in_order = True

    def __init__(self, folder: Folder, path: str, size: int, digest: str, mode: int) -> None:
        super().__init__(folder.path, size, digest)
        os.fchmod(self._fd, mode)
        self._folder = folder
        self._name = path

    def settle(self) -> None:
        """Move the whole file into its folder."""
        self._folder.place(self._partial, self._name, self._expected)
