"""The tickets of all accounts of a machine: files in a shared folder, alive while they are locked.

Runs on the Mac. Only Python and `wire` may be imported here.

No rights are needed and no process of its own: whoever waits has a file there, whose lock ends with
its supervisor. A ticket says kind of slot, memory and priority. Whose it is says the file's owner,
and since when the time at which the system last changed its entry, so that nobody can make up
either; names only decide between files of the same moment. What others write there is read as data
of a stranger: what is no ticket is not looked at twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pwd
import re
import secrets
import stat
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..wire.order import LEAST, MOST, Place
from . import mounts
from .turns import GRACE, Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .leases import Waiting

#: Names another folder, for tests and for hosts where nobody can make the usual one.
VARIABLE = "MACGPU_QUEUE"
#: Bytes; what is longer is no ticket.
SIZE_LIMIT = 256
#: Entries of the folder that are looked at, and tickets of one account that count.
ENTRIES, PER_ACCOUNT = 4096, 64
KINDS = ("gpu", "cpu")
#: Seconds after which a ticket that was never finished is deleted.
_UNFINISHED = 60.0
#: Seconds for which another account's look at the folder is waited for.
_TURN = 0.02
_NAME = re.compile(r"(?P<number>[0-9]{10})\.[0-9a-f]{16}\.(?P<state>waiting|held)")
_FRESH = re.compile(r"\.new-[0-9a-f]{16}")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_NUMBER = 10**10 - 1
_MOST_MEM = 1 << 60


def place() -> Path:
    """Return where this machine's tickets are, if an administrator has made that folder."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if sys.platform == "darwin":
        return Path("/Users/Shared/macgpu/queue")
    return Path("/var/lib/macgpu/queue")


def flaw(path: Path) -> str:
    """Return why a folder cannot be the queue of several accounts, or ``""``.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    """
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode):
        return f"{path} is no folder"
    if not info.st_mode & stat.S_IWOTH or not info.st_mode & stat.S_ISVTX:
        return f"{path} must be open to all and sticky: chmod 1777 {path}"
    above = path.parent.stat()
    if above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not above.st_mode & stat.S_ISVTX:
        return f"others could exchange {path}: chmod 755 {path.parent}"
    kind = mounts.kind_of(path)
    if mounts.is_network(kind):
        return f"{path} is on a network ({kind}), where a lock may not hold"
    return ""


@dataclass(slots=True)
class _Mine:
    """A ticket of ours: its open file, which holds the lock."""

    fd: int
    ticket: Ticket


class Folder:
    """The folder, open.

    Parameters
    ----------
    path
        The folder; `flaw` has nothing against it.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._mine: dict[str, _Mine] = {}
        self._seen: dict[str, tuple[int, Ticket | None]] = {}
        self._dead: dict[str, float] = {}
        self._names: dict[int, str] = {}

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to this folder."""
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self._fd))
        except OSError:
            return False

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        """Look and act with no other account in between; False if another one does not let go."""
        deadline = time.monotonic() + _TURN
        has_it = False
        while not has_it and time.monotonic() < deadline:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                has_it = True
            except BlockingIOError:
                time.sleep(0.001)
        try:
            yield has_it
        finally:
            if has_it:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def take(self, waiting: Waiting) -> str:
        """Make a ticket that waits, and return its name. Within a `turn`, like all that follows.

        Raises
        ------
        OSError
            If the folder does not take it.
        """
        return self._make(waiting, "waiting")

    def hold(self, waiting: Waiting) -> str:
        """Make a ticket for what has its slot already, and return its name; raises as `take`."""
        return self._make(waiting, "held")

    def promote(self, name: str) -> str:
        """Let a ticket of ours hold its slot; return its new name.

        Raises
        ------
        OSError
            If it is not there any more.
        """
        mine = self._mine[name]
        fresh = name.removesuffix("waiting") + "held"
        os.rename(name, fresh, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        # From now on it counts since when it holds.
        os.fchmod(mine.fd, 0o644)
        del self._mine[name]
        self._mine[fresh] = _Mine(mine.fd, replace(mine.ticket, name=fresh, is_held=True))
        return fresh

    def drop(self, name: str) -> None:
        """Take a ticket of ours away."""
        mine = self._mine.pop(name)
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._fd)
        os.close(mine.fd)

    def look(self) -> list[Ticket]:
        """Return all tickets, those of supervisors that are gone included.

        Raises
        ------
        OSError
            If the folder cannot be read, or is so full that no look would end.
        """
        entries = list(itertools.islice(self._entries(), ENTRIES + 1))
        if len(entries) > ENTRIES:
            raise OSError(f"{self.path} holds more than {ENTRIES} entries")
        names = {name for name, _ in entries}
        tickets = []
        for name, inode in entries:
            # Two names of one file are one ticket: the name that was seen first.
            first = self._names.get(inode, name)
            if first != name and first in names:
                continue
            self._names[inode] = name
            if (ticket := self._ticket(name, inode)) is not None:
                tickets.append(ticket)
        self._names = {inode: name for inode, name in self._names.items() if name in names}
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        self._dead = {name: since for name, since in self._dead.items() if name in names}
        return _bounded(tickets)

    def close(self) -> None:
        """Let go of the folder.

        Tickets that wait are taken away. Those that hold a slot are left to die: what has the slot
        may go on, and our successor makes it a ticket of its own (`turns.GRACE`).
        """
        for name, mine in list(self._mine.items()):
            if mine.ticket.is_held:
                os.close(mine.fd)
            else:
                self.drop(name)
        self._mine.clear()
        os.close(self._fd)

    def _make(self, waiting: Waiting, state: str) -> str:
        content = {"kind": waiting.kind, "mem": waiting.mem, "priority": waiting.priority}
        token = secrets.token_hex(8)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(f".new-{token}", flags, 0o600, dir_fd=self._fd)
        try:
            # Nobody finds it before it is locked.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            name = f"{self._next_number():010}.{token}.{state}"
            os.write(fd, json.dumps(content).encode())
            os.fchmod(fd, 0o644)
            os.rename(f".new-{token}", name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            ticket = _read(name, os.fstat(fd), json.dumps(content).encode())
            assert ticket is not None
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(f".new-{token}", dir_fd=self._fd)
            raise
        self._mine[name] = _Mine(fd, ticket)
        return name

    def _entries(self) -> Iterator[tuple[str, int]]:
        with os.scandir(self._fd) as entries:
            for entry in entries:
                yield entry.name, entry.inode()

    def _next_number(self) -> int:
        found = [_NAME.fullmatch(name) for name, _ in itertools.islice(self._entries(), ENTRIES)]
        most = max((int(match["number"]) for match in found if match), default=0)
        return min(most + 1, _MOST_NUMBER)

    def _ticket(self, name: str, inode: int) -> Ticket | None:
        """Return the ticket of one entry, or None: it is none, or cannot be read."""
        if (mine := self._mine.get(name)) is not None:
            return self._aged(mine.ticket, mine.fd)
        if _NAME.fullmatch(name) is None:
            self._sweep_unfinished(name)
            return None
        before, known = self._seen.get(name, (None, None))
        if before == inode and known is None:
            return None
        try:
            fd = os.open(name, _READ, dir_fd=self._fd)
        except OSError:
            return None
        try:
            return self._opened(name, fd, known if before == inode else None)
        except OSError:
            return None
        finally:
            os.close(fd)

    def _opened(self, name: str, fd: int, known: Ticket | None) -> Ticket | None:
        info = os.fstat(fd)
        if known is None:
            is_file = stat.S_ISREG(info.st_mode) and info.st_size <= SIZE_LIMIT
            known = _read(name, info, os.read(fd, SIZE_LIMIT)) if is_file else None
            self._seen[name] = (info.st_ino, known)
        if known is None:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            self._dead.pop(name, None)
            return self._aged(known, fd)
        self._sweep_dead(name)
        return replace(known, is_alive=False)

    def _aged(self, ticket: Ticket, fd: int) -> Ticket:
        since = os.fstat(fd).st_ctime if ticket.is_held else ticket.place.since
        return replace(ticket, age=max(0.0, time.time() - since))

    def _sweep_dead(self, name: str) -> None:
        """Delete what nobody waits with any more, if we may: in a sticky folder its owner may."""
        now, kept = time.monotonic(), 2 * GRACE if name.endswith("held") else 0.0
        if now - self._dead.setdefault(name, now) >= kept:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._fd)

    def _sweep_unfinished(self, name: str) -> None:
        if _FRESH.fullmatch(name) is None:
            return
        with contextlib.suppress(OSError):
            info = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            if info.st_uid == os.getuid() and time.time() - info.st_mtime > _UNFINISHED:
                os.unlink(name, dir_fd=self._fd)


def _read(name: str, info: os.stat_result, content: bytes) -> Ticket | None:
    """Return the ticket that a file is; None if it is none."""
    match = _NAME.fullmatch(name)
    try:
        said: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if match is None or not isinstance(said, dict) or said.get("kind") not in KINDS:
        return None
    return Ticket(
        name=name,
        account=info.st_uid,
        login=_login(info.st_uid),
        kind=said["kind"],
        mem=_whole(said.get("mem"), 0, _MOST_MEM),
        place=Place(
            since=min(info.st_ctime, time.time()),
            priority=_whole(said.get("priority"), LEAST, MOST),
            number=int(match["number"]),
            name=name,
        ),
        is_held=match["state"] == "held",
    )


def _whole(value: object, least: int, most: int) -> int:
    return min(max(value, least), most) if isinstance(value, int) else 0


def _login(account: int) -> str:
    try:
        return pwd.getpwuid(account).pw_name
    except KeyError:
        return f"user {account}"


def _bounded(tickets: list[Ticket]) -> list[Ticket]:
    """Leave out what is beyond the number of tickets that one account may have."""
    tickets.sort(key=lambda each: (not each.is_held, each.place.order))
    counts: Counter[int] = Counter()
    kept = []
    for ticket in tickets:
        counts[ticket.account] += ticket.is_alive
        if counts[ticket.account] <= PER_ACCOUNT:
            kept.append(ticket)
    return kept
