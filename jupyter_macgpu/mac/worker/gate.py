"""When an interrupt may become KeyboardInterrupt: in the user's code of the run that it names.

The supervisor writes ``RUN EPOCH`` into the file `interrupt` of the worker's folder and then sends
SIGINT to the process group. The signal itself says nothing, and it may come late: so the handler
raises only if the file names the run that is in the gate.

Rule 1: nothing is raised outside of the user's code. The flag `armed` is set by plain stores around
it; CPython looks for signals at calls and backward jumps and never between such a store and the
statement behind it.

Rule 2: nothing is raised while `shield` is held: there the output's order and its bytes are changed
together. The interrupt is raised when the shield is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from pathlib import Path
    from types import FrameType


class Gate:
    """Lets interrupts through to the user's code.

    Everything but the handler is called on the main thread; `shield` on any.

    Parameters
    ----------
    note
        The file in which the supervisor names the run to be interrupted.

    Attributes
    ----------
    armed
        Whether the user's code is on the stack of the main thread.
    run
        The run that is in the gate, or the empty text.
    taken
        How many signals the handler has seen.
    """

    def __init__(self, note: Path) -> None:
        self.armed = False
        self.run = ""
        self.pending = False
        self.taken = 0
        self.suspended: Callable[[], None] | None = None
        self.depth = 0
        self.shield = Shield(self)
        self._note = str(note)
        self._main = threading.main_thread().ident
        self._pid = os.getpid()

    def begin(self, run: str) -> None:
        """Let a run in. An interrupt that came before it is pending from the start."""
        self.run = run
        self.pending = self._named() == run

    def end(self) -> None:
        """Let the run out; from now on interrupts of it are ignored."""
        self.run = ""
        self.armed = self.pending = False

    def take(self) -> bool:
        """Return whether an interrupt is pending, and take it."""
        pending, self.pending = self.pending, False
        return pending

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Handle SIGINT."""
        if os.getpid() != self._pid:
            signal.default_int_handler(signum, frame)
        self.taken += 1
        if not self.run or self._named() != self.run:
            return
        if self.armed and not self.depth:
            raise KeyboardInterrupt
        self.pending = True
        if self.suspended is not None:
            self.suspended()

    def on_main(self) -> bool:
        """Return whether this is the main thread, the only one that signals interrupt."""
        return threading.get_ident() == self._main

    def _named(self) -> str:
        # Asked before each run, and hardly ever there: an error costs ten times the question.
        if not os.access(self._note, os.F_OK):
            return ""
        try:
            with open(self._note) as note:  # noqa: PTH123 (a handler has no time for a `Path`)
                words = note.read().split()
        except (OSError, ValueError):
            return ""
        return words[0] if words else ""


class Shield:
    """A part of our own code that an interrupt must not cut in two."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __enter__(self) -> None:
        if self._gate.on_main():
            self._gate.depth += 1

    def __exit__(self, *exc: object) -> None:
        gate = self._gate
        if gate.on_main():
            gate.depth -= 1
            if gate.pending and gate.armed and not gate.depth:
                gate.pending = False
                raise KeyboardInterrupt


class Steps:
    """Awaits the user's coroutine so that it can be interrupted while it runs and while it waits.

    The gate is armed while the coroutine itself runs. While it waits, the loop is free and other
    code may be on the stack; then the task is cancelled, and what the coroutine sees at its
    ``await`` is KeyboardInterrupt.
    """

    def __init__(self, gate: Gate, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._gate = gate
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        gate, coroutine = self._gate, self._coroutine
        resume: Callable[[Any], Any] = coroutine.send
        value: object = None
        while True:
            try:
                try:
                    gate.armed = True
                    awaited = resume(value)
                finally:
                    gate.armed = False
            except StopIteration as stop:
                return stop.value
            except KeyboardInterrupt:
                if coroutine.cr_frame is None:  # type: ignore[attr-defined]
                    raise
                # Raised beside the coroutine, not in it: it is still to be told.
                resume, value = coroutine.throw, KeyboardInterrupt()
                continue
            resume, value = yield from self._wait(awaited)

    def _wait(self, awaited: object) -> Generator[Any, Any, tuple[Callable[[Any], Any], object]]:
        gate, coroutine = self._gate, self._coroutine
        gate.suspended = _canceller(gate)
        if gate.pending:
            gate.suspended()
        try:
            return coroutine.send, (yield awaited)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and gate.take():
                # It was not the user who cancelled: `asyncio.timeout` counts these.
                task = asyncio.current_task()
                assert task is not None
                task.uncancel()
                error = KeyboardInterrupt()
            return coroutine.throw, error
        finally:
            gate.suspended = None


def _canceller(gate: Gate) -> Callable[[], None]:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def cancel() -> None:
        if task is not None and gate.suspended is wake and gate.pending:
            task.cancel()

    def wake() -> None:
        # This is called by a signal handler: the loop may be anywhere, or asleep.
        loop.call_soon_threadsafe(cancel)

    return wake
