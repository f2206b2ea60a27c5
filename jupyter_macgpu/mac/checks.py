"""What the product stands on in an operating system, each thing tried once.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import memory, mounts, start, store, tickets
from .leases import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"
#: Seconds that a program of the system may take.
_PATIENCE = 10.0
#: Bytes that marks in the output need to arrive in one piece.
_MARK = 512
_MAC = sys.platform == "darwin"


class NotHereError(Exception):
    """Something cannot be tried on this machine: why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How one thing is.

    Attributes
    ----------
    name
        What was tried.
    state
        ``ok``, ``failed`` or ``unknown``.
    line
        One line for people.
    """

    name: str
    state: str
    line: str


def judge(name: str, look: Callable[[], str]) -> Check:
    """Try one thing: what `look` returns is the line, what it raises the reason."""
    try:
        return Check(name=name, state=OK, line=look())
    except NotHereError as reason:
        return Check(name=name, state=UNKNOWN, line=str(reason))
    except Exception as error:  # a failed check must not take the others with it
        line = str(error) or type(error).__name__
        return Check(name=name, state=FAILED, line=" ".join(line.split())[:300])


def checks(place: store.Store) -> list[Check]:
    """Try everything in `CHECKS`. Nothing is left behind."""
    with tempfile.TemporaryDirectory(dir=place.root) as folder:
        return [judge(name, partial(look, Path(folder))) for name, look in CHECKS.items()]


def said(*command: str) -> str:
    """Return what a program prints, without the ends' blanks.

    Raises
    ------
    NotHereError
        If it is not there.
    OSError
        If it fails, or takes too long.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise NotHereError(f"{command[0]} is not here") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"{command[0]} gave no answer in {_PATIENCE:.0f} s") from None
    text = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        problem = done.stderr.decode(errors="replace").strip() or text
        raise OSError(f"{command[0]} ended with {done.returncode}: {problem}")
    return text


def _full_sync(folder: Path) -> str:
    with (folder / "sync").open("wb") as file:
        file.write(b"x" * 4096)
        file.flush()
        began = time.perf_counter()
        store.sync(file.fileno())
        spent = (time.perf_counter() - began) * 1000
    return f"{'F_FULLFSYNC' if _MAC else 'fsync'} of 4 KiB in {spent:.2f} ms"


def _peer(folder: Path) -> str:
    # Not a pair made at once: macOS notes the peer when somebody connects.
    listener, theirs = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    with listener, theirs, store.bindable(folder / "peer") as name:
        listener.bind(name)
        listener.listen()
        theirs.connect(name)
        ours, _ = listener.accept()
        with ours:
            _expect(_peer_of(ours), (os.getuid(), os.getpid()))
    return "a socket's peer is named: its account and its process"


def _peer_of(link: socket.socket) -> tuple[int, int]:
    """Return the account and the process at a socket's other end."""
    if sys.platform == "darwin":
        # LOCAL_PEERCRED and LOCAL_PEERPID of SOL_LOCAL; struct xucred begins with version and user.
        _version, uid = struct.unpack_from("=II", link.getsockopt(0, 1, 76))
        (pid,) = struct.unpack("=i", link.getsockopt(0, 2, 4))
    elif sys.platform == "linux":
        answer = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, uid, _gid = struct.unpack("3i", answer)
    else:
        raise NotHereError("not known how on this system")
    return uid, pid


def _socket_path(folder: Path) -> str:
    longest = 0
    # In a folder with a short name, so that the path can be given any length.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        for size in range(90, 120):
            name = f"{short}/{'s' * size}"[:size]
            with socket.socket(socket.AF_UNIX) as listener, contextlib.suppress(OSError):
                listener.bind(name)
                longest = size
    deep = folder / ("d" * 100)
    deep.mkdir()
    with socket.socket(socket.AF_UNIX) as listener, store.bindable(deep / "s") as name:
        listener.bind(name)
    if longest < store.MAX_SOCKET_PATH:
        raise OSError(f"paths of {longest} bytes at most; {store.MAX_SOCKET_PATH} are counted on")
    return f"paths of up to {longest} bytes, longer ones from within their folder"


def _process_start(_folder: Path) -> str:
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        first, again = store.process_start(child.pid), store.process_start(child.pid)
    finally:
        child.kill()
        child.wait()
    if not first or first != again:
        raise OSError(f"a process's start is {first!r}, then {again!r}")
    if _MAC and abs(int(first) / 1e6 - time.time()) > 3600:
        raise OSError(f"a process that began now is said to have begun at {first}")
    _expect(store.process_start(child.pid), "")
    return "told, the same each time, and nothing for a process that ended"


def _descriptors(_folder: Path) -> str:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    read, write = os.pipe()
    with ours, theirs:
        socket.send_fds(ours, [b"d"], [write])
        _data, fds, _flags, _address = socket.recv_fds(theirs, 1, 1)
        theirs.send(b"k")
        ours.recv(1)
        os.close(write)
        os.write(fds[0], b"alive")
        os.close(fds[0])
    with open(read, "rb") as rest:  # noqa: PTH123 (a descriptor)
        _expect(rest.read(), b"alive")
    return "handed over, acknowledged, closed by the sender: works on"


def _caffeinate(_folder: Path) -> str:
    said("/usr/bin/caffeinate", "-i", "-t", "1")
    return "keeps the Mac awake for a second"


def _temporary(folder: Path) -> str:
    temporary = [Path(p).resolve() for p in (tempfile.gettempdir(), "/tmp", "/var/tmp")]
    root = folder.resolve()
    cleaner = [p for p in ("/usr/libexec/tmp_cleaner", "/etc/periodic/daily") if Path(p).exists()]
    if _MAC and any(root.is_relative_to(each) for each in temporary):
        raise OSError("the state lies in a folder for temporary files, which macOS empties")
    return f"the state lies elsewhere; who empties them: {', '.join(cleaner) or 'not known'}"


def _title(_folder: Path) -> str:
    words = said("/bin/ps", "-ww", "-o", "command=", "-p", str(os.getpid()))
    if "jupyter_macgpu" not in words:
        raise OSError(f"ps shows {words[:80]!r} for this process")
    return "ps shows a process's whole command line"


def _own_session(_folder: Path) -> str:
    code = "import os; print(os.getpid() == os.getsid(0) == os.getpgid(0))"
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        start_new_session=True,
        capture_output=True,
        timeout=_PATIENCE,
        check=True,
    )
    _expect(found.stdout.strip(), b"True")
    return "a child gets a session and a process group of its own"


def _limits(_folder: Path) -> str:
    before = said("/bin/sh", "-c", "ulimit -S -n")
    after, cores = said(
        "/bin/sh", "-c", start.PRELUDE, "sh", "/bin/sh", "-c", "echo $(ulimit -S -n) $(ulimit -c)"
    ).split()
    _expect(cores, "0")
    if after != "unlimited" and int(after) < 1024:
        raise OSError(f"{after} open files at most")
    return f"open files {before}, raised to {after}; no core dumps"


def _pipes(_folder: Path) -> str:
    read, write = os.pipe()
    whole = os.fpathconf(write, "PC_PIPE_BUF")
    os.close(read)
    os.close(write)
    if whole < _MARK:
        raise OSError(f"only {whole} bytes are written in one piece")
    return f"{whole} bytes are written in one piece"


def _private(folder: Path) -> str:
    mode = stat.S_IMODE(folder.parent.lstat().st_mode)
    _expect(oct(mode), oct(0o700))
    free = shutil.disk_usage(folder).free / 2**30
    return f"the state's folder is ours alone; {free:.1f} GiB are free there"


def _interpreter(_folder: Path) -> str:
    if _MAC and Path(sys.executable).resolve() == Path("/usr/bin/python3"):
        raise OSError("/usr/bin/python3 is a stand-in that may open a window on the Mac")
    if _MAC and said("/usr/sbin/sysctl", "-in", "sysctl.proc_translated") == "1":
        raise OSError("this Python is one for Intel, which sees no GPU: install one for arm64")
    return f"Python {platform.python_version()} for {platform.machine()}"


def _machine(_folder: Path) -> str:
    name = store.machine_id()
    _expect(name, store.machine_id())
    if store.boot_id() == "unknown":
        raise OSError("this start of the machine has no name")
    return "the machine and its start have names"


def _memory(_folder: Path) -> str:
    size, held = memory.footprint(os.getpid()), bytearray(64 << 20)
    for at in range(0, len(held), 4096):
        held[at] = 1
    grown = memory.footprint(os.getpid())
    if not size.now or grown.now - size.now < len(held) // 2 or grown.peak < grown.now // 2:
        raise OSError(f"64 MiB more are {grown.now - size.now} bytes by the system's count")
    level = memory.critical()
    if level is None and _MAC:
        raise OSError("kern.memorystatus_vm_pressure_level says nothing")
    known = {None: "not known", False: "not critical", True: "critical"}[level]
    return f"this process takes {grown.now / 1e6:.0f} MB; memory pressure {known}"


def _tickets(folder: Path) -> str:
    """Try what the queue of several accounts stands on, with two views of one folder."""
    queue = folder / "queue"
    queue.mkdir()
    queue.chmod(0o1777)
    if problem := tickets.flaw(queue):
        raise OSError(problem)
    ours, theirs = tickets.Folder(queue), tickets.Folder(queue)
    try:
        with ours.turn() as has_it, theirs.turn() as others:
            if not has_it or others:
                raise OSError("a folder cannot be locked, or by two at a time")
            name = ours.promote(ours.take(Waiting(run="r", session="s", kind="gpu")))
        if [(each.name, each.is_alive) for each in theirs.look()] != [(name, True)]:
            raise OSError("a ticket that is locked is not seen as alive")
        ours.drop(name)
        if theirs.look():
            raise OSError("a ticket that was dropped is still seen")
    finally:
        ours.close()
        theirs.close()
    there = "made" if tickets.place().is_dir() else "not made"
    return f"tickets work on {mounts.kind_of(queue) or 'this disk'}; {tickets.place()} is {there}"


CHECKS: Mapping[str, Callable[[Path], str]] = {
    "interpreter": _interpreter,
    "state folder": _private,
    "full sync": _full_sync,
    "socket peer": _peer,
    "socket path": _socket_path,
    "machine names": _machine,
    "process start": _process_start,
    "descriptors": _descriptors,
    "own session": _own_session,
    "limits": _limits,
    "pipes": _pipes,
    "caffeinate": _caffeinate,
    "temporary folders": _temporary,
    "process title": _title,
    "memory": _memory,
    "shared queue": _tickets,
}


def facts() -> Iterator[tuple[str, str]]:
    """Yield what this machine is, as names and texts; nothing that names person or machine."""
    yield "system", " ".join([platform.system(), platform.release(), platform.machine()])
    if not _MAC:
        yield "Mac", "not a Mac"
        return
    yield "macOS", f"{platform.mac_ver()[0]} ({_sysctl('kern.osversion')})"
    yield "chip", _sysctl("machdep.cpu.brand_string")
    yield "model", _sysctl("hw.model")
    memory = _sysctl("hw.memsize")
    yield "memory", f"{int(memory) / 2**30:.0f} GiB" if memory.isdigit() else memory
    yield "virtual", {"0": "no", "1": "yes"}.get(_sysctl("kern.hv_vmm_present"), "unknown")
    yield "wired limit", _sysctl("iogpu.wired_limit_mb")


def _sysctl(name: str) -> str:
    return judge(name, lambda: said("/usr/sbin/sysctl", "-in", name)).line


def _expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise OSError(f"found {found!r}, not {wanted!r}")
