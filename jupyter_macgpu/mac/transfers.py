"""Files of sessions' folders: listed, taken, given, and deleted when nobody has used them long.

Runs on the Mac. Only Python and `wire` may be imported here.

The supervisor does this itself: a session may have no worker yet, and one that runs a cell would
let its notebook wait. Nothing here takes longer than a slice: lists are given in pages, files in
parts, and what is deleted goes bit by bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from ..wire.folder import BadPath, inside, matches
from .folder import Folder, listed
from .requests import ID
from .streams import Download, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from . import effects as e
    from . import store
    from .client import Client

#: Seconds after its last use that a session's folder is kept.
KEPT = 7 * 24 * 60 * 60.0
#: Seconds between two looks for folders that are past that.
_LOOK = 60 * 60.0
#: Entries that are looked at for one page of a list, and deleted at a time.
_PAGE = 2000
_SLICE = 200


class Transfers:
    """Does what clients ask of sessions' folders.

    Parameters
    ----------
    place
        The store.
    clock
        The time in seconds since 1970, which the ages of files are measured by.
    """

    def __init__(self, place: store.Store, clock: Callable[[], float] = time.time) -> None:
        self._place = place
        self._clock = clock
        self._folders: dict[str, Folder] = {}
        self._looked = float("-inf")
        self._erasing: Iterator[None] | None = None
        self._acts: dict[str, Callable[[Client, m.Operate, Folder], m.Operated | None]] = {
            "files": self._list,
            "have": self._have,
            "put": self._put,
            "get": self._get,
        }

    def folder(self, name: str) -> Folder:
        """Return a working folder."""
        if name not in self._folders:
            self._folders[name] = Folder(self._place, name)
        return self._folders[name]

    def do(self, client: Client, effect: e.Files) -> None:
        """Do what is asked and answer; what goes wrong is in the answer's `error`."""
        message = effect.message
        try:
            folder = self.folder(effect.folder)
            folder.use()
            answer = self._acts[message.action](client, message, folder)
        except (BadPath, OSError, KeyError, TypeError, ValueError) as error:
            answer = m.Operated(operation=message.operation, error=_why(error))
        if answer is not None:
            client.endpoint.send(answer)

    def part(self, client: Client, message: m.Part) -> None:
        """Take bytes of an upload; answer when it is whole, or wrong."""
        upload = client.streams.incoming[message.stream]
        try:
            problem = upload.take(message)
            if not problem and upload.done:
                problem = upload.finish()
        except (BadPath, OSError) as error:
            problem = _why(error)
        client.endpoint.send(m.Credit(stream=message.stream, offset=upload.offset))
        if problem or upload.done:
            client.streams.incoming.pop(message.stream).close()
            operation = message.stream.removeprefix("put:")
            client.endpoint.send(m.Operated(operation=operation, error=problem))

    def begin(self, name: str) -> None:
        """Note a folder's files before a run; a disk that does not let us is no reason to stop."""
        with contextlib.suppress(OSError):
            self.folder(name).begin()

    def began(self, name: str) -> None:
        """Note that a folder is in use, when its cell waits for nothing any more."""
        try:
            self.folder(name).use()
        except OSError:
            self._folders.pop(name, None)

    def wrote(self, name: str) -> dict[str, Any]:
        """Return what a run wrote; see `Folder.wrote`."""
        try:
            return self._folders[name].wrote()
        except (KeyError, OSError):
            return {}

    # One method an action.

    def _list(self, client: Client, message: m.Operate, folder: Folder) -> m.Operated:
        """Return one page of the files that patterns mean; more is asked for with its cursor."""
        patterns = [inside(text) for text in message.detail.get("patterns") or ()]
        cursor = str(message.detail.get("cursor") or message.operation)
        walk = client.streams.lists.pop(cursor, None) or folder.walk()
        page = list(itertools.islice(walk, _PAGE))
        now = self._clock()
        rows = [
            listed(entry, now)
            for entry in page
            if entry.is_file
            and (not patterns or any(matches(entry.path, pattern) for pattern in patterns))
        ]
        detail = {}
        if len(page) == _PAGE:
            client.streams.lists[cursor] = walk
            detail = {"cursor": cursor}
        rest = (json.dumps(rows).encode(),)
        return m.Operated(operation=message.operation, detail=detail, buffers=rest)

    def _have(self, _client: Client, message: m.Operate, folder: Folder) -> m.Operated:
        known = {str(path): folder.known(str(path)) for path in message.detail["paths"]}
        known = {path: digest for path, digest in known.items() if digest}
        return m.Operated(operation=message.operation, detail={"known": known})

    def _put(self, client: Client, message: m.Operate, folder: Folder) -> m.Operated | None:
        detail = message.detail
        size, digest = int(detail["size"]), str(detail["digest"])
        if size < 0:
            raise ValueError(size)
        path = folder.prepare(str(detail["path"]))
        mode = 0o700 if detail.get("executable") else 0o600
        upload = Upload(folder, path, size, digest, mode)
        stream = f"put:{message.operation}"
        if size and not message.buffers:
            client.streams.incoming[stream] = upload
            return None
        try:
            whole = m.Part(stream=stream, offset=0, total=size, buffers=message.buffers)
            problem = upload.take(whole) or upload.finish()
        finally:
            upload.close()
        return m.Operated(operation=message.operation, error=problem)

    def _get(self, client: Client, message: m.Operate, folder: Folder) -> m.Operated | None:
        fd, entry = folder.open(str(message.detail["path"]))
        executable = {"executable": bool(entry.mode & stat.S_IXUSR)}
        operation = message.operation
        if entry.size > m.INLINE:
            download = Download(operation, fd, entry.size, executable)
            client.streams.outgoing[download.stream] = download
            return None
        with os.fdopen(fd, "rb") as file:
            data = file.read(m.INLINE)
        digest = hashlib.sha256(data).hexdigest()
        return m.Operated(
            operation=operation, detail=executable, size=len(data), result=digest, buffers=(data,)
        )

    # What nobody uses any more.

    def tidy(self, living: Collection[str]) -> None:
        """Delete a bit of the folders that were not used for `KEPT` seconds.

        Parameters
        ----------
        living
            Sessions that have a worker.
        """
        now = self._clock()
        if self._erasing is None and now - self._looked >= _LOOK:
            self._looked = now
            self._erasing = self._erase(now, living)
        if self._erasing is not None:
            bits = 0
            with contextlib.suppress(OSError):  # a folder changed meanwhile; there is a next look
                bits = sum(1 for _ in itertools.islice(self._erasing, _SLICE))
            if bits < _SLICE:
                self._erasing = None

    def _erase(self, now: float, living: Collection[str]) -> Iterator[None]:
        folders = self._place.root / "sessions"
        for path in expired(folders, now, living):
            self._folders.pop(path.name, None)
            # Under a name of its own first: a session that is used again begins empty, not halved.
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".gone"))
            yield
        for stamp in folders.glob("*.stamp"):
            # A worker's end deletes a folder that is empty, and not its stamp.
            if not stamp.with_suffix("").exists() and now - stamp.stat().st_mtime > KEPT:
                stamp.unlink()
            yield
        for path in folders.glob("*.gone"):
            yield from _delete(path)


def expired(folders: Path, now: float, living: Collection[str]) -> list[Path]:
    """Return the sessions' folders that were last used more than `KEPT` seconds before `now`."""
    found = []
    for path in folders.iterdir():
        if ID.fullmatch(path.name) is None or path.name in living:
            continue
        stamp = folders / f"{path.name}.stamp"
        try:
            used = (stamp if stamp.exists() else path).stat().st_mtime
        except FileNotFoundError:
            continue
        if now - used > KEPT:
            found.append(path)
    return found


def _delete(path: Path) -> Iterator[None]:
    for folder, folders, files in os.walk(path, topdown=False):
        for name in (*files, *folders):
            below = Path(folder, name)
            is_folder = below.is_dir() and not below.is_symlink()
            # What does not go is tried again at the next look.
            with contextlib.suppress(OSError):
                (below.rmdir if is_folder else below.unlink)()
            yield
    with contextlib.suppress(OSError):
        path.rmdir()


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, BadPath):
        return str(error)
    return f"what was asked cannot be read ({type(error).__name__}: {error})"
