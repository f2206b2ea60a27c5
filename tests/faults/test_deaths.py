"""Workers that die and cells that are interrupted, seen from a real IPython shell."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.capture import CapturedIO, capture_output

from jupyter_macgpu.wire.errors import MacGPUError

from . import invariants, processes

#: Seconds within which a death is said, and an interrupt obeyed, on a machine that does much else:
#: far less than what the cells here sleep.
SOON = 20.0
_ABORT = """
import ctypes, threading
threading.Thread(target=ctypes.CDLL(None).abort).start()
"""
DEATHS = {
    "segfault": ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
    "abort in another thread": (_ABORT, "SIGABRT"),
    "exit of the process": ("import os; os._exit(0)", "exited with code 0"),
    "an unnamed signal": ("import os; os.kill(os.getpid(), 41)", "signal 41"),
}


class Shell:
    """A notebook's shell with the extension loaded; cells run as a front end runs them."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.shown = CapturedIO(None, None)

    def run(self, source: str) -> ExecutionResult:
        """Run a cell and keep what it showed."""
        with capture_output() as self.shown:
            return self.shell.run_cell(source, store_history=True)

    def cell(self, source: str) -> ExecutionResult:
        """Run a cell elsewhere."""
        return self.run(f"%%macgpu\n{source}")

    def lines(self) -> list[str]:
        """What it wrote; IPython shows a traceback there as well, behind it."""
        return self.shown.stdout.splitlines()

    @property
    def names(self) -> dict[str, Any]:
        """The notebook's variables."""
        return self.shell.user_ns


@pytest.fixture
def shell(state: Path) -> Iterator[Shell]:
    InteractiveShell.clear_instance()
    shell = Shell(InteractiveShell.instance(history_length=0))
    shell.shell.history_manager.enabled = False
    assert shell.run("%load_ext jupyter_macgpu").success
    yield shell
    shell.run("%unload_ext jupyter_macgpu")
    InteractiveShell.clear_instance()


@pytest.fixture
def press(shell: Shell) -> Iterator[Callable[..., list[float]]]:
    """Press Ctrl-C from elsewhere, at given seconds after a cell has said how far it is."""
    threads = []

    def at(*seconds: float) -> list[float]:
        before, pressed = shell.shown, list[float]()

        def press_all() -> None:
            until = time.monotonic() + 60.0
            while shell.shown is before or "so far" not in shell.shown.stdout:
                if time.monotonic() > until:
                    return
                time.sleep(0.02)
            begun = time.monotonic()
            for moment in seconds:
                time.sleep(max(0.0, begun + moment - time.monotonic()))
                pressed.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)

        threads.append(threading.Thread(target=press_all))
        threads[-1].start()
        return pressed

    yield at
    for thread in threads:
        thread.join()


def four_parts(result: ExecutionResult) -> str:
    error = result.error_in_exec
    assert isinstance(error, MacGPUError), error
    invariants.said_in_four_parts(error)
    return str(error)


@pytest.mark.parametrize(("cell", "word"), DEATHS.values(), ids=DEATHS)
def test_a_death_is_said_soon_and_takes_nothing_else(shell: Shell, cell: str, word: str) -> None:
    shell.cell("import time")
    shell.names["kept"] = [1, 2]
    shell.cell("kept.append(3)")
    result = shell.cell(f"kept.append(4)\nprint('so far', time.time())\n{cell}\ntime.sleep(30)")
    said = time.time()
    text = four_parts(result)
    assert word in text
    printed, _, at = shell.lines()[0].rpartition(" ")
    assert printed == "so far"
    assert said - float(at) < SOON
    assert shell.names["kept"] == [1, 2, 3]
    again = shell.cell("kept.append(5)\nlen(kept)")
    assert again.result == 4
    assert shell.names["kept"] == [1, 2, 3, 5]


def test_sys_exit_ends_the_cell_and_not_the_worker(shell: Shell) -> None:
    shell.cell("import os\nworker = os.getpid()")
    before = shell.names["worker"]
    result = shell.cell("import sys\ndone = 1\nsys.exit(3)")
    assert type(result.error_in_exec).__name__ == "SystemExit"
    shell.cell("worker = os.getpid()")
    assert shell.names["worker"] == before
    assert shell.names["done"] == 1


def test_a_worker_that_dies_between_cells_is_replaced(shell: Shell, state: Path) -> None:
    shell.cell("mine = [1]")
    (worker,) = processes.found(state, "worker")
    assert worker.kill()
    # Until its parent has seen the death: before that a cell may still be given to it.
    worker.process.wait(60.0)
    assert shell.cell("mine.append(2)\nlen(mine)").result == 2


def test_a_child_that_holds_the_output_does_not_hold_the_run(shell: Shell, state: Path) -> None:
    result = shell.cell(
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True).pid\n"
        "print('begun', time.time())\n"
        "'the end'"
    )
    said = time.time()
    assert result.result == "the end"
    assert said - float(shell.shown.stdout.split()[1]) < SOON
    assert [each.pid for each in processes.found(state, "child")] == [shell.names["child"]]
    assert shell.cell("1 + 1").result == 2


def test_a_forked_child_that_comes_back_is_not_a_second_worker(shell: Shell) -> None:
    result = shell.cell("import os\nchild = os.fork()\nprint('one of two')\nos.getpid()")
    assert result.success
    assert shell.shown.stdout.count("one of two") == 2
    assert shell.cell("os.getpid()").result == result.result


SLEEPERS = {
    "a sleep": "time.sleep(30)",
    "an await": "import asyncio\nawait asyncio.sleep(30)",
    "a busy loop": "while True: pass",
    "a loop that prints": "while True: print('x' * 100)",
}


@pytest.mark.parametrize("sleeper", SLEEPERS.values(), ids=SLEEPERS)
def test_an_interrupt_is_a_keyboard_interrupt_there(
    shell: Shell, press: Callable[..., list[float]], sleeper: str
) -> None:
    shell.cell("import time\nworker = __import__('os').getpid()")
    shell.names["steps"] = []
    pressed = press(0.2)
    result = shell.cell(f"steps.append(1)\nprint('so far')\n{sleeper}\nsteps.append(2)\n")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert time.monotonic() - pressed[0] < SOON
    assert shell.lines()[0] == "so far"
    assert shell.names["steps"] == [1]
    assert shell.cell("__import__('os').getpid()").result == shell.names["worker"]


def test_an_interrupt_ends_a_shell_command(shell: Shell, press: Callable[..., list[float]]) -> None:
    """What comes of the cell then is IPython's to say: `!` may take the interrupt for its own."""
    shell.cell("worker = __import__('os').getpid()")
    shell.names["steps"] = []
    pressed = press(0.2)
    result = shell.cell("steps.append(1)\nprint('so far')\n!sleep 30")
    assert time.monotonic() - pressed[0] < SOON
    assert isinstance(result.error_in_exec, (KeyboardInterrupt, type(None)))
    assert shell.lines()[0] == "so far"
    assert shell.names["steps"] == [1]
    assert shell.cell("__import__('os').getpid()").result == shell.names["worker"]


def test_a_second_interrupt_ends_the_worker_and_its_children(
    shell: Shell, press: Callable[..., list[float]], state: Path
) -> None:
    shell.cell("import os, signal, subprocess, time\nworker = os.getpid()")
    shell.names["steps"] = []
    press(0.2, 1.0)
    result = shell.cell(
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sh', '-c', 'trap \"\" INT TERM; sleep 361; true'])\n"
        "steps.append(1)\nprint('so far')\ntime.sleep(30)"
    )
    error = result.error_in_exec
    assert isinstance(error, KeyboardInterrupt)
    assert any("was ended" in line for line in error.traceback)
    assert len(error.traceback) == 4
    assert shell.lines()[0] == "so far"
    assert shell.names["steps"] == []
    assert not processes.wait_for_none(state, {"worker", "child"}, SOON)
    assert shell.cell("os.getpid()").result != shell.names["worker"]
