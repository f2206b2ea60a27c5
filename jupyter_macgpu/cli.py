"""The ``macgpu`` command: the verbs of ``%macgpu`` in a shell.

Exit codes: 0 done; 1 it did not work; 2 the command line is wrong, or ``diff`` found a difference;
3 the run ended badly. ``run`` has the program's own, and those of `exits`.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import commands, completing, doctor, fleetcommands, overview, runs
from .exits import NOT_BEGUN
from .findings import Check
from .fleet.file import load_fleet
from .fleet.hosts import select
from .fleet.watching import FleetFile
from .interrupts import counted
from .monitor import Monitor
from .options import CellOptions
from .pool import Pool
from .reach import Reach
from .verbs import help_text, parse_arguments, verb_help
from .verbtable import NOTEBOOK_ONLY, VERBS
from .verifying import COLUMNS as VERIFY_COLUMNS
from .verifying import verify
from .widgets.asking import device_now
from .widgets.pages import device_text
from .wire.errors import InputError, MacGPUError
from .wire.plain import plain_line
from .words import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .verbs import Command

_HELP = ("-h", "--help")

#: Seconds between two looks of ``status --watch``.
_AGAIN = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if (asked := _help(words)) is not None:
        print(asked)
        return 0
    if words[0] in ("-V", "--version"):
        from . import __version__

        print(__version__)
        return 0
    if words[0] == "--complete":
        *before, current = words[1:] or [""]
        print("\n".join(completing.of_verb(before, current, completing.known, in_shell=True)))
        return 0
    try:
        command = parse_arguments(words)
        return _VERBS[command.verb](command)
    except InputError as error:
        print(runs.worth_saying(error), file=sys.stderr)
        return NOT_BEGUN if words[0] == "run" else 2
    except MacGPUError as error:
        print(runs.worth_saying(error), file=sys.stderr)
        return 1


def _help(words: Sequence[str]) -> str | None:
    """Return the help that is asked for, of all verbs or of one; None if none is."""
    first, second = (*words[:2], "", "")[:2]
    if first in VERBS and second in _HELP:
        return verb_help(first)
    if first == "help" and second in VERBS:
        return verb_help(second)
    if not first or first in (*_HELP, "help"):
        return "macgpu VERB [options]\n\n" + help_text(in_shell=True)
    return None


@contextlib.contextmanager
def _pool() -> Iterator[Pool]:
    fleet = load_fleet()
    if fleet.notice:
        print(fleet.notice, file=sys.stderr)
    pool = Pool(fleet, Reach(getpass.getpass), "")
    try:
        yield pool
    finally:
        pool.close()


def _status(command: Command) -> int:
    if command.watch:
        return _watch(command)
    with _pool() as pool:
        rows = overview.status(pool, command.labelled)
    return _print(command, rows, commands.status_table(rows, command))


def _watch(command: Command) -> int:
    """Show the fleet again and again, as a monitor sees it, until Ctrl-C."""
    file = FleetFile()
    fleet = file.fleet()
    if fleet.notice:
        print(fleet.notice, file=sys.stderr)
    monitor = Monitor.of(fleet.hosts, Reach(getpass.getpass))
    monitor.start()
    try:
        monitor.wait(monitor.version, _AGAIN)
        while True:
            _print_anew(command, overview.watched(monitor.view(), command.labelled))
            time.sleep(_AGAIN)
            if (now := file.fleet()) is not fleet:
                fleet = now
                monitor.watch(fleet.hosts)
            if notice := file.notice():
                print(notice, file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    finally:
        monitor.stop()


def _print_anew(command: Command, rows: list[dict[str, Any]]) -> None:
    if sys.stdout.isatty() and not command.json:
        print("\x1b[H\x1b[2J", end="")
    text = json.dumps(rows) if command.json else commands.status_table(rows, command)
    print(text, flush=True)


def _describe(command: Command) -> int:
    with _pool() as pool:
        data = overview.describe(pool, command.arguments[0])
    return _print(command, data, overview.described(data))


def _device(command: Command) -> int:
    with _pool() as pool:
        data = device_now(pool, command.arguments[0] if command.arguments else "")
    return _print(command, data, device_text(data))


def _where(command: Command) -> int:
    with _pool() as pool:
        data = overview.where(pool, command.cell or CellOptions())
    _print(command, data, overview.ranked(data))
    return 0 if data["host"] else 1


def _why(command: Command) -> int:
    with _pool() as pool:
        data = overview.why(pool, command.arguments[0])
    return _print(command, data, overview.ranked(data))


def _report(command: Command) -> int:
    with _pool() as pool:
        known = runs.find_run(pool, command.arguments[0] if command.arguments else "last")
        report = runs.report(known)
    return _print(command, report.to_json(), str(report))


def _verify(command: Command) -> int:
    with _pool() as pool:
        hosts = pool.fleet.hosts
        if command.arguments:
            hosts = (select(hosts, command.arguments[0], pool.fleet.notice),)
        rows = list(verify(pool, hosts))
    _print(command, rows, commands.table(rows, VERIFY_COLUMNS, ""))
    return 1 if any(row["state"] == "failed" for row in rows) else 0


def _run(command: Command) -> int:
    from .scripts import main as run

    return run(command)


def _runs(command: Command) -> int:
    with _pool() as pool:
        rows = runs.list_runs(pool, lambda text: print(text, file=sys.stderr))
    return _print(command, rows, commands.runs_table(rows))


def _logs(command: Command) -> int:
    with _pool() as pool:
        known = runs.find_run(pool, command.arguments[0])
        if command.json:
            return _print(command, runs.recorded(known), "")
        runs.logs(known, runs.Printer(known.session.host))
    return 0


def _attach(command: Command) -> int:
    with _pool() as pool, counted() as interrupts:
        known = runs.find_run(pool, command.arguments[0])
        end = runs.follow(known, runs.Printer(known.session.host), interrupts)
        print(f"macgpu: run {known.run[:8]} ended: {plain_line(end.state)}", file=sys.stderr)
        if command.get:
            from .scripts import bring

            bring(pool, known.session.host, str(known.shown()["notebook"]), command.get)
    return 0 if end.state == "ok" else 3


def _cancel(command: Command) -> int:
    with _pool() as pool:
        known = runs.find_run(pool, command.arguments[0])
        runs.cancel(known)
    return _print(command, known.shown(), f"run {known.run[:8]} was told to stop")


def _detach(command: Command) -> int:
    with _pool() as pool:
        known = runs.find_run(pool, command.arguments[0])
        runs.detach(pool, known)
    return _print(command, known.shown(), f"run {known.run[:8]} goes on by itself")


def _move(command: Command) -> int:
    with _pool() as pool:
        data, text = commands.moved(pool, command)
    return _print(command, data, text)


def _rm(command: Command) -> int:
    with _pool() as pool:
        known = runs.find_run(pool, command.arguments[0])
        runs.remove(known)
    return _print(command, known.shown(), f"run {known.run[:8]} is forgotten")


def _demo(command: Command) -> int:
    if command.fleet is not None:
        from .simulation.show import main as show

        return show(command.fleet, seed=command.seed, once=command.once)
    from .demo import main as demo

    return demo()


def _doctor(command: Command) -> int:
    with _pool() as pool:
        hosts = pool.fleet.hosts
        if command.arguments:
            hosts = (select(hosts, command.arguments[0], pool.fleet.notice),)
        found: dict[str, list[Check]] = {}
        for host in hosts:
            checks = found[host.name] = []
            if not command.json:
                print(host.name)
            for check in doctor.examine(pool, host):
                checks.append(check)
                if not command.json:
                    print(doctor.line(check), flush=True)
    if command.json:
        print(json.dumps({name: doctor.rows(checks) for name, checks in found.items()}, indent=2))
    failed = any(check.state == "failed" for checks in found.values() for check in checks)
    return 1 if failed else 0


def _trust(command: Command) -> int:
    from .fleet.trusting import trust

    fleet = load_fleet()
    host = select(fleet.hosts, command.arguments[0], fleet.notice)
    fingerprint = Reach(getpass.getpass).fingerprint(host)
    print(f"{host.name} ({host.address}) shows the key {fingerprint}", file=sys.stderr)
    if not command.yes and not _agreed("Is that its key? [y/N] "):
        print("Nothing was written.", file=sys.stderr)
        return 1
    done = trust(fleet, host.name, fingerprint)
    data = {"host": done.host, "fingerprint": done.fingerprint, "file": str(done.file)}
    return _print(command, data, f"hostkey of {done.host} is written in {done.file}")


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise InputError(
            "There is nobody here who could be asked.",
            next="Compare the fingerprint, then add --yes.",
        )
    return input(question).strip().lower() in ("y", "yes")


def _allow(command: Command) -> int:
    from .fleet.allowing import allow

    done = allow(Path(command.arguments[0]) if command.arguments else None)
    names = [host.name for host in done.hosts]
    data = {"file": str(done.file), "sha256": done.digest, "hosts": names}
    return _print(command, data, f"{done.file} counts now: {', '.join(names)}")


def _probe(command: Command) -> int:
    from . import probing

    if command.replay is None:
        raise InputError(
            "macgpu probe reads a recorded output; none is named.",
            next="Write macgpu probe --replay FILE [--section KIND] [--json].",
        )
    try:
        found = probing.replay_file(Path(command.replay), command.section)
    except OSError as error:
        raise InputError(
            f"{command.replay} cannot be read: {error.strerror}.", next="Name a file that is there."
        ) from error
    except ValueError as error:
        raise InputError(f"{error}", next="Name another --section, or none.") from error
    return _print(command, found, probing.as_text(found))


def _completion(command: Command) -> int:
    shell = command.arguments[0]
    if shell not in completing.SHELLS:
        raise InputError(
            f"There is no completion for {shown(shell)}.",
            next=f"Write macgpu completion {' or '.join(completing.SHELLS)}.",
        )
    print(completing.script(shell))
    return 0


def _selftest(command: Command) -> int:
    from .selftest import main as selftest

    return selftest(detached=command.detached, collect=command.collect, as_json=command.json)


def _in_notebooks_only(command: Command) -> int:
    raise InputError(
        f"macgpu {command.verb} is about one notebook; a shell has none.",
        next=f"Use %macgpu {command.verb} in the notebook.",
    )


_VERBS: dict[str, Callable[[Command], int]] = {
    "status": _status,
    "describe": _describe,
    "device": _device,
    "where": _where,
    "why": _why,
    "report": _report,
    "verify": _verify,
    "run": _run,
    "runs": _runs,
    "logs": _logs,
    "attach": _attach,
    "cancel": _cancel,
    "detach": _detach,
    "move": _move,
    "rm": _rm,
    "doctor": _doctor,
    "add": fleetcommands.add,
    "discover": fleetcommands.discover,
    "import": fleetcommands.take_over,
    "diff": fleetcommands.diff,
    "apply": fleetcommands.apply,
    "drain": fleetcommands.drain,
    "undrain": fleetcommands.undrain,
    "pause": fleetcommands.pause,
    "resume": fleetcommands.resume,
    "schema": fleetcommands.schema,
    "trust": _trust,
    "allow": _allow,
    "probe": _probe,
    "completion": _completion,
    "selftest": _selftest,
    "demo": _demo,
    **dict.fromkeys(NOTEBOOK_ONLY, _in_notebooks_only),
}


def _print(command: Command, data: Any, text: str) -> int:
    print(json.dumps(data, indent=2) if command.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
