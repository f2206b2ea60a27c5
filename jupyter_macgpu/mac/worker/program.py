"""A program instead of a cell: a script or a command, as a child of the worker.

A child of its own gives a script what it has at home: it is ``__main__``, its arguments are
`sys.argv`, its exit code is its own, and what it does at its end is done. It is in the worker's
process group, so an interrupt and an end reach it as they reach the worker, and it writes into the
worker's own two pipes, so its output keeps its order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...wire.program import Program
    from .gate import Gate

#: Exit codes of a command that cannot be started, as shells have them.
NOT_FOUND, NOT_EXECUTABLE = 127, 126
#: What makes programs write colours, set for cells; wanted only where they are shown.
_COLOURS = ("CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "TERM")
#: The backend of cells: of no use without a notebook.
_INLINE = "module://matplotlib_inline.backend_inline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended.

    Attributes
    ----------
    code
        Its exit code, or the negative number of the signal that ended it.
    interrupted
        Whether the run was interrupted meanwhile.
    peak
        Largest resident size of a process of it, in bytes.
    """

    code: int
    interrupted: bool = False
    peak: int = 0

    def error(self) -> dict[str, str] | None:
        """Return name and text of the error that the run ends with, or None if it ended well."""
        if self.code == 0:
            return None
        if self.code in (-signal.SIGINT, 128 + signal.SIGINT) and self.interrupted:
            return {"ename": "KeyboardInterrupt", "evalue": ""}
        what = f"exit code {self.code}" if self.code > 0 else f"ended by {self._signal()}"
        return {"ename": "ProgramFailed", "evalue": what}

    def told(self) -> dict[str, Any]:
        """Return what a run's summary has of it."""
        if self.code >= 0:
            return {"exit": self.code}
        return {"exit": 128 - self.code, "signal": self._signal(), "peak": self.peak}

    def _signal(self) -> str:
        known = {number.value: number.name for number in signal.Signals}
        return known.get(-self.code, f"signal {-self.code}")


def run_program(program: Program, gate: Gate) -> Ended:
    """Run a program in the working folder, and return how it ended.

    Its standard input is empty. Called on the main thread, in a run that is in the gate.

    Raises
    ------
    OSError
        If the script's file cannot be written. Nothing ran.
    """
    argv = list(program.argv)
    if program.script is not None:
        _place(Path(argv[0]), program.script)
        # Unbuffered, so that lines are seen when they are written.
        argv = [sys.executable, "-u", *argv]
    if gate.take():
        return Ended(code=-signal.SIGINT, interrupted=True)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=_environment(program))
    except OSError as error:
        return _not_started(argv[0], error)
    if gate.pending:
        # The signal may have come before there was anybody to take it.
        process.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Ended(code=process.returncode, interrupted=gate.take(), peak=peak)


def _place(path: Path, text: str) -> None:
    """Write the script where it belongs, unless it stands there: another run may be reading it."""
    data = text.encode("utf-8", "surrogateescape")
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.write_bytes(data)
    fresh.replace(path)


def _environment(program: Program) -> dict[str, str]:
    variables = dict(os.environ)
    if not program.is_coloured:
        for name in _COLOURS:
            variables.pop(name, None)
    if variables.get("MPLBACKEND") == _INLINE:
        del variables["MPLBACKEND"]
        if program.script is not None:
            variables["MPLBACKEND"] = "agg"
    return variables


def _not_started(name: str, error: OSError) -> Ended:
    missing = isinstance(error, FileNotFoundError)
    print(f"{name}: {'not found' if missing else error.strerror or error}", file=sys.stderr)
    return Ended(code=NOT_FOUND if missing else NOT_EXECUTABLE)
