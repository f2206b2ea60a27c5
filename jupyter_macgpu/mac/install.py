"""Puts our code and packages on a host: whole or not at all, and finds out whether they still are.

Runs on the Mac. Only Python and `complete` may be imported here: a notebook sends these two files
as text to a host that has nothing yet, and the outer door (`door.sh`) runs them.

What is put there lies in ``<state>/code/<digest>`` and ``<state>/packages/<digest>``; the digest is
the SHA-256 of the tar archive that it came as. A folder is made under another name and renamed
when it is complete, so it has its name only if it was whole once; `intact` says whether it still
is.

Several installers may be at work at once: each unpacks into a folder of its own, and the lock is
held only for what is short.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import re
import secrets
import shutil
import signal
import stat
import sys
import tarfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .complete import COMPLETE, complete, intact, sync, unused, write

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("code", "packages")
#: Folders of a kind that are kept, by their last use, though nobody uses them.
KEPT = 3
#: Seconds without a byte after which the notebook counts as gone.
PATIENCE = 60
#: Most bytes of an archive, packed and unpacked, and most files in it.
MAX_PACKED = 64 * 2**20
MAX_UNPACKED = 256 * 2**20
MAX_FILES = 10_000
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Refused(Exception):
    """The installation ends here; `word` says what kind of reason it is."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word = word


def main(arguments: list[str]) -> None:
    """Install what is missing, and say how it went, on standard output."""
    # Nobody who stopped speaking keeps us: the signal ends the process.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    state = Path(arguments[0])
    wanted = dict(zip(KINDS, arguments[1:], strict=True))
    try:
        install(state, {kind: digest for kind, digest in wanted.items() if digest != "-"})
    except Refused as error:
        _say("error", error.word, str(error))
    except OSError as error:
        _say("error", *_explained(error, state))
    except tarfile.TarError as error:
        _say("error", "broken-archive", str(error))
    else:
        _say("done", sys.executable)


def install(state: Path, digests: dict[str, str]) -> None:
    """Bring the folders of these digests into being, from what the notebook sends.

    Parameters
    ----------
    state
        The state folder; made, with its rights.
    digests
        Digest by kind.

    Raises
    ------
    Refused
        If something is not as it must be. Whatever was whole before still is.
    OSError
        If the disk or the rights do not allow it. The same holds.
    """
    if not all(_DIGEST.fullmatch(digest) for digest in digests.values()):
        raise Refused("bad-line", "a digest is 64 hexadecimal digits")
    _prepare(state)
    missing = [kind for kind in digests if not _present(state, kind, digests[kind])]
    _say("want", *(missing or ["-"]))
    with _desk(state) as desk:
        for kind in missing:
            _unpack(_receive(kind, digests[kind]), desk / kind)
            complete(desk / kind)
            with _locked(state):
                _settle(state, desk / kind, state / kind / digests[kind])
        with _locked(state):
            _write_door(state, digests, desk)
            _replace(state / "python", sys.executable + "\n", 0o600, desk)
            for kind in digests:
                _sweep(state, kind, digests[kind])


# The state folder.


def _prepare(state: Path) -> None:
    for path in (state, *(state / name for name in (*KINDS, "incoming"))):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
        if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o022:
            # Others could look, not write: what is in it is ours all the same.
            path.chmod(0o700)
            info = path.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
            raise Refused("not-private", f"{path} must be a folder of yours with mode 0700")
    for parent in state.resolve().parents:
        info = parent.stat()
        if info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
            raise Refused("not-private", f"{parent} can be written by everybody")


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    fd = os.open(state / "installing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def _desk(state: Path) -> Iterator[Path]:
    """Give a folder to work in; those of installers that were killed are removed."""
    desk = state / "incoming" / secrets.token_hex(8)
    with _locked(state):
        for left in (state / "incoming").iterdir():
            if unused(left / "lock"):
                shutil.rmtree(left, ignore_errors=True)
        desk.mkdir(mode=0o700)
        lock = os.open(desk / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield desk
    finally:
        shutil.rmtree(desk, ignore_errors=True)
        os.close(lock)


def _present(state: Path, kind: str, digest: str) -> bool:
    folder = state / kind / digest
    if not os.path.lexists(folder):
        return False
    if not folder.is_symlink() and intact(folder):
        return True
    with _locked(state):
        _remove(state, folder)
    return False


def _remove(state: Path, folder: Path) -> None:
    """Remove a folder so that it is never half there under its name. The lock is held."""
    away = state / "incoming" / secrets.token_hex(8)
    with suppress(FileNotFoundError):
        folder.rename(away)
        if away.is_symlink() or not away.is_dir():
            away.unlink()
        else:
            shutil.rmtree(away, ignore_errors=True)


def _settle(state: Path, made: Path, folder: Path) -> None:
    """Give a complete folder its name, unless another installer was faster. The lock is held."""
    if os.path.lexists(folder):
        if not folder.is_symlink() and intact(folder):
            return
        _remove(state, folder)
    made.rename(folder)
    sync(folder.parent)


def _write_door(state: Path, digests: dict[str, str], desk: Path) -> None:
    """Keep the outer door where a key that may run nothing else finds it."""
    if "code" in digests:
        source = state / "code" / digests["code"] / "jupyter_macgpu" / "mac" / "door.sh"
        _replace(state / "door", f"#!/bin/sh\n{source.read_text('utf-8')}", 0o700, desk)


def _replace(path: Path, text: str, mode: int, desk: Path) -> None:
    """Write a file whole or not at all, unless it is like that already."""
    with suppress(OSError, ValueError):
        info = path.lstat()
        regular = stat.S_ISREG(info.st_mode) and stat.S_IMODE(info.st_mode) == mode
        if regular and path.read_text("utf-8") == text:
            return
    fresh = desk / path.name
    write(fresh, text.encode())
    fresh.chmod(mode)
    sync(fresh)
    if path.is_dir() and not path.is_symlink():
        raise Refused("not-private", f"{path} must not be a folder")
    fresh.rename(path)


def _sweep(state: Path, kind: str, current: str) -> None:
    """Remove the folders that were used longest ago and that nobody uses. The lock is held."""
    known = []
    for folder in (state / kind).iterdir():
        with suppress(OSError):
            known.append(((folder / COMPLETE).lstat().st_mtime, folder))
    oldest_first = [folder for _, folder in sorted(known) if folder.name != current]
    for folder in oldest_first[: max(0, len(known) - KEPT)]:
        if unused(folder / COMPLETE):
            _remove(state, folder)


# Archives.


def _receive(kind: str, digest: str) -> bytes:
    """Read one archive from standard input and return the tar in it."""
    source = sys.stdin.buffer
    assert isinstance(source, io.BufferedReader)
    signal.alarm(PATIENCE)
    words = source.readline(64).split()
    if len(words) != 2 or words[0] != kind.encode() or not words[1].isdigit():
        raise Refused("bad-line", f"expected the archive of {kind}")
    left = int(words[1])
    if left > MAX_PACKED:
        raise Refused("broken-archive", f"the archive of {kind} is too large")
    inflate = zlib.decompressobj(wbits=31)
    tar = bytearray()
    while left:
        signal.alarm(PATIENCE)
        data = source.read1(min(left, 65536))
        if not data:
            raise Refused("cut", f"the archive of {kind} ended too soon")
        left -= len(data)
        try:
            tar += inflate.decompress(data, MAX_UNPACKED - len(tar) + 1)
        except zlib.error as error:
            raise Refused("broken-archive", f"the archive of {kind}: {error}") from error
        if len(tar) > MAX_UNPACKED:
            raise Refused("broken-archive", f"the archive of {kind} is too large")
    signal.alarm(0)
    if hashlib.sha256(tar).hexdigest() != digest:
        raise Refused("broken-archive", f"the archive of {kind} is not what its digest says")
    return bytes(tar)


def _unpack(tar: bytes, folder: Path) -> None:
    """Write the files of an archive below `folder`; only plain files with plain names pass."""
    folder.mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        for count, member in enumerate(archive):
            parts = PurePosixPath(member.name).parts
            plain = member.isreg() and parts and member.name == "/".join(parts)
            if not plain or ".." in parts or count >= MAX_FILES or parts == (COMPLETE,):
                raise Refused("broken-archive", f"an archive must not hold {member.name!r}")
            source = archive.extractfile(member)
            assert source is not None
            write(folder.joinpath(*parts), source.read())


# Speaking.


def _say(*words: str) -> None:
    line = " ".join(words).replace("\n", " ")
    with suppress(OSError):
        os.write(1, b"\0macgpu-" + line.encode("utf-8", "replace") + b"\n")


def _explained(error: OSError, state: Path) -> tuple[str, str]:
    """Return the word for what the system refused, and what is known of it."""
    path = error.filename or state
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk-full", f"{_free(state) / 2**20:,.1f} MiB are free at {state}"
    if error.errno == errno.EROFS:
        return "read-only", str(path)
    if error.errno == errno.EPERM and sys.platform == "darwin":
        return "mac-privacy", str(path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no-permission", str(path)
    return "failed", f"{error.strerror}: {path}"


def _free(state: Path) -> int:
    for path in (state, *state.parents):
        with suppress(OSError):
            return shutil.disk_usage(path).free
    return 0


if __name__ == "__main__":
    main(sys.argv[1:])
