"""Bring files of this machine into the folder of a session on its host.

A file is read in slices and sent in parts, at the pace of the host; small ones go in one message,
several at a time. What the host has already, unchanged, is not sent again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .folder import FilesError, Talk
from .wire import bulk
from .wire import messages as m
from .wire.values.remote import format_size
from .words import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .gathering import LocalFile

#: Bytes up to which a file travels in one message.
_SMALL = 64 * 1024
#: Small files that are sent before the first answer is waited for.
_AHEAD = 32
#: Files that are asked about in one message.
_ASKED = 500
#: Seconds after which the time of a file's last change tells one change from the next.
_SETTLED = 2.0
#: Bytes that are read at a time.
_SLICE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of files: which were sent, and how many were there already."""

    files: tuple[LocalFile, ...]
    unchanged: int

    def text(self, host: str) -> str:
        """Return a line about it."""
        size = format_size(sum(file.size for file in self.files))
        there = f"; {self.unchanged} unchanged" if self.unchanged else ""
        if not self.files:
            are = "file is" if self.unchanged == 1 else "files are"
            return f"{self.unchanged} {are} on {host} already, unchanged"
        many = "1 file" if len(self.files) == 1 else f"{len(self.files)} files"
        names = [f"{shown(file.name)} ({format_size(file.size)})" for file in self.files[:3]]
        more = ", ..." if len(self.files) > len(names) else ""
        return f"put {many}, {size}, on {host}: {', '.join(names)}{more}{there}"


def put(talk: Talk, files: Sequence[LocalFile]) -> Sent:
    """Send those of some files that the host does not have as they are.

    Raises
    ------
    FilesError
        If a file cannot be read or written, or it was stopped. Files that were sent before are
        there; of the one that failed nothing is.
    TransportError
        If the host cannot be reached.
    """
    sent: list[LocalFile] = []
    under_way: deque[tuple[str, str]] = deque()
    with talk.whole():
        known = _known(talk, files)
        for file in files:
            while under_way and file.size > _SMALL:
                # It takes its time: nothing should wait behind it.
                talk.answer(*under_way.popleft())
            digest = _digest(talk, file)
            if known.get(file.name) == digest:
                continue
            sent.append(file)
            if file.size <= _SMALL:
                under_way.append((_send_small(talk, file, digest), file.name))
                if len(under_way) >= _AHEAD:
                    talk.answer(*under_way.popleft())
            else:
                _send_large(talk, file, digest)
        while under_way:
            talk.answer(*under_way.popleft())
    return Sent(files=tuple(sent), unchanged=len(files) - len(sent))


def _known(talk: Talk, files: Sequence[LocalFile]) -> dict[str, str]:
    """Return the SHA-256 of the files that the host has as they were sent, by name."""
    known: dict[str, str] = {}
    for at in range(0, len(files), _ASKED):
        names = [file.name for file in files[at : at + _ASKED]]
        answer = talk.answer(talk.ask("have", paths=names))
        known |= answer.detail.get("known") or {}
    return known


def _digest(talk: Talk, file: LocalFile) -> str:
    """Return a file's SHA-256: as it was, if the file has not been touched since."""
    fd = _open(file)
    info = os.fstat(fd)
    version = (file.path, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    if version in talk.hashed:
        os.close(fd)
        return talk.hashed[version]
    digest = hashlib.sha256()
    try:
        while data := os.read(fd, _SLICE):
            talk.check_stop()
            digest.update(data)
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from None
    finally:
        os.close(fd)
    if time.time() - info.st_mtime > _SETTLED:
        # What was written just now may be written to again within one tick of its clock.
        talk.hashed[version] = digest.hexdigest()
    return digest.hexdigest()


def _send_small(talk: Talk, file: LocalFile, digest: str) -> str:
    fd = _open(file)
    try:
        data = os.read(fd, file.size + 1)
    finally:
        os.close(fd)
    # Another length than was announced is refused over there.
    return talk.ask("put", (data,), **_told(file, digest))


def _told(file: LocalFile, digest: str) -> dict[str, Any]:
    return {
        "path": file.name,
        "size": file.size,
        "digest": digest,
        "executable": file.executable,
    }


def _send_large(talk: Talk, file: LocalFile, digest: str) -> None:
    fd = _open(file)
    try:
        operation = talk.ask("put", **_told(file, digest))
        window = bulk.Window(file.size)
        while not talk.answered(operation):
            _send_parts(talk, file, fd, f"put:{operation}", window)
            message = talk.hear()
            if isinstance(message, m.Credit) and message.stream == f"put:{operation}":
                window.credit(message.offset, time.monotonic())
        talk.answer(operation, file.name)
    finally:
        os.close(fd)


def _send_parts(talk: Talk, file: LocalFile, fd: int, stream: str, window: bulk.Window) -> None:
    while room := window.room():
        try:
            data = os.pread(fd, room, window.sent)
        except OSError as error:
            raise _unreadable(file, error.strerror or str(error)) from None
        if not data:
            raise _unreadable(file, "it became shorter while it was sent")
        part = m.Part(stream=stream, offset=window.sent, total=window.total, buffers=(data,))
        talk.link.say(part)
        window.add(len(data), time.monotonic())


def _open(file: LocalFile) -> int:
    try:
        return os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from None


def _unreadable(file: LocalFile, why: str) -> FilesError:
    return FilesError(
        f"{shown(file.path)} cannot be sent: {why}.", next="Mend that, or leave the file out."
    )
