"""The working folder of one session's cells: what is in it, what was put there, what a run wrote.

Runs on the Mac. Only Python and `wire` may be imported here.

Every path is walked name by name with descriptors, and no link is followed: what a cell makes of
its folder can lead nobody out of it. Half a file never stands in the folder: uploads grow beside
it and are moved in whole.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..wire.folder import DEEPEST, BadPath, inside
from . import store

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

#: Entries of a folder that are looked at after a run. In a folder with more, nothing is said of
#: what the run wrote: looking would take longer than many a cell.
LOOKED_AT = 500
#: Names of written files that a run's summary holds.
NAMED = 20
#: Folders whose files nobody means to keep.
_NOT_WRITTEN = frozenset({"__pycache__"})
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, link or folder in the folder; times in nanoseconds since 1970."""

    path: str
    size: int
    mode: int
    mtime: int
    ctime: int
    inode: int

    @property
    def is_file(self) -> bool:
        """Whether it is a plain file."""
        return stat.S_ISREG(self.mode)

    @property
    def version(self) -> tuple[int, int, int, int]:
        """What differs once the file has been written to or replaced."""
        return (self.size, self.mtime, self.ctime, self.inode)


class Folder:
    """One session's folder.

    Parameters
    ----------
    place
        The store.
    session
        The session's id.
    """

    def __init__(self, place: store.Store, session: str) -> None:
        self.path = place.folder(session)
        self._stamp = place.stamp(session)
        self._put: dict[str, tuple[list[int], str]] | None = None
        self._seen: dict[str, tuple[int, int, int, int]] | None = None
        self._crowded = False

    def use(self) -> None:
        """Make the folder if it is not there, and note that it is in use.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        store.private(self.path)
        try:
            os.utime(self._stamp)
        except FileNotFoundError:
            self._stamp.touch(0o600)

    # Files in and out.

    def open(self, path: str) -> tuple[int, Entry]:
        """Open a plain file to read; return its descriptor and what it is.

        Raises
        ------
        BadPath
            If it is no plain file in the folder.
        OSError
            If it cannot be read.
        """
        path = inside(path)
        above = self._descend(path.split("/")[:-1], make=False)
        name = path.rpartition("/")[2]
        try:
            # Without waiting: a pipe that a cell left would wait for its writer.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(name, flags, dir_fd=above)
        except OSError as error:
            raise _in_words(error, name) from None
        finally:
            os.close(above)
        entry = _entry(path, os.fstat(fd))
        if not entry.is_file:
            os.close(fd)
            raise BadPath("it is not a plain file")
        return fd, entry

    def prepare(self, path: str) -> str:
        """Make the folders that lead to a file; return its path in its one form.

        Raises
        ------
        BadPath
            If it leads out of the folder, or through what is no folder.
        """
        path = inside(path)
        *parents, name = path.split("/")
        above = self._descend(parents, make=True)
        try:
            if stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
                raise BadPath("there is a folder of that name")
        except FileNotFoundError:
            return path
        finally:
            os.close(above)
        return path

    def place(self, partial: Path, path: str, digest: str) -> None:
        """Move a whole file into the folder, in place of what has its name.

        Raises
        ------
        BadPath, OSError
            As `prepare`; the partial file is where it was.
        """
        *parents, name = path.split("/")
        above = self._descend(parents, make=True)
        try:
            os.rename(partial, name, dst_dir_fd=above)
            entry = _entry(path, os.stat(name, dir_fd=above, follow_symlinks=False))
        except OSError as error:
            raise _in_words(error, name) from None
        finally:
            os.close(above)
        if self._seen is not None:
            self._seen[path] = entry.version
        self._remember(entry, digest)

    def known(self, path: str) -> str:
        """Return the SHA-256 of a file that was put here and not touched since, or ``""``."""
        path = inside(path)
        version, digest = self._index().get(path, ([], ""))
        if not digest:
            return ""
        try:
            now = _entry(path, os.lstat(self.path / path))
        except OSError:
            return ""
        return digest if list(now.version) == version and now.is_file else ""

    # Looking.

    def walk(self) -> Generator[Entry, None, None]:
        """Yield all that is in the folder, in no order; folders too deep are not entered."""
        try:
            top = os.open(self.path, _FOLDER)
        except OSError:
            return
        try:
            yield from _walk(top, "", DEEPEST)
        finally:
            os.close(top)

    def begin(self) -> None:
        """Note what is there before a run, where no earlier run has left that known."""
        if self._seen is None and not self._crowded:
            self.use()
            self._seen = self._look()

    def wrote(self) -> dict[str, Any]:
        """Return what was made or changed since the last look, for a run's summary.

        Empty if that is nothing, or not known: ``{"wrote": {count, bytes, names}}`` with the
        largest files first, `NAMED` names at most.
        """
        before, self._seen = self._seen, self._look()
        if before is None or self._seen is None:
            return {}
        fresh = {
            path: version for path, version in self._seen.items() if before.get(path) != version
        }
        if not fresh:
            return {}
        names = sorted(fresh, key=lambda path: (-fresh[path][0], path))[:NAMED]
        total = sum(version[0] for version in fresh.values())
        return {"wrote": {"count": len(fresh), "bytes": total, "names": names}}

    def _look(self) -> dict[str, tuple[int, int, int, int]] | None:
        found = {}
        self._crowded = False
        walk = self.walk()
        for number, entry in enumerate(walk):
            if number >= LOOKED_AT:
                self._crowded = True
                walk.close()
                return None
            if entry.is_file and not _NOT_WRITTEN & set(entry.path.split("/")[:-1]):
                found[entry.path] = entry.version
        return found

    # What was put here.

    def _index(self) -> dict[str, tuple[list[int], str]]:
        if self._put is None:
            self._put = {}
            try:
                lines = self._stamp.read_bytes().splitlines()
            except FileNotFoundError:
                lines = []
            for line in lines:
                try:
                    row = json.loads(line)
                    self._put[str(row["path"])] = (list(row["version"]), str(row["digest"]))
                except (ValueError, KeyError, TypeError):
                    continue  # a line that was cut when the machine stopped
        return self._put

    def _remember(self, entry: Entry, digest: str) -> None:
        self._index()[entry.path] = (list(entry.version), digest)
        row = {"path": entry.path, "version": entry.version, "digest": digest}
        with self._stamp.open("ab") as stamp:
            stamp.write(b"\n" + json.dumps(row).encode() + b"\n")

    def _descend(self, names: list[str], make: bool) -> int:
        """Return a descriptor of a folder in the folder; it is the caller's."""
        at = os.open(self.path, _FOLDER)
        for name in names:
            try:
                if make:
                    _make(name, at)
                below = os.open(name, _FOLDER, dir_fd=at)
            except OSError as error:
                raise _in_words(error, name) from None
            finally:
                os.close(at)
            at = below
        return at


def listed(entry: Entry, now: float) -> dict[str, Any]:
    """Return what a list of files shows; the age in seconds."""
    kept = {name: value for name, value in asdict(entry).items() if name in ("path", "size")}
    age = round(max(0.0, now - entry.mtime / 1e9), 3)
    return {**kept, "age": age, "executable": bool(entry.mode & stat.S_IXUSR)}


def _walk(at: int, prefix: str, depth: int) -> Iterator[Entry]:
    with os.scandir(at) as found:
        for each in found:
            try:
                entry = _entry(prefix + each.name, each.stat(follow_symlinks=False))
            except OSError:
                continue  # it was deleted meanwhile
            yield entry
            if not stat.S_ISDIR(entry.mode) or not depth:
                continue
            try:
                below = os.open(each.name, _FOLDER, dir_fd=at)
            except OSError:
                continue
            try:
                yield from _walk(below, f"{entry.path}/", depth - 1)
            finally:
                os.close(below)


def _entry(path: str, info: os.stat_result) -> Entry:
    return Entry(
        path=path,
        size=info.st_size,
        mode=info.st_mode,
        mtime=info.st_mtime_ns,
        ctime=info.st_ctime_ns,
        inode=info.st_ino,
    )


def _make(name: str, at: int) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=at)
    except FileExistsError:
        return


def _in_words(error: OSError, name: str) -> Exception:
    if error.errno == errno.ELOOP:
        return BadPath(f"{name} is a link, and links are not followed")
    if error.errno == errno.ENOTDIR:
        # A link to a folder says this too: it is opened as a folder, and not followed.
        return BadPath(f"{name} is a link or a file, not a folder")
    if error.errno == errno.ENOENT:
        return BadPath(f"there is no {name}")
    return error
