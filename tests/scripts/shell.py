"""The `macgpu` command as a user runs it: a process of its own, in a folder of the user's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Seconds after which a command counts as hanging.
WATCHDOG = 100.0


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Shell:
    """A folder, and commands that are run in it."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.variables = dict(variables or {})
        folder.mkdir(exist_ok=True)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
        return path

    def macgpu(self, *words: str) -> Ran:
        with self.started(*words) as process:
            out, err = process.communicate(timeout=WATCHDOG)
        return Ran(process.returncode, out.decode(), err.decode())

    def started(self, *words: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Start a command that is spoken to while it runs."""
        return self.process([sys.executable, "-m", "jupyter_macgpu.cli", *words])

    @contextmanager
    def process(self, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        """Start a process in the folder, and leave nothing of it."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C."""
    process.send_signal(signal.SIGINT)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """Return the first line of a program that goes on running."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert process.poll() is None, "the program has ended; its output was not shown as it came"
    return line.decode()


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    until = time.monotonic() + WATCHDOG
    while not path.exists():
        assert time.monotonic() < until, f"{path} does not come"
        time.sleep(0.02)
