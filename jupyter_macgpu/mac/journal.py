"""A run's journal, and the log of all runs: append-only, readable up to the last whole record.

Runs on the Mac. Only Python and `wire` may be imported here.

A journal is a file of frames: first the `Submit` as it came, then an `Event` for each thing that
the cell showed, last the `End`. An offset is a place in that file. What is written survives the
death of any process; what is synced, that of the machine.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zlib
from array import array
from bisect import bisect_right
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import codec, frames
from ..wire import messages as m
from ..wire.errors import RemoteProtocolError
from ..wire.states import OutputDigest
from . import store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1024 * 1024
#: Bytes of one run's output that are kept as they come; what comes later is kept back, and of that
#: the last bytes are written at the run's end. The variable is for hosts with small disks.
QUOTA = int(os.environ.get("MACGPU_OUTPUT_QUOTA") or 256 * 1024 * 1024)
TAIL = 1024 * 1024
#: Removed runs whose ids are remembered.
GRAVES = 10_000


class Journal:
    """One run's journal.

    Parameters
    ----------
    path, run
        The file, which is read if it exists, and whose it is.
    fd
        The file, if it is open already and empty.

    Attributes
    ----------
    base, end
        Offsets at which the output begins and at which the next record will.
    ending
        The `End` that is in it, without its result; None while the run goes on.
    mark
        Number of the last event that is in it.
    last
        The bytes of the `End`, if it was written here.
    """

    def __init__(self, path: str | Path, run: str, fd: int = -1) -> None:
        self.run = run
        self.base = self.end = 0
        self.mark = 0
        self.ending: m.End | None = None
        self.last = b""
        self._tail: Tail | None = None
        self._digest = OutputDigest()
        self._starts = array("Q")
        self._fd = fd
        if fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(path, flags, 0o600)
            self._scan()

    @property
    def closed(self) -> bool:
        """Whether the `End` is in it."""
        return self.ending is not None

    @property
    def forgotten(self) -> bool:
        """Whether the file was closed."""
        return self._fd < 0

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def submit(self, message: m.Submit, frame: bytes = b"") -> None:
        """Write the first record; `frame` is the bytes that it came in, if they are known.

        What an earlier supervisor began and did not log was never accepted: it makes room.
        """
        if self.end:
            os.ftruncate(self._fd, 0)
            self.end = self.mark = 0
            self.ending = None
            self._digest = OutputDigest()
            self._starts = array("Q")
        self._write(frame or codec.encode(message))
        self.base = self.end

    def append(self, event: m.Event) -> m.Output | None:
        """Write one record of output; None if it is kept back, or the end is there."""
        if self.ending is not None:
            return None
        if self.end - self.base > QUOTA and event.what in ("stream", "display_data"):
            if self._tail is not None:
                self._tail.add(event)
                return None
            self._tail = Tail(event)
            text = (
                f"this run has written {QUOTA / 2**20:,.0f} MiB; what follows is not shown now, "
                "the last of it when the run ends"
            )
            event = _notice(self.run, text)
        return self._record(event)

    def rest(self) -> Iterator[m.Output]:
        """Write what was kept back, before the end: how much is left out, and the last of it.

        What the disk did not take when this was broken off is written when it is called again.
        """
        while self._tail is not None and (event := self._tail.first(self.run)) is not None:
            output = self._record(event)
            self._tail.pop()
            yield output

    def _record(self, event: m.Event) -> m.Output:
        start = self.end
        self._write(codec.encode(event))
        self._count(event, start)
        return self._output(event, start, self.end)

    def finish(self, end: m.End) -> m.End:
        """Write the last record: `end` with the offset and digest of the output.

        A run ends once: if its end is there already, that one is returned.
        """
        if self.ending is None:
            whole = replace(end, offset=self.end, digest=self._digest.hex())
            self.last = codec.encode(whole)
            self._write(self.last)
            self.ending = replace(whole, buffers=()) if whole.buffers else whole
            return whole
        return self.ending

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

    def boundary(self, offset: int) -> int:
        """Return where the record of output that `offset` is in begins, or where output ends.

        A client may have shown what a crash of the machine took from this file.
        """
        output_end = self.end if self.ending is None else self.ending.offset
        if offset >= output_end:
            return output_end
        at = bisect_right(self._starts, max(offset, 0))
        return self._starts[at - 1] if at else self.base

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

    def _count(self, event: m.Event, start: int) -> None:
        self._starts.append(start)
        self.mark = max(self.mark, event.mark)
        self._digest.add(event.what, self.end, event.buffers)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        at = self.end
        try:
            while view:
                written = os.pwrite(self._fd, view, at)
                at += written
                view = view[written:]
        except OSError:
            # Nothing of half a record may stand behind a shorter one that is written later.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.end)
            raise
        self.end = at

    def _scan(self) -> None:
        """Read an existing file up to its last whole record and cut off the rest."""
        if os.fstat(self._fd).st_size == 0:
            return
        for message, start, end in self._read(0, strict=False):
            self.end = end
            if start == 0:
                self.base = end
            elif isinstance(message, m.Event):
                self._count(message, start)
            elif isinstance(message, m.End):
                self.ending = replace(message, buffers=())
                break
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
                    message = codec.decode(*frame)
                    end = read - len(reader)
                    yield message, start, end
                    start = end
            except RemoteProtocolError:
                if strict:
                    raise
                return
            if not data:
                return


class Tail:
    """The last of what a run showed past the quota, and how much came before that."""

    def __init__(self, event: m.Event) -> None:
        self.left_out = self.kept = 0
        self._events: deque[m.Event] = deque()
        self._said = False
        self.add(event)

    def add(self, event: m.Event) -> None:
        """Take one more; let go of the first ones that are past `TAIL`."""
        self._events.append(event)
        self.kept += _weight(event)
        while self.kept - _weight(self._events[0]) >= TAIL:
            weight = _weight(self._events.popleft())
            self.kept, self.left_out = self.kept - weight, self.left_out + weight

    def first(self, run: str) -> m.Event | None:
        """Return what is to be written next; a line about what is missing comes first."""
        if not self._said:
            return _notice(
                run,
                f"{self.left_out:,} bytes of output are left out here and not kept; "
                f"the last {self.kept:,} follow",
            )
        return self._events[0] if self._events else None

    def pop(self) -> None:
        """Note that what was `first` is written."""
        if self._said:
            self._events.popleft()
        self._said = True


def _weight(event: m.Event) -> int:
    return sum(map(frames.nbytes, event.buffers)) or len(frames.json_bytes(event.content))


def _notice(run: str, text: str) -> m.Event:
    return m.Event(run=run, mark=0, what="notice", content={"text": text})


class RunLog:
    """The log of all runs of a store: one line an entry, each with its checksum."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)

    def append(self, *entries: dict[str, Any], durable: bool = False) -> None:
        """Write entries in one piece; `durable` also brings them to the disk.

        Raises
        ------
        OSError
            If the disk does not take them. Then nothing of them is in the log.
        """
        lines = b"".join(map(_line, entries))
        size = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                store.sync(self._fd)
        except OSError:
            # Half a line would take the next one with it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, size)
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def compact(path: Path) -> list[dict[str, Any]]:
    """Write a log of runs anew without the removed runs, and return its entries, oldest first.

    The old file stays until the new one is whole, and for good if the disk does not take that. A
    last line that is torn is left out.
    """
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = whole.splitlines()
    entries = _known([entry for line in lines if (entry := _parse(line)) is not None])
    fresh = path.with_suffix(".new")
    try:
        _write_anew(fresh, entries)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        # What is appended next must not become the end of a torn line.
        os.truncate(path, whole.rfind(b"\n") + 1)
    return entries


def _write_anew(path: Path, entries: list[dict[str, Any]]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.writelines(_line(entry) for entry in entries)
        file.flush()
        store.sync(file.fileno())


def _known(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return entries without those of removed runs: what stands before the last removal.

    The removal of a run that had ended stays, so that its id is never run again. Sessions that
    are gone leave nothing.
    """
    gone = {str(entry.get("session")) for entry in entries if entry.get("gone")}
    entries = [each for each in entries if "run" in each or str(each.get("session")) not in gone]
    removed = {entry["run"]: at for at, entry in enumerate(entries) if entry.get("removed")}
    graves = [at for at in removed.values() if entries[at].get("ended")][-GRAVES:]
    return [
        entry
        for at, entry in enumerate(entries)
        if at in graves or at > removed.get(entry.get("run", ""), -1)
    ]


def _line(entry: dict[str, Any]) -> bytes:
    text = frames.json_bytes(entry)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    # What a later version may write beside runs and sessions is not for this one.
    named = isinstance(entry, dict) and isinstance(entry.get("run", entry.get("session")), str)
    return entry if named else None
