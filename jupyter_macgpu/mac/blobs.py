"""The blobs of a store on its disk: what `shelf` decides, as files.

Runs on the Mac. Only Python and `wire` may be imported here.

A run has its blobs in a folder of its own, from the moment that it is promised one. What is kept
for later runs is the same files by a second name (a hard link), so what is kept can go at any
time, and no run misses it. Where a disk knows no such links, nothing is kept.

A file's time of change is made to follow from its digest: whoever writes to it after it was hashed
has changed that too. Its time of last access says when it was last used.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import time
from typing import TYPE_CHECKING

from ..wire import blobs, bundle
from .shelf import Name, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from . import store

#: Bytes of blobs that are kept at most: this, and a tenth of the disk.
QUOTA = 20 * 10**9
#: Bytes that keeping blobs leaves free: this, or a twentieth of the disk if that is less.
FREE = 5 * 10**9
#: Seconds between two looks at what is free and what is too old.
_LOOK = 5.0


class Blobs:
    """A store's blobs.

    Parameters
    ----------
    place
        The store.
    now
        The time in seconds.

    Attributes
    ----------
    shelf
        What is kept.
    """

    def __init__(self, place: store.Store, now: Callable[[], float]) -> None:
        self._place = place
        self.now = now
        self._looked = float("-inf")
        disk = os.statvfs(place.root)
        size = disk.f_blocks * disk.f_frsize
        quota = int(os.environ.get("MACGPU_BLOB_QUOTA") or min(QUOTA, size // 10))
        self._reserve = min(FREE, size // 20)
        self.shelf = Shelf(quota)
        self._take_stock()

    def lacking(self, folder: str, wanted: Mapping[str, int]) -> int:
        """Return how many bytes of a run's blobs are not kept here."""
        return sum(
            size for digest, size in wanted.items() if Name(folder, digest) not in self.shelf
        )

    def begin(self, run: str) -> None:
        """Make a run's folder, if it is not there.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        self._place.lent(run).mkdir(mode=0o700, exist_ok=True)

    def lend(self, run: str, name: Name, size: int) -> bool:
        """Give a run a blob that is kept; return whether it is there."""
        now, kept = self.now(), self._path(name)
        if not self.shelf.use(name, size, now):
            return False
        try:
            info = kept.stat()
            if info.st_size != size or int(info.st_mtime) != _mark(name.digest):
                self.remove(name)
                return False
            with contextlib.suppress(FileExistsError):
                os.link(kept, self._place.lent(run) / name.digest)
            os.utime(kept, (time.time(), _mark(name.digest)))
        except OSError:
            self.remove(name)
            return False
        return True

    def keep(self, run: str, name: Name, size: int) -> None:
        """Keep for later what was just hashed in a run's folder; what cannot be kept is not."""
        kept = self._path(name)
        self.remove(name)
        try:
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            os.link(self._place.lent(run) / name.digest, kept)
            os.utime(kept, (time.time(), _mark(name.digest)))
        except OSError:
            self.remove(name)
            return
        now = self.now()
        self._unlink(self.shelf.put(name, size, now, now))

    def remove(self, name: Name) -> None:
        """Keep a blob no longer. Runs that have it have it still."""
        self.shelf.drop(name)
        self._unlink([name])

    def copy(self, source: str, run: str) -> None:
        """Give a run all blobs that another one has, if it has any.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        if self._place.lent(source).exists():
            self.begin(run)
            for path in self._place.lent(source).iterdir():
                with contextlib.suppress(FileExistsError):
                    os.link(path, self._place.lent(run) / path.name)

    def give_back(self, run: str) -> None:
        """Delete a run's folder, if it has one. What is kept stays."""
        folder = self._place.lent(run)
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, runs: Collection[str]) -> None:
        """Delete the folders of runs that nobody knows any more."""
        for folder in self._place.lent("").iterdir():
            if folder.name not in runs:
                shutil.rmtree(folder, ignore_errors=True)

    def make_room(self, size: int) -> str:
        """Let go of what is kept until a run of `size` bytes fits; return why it does not."""
        while (why := self._place.full(size)) and len(self.shelf):
            self._unlink(self.shelf.spare(1))
        return why

    def tidy(self) -> None:
        """Let go of what nobody used for long, and of what is needed free. Called often."""
        now = self.now()
        if now - self._looked >= _LOOK:
            self._looked = now
            self._unlink(self.shelf.expire(now))
            self.make_room(self._reserve)

    def _path(self, name: Name) -> Path:
        return self._place.kept(name.folder) / name.digest

    def _unlink(self, names: list[Name]) -> None:
        for name in names:
            path = self._path(name)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # the last one's

    def _take_stock(self) -> None:
        """Find what an earlier supervisor kept; it is hashed before it is used."""
        wall, now = time.time(), self.now()
        for folder in self._place.kept("").iterdir():
            for path in folder.iterdir():
                info, name = path.lstat(), Name(folder.name, path.name)
                if blobs.is_digest(path.name) and int(info.st_mtime) == _mark(path.name):
                    used = now - max(0.0, wall - info.st_atime)
                    self._unlink(self.shelf.put(name, info.st_size, used, None))
                else:
                    path.unlink()


def with_blobs(rest: memoryview, folder: Path) -> bundle.Pieces:
    """Return a run's whole bundle: what came of it, and the blobs in the run's folder.

    Raises
    ------
    OSError, RemoteProtocolError
        If it is not there, or not what it should be.
    """
    return bundle.Pieces(
        bundle.pack(blobs.joined(bundle.unpack(rest), lambda digest: _mapped(folder / digest)))
    )


def _mapped(path: Path) -> memoryview:
    # Nobody makes these files shorter, so a map of one stays good.
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _mark(digest: str) -> int:
    """Return the time of change, in seconds since 1970, of a blob's file that is as it was."""
    return int(digest[:7], 16)
