"""Bring files of a session's folder here.

Whatever a host says, nothing is written outside the folder that was named: every name is checked,
the way to it is walked name by name, and no link on it is followed. A file appears when it is
whole and its digest is right.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from .folder import FilesError, Talk, listing, read_pattern
from .wire import messages as m
from .wire.folder import matches
from .wire.values.remote import format_size
from .words import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

#: Small files that are asked for before the first one is waited for.
_AHEAD = 32
#: Names of written files that a line holds.
_NAMED = 5
#: What a magic line takes as it is.
_PLAIN = re.compile(r"[^\s'\"#-][^\s'\"]*")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """Files that were brought: their paths, all their bytes, how many took another's place."""

    paths: tuple[str, ...]
    size: int
    replaced: int

    def text(self, host: str, target: str) -> str:
        """Return a line about it."""
        many = "1 file" if len(self.paths) == 1 else f"{len(self.paths)} files"
        names = ", ".join(shown(path) for path in self.paths[:3])
        more = ", ..." if len(self.paths) > 3 else ""
        into = f" into {shown(target)}" if target != "." else ""
        instead = f"; {self.replaced} were there and are replaced" if self.replaced else ""
        return f"got {many}, {format_size(self.size)}, from {host}{into}: {names}{more}{instead}"


def wrote_line(wrote: Any, apart: Mapping[str, int] = MappingProxyType({})) -> list[str]:
    """Return a line about the files that a run wrote, if it wrote any.

    Parameters
    ----------
    wrote
        What the run's summary says of them: ``{count, bytes, names}``, the largest first.
    apart
        Files that are not to be named, and their bytes.
    """
    try:
        ours = [name for name in wrote["names"] if name in apart]
        names = [str(name) for name in wrote["names"] if name not in apart]
        count = int(wrote["count"]) - len(ours)
        size = format_size(int(wrote["bytes"]) - sum(apart[name] for name in ours))
        first = names[0]
    except (KeyError, IndexError, TypeError, ValueError):
        return []
    listed = ", ".join(shown(name) for name in names[:_NAMED])
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    many = "1 file" if count == 1 else f"{count} files"
    plain = _PLAIN.fullmatch(first)
    way = first if plain else f"'{first}'"
    known = shown(first) == first and "'" not in first
    bring = f"%macgpu get {way}" if known else "%macgpu files"
    return [f"wrote {many}, {size}: {listed}{more} \N{MIDDLE DOT} {bring}"]


def get(talk: Talk, patterns: Sequence[str], target: str = ".") -> Got:
    """Bring the files that paths and patterns mean, into a folder of this machine.

    Files keep their place: ``runs/best.pt`` becomes ``target/runs/best.pt``.

    Raises
    ------
    FilesError
        If there is no such file, a name leads elsewhere, or nothing can be written here.
    TransportError
        If the host cannot be reached.
    """
    wanted = [read_pattern(text) for text in patterns]
    with talk.whole():
        rows = listing(talk, wanted)
    for pattern in wanted:
        if not any(matches(row["path"], pattern) for row in rows):
            raise FilesError(f"{talk.host} has no file {shown(pattern)} in the session's folder.")
    with talk.whole():
        try:
            replaced = _bring_into(talk, rows, target)
        except OSError as error:
            raise FilesError(
                f"The files cannot be written to {shown(target)}: {error.strerror or error}.",
                next="Name another folder with --to.",
            ) from None
    size = sum(row["size"] for row in rows)
    return Got(paths=tuple(row["path"] for row in rows), size=size, replaced=replaced)


def _bring_into(talk: Talk, rows: Sequence[dict[str, Any]], target: str) -> int:
    folder = Path(target).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _bring_all(talk, rows, top)
    finally:
        os.close(top)


def _bring_all(talk: Talk, rows: Sequence[dict[str, Any]], top: int) -> int:
    """Bring files; return how many took the place of another."""
    replaced = 0
    asked: deque[tuple[str, dict[str, Any]]] = deque()
    todo = deque(rows)
    while todo or asked:
        # One large file at a time; small ones are asked for ahead.
        while todo and len(asked) < _AHEAD and (not asked or todo[0]["size"] <= m.INLINE):
            row = todo.popleft()
            asked.append((talk.ask("get", path=row["path"]), row))
            if row["size"] > m.INLINE:
                break
        operation, row = asked.popleft()
        replaced += _bring(talk, operation, row["path"], top)
    return replaced


def _bring(talk: Talk, operation: str, path: str, top: int) -> bool:
    """Take one file that was asked for; return whether it took the place of another."""
    with _Landing(top, path) as landing:
        while not talk.answered(operation):
            message = talk.hear()
            if isinstance(message, m.Part) and message.stream == f"get:{operation}":
                if message.offset != landing.size or not message.buffers:
                    raise FilesError(f"{talk.host} sent parts of {shown(path)} out of order.")
                landing.write(message.buffers)
                talk.link.say(m.Credit(stream=message.stream, offset=landing.size))
        answer = talk.answer(operation, path)
        if answer.buffers:
            landing.write(answer.buffers)
        if landing.size != answer.size or landing.digest() != answer.result:
            raise FilesError(f"{shown(path)} arrived damaged from {talk.host}.")
        return landing.settle(bool(answer.detail.get("executable")))


class _Landing:
    """A file that grows beside its place, in the folder that it belongs into.

    Raises
    ------
    FilesError
        If the way to it goes through a link or a file.
    OSError
        If it cannot be written.
    """

    def __init__(self, top: int, path: str) -> None:
        self.size = 0
        self._path = path
        *parents, self._name = path.split("/")
        self._folder = _descend(top, parents)
        self._digest = hashlib.sha256()
        self._partial = f".macgpu-{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(self._partial, flags, 0o600, dir_fd=self._folder)
        except BaseException:
            os.close(self._folder)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._partial, dir_fd=self._folder)
        os.close(self._fd)
        os.close(self._folder)

    def write(self, buffers: m.Buffers) -> None:
        """Add bytes."""
        for buffer in buffers:
            view = memoryview(buffer)
            self._digest.update(view)
            self.size += view.nbytes
            while view:
                view = view[os.write(self._fd, view) :]

    def digest(self) -> str:
        """Return the SHA-256 of what was written, in hex."""
        return self._digest.hexdigest()

    def settle(self, executable: bool) -> bool:
        """Give the file its name and rights; return whether there was one of that name."""
        try:
            before = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            before = None
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(self._fd, (0o777 if executable else 0o666) & ~mask)
        os.rename(self._partial, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        return before is not None


def _descend(top: int, names: Sequence[str]) -> int:
    """Return a descriptor of a folder below `top`, made if it is not there."""
    at = os.dup(top)
    for name in names:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=at)
            below = os.open(name, _FOLDER, dir_fd=at)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise FilesError(
                f"{shown(name)} is a link or a file here, not a folder.",
                next="Name another folder with --to.",
            ) from None
        finally:
            os.close(at)
        at = below
    return at
