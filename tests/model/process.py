"""A worker process without the process: the real link, real pipes and marks, and no IPython."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_macgpu.mac import store
from jupyter_macgpu.mac.worker.gate import Gate
from jupyter_macgpu.mac.worker.link import Link
from jupyter_macgpu.mac.workers import START, Worker
from jupyter_macgpu.wire import bundle
from jupyter_macgpu.wire import messages as m

if TYPE_CHECKING:
    from jupyter_macgpu.wire.connection import Connection
    from tests.model.world import World

NAMES = ("stdout", "stderr")


class Process:
    """What a worker does, one step at a time.

    Attributes
    ----------
    run
        The run that is in it, or the empty text.
    stubborn
        Whether its cells catch KeyboardInterrupt and go on.
    """

    def __init__(self, world: World, session: str, folder: Path) -> None:
        self.world = world
        self.session = session
        self.alive = self.listening = True
        self.stubborn = False
        self.nonce = f"nonce-{world.number()}"
        self.link = Link(Gate(folder / "interrupt").shield, {"nonce": self.nonce})
        self._pipes = [os.pipe(), os.pipe()]
        for _read, write in self._pipes:
            os.set_blocking(write, False)
        self._mark = 0
        self._current = ""
        self._greeting: tuple[socket.socket, Connection] | None = None

    @property
    def run(self) -> str:
        return self.link.run

    def accept(self, sock: socket.socket) -> None:
        """Let a supervisor in, as the doorman does; the newest one wins."""
        if self._greeting is not None:
            self._greeting[0].close()
        socket.send_fds(sock, [b"\x00"], [read for read, _ in self._pipes])
        self._greeting = (sock, self.link.greet(sock))

    def step(self) -> None:
        """Do what came: take a supervisor, take a run, leave."""
        self._greet()
        self.link.pump()
        for sock in self.link.retired():
            sock.close()
        while self.alive and not self.run and self.link.inbox:
            message = self.link.take()
            if isinstance(message, m.Execute):
                self.world.executed(message)
                self._current = ""
            elif isinstance(message, m.Goodbye):
                self.die()
        if self.alive:
            self.link.flush(wait=False)

    def _greet(self) -> None:
        if self._greeting is None:
            return
        sock, connection = self._greeting
        try:
            data = sock.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            sock.close()
            self._greeting = None
            return
        connection.receive(data)
        hello = connection.next()
        if isinstance(hello, m.Hello):
            self._greeting = None
            self.link.adopt(sock, connection, int(hello.detail["noted"]))

    # The cell.

    def write(self, name: str, data: bytes) -> None:
        """Print; a change of the stream is marked first, as the outlet does."""
        if self._current not in ("", name):
            self._write_marks(b"s")
        self._current = name
        os.write(self._pipes[NAMES.index(name)][1], data)
        self.world.wrote(self.run, name, data)

    def tell(self, what: str, content: dict[str, Any], **more: Any) -> None:
        """Tell an event in its place."""
        number = self._mark + 1
        event = m.Event(run=self.run, mark=number, what=what, content=content, **more)
        self.link.put(event)
        self._write_marks(b"e")
        self.link.flush(wait=False)

    def display(self) -> None:
        """Show something that is no stream."""
        number = self.world.number()
        self.world.told(self.run, number)
        self.tell("display_data", {"number": number})

    def finish(self, ename: str = "") -> None:
        """End the cell."""
        run = self.run
        content = {"status": "error", "error": {"ename": ename}} if ename else {"status": "ok"}
        pieces = bundle.pack([f"result of {run}".encode()])
        whole = b"".join(pieces)
        digest = bundle.digest_of(pieces)
        self.world.finished(run)
        self.tell("finished", content, size=len(whole), result=digest, buffers=(whole,))
        self.link.run = ""

    def signal(self, number: int) -> None:
        """Be sent a signal by the supervisor."""
        if number == signal.SIGINT:
            if self.alive and self.run and not self.stubborn:
                self.finish("KeyboardInterrupt")
        else:
            self.die()

    def die(self) -> None:
        """End without a word."""
        if not self.alive:
            return
        self.alive = False
        if self._greeting is not None:
            self._greeting[0].close()
        if self.link.supervisor is not None:
            self.link.supervisor.close()
        for sock in self.link.retired():
            sock.close()
        for ends in self._pipes:
            for fd in ends:
                os.close(fd)

    def _write_marks(self, flag: bytes) -> None:
        self._mark += 1
        for _read, write in self._pipes:
            os.write(write, b"\x1b]macgpu;%s;%d;%s\x07" % (self.nonce.encode(), self._mark, flag))


class ModelWorker(Worker):
    """The supervisor's real view of a worker, over a `Process` of the model."""

    world: World
    process: Process

    def spawn(self, environment: dict[str, Any], now: float) -> None:
        store.private(self.folder)
        self.process = Process(self.world, self.session, self.folder)
        self.world.processes[self.session] = self.process
        self.pid, self.start, self.deadline = 1, "model", now + START

    def adopt(self, now: float) -> bool:
        self.deadline = now + START
        found = self.world.processes.get(self.session)
        if found is not None:
            self.process = found
        return found is not None and self.reach()

    def reach(self) -> bool:
        if not self.process.alive:
            return False
        self._link, theirs = socket.socketpair()
        self._selector.register(self._link, 1, self._receive_pipes)
        self.process.accept(theirs)
        return True

    def signal(self, number: int) -> None:
        if self.how is None:
            self.process.signal(number)

    def check(self, now: float) -> bool:
        if self.how is None and self.process.alive:
            return self._escalate(now)
        self.how = self.how or {"what": "its worker was ended"}
        return False
