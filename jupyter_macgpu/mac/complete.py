"""Folders that are whole or count as missing: marked, checked, kept from being removed.

Runs on the Mac. Only Python may be imported here: the installer takes this file along to hosts that
have nothing of ours yet.

Such a folder holds a file ``complete``: the SHA-256 of the rest, then the SHA-256 of every file as
JSON. It is written last. Whoever uses the folder holds a shared lock on it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The file that makes a folder complete.
COMPLETE = "complete"


def intact(folder: Path) -> bool:
    """Say whether a folder is as it was installed; what does not belong there is deleted.

    A folder that is not intact loses its mark, so that it counts as missing.
    """
    listed = _listed(folder)
    if listed is not None and _compare(folder, listed):
        return True
    with suppress(OSError):
        (folder / COMPLETE).unlink()
    return False


def use(folder: Path) -> int:
    """Note that a folder is used, and keep it from being removed; return what keeps it.

    Raises
    ------
    OSError
        If it is not there.
    """
    fd = os.open(folder / COMPLETE, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):  # a file system that was made read-only since
        os.utime(fd)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def unused(path: Path) -> bool:
    """Say whether nobody holds a lock on a file, or there is none."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def complete(folder: Path) -> None:
    """Compile what is new and write down what every file is.

    The files are not brought to the disk one by one: after a crash of the machine, `intact`
    finds those that are not whole.
    """
    import py_compile  # here alone: a door is in a hurry

    for path in sorted(folder.rglob("*.py")):
        with suppress(py_compile.PyCompileError):
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(path), doraise=True, invalidation_mode=mode)
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    body = json.dumps(files, separators=(",", ":")).encode()
    write(folder / COMPLETE, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    sync(folder / COMPLETE)
    sync(folder)


def _listed(folder: Path) -> dict[str, str] | None:
    try:
        digest, _, body = _read(folder / COMPLETE).partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    files: dict[str, str] = json.loads(body)
    return files


def _compare(folder: Path, listed: dict[str, str]) -> bool:
    """Say whether all files are there and right; files that are not listed are deleted."""
    left = dict(listed)
    try:
        for path in _files(folder):
            digest = left.pop(path.relative_to(folder).as_posix(), None)
            if digest is None:
                # Bytecode that another interpreter wrote here; it writes it again.
                if path != folder / COMPLETE:
                    path.unlink()
            elif hashlib.sha256(_read(path)).hexdigest() != digest:
                return False
    except OSError:
        return False
    return not left


def _files(folder: Path) -> Iterator[Path]:
    """Yield all that is no folder, and follow no link."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield Path(entry.path)


def write(path: Path, data: bytes) -> None:
    """Write a new file and the folders that it needs.

    Raises
    ------
    OSError
        If it is there already, or cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as file:
        return file.read()


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.fsync(fd)
    os.close(fd)
