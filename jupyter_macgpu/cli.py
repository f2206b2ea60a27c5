"""The ``macgpu`` command: the verbs of ``%macgpu`` in a shell.

Exit codes: 0 done; 1 it did not work; 2 the command line is wrong; 3 the run ended badly.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from . import commands, runs
from .extension import reach
from .fleet.file import load_fleet
from .interrupts import counted
from .pool import Pool
from .verbs import help_text, parse_arguments
from .wire.errors import InputError, MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .verbs import Command


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print("macgpu VERB [options]\n\n" + help_text(in_shell=True))
        return 0
    if words[0] in ("-V", "--version"):
        from . import __version__

        print(__version__)
        return 0
    try:
        command = parse_arguments(words)
        return _VERBS[command.verb](command)
    except InputError as error:
        print(runs.worth_saying(error), file=sys.stderr)
        return 2
    except MacGPUError as error:
        print(runs.worth_saying(error), file=sys.stderr)
        return 1


@contextlib.contextmanager
def _pool() -> Iterator[Pool]:
    fleet = load_fleet()
    if fleet.notice:
        print(fleet.notice, file=sys.stderr)
    pool = Pool(fleet, reach, "")
    try:
        yield pool
    finally:
        pool.close()


def _status(command: Command) -> int:
    with _pool() as pool:
        rows = commands.status(pool)
    text = commands.table(rows, commands.STATUS_COLUMNS, "The fleet is empty.")
    return _print(command, rows, text)


def _runs(command: Command) -> int:
    with _pool() as pool:
        rows = commands.list_runs(pool)
    return _print(command, rows, commands.runs_table(rows))


def _logs(command: Command) -> int:
    with _pool() as pool:
        runs.logs(runs.find_run(pool, command.arguments[0]), runs.Printer())
    return 0


def _attach(command: Command) -> int:
    with _pool() as pool, counted() as interrupts:
        known = runs.find_run(pool, command.arguments[0])
        end = runs.follow(known, runs.Printer(), interrupts)
    print(f"macgpu: run {known.run[:8]} ended: {end.state}", file=sys.stderr)
    return 0 if end.state == "ok" else 3


def _cancel(command: Command) -> int:
    with _pool() as pool:
        known = runs.find_run(pool, command.arguments[0])
        runs.cancel(known)
    return _print(command, known.shown(), f"run {known.run[:8]} was told to stop")


def _rm(command: Command) -> int:
    with _pool() as pool:
        known = runs.find_run(pool, command.arguments[0])
        runs.remove(known)
    return _print(command, known.shown(), f"run {known.run[:8]} is forgotten")


def _demo(_command: Command) -> int:
    from .demo import main as demo

    return demo()


def _in_notebooks_only(command: Command) -> int:
    raise InputError(
        f"macgpu {command.verb} has no notebook whose {command.verb} it could mean.",
        next=f"Use %macgpu {command.verb} in the notebook.",
    )


_VERBS: dict[str, Callable[[Command], int]] = {
    "status": _status,
    "runs": _runs,
    "logs": _logs,
    "attach": _attach,
    "cancel": _cancel,
    "rm": _rm,
    "demo": _demo,
    "values": _in_notebooks_only,
    "free": _in_notebooks_only,
    "restart": _in_notebooks_only,
    "config": _in_notebooks_only,
}


def _print(command: Command, data: Any, text: str) -> int:
    print(json.dumps(data, indent=2) if command.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
