"""A run's journal, and the log of all runs: append-only, readable up to the last whole record.

Runs on the Mac. Only Python and `wire` may be imported here.

A journal is a file of frames: first the `Submit` as it came, then an `Event` for each thing that
the cell showed, last the `End`. An offset is a place in that file. What is written survives the
death of any process; what is synced, that of the machine.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import frames
from ..wire import messages as m
from ..wire.errors import RemoteProtocolError
from ..wire.states import OutputDigest
from . import store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1024 * 1024
#: Output of one run that is kept, in bytes.
QUOTA = 256 * 1024 * 1024


class Journal:
    """One run's journal.

    Attributes
    ----------
    base, end
        Offsets at which the output begins and at which the next record will.
    closed
        Whether the `End` is in it.
    mark
        Number of the last event that is in it.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.run = run
        self.base = self.end = 0
        self.mark = 0
        self.closed = False
        self.dropped = 0
        self._digest = OutputDigest()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        self._scan()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def submit(self, message: m.Submit) -> None:
        """Write the first record."""
        self._write(m.encode(message))
        self.base = self.end

    def append(self, event: m.Event) -> m.Output | None:
        """Write one record of output; None if the quota is reached and it was dropped."""
        if self.end - self.base > QUOTA and event.what in ("stream", "display_data"):
            self.dropped += sum(len(buffer) for buffer in event.buffers) or 1
            return None
        start = self.end
        self._write(m.encode(event))
        self._count(event)
        return self._output(event, start, self.end)

    def finish(self, end: m.End) -> m.End:
        """Write the last record: `end` with the offset and digest of the output."""
        whole = replace(end, offset=self.end, digest=self._digest.hex())
        self._write(m.encode(whole))
        self.closed = True
        return whole

    def sync(self) -> None:
        """Bring the file to the disk."""
        store.sync(self._fd)

    def first(self) -> m.Submit:
        """Return what was submitted."""
        for message, _start, _end in self._read(0):
            if isinstance(message, m.Submit):
                return message
            break
        raise ValueError(f"the journal of run {self.run} has no beginning")

    def read(self, offset: int) -> Iterator[m.Output | m.End]:
        """Yield what is written from `offset` on: outputs, and the end if it is there."""
        for message, start, end in self._read(max(offset, self.base)):
            if isinstance(message, m.End):
                yield message
            elif isinstance(message, m.Event):
                yield self._output(message, start, end)

    def _output(self, event: m.Event, start: int, end: int) -> m.Output:
        return m.Output(
            run=self.run,
            start=start,
            end=end,
            what=event.what,
            content={**event.content, "mark": event.mark} if event.mark else event.content,
            buffers=event.buffers,
        )

    def _count(self, event: m.Event) -> None:
        self.mark = max(self.mark, event.mark)
        self._digest.add(event.what, self.end, event.buffers)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        at = self.end
        while view:
            written = os.pwrite(self._fd, view, at)
            at += written
            view = view[written:]
        self.end = at

    def _scan(self) -> None:
        """Read an existing file up to its last whole record and cut off the rest."""
        for message, start, end in self._read(0, strict=False):
            self.end = end
            if start == 0:
                self.base = end
            elif isinstance(message, m.Event):
                self._count(message)
            elif isinstance(message, m.End):
                self.closed = True
        os.ftruncate(self._fd, self.end)

    def _read(self, offset: int, strict: bool = True) -> Iterator[tuple[m.Message, int, int]]:
        reader = frames.FrameReader()
        read = start = offset
        while True:
            data = os.pread(self._fd, _CHUNK, read)
            read += len(data)
            reader.feed(data)
            try:
                while (frame := reader.next()) is not None:
                    message = m.decode(*frame)
                    end = read - len(reader)
                    yield message, start, end
                    start = end
            except RemoteProtocolError:
                if strict:
                    raise
                return
            if not data:
                return


class RunLog:
    """The log of all runs of a store: one line an entry, each with its checksum."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)

    def append(self, entry: dict[str, Any], durable: bool = False) -> None:
        """Write one entry in one piece; `durable` also brings it to the disk."""
        os.write(self._fd, _line(entry))
        if durable:
            store.sync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def compact(path: Path) -> list[dict[str, Any]]:
    """Write a log of runs anew without the removed runs, and return its entries, oldest first.

    The old file stays until the new one is whole. A last line that is torn is left out.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    entries = [entry for line in lines if (entry := _parse(line)) is not None]
    removed = {entry["run"] for entry in entries if entry.get("removed")}
    entries = [entry for entry in entries if entry.get("run") not in removed]
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.writelines(_line(entry) for entry in entries)
        file.flush()
        store.sync(file.fileno())
    fresh.replace(path)
    return entries


def _line(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    entry: dict[str, Any] = json.loads(text)
    return entry
