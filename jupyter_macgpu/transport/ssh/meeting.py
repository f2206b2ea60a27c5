"""Where the processes of one account meet that go the same way, so that one connection will do.

A Mac takes 42 SSH sessions in all, and a notebook's user has several processes: kernels, a server,
a command line. Whoever has a connection listens on a Unix socket here, and lends channels (see
`guests`); whoever needs one asks there first. Ours is the folder, 0700, and who is at the other end
is asked of the system, on both sides.

The socket's name is a digest of all that decides which machine is reached, as whom, and whose word
about its key counts. So what a guest is lent was checked as its own connection would have been.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import random
import socket
import stat
import struct
import sys
import tempfile
import time
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..deploy import door_command
from ..sockets import SocketChannel
from .login import agent_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .route import Route

#: What an owner says: that it lives and has room; that a channel is open.
HERE, OPENED = b"h", b"o"
#: Seconds that an owner may take to say the first. It may be stopped, or hold its interpreter.
HANDSHAKE = 1.0
#: Seconds that it may take to open a channel: two round trips over a connection that is well.
OPENING = 3.0
#: Longest path of a Unix socket that every system takes, in bytes (macOS: 104 with the end).
_MAX_PATH = 100
#: Bytes on the way between guest and owner; macOS would have room for 8 KiB.
_ROOM = 256 * 1024
_WAITING = 64

#: Which owner it is: inode of its socket, and when that was made.
Owner = tuple[int, int]

_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def adopt(link: socket.socket) -> socket.socket:
    """Return a socket that no forked child keeps open: it would hide the end of its owner."""
    _sockets.add(link)
    return link


def _let_go() -> None:
    for link in list(_sockets):
        link.close()


os.register_at_fork(after_in_child=_let_go)


@dataclass(slots=True, kw_only=True)
class Entrance:
    """How a process goes on.

    Attributes
    ----------
    channel
        On another's connection; None if we make our own.
    owner
        Whose it is.
    ours
        Whether others wait for our connection: `Meeting.listen` is to be called.
    """

    channel: SocketChannel | None = None
    owner: Owner | None = None
    ours: bool = False


@dataclass(slots=True)
class Meeting:
    """The meeting place of one way.

    Parameters
    ----------
    folder
        Of all such places; made if need be.
    route
        The way.
    avoided
        Owners that are not asked.
    """

    folder: Path
    route: Route
    avoided: set[Owner | None] = field(default_factory=set)

    @contextlib.contextmanager
    def enter(self, patience: float) -> Iterator[Entrance]:
        """Ask for a channel. Within the context, nobody else who comes here connects.

        Parameters
        ----------
        patience
            Seconds for which others' connecting is waited for; then everybody goes alone.
        """
        entrance = Entrance()
        deadline = time.monotonic() + patience
        lock = self._lock_file()
        if lock < 0:
            yield entrance
            return
        try:
            while not self._visit(entrance) and not entrance.ours and time.monotonic() < deadline:
                entrance.ours = _locked(lock)
                if not entrance.ours:
                    time.sleep(random.uniform(0.01, 0.05))
            yield entrance
        finally:
            # Not closing alone: a child forked meanwhile holds the same lock.
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def listen(self) -> socket.socket | None:
        """Return a socket at which the next ones who come will ask us; None if there can be none.

        Whoever listened here before is not asked any more. To be called within `enter`.
        """
        link = adopt(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        path = self.path(".next")
        try:
            path.unlink(missing_ok=True)
            with _in_reach(path) as name:
                link.bind(name)
            path.chmod(0o600)
            link.listen(_WAITING)
            path.replace(self.path(".sock"))
        except OSError:
            link.close()
            return None
        return link

    def path(self, ending: str) -> Path:
        """Return a file of this place: ``.sock`` where guests ask, ``.lock``, and ``.next``."""
        # Homes may be shared over NFS, and the door's program differs between versions.
        asked = [os.uname().nodename, door_command(), _decisive(self.route)]
        return self.folder / (hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:24] + ending)

    def _visit(self, entrance: Entrance) -> bool:
        """Ask whoever listens; say whether there is a channel now."""
        path = self.path(".sock")
        link = adopt(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        owner = None
        try:
            info = path.lstat()
            owner = info.st_ino, info.st_mtime_ns
            if owner not in self.avoided and _granted(link, path):
                entrance.channel, entrance.owner = SocketChannel(link, self.route.name), owner
                return True
        except OSError:  # nobody there, or no answer in time
            pass
        except BaseException:
            link.close()
            raise
        self.avoided.add(owner)
        link.close()
        return False

    def _lock_file(self) -> int:
        try:
            _private(self.folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(self.path(".lock"), flags, 0o600)
        except OSError:
            return -1


def same_account(link: socket.socket) -> bool:
    """Say whether a process of our own account is at the other end of a Unix socket."""
    if sys.platform == "darwin":
        # LOCAL_PEERCRED of SOL_LOCAL; struct xucred (sys/ucred.h) begins with version and user.
        user = struct.unpack_from("=II", link.getsockopt(0, 1, 128))[1]
    else:
        answer = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        user = struct.unpack("=iII", answer)[1]
    return bool(user == os.getuid())


def widen(link: socket.socket) -> None:
    """Give a socket room for what is on the way."""
    for way in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        link.setsockopt(socket.SOL_SOCKET, way, _ROOM)


def _granted(link: socket.socket, path: Path) -> bool:
    link.settimeout(HANDSHAKE)
    widen(link)
    with _in_reach(path) as name:
        link.connect(name)
    if not same_account(link) or link.recv(1) != HERE:
        return False
    link.settimeout(OPENING)
    granted = link.recv(1) == OPENED
    link.settimeout(None)
    return granted


def _decisive(route: Route) -> list[Any]:
    """Return what two ways have in common that lead to the same login, checked in the same way."""
    return [
        route.user,
        route.address,
        route.port,
        repr(route.asked),
        route.pinned,
        route.identities,
        route.only_these,
        agent_place(route.agent),
        route.known_hosts,
        _decisive(route.through) if route.through is not None else None,
    ]


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _private(folder: Path) -> None:
    """Make a folder that is ours alone.

    Raises
    ------
    PermissionError
        If it is a link, not ours, or open to others.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise PermissionError(f"{folder} must be a folder of yours with mode 0700")


@contextlib.contextmanager
def _in_reach(path: Path) -> Iterator[str]:
    """Give a name for a socket's path that fits the system's limit.

    Where the path is too long, the name leads through a link in a private folder. To change the
    working folder instead would change it for the notebook's cells as well.
    """
    if len(os.fsencode(path)) <= _MAX_PATH:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="macgpu-") as folder:
        link = Path(folder) / "s"
        link.symlink_to(path.parent)
        yield str(link / path.name)
