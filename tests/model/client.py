"""The notebook's side of the model: the real `Execution` on a thread that moves when it may."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from jupyter_macgpu.execution import Execution, LetGo, Outcome, Submission
from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.interrupts import Interrupts
from jupyter_macgpu.link import Link
from jupyter_macgpu.session import Session
from jupyter_macgpu.waiting import Request, Waiting
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.errors import MacGPUError, TransportError
from tests.model.network import Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.model.world import World

HOST = Host(name="model", hostname="model")


class Stopped(BaseException):
    """The model is over: a client that is still waiting goes home."""


class Turns:
    """A thread that runs only while the model waits for it, so that each history repeats."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.done = False
        self._stopping = False
        self._ours, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._live, args=(work,), daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Let the thread go on until it pauses or ends."""
        if not self.done:
            self._theirs.release()
            self._ours.acquire()

    def pause(self) -> None:
        """On the thread: let the model go on."""
        self._ours.release()
        self._theirs.acquire()
        if self._stopping:
            raise Stopped

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self.run()
        self._thread.join(60.0)
        assert not self._thread.is_alive()

    def _live(self, work: Callable[[], None]) -> None:
        self._theirs.acquire()
        try:
            if not self._stopping:
                work()
        except Stopped:
            pass
        finally:
            self.done = True
            self._ours.release()


class ModelChannel:
    """A client's end of a line. It pauses where a real one would wait."""

    def __init__(self, turns: Turns, line: Line) -> None:
        self._turns, self._line = turns, line

    def send(self, data: bytes | memoryview) -> None:
        self._line.send(data)

    def receive(self, timeout: float) -> bytes | None:
        data = self._line.take()
        if data is None:
            self._turns.pause()
            data = self._line.take()
        return data

    def close(self) -> None:
        self._line.close()


def dial(world: World, turns: Turns) -> tuple[Line, ModelChannel]:
    """Open a line to the host for a kernel.

    Raises
    ------
    TransportError
        If it cannot be reached, or its supervisor dies at once.
    """
    if not world.reachable or not world.ensure_server():
        raise TransportError("The host cannot be reached.")
    line = world.connect()
    return line, ModelChannel(turns, line)


class OnTurns:
    """A kernel on a thread that moves when it may."""

    world: World
    turns: Turns

    @property
    def done(self) -> bool:
        return self.turns.done

    def sleep(self, seconds: float) -> None:
        """Wait on the model's clock."""
        until = self.world.now + seconds
        while self.world.now < until:
            self.turns.pause()


class Client(OnTurns):
    """One kernel that runs a cell, or attaches to one. It is its own transport, clock and screen.

    Attributes
    ----------
    shown
        What was shown: ``(stream name, byte)`` for each byte, ``number`` for each display,
        ``None`` for a declared gap.
    error
        How it failed, if it did.
    """

    name = "model"

    def __init__(
        self,
        world: World,
        run: str,
        submission: Submission | None,
        notebook: str,
        reserves: bool = False,
    ) -> None:
        self.world = world
        self.run = run
        self.submission = submission
        self.reserves = reserves
        self.shown: list[Any] = []
        self.epochs: list[tuple[int, int]] = []
        self.boot = self.line_boot = world.boots
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.let_go = False
        self.line: Line | None = None
        self.interrupts = Interrupts()
        self.link = Link(self, client=f"kernel-{notebook}", notebook=notebook)
        self.execution = Execution(self.link, run, self, self.interrupts, submission)
        self.turns = Turns(self._drive)

    def _drive(self) -> None:
        try:
            if self.reserves:
                self._wait()
            self.outcome = self.execution.drive()
        except LetGo:
            self.let_go = True
        except MacGPUError as error:
            self.error = error
        except Exception as error:
            self.error = error
            self.world.crashes.append(error)

    def _wait(self) -> None:
        """Reserve a slot before anything is sent, as a cell does that may run on several hosts."""
        assert self.submission is not None
        message = self.submission.message
        session = Session(host=HOST, link=self.link, session=message.session)
        limit = message.options.get("wait")
        request = Request(run=self.run, origin=message.origin, options=message.options, limit=limit)
        waiting = Waiting(request, lambda _waits, _refused: ([], []), self, self.interrupts)
        for _ in range(3):
            self.link.connect()
            if waiting.first([session]) is not None:
                break

    # As transport.

    def open(self) -> ModelChannel:
        self.line, channel = dial(self.world, self.turns)
        self.line_boot = self.world.boots
        return channel

    # As screen.

    def output(self, output: m.Output) -> None:
        if output.what == "stream":
            name = output.content["name"]
            self.shown += [(name, byte) for buffer in output.buffers for byte in bytes(buffer)]
        elif output.what == "display_data":
            self.shown.append(output.content["number"])
        elif output.what == "gap":
            self.shown.append(None)
        else:
            raise AssertionError(output.what)

    def state(self, state: m.RunState) -> None:
        self.epochs.append((self.line_boot, state.epoch))

    def notice(self, text: str) -> None:
        self.world.notices.append(text)

    def ask(self, prompt: str, password: bool) -> str:
        return "answer"
