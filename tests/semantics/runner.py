"""How the oracle runs a cell: here, or on a worker with copies of its variables."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jupyter_macgpu.inputs import read_inputs
from jupyter_macgpu.wire.values.registry import ClassRegistry
from jupyter_macgpu.wire.values.restore import apply

from .piped_worker import read, run_cell, write

_numbers = itertools.count(1)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a cell showed, and what was said about its variables."""

    stdout: str
    error: str
    result: tuple[object, ...]
    notes: tuple[str, ...] = ()


class Notebook:
    """One notebook's namespace. It is ``__main__`` while a cell of it runs here."""

    def __init__(self) -> None:
        self.main = types.ModuleType("__main__")
        self.names: dict[str, Any] = vars(self.main)
        self.classes = ClassRegistry()

    def run(self, source: str, runner: Runner) -> Outcome:
        """Run one cell."""
        ours, sys.modules["__main__"] = sys.modules["__main__"], self.main
        try:
            return runner.run(source, self)
        finally:
            sys.modules["__main__"] = ours


class Runner(Protocol):
    """Runs one cell of a notebook, wherever it likes."""

    def run(self, source: str, notebook: Notebook) -> Outcome:
        """Run a cell and leave the notebook's names as the cell would have."""


class LocalRunner:
    """Runs cells in this process."""

    def run(self, source: str, notebook: Notebook) -> Outcome:
        done = run_cell(source, f"<cell {next(_numbers)}>", notebook.names)
        return Outcome(stdout=done["stdout"], error=done["error"], result=done["result"])


class PipedRunner:
    """Runs cells in one worker process that lives as long as this object."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.semantics.piped_worker"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, source: str, notebook: Notebook) -> Outcome:
        captured = read_inputs(source, notebook.names, classes=notebook.classes).capture
        run = f"run{next(_numbers)}"
        request = {
            "stream": captured.stream,
            "buffers": [bytearray(buffer.raw()) for buffer in captured.buffers],
            "source": source,
            "filename": f"<{run}>",
            "run": run,
        }
        reply = self._ask(request)
        applied = apply(
            reply["stream"], reply["buffers"], captured.table, notebook.names,
            run=run, host="piped", classes=notebook.classes,
        )  # fmt: skip
        return Outcome(
            stdout=reply["stdout"],
            error=reply["error"],
            result=applied.result,
            notes=(*captured.notes, *reply["notes"], *applied.notes),
        )

    def close(self) -> None:
        """End the worker."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60.0)
        self.process.stdout.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        write(self.process.stdin, request)
        reply: dict[str, Any] | None = read(self.process.stdout)
        assert reply is not None, "the worker died"
        assert "broken" not in reply, reply["broken"]
        return reply
