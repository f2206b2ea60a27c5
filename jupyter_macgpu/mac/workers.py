"""Worker processes: started, spoken to, interrupted, ended, taken over.

Runs on the Mac. Only Python and `wire` may be imported here.

A worker listens on a socket in its own folder and is spoken to alike by the supervisor that started
it and by a later one. It creates its own output pipes and hands their read ends to whoever
connects, so no death of a supervisor makes it write into nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from ..wire.connection import Connection
from . import build, handover, interrupting, store, stragglers
from .endings import how_ended
from .endpoint import Endpoint
from .merge import PIPES, Merger

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable, Iterable

#: Seconds from the request to leave to SIGTERM's successor.
PATIENCE = 5.0
#: Seconds that a worker may take until it listens.
START = 60.0
#: Events that a worker keeps at most before it is told that they are written.
NOTED_EVERY = 64
#: Bytes taken from one pipe before they are written down: with two pipes, half of what a
#: supervisor that dies may take with it (`supervisor.GAP`).
_CHUNK = 32 * 1024


class Worker:
    """One worker process, as its supervisor sees it.

    Parameters
    ----------
    place
        The store.
    session
        The session whose cells it runs.
    cwd
        Name of the folder that they run in.
    selector
        The loop's.
    happened
        Called with the worker whenever something may have changed.
    """

    def __init__(
        self,
        place: store.Store,
        session: str,
        cwd: str,
        selector: selectors.BaseSelector,
        happened: Callable[[Worker], None],
    ) -> None:
        self.session = session
        self.folder = place.worker(session)
        self.cwd = place.folder(cwd)
        self.pid = 0
        self.start = ""
        self.hello: m.Hello | None = None
        self.endpoint: Endpoint | None = None
        self.merger: Merger | None = None
        self.noted = self._told = 0
        self.how: dict[str, Any] | None = None
        self.deadline = 0.0
        self.next_signal: signal.Signals | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._selector = selector
        self._happened = happened
        self._link: socket.socket | None = None
        self._pipes: dict[str, int] = {}
        self._held = True
        self._handed: dict[str, Any] | None = None

    # Getting one.

    def spawn(self, environment: dict[str, Any], now: float) -> None:
        """Start the process; it is reached by `reach` when it listens.

        Raises
        ------
        OSError
            If it cannot be started.
        """
        store.private(self.folder)
        store.private(self.cwd)
        for name in ("socket", "worker.json", "process", "interrupt", handover.FILE):
            (self.folder / name).unlink(missing_ok=True)
        log = os.open(
            self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        start, go = os.pipe()
        try:
            self._process = self._popen(environment, start, log)
            self.pid = self._process.pid
            self.start = store.process_start(self.pid)
            identity = {"pid": self.pid, "start": self.start}
            (self.folder / "process").write_text(json.dumps(identity))
            os.write(go, b"g")
            interrupting.make_spare(self.folder)
        finally:
            for fd in (log, start, go):
                os.close(fd)
        self.deadline = now + START

    def _popen(self, environment: dict[str, Any], stdin: int, log: int) -> subprocess.Popen[bytes]:
        words = ["--dir", str(self.folder), "--session", self.session]
        python = environment.get("python") or sys.executable
        packages = store.packages(environment.get("packages") or "")
        return subprocess.Popen(
            [python, "-P", "-c", build.bootstrap(packages), *words],
            stdin=stdin,
            stdout=log,
            stderr=log,
            cwd=self.cwd,
            env={**os.environ, stragglers.VARIABLE: str(self.folder)},
            start_new_session=True,
        )

    def adopt(self, now: float) -> bool:
        """Find the living process of an earlier supervisor; return whether there is one.

        One that does not listen yet is ended: nothing was asked of it. What a supervisor that
        retired had read and not written down is taken over.
        """
        self._handed = handover.take(self.folder)
        if self._handed is not None:
            self.noted = max(self.noted, int(self._handed["noted"]))
        try:
            known = json.loads((self.folder / "process").read_text())
            self.pid, self.start = int(known["pid"]), str(known["start"])
        except (OSError, ValueError, KeyError):
            return False
        if self.start == "" or store.process_start(self.pid) != self.start:
            return False
        if not self.reach():
            self.signal(signal.SIGKILL)
            return False
        self.deadline = now + START
        return True

    def reach(self) -> bool:
        """Connect to the worker's socket if it listens; return whether it does."""
        link = None
        try:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with store.bindable(self.folder / "socket") as path:
                link.connect(path)
        except OSError:
            if link is not None:
                link.close()
            return False
        self._link = link
        self._selector.register(link, 1, self._receive_pipes)
        return True

    @property
    def handed(self) -> bool:
        """Whether the earlier supervisor handed this worker on, so that nothing is missing."""
        return self._handed is not None

    def hand_on(self) -> None:
        """Leave to the next supervisor what was read and not yet written down. Read no more."""
        if self.merger is not None:
            self._handed = {"pid": self.pid, "start": self.start, **self.merger.state()}
        if self._handed is not None:
            self.hold(True)
            # Where the disk does not take it, the next one declares a gap.
            with contextlib.suppress(OSError):
                handover.leave(self.folder, {**self._handed, "noted": self.noted})

    @property
    def reached(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None or self.endpoint is not None

    def _receive_pipes(self, _events: int) -> None:
        assert self._link is not None
        link, self._link = self._link, None
        self._selector.unregister(link)
        fds: list[int] = []
        with contextlib.suppress(OSError):  # it may die in the middle of this
            _data, fds, _flags, _address = socket.recv_fds(link, 1, len(PIPES))
        if len(fds) != len(PIPES):
            for fd in (*fds, link.detach()):
                os.close(fd)
            return
        for name, fd in zip(PIPES, fds, strict=True):
            os.set_blocking(fd, False)
            os.set_inheritable(fd, False)
            self._pipes[name] = fd
        fd = link.detach()
        connection = Connection("supervisor", "worker")
        self.endpoint = Endpoint(self._selector, fd, fd, connection, self._changed)
        self._told = self.noted
        self.endpoint.send(m.Hello(role="supervisor", detail={"noted": self.noted}))
        self.endpoint.flush()

    def opened(self, hello: m.Hello, salvage: int) -> None:
        """Begin to read the output, after the worker's hello."""
        self.hello = hello
        nonce = str(hello.detail.get("nonce", ""))
        if self._handed is not None:
            self.merger = Merger.restored(nonce, self._handed)
        else:
            self.merger = Merger(nonce, salvage)
        self.hold(False)

    # Speaking.

    def send(self, message: m.Message) -> None:
        """Say something to the worker."""
        if self.endpoint is not None:
            self.endpoint.send(message)

    def flush(self) -> None:
        """Write what the worker takes now."""
        if self.endpoint is not None:
            self.endpoint.flush()

    def note(self, mark: int) -> None:
        """Remember that an event is in the journal; the worker is told now and then."""
        self.noted = mark
        if mark - self._told >= NOTED_EVERY:
            self.tell_noted()

    def tell_noted(self) -> None:
        """Tell the worker what is in the journal, so that it need not keep it."""
        if self.noted > self._told and self.hello is not None:
            self._told = self.noted
            self.send(m.Noted(mark=self.noted))

    def interrupt(self, run: str, epoch: int) -> None:
        """Raise KeyboardInterrupt in `run`, if that is what the worker is in.

        A disk that does not take its name leaves the run as it is; it can still be ended.
        """
        if interrupting.name(self.folder, run, epoch):
            self.signal(signal.SIGINT)

    def end(self, now: float, polite: bool) -> None:
        """Ask the worker to leave, or make it; after `PATIENCE` the group is killed."""
        if polite:
            self.send(m.Goodbye(reason="the supervisor ends this worker"))
            if self.endpoint is not None:
                self.endpoint.flush()
        else:
            self.signal(signal.SIGTERM)
        self.next_signal = signal.SIGKILL
        self.deadline = now + PATIENCE

    def destroy(self) -> None:
        """Kill the worker and all that it started, at once."""
        self.signal(signal.SIGKILL)
        stragglers.reap(self.folder)

    def signal(self, number: int) -> None:
        """Send a signal to the worker's process group, if it is still that process."""
        if self.how is None and self.pid and store.process_start(self.pid) == self.start:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    # Reading.

    def go_on(self) -> None:
        """Read again what the worker writes, if it was held; see to what came meanwhile."""
        if self.merger is not None:
            self.hold(False)
            self._changed()

    def hold(self, held: bool) -> None:
        """Stop or go on reading what the worker writes, so that it waits."""
        self._held = held
        self.watch()

    def watch(self) -> None:
        """Wait for the pipes that are to be read now, and for no other."""
        for name, fd in self._pipes.items():
            registered = fd in self._selector.get_map()
            wanted = not self._held and not self._waits(name)
            if registered and not wanted:
                self._selector.unregister(fd)
            elif wanted and not registered:
                self._selector.register(fd, 1, lambda _events: self._changed())

    def read(self, *, everything: bool = False) -> bool:
        """Take a piece from each pipe; return whether there may be more.

        A pipe that waits for the other one is left alone, unless `everything` is wanted.
        """
        more = False
        if self.merger is None:
            return more
        for name, fd in list(self._pipes.items()):
            if self._waits(name) and not everything:
                continue
            try:
                data = os.read(fd, _CHUNK)
            except BlockingIOError:
                continue
            if not data:
                self._close_pipe(name)
            self.merger.feed(name, data)
            more = more or len(data) == _CHUNK
        return more

    def _waits(self, name: str) -> bool:
        both = len(self._pipes) == len(PIPES)
        return both and self.merger is not None and self.merger.waits(name)

    # The end.

    def check(self, now: float) -> bool:
        """Look whether the process lives; return False when it does not, with `how` set."""
        if self.how is not None:
            return False
        if self._process is not None:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid == 0:
                return self._escalate(now)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            self.how = how_ended(self._process.returncode, peak)
        elif store.process_start(self.pid) != self.start:
            self.how = {"what": "its worker ended; how is not known"}
        else:
            return self._escalate(now)
        self._reap()
        return False

    def close(self) -> None:
        """Close all descriptors."""
        for name in list(self._pipes):
            self._close_pipe(name)
        if self._link is not None:
            self._selector.unregister(self._link)
            self._link.close()
        if self.endpoint is not None:
            self.endpoint.close()

    def erase(self, others: Iterable[Worker], *, over: bool) -> None:
        """Delete the worker's folder, and the cells' if they left nothing there.

        Parameters
        ----------
        others
            The other workers: the cells' folder stays if one of them uses it.
        over
            Whether the session is over; else the folder stays too.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        if over and all(other.cwd != self.cwd for other in others):
            with contextlib.suppress(OSError):
                self.cwd.rmdir()

    def start_log(self) -> str:
        """Return the end of what the worker wrote before it could speak."""
        try:
            return (self.folder / "log").read_text(errors="replace")[-2000:]
        except OSError:
            return ""

    def _escalate(self, now: float) -> bool:
        if self.next_signal is not None and now > self.deadline:
            self.signal(self.next_signal)
        elif self.hello is None and now > self.deadline:
            self.signal(signal.SIGKILL)
        return True

    def _reap(self) -> None:
        """End what is left of the process group and beside it: its children are nobody's now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        stragglers.reap(self.folder)

    def _close_pipe(self, name: str) -> None:
        fd = self._pipes.pop(name)
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
        os.close(fd)

    def _changed(self) -> None:
        self._happened(self)
