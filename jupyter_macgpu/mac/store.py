"""Where things are kept on the host, and with which rights.

Runs on the Mac. Only Python and `wire` may be imported here.

Everything lives in one folder of the account, 0700, never in a temporary folder: macOS deletes
files there after three days. One store belongs to one machine (a home may be shared over NFS) and
one instance name.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longest path of a Unix socket that every system takes, in bytes (macOS: 104 with the end).
MAX_SOCKET_PATH = 100
#: Bytes that must be free on the disk beside a run's inputs.
ROOM = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of one supervisor.

    Parameters
    ----------
    root
        The folder; made, with its rights, by `prepare`.
    """

    root: Path

    @property
    def socket(self) -> Path:
        """Socket that the doors connect to."""
        return self.root / "socket"

    @property
    def lock(self) -> Path:
        """File that the living supervisor holds locked."""
        return self.root / "lock"

    def take_lock(self) -> int | None:
        """Return the lock file, open and locked; None if another supervisor lives."""
        lock = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def is_locked_by(self, lock: int) -> bool:
        """Say whether an open file is the store's lock file: not if the store was deleted.

        A disk that does not answer the question deleted nothing.
        """
        try:
            return os.path.samestat(self.lock.stat(), os.fstat(lock))
        except FileNotFoundError:
            return False
        except OSError:
            return True

    @property
    def log(self) -> Path:
        """The log of runs."""
        return self.root / "log"

    def journal(self, run: str) -> Path:
        """Return the file of a run's submission, output and end."""
        return self.root / "runs" / f"{run}.journal"

    @property
    def spare(self) -> Path:
        """An empty file that becomes the next run's journal."""
        return self.root / "runs" / "spare"

    def inputs(self, run: str) -> Path:
        """Return the file of a run's inputs that were too large for its journal."""
        return self.root / "runs" / f"{run}.inputs"

    def result(self, run: str) -> Path:
        """Return the file of a run's result that was too large for its journal."""
        return self.root / "runs" / f"{run}.result"

    def lent(self, run: str) -> Path:
        """Return the folder of a run's blobs, each by its digest; of ``""`` the one above."""
        return self.root / "blobs" / "runs" / run

    def kept(self, folder: str) -> Path:
        """Return the folder of the blobs that are kept for a notebook; of ``""`` the one above."""
        return self.root / "blobs" / "kept" / folder

    def settle(self, run: str) -> None:
        """Bring the files beside a run's journal to the disk, and the names of all of them."""
        lent = self.lent(run)
        blobs = [*lent.iterdir(), lent, lent.parent] if lent.exists() else []
        for path in (*blobs, self.root / "runs", self.inputs(run), self.result(run)):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                # A folder takes no F_FULLFSYNC; the log's own, which follows, empties the cache.
                os.fsync(fd)
            finally:
                os.close(fd)

    def worker(self, session: str) -> Path:
        """Return the folder of a session's worker: socket, identity, results."""
        return self.root / "workers" / session

    def folder(self, session: str) -> Path:
        """Return the working folder of a session's cells."""
        return self.root / "sessions" / session

    def stamp(self, session: str) -> Path:
        """Return the file whose age is that of the last use of a session's folder."""
        return self.root / "sessions" / f"{session}.stamp"

    def identity(self) -> str:
        """Return the store's own random id, made at its first use and read once by a process.

        A store that was deleted and made again is another one: what it does not know may
        have run all the same.
        """
        return _identity(self.root / "id")

    def full(self, size: int) -> str:
        """Return why there is no room for a run of that many bytes, or ``""``."""
        found = os.statvfs(self.root)
        free, needed = found.f_bavail * found.f_frsize, size + ROOM
        if free >= needed:
            return ""
        return (
            f"its disk has {free / 1e6:,.1f} MB left and the run needs {needed / 1e6:,.1f} MB: "
            f"make room at {self.root}, for example by macgpu rm RUN"
        )

    def prepare(self) -> None:
        """Make the folders.

        Raises
        ------
        PermissionError
            If one of them exists and is not ours alone.
        """
        names = ("runs", "workers", "sessions", "blobs", "blobs/runs", "blobs/kept")
        for path in (self.root, *(self.root / name for name in names)):
            private(path)

    def sweep(self) -> None:
        """Delete the halves of uploads that an earlier supervisor left."""
        for path in (self.root / "runs").iterdir():
            if path.suffix not in ("", ".journal", ".inputs", ".result"):
                path.unlink(missing_ok=True)
        for path in (self.root / "sessions").iterdir():
            if path.suffix not in ("", ".stamp", ".gone"):
                path.unlink(missing_ok=True)


@cache
def _identity(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        path.write_text(os.urandom(8).hex())
        return path.read_text()


def default_root() -> Path:
    """Return the store of this account, machine and instance.

    ``MACGPU_STATE`` names another state folder, ``MACGPU_INSTANCE`` another instance.
    """
    return state_folder() / machine_id() / os.environ.get("MACGPU_INSTANCE", "main")


def state_folder() -> Path:
    """Return the folder that all our state is kept in."""
    if "MACGPU_STATE" in os.environ:
        return Path(os.environ["MACGPU_STATE"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "macgpu"
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "macgpu"


def packages(digest: str) -> str:
    """Return the folder of the packages of a digest, or the empty text where there is none.

    Raises
    ------
    OSError
        If it is no digest.
    """
    if not all(sign in "0123456789abcdef" for sign in digest):
        raise OSError("packages are named by a digest")
    return str(state_folder() / "packages" / digest) if digest else ""


def private(path: Path) -> None:
    """Make a folder that is ours alone, as tmux does for its sockets.

    Raises
    ------
    PermissionError
        If it is a link, not ours, or open to others.
    """
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise PermissionError(f"{path} must be a folder of yours with mode 0700")


def machine_id() -> str:
    """Return a name for this machine that outlives its host name."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text:
            return text[:32]
    return _sysctl("kern.uuid") or socket.gethostname().replace("/", "-")


def boot_id() -> str:
    """Return a name for this boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _sysctl("kern.bootsessionuuid") or "unknown"


def os_build() -> str:
    """Return which build of its system this machine runs."""
    return _sysctl("kern.osversion") or os.uname().release


def process_start(pid: int) -> str:
    """Return when a process started, as a text that no later process of that id shares.

    On Linux it is in clock ticks since the boot, on macOS in microseconds since 1970. Empty
    if there is no such process, or it has ended and was not waited for.
    """
    if sys.platform == "darwin":
        return _process_start_darwin(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    # The second field is the name, which may hold blanks and brackets: count behind it.
    fields = text.rpartition(b")")[2].split()
    return "" if fields[0] == b"Z" else fields[19].decode()


@contextmanager
def bindable(path: Path) -> Iterator[str]:
    """Give a name for a socket's path that fits the system's limit.

    Where the path is too long, the name is relative to its folder, which is the working
    folder meanwhile.
    """
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        yield str(path)
        return
    back = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.chdir(path.parent)
        yield path.name
    finally:
        os.fchdir(back)
        os.close(back)


def listen(path: Path, backlog: int) -> socket.socket:
    """Return a socket that listens as `path`, in a folder that is ours alone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    with bindable(path) as name:
        listener.bind(name)
    path.chmod(0o600)
    listener.listen(backlog)
    return listener


def sync(fd: int) -> None:
    """Bring a file to the disk; on macOS past the disk's own cache (F_FULLFSYNC)."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def _sysctl(name: str) -> str:
    if sys.platform == "darwin":
        import ctypes  # here alone: a door is in a hurry

        size = ctypes.c_size_t(64)
        value = ctypes.create_string_buffer(64)
        libc = ctypes.CDLL(None)
        if libc.sysctlbyname(name.encode(), value, ctypes.byref(size), None, 0) == 0:
            return value.value.decode("ascii", "replace")
    return ""


def _process_start_darwin(pid: int) -> str:
    import ctypes
    import struct

    control_kernel, kernel_process, by_pid = 1, 14, 1
    query = (ctypes.c_int * 4)(control_kernel, kernel_process, by_pid, pid)
    answer = ctypes.create_string_buffer(1024)
    size = ctypes.c_size_t(len(answer))
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.sysctl(query, 4, answer, ctypes.byref(size), None, ctypes.c_size_t(0))
    if failed or not size.value:
        return ""
    # struct kinfo_proc begins with the start time: struct timeval, 64 and 32 bits.
    seconds, microseconds = struct.unpack_from("=qi", answer)
    return str(seconds * 1_000_000 + microseconds)
