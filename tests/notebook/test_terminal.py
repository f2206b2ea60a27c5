"""Plain IPython in a terminal, as tmux shows it: the line of a cell, status, questions, Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

#: Seconds that a screen may take to show what it is to show.
PATIENCE = 60.0
WIDTH = 100
RUNNING = re.compile(r"^macgpu: running on this-machine: \d+ s", re.MULTILINE)


class Terminal:
    """IPython in a terminal of its own.

    Parameters
    ----------
    folder
        For its files, and for the socket of the tmux that shows it.
    """

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "tmux"
        python = f"{sys.executable} -P -W ignore -m IPython --no-banner --colors=NoColor"
        environ = f"env IPYTHONDIR={folder / 'ipython'} PYTHONPATH={Path(__file__).parents[2]}"
        size = ("-x", str(WIDTH), "-y", "50")
        self._tmux("-f", os.devnull, "new-session", "-d", *size, f"{environ} {python}")
        self.shows(lambda screen: "In [1]:" in screen)

    def _tmux(self, *words: str) -> str:
        ran = subprocess.run(
            ["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, check=True
        )
        return ran.stdout

    @property
    def screen(self) -> str:
        """What the terminal shows now, and what has scrolled by."""
        return self._tmux("capture-pane", "-p", "-S", "-200")

    def type(self, text: str) -> None:
        """Type a line and press Enter."""
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def cell(self, *lines: str) -> None:
        """Type a cell; two empty lines at its end have IPython run it."""
        for line in (*lines, "", ""):
            self.type(line)
            time.sleep(0.1)  # what is typed all at once is a paste to prompt_toolkit

    def press(self, key: str) -> None:
        """Press a key by tmux' name."""
        self._tmux("send-keys", key)

    def shows(self, wanted: Callable[[str], object]) -> str:
        """Wait until the screen is as wanted, and return it."""
        until = time.monotonic() + PATIENCE
        while not wanted(screen := self.screen):
            assert time.monotonic() < until, screen
            time.sleep(0.05)
        return screen

    def prompt(self, number: int) -> str:
        """Wait for IPython's prompt of a number, and return the screen."""
        return self.shows(lambda screen: re.search(rf"^In \[{number}\]:", screen, re.MULTILINE))

    def close(self) -> None:
        """End it, and the tmux that shows it."""
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], check=False)


@pytest.fixture
def terminal(own_state: Path, tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    try:
        opened.type("%load_ext jupyter_macgpu")
        opened.prompt(2)
        yield opened
    finally:
        opened.close()


def test_a_long_cell_has_one_line_that_makes_room_for_its_output(terminal):
    terminal.cell(
        "%%macgpu",
        "import time",
        "step = lambda n: print('step', n, flush=True) or time.sleep(1.2)",
        "steps = list(map(step, range(5)))",
    )
    seen = set()
    until = time.monotonic() + PATIENCE
    while "macgpu: this-machine:" not in (screen := terminal.screen):
        assert time.monotonic() < until, screen
        running = RUNNING.findall(screen)
        assert len(running) <= 1, screen
        seen.update(running)
        time.sleep(0.1)
    screen = terminal.prompt(3)
    assert len(seen) >= 2, "the line never changed"
    # Nothing of it is left among the output, and the last reading stands below.
    shown = [line.rstrip() for line in screen.splitlines() if line.rstrip()]
    begin = shown.index("step 0")
    assert shown[begin : begin + 5] == [f"step {n}" for n in range(5)]
    assert re.match(r"macgpu: this-machine: \d", shown[begin + 5])
    assert RUNNING.search(screen) is None


def test_status_is_a_table(terminal):
    terminal.type("%macgpu status")
    screen = terminal.prompt(3)
    lines = [line.split() for line in screen.splitlines()]
    header = next(words for words in lines if words[:2] == ["host", "state"])
    row = next(words for words in lines if words[:1] == ["this-machine"])
    assert row[1] == "ready", header


def test_a_cell_asks_in_the_terminal(terminal):
    terminal.cell("%%macgpu", "answer = input('what? ').upper()")
    terminal.shows(lambda screen: re.search(r"^what\?\s*$", screen, re.MULTILINE))
    terminal.type("this")
    terminal.prompt(3)
    terminal.type("answer")
    assert "Out[3]: 'THIS'" in terminal.prompt(4)


def test_ctrl_c_interrupts_the_cell_and_keeps_its_variables(terminal):
    terminal.cell("%%macgpu", "kept = 41", "import time; time.sleep(60)")
    terminal.shows(RUNNING.search)
    terminal.press("C-c")
    screen = terminal.prompt(3)
    assert "KeyboardInterrupt" in screen
    terminal.type("kept + 1")
    assert "Out[3]: 42" in terminal.prompt(4)
