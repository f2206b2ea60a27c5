"""A cell with an input of 100 MB that has not changed since its last run.

Ours is ``%%macgpu`` through a real IPython shell, over the local transport and over a real sshd
behind a relay that makes a line of 1 Gbit/s and 2 ms; in each round the input is new for the first
run and the same for the second one. The peer is ipyparallel through the same shell, to one engine
on this machine: its `push` sends the input each time, as nothing there knows that it is the same.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import ipyparallel
from IPython.core.interactiveshell import InteractiveShell

from . import sshd
from .fleet import this_machine
from .relay import relay
from .report import Comparison, Report
from .shell import new_shell, run

ROUNDS = 5
SIZE = 100_000_000
#: The line: bytes a second each way, milliseconds there and back.
RATE, DELAY = 125_000_000.0, 2.0
LINE = "1 Gbit/s, 2 ms"
CELL = "size = len(payload)\n"

Cell = Callable[[bytes], None]


def measure(rounds: int = ROUNDS) -> Report:
    """Run the cell twice in each round, with each contender in turn."""
    shell = InteractiveShell.instance()
    notes: dict[str, object] = {"bytes": SIZE}
    with ExitStack() as stack, contextlib.redirect_stdout(io.StringIO()):
        contenders: dict[str, Cell] = {}
        if why := sshd.why_none():
            notes["ssh"] = f"left out: {why}"
        else:
            contenders["ssh"] = stack.enter_context(_over_ssh())
        stack.enter_context(this_machine())
        contenders["local"] = stack.enter_context(_macgpu(shell))
        contenders["px"] = stack.enter_context(_px(shell))
        times = _timed(contenders, rounds)
    pushed = {"px push": times["px", "again"]}
    parts = {"first run": Comparison(ours=times["local", "first"], peers=pushed)}
    if "ssh" in contenders:
        first = {"the first run": times["ssh", "first"]}
        parts[f"{LINE}: second run"] = Comparison(ours=times["ssh", "again"], peers=first)
    first = {"the first run": times["local", "first"]}
    whole = Comparison(ours=times["local", "again"], peers=first | pushed)
    return Report(name="reuse", unit="ms", whole=whole, parts=parts, notes=notes)


def _timed(contenders: dict[str, Cell], rounds: int) -> dict[tuple[str, str], list[float]]:
    times: dict[tuple[str, str], list[float]] = {}
    for round_ in range(rounds + 1):  # the first one is not counted
        print(f"  round {round_} of {rounds}", file=sys.stderr, flush=True)
        payload = os.urandom(SIZE)
        for name, cell in contenders.items():
            for which in ("first", "again"):
                started = time.perf_counter()
                cell(payload)
                elapsed = (time.perf_counter() - started) * 1000
                if round_:
                    times.setdefault((name, which), []).append(elapsed)
    return times


@contextmanager
def _macgpu(shell: InteractiveShell) -> Iterator[Cell]:
    run(shell, "%load_ext jupyter_macgpu")
    # Its fleet is read now: another shell may have another one.
    run(shell, "%%macgpu\npass\n")

    def cell(payload: bytes) -> None:
        shell.user_ns["payload"] = payload
        run(shell, f"%%macgpu\n{CELL}")
        _check(shell.user_ns["size"])

    yield cell
    run(shell, "%unload_ext jupyter_macgpu")


@contextmanager
def _over_ssh() -> Iterator[Cell]:
    with sshd.machines(1) as machines, relay(machines.hosts[0].port, [(RATE, DELAY)]) as counters:
        os.environ["MACGPU_FLEET"] = str(machines.fleet({"studio": counters.ports[0]}))
        with _macgpu(new_shell()) as cell:
            yield cell


@contextmanager
def _px(shell: InteractiveShell) -> Iterator[Cell]:
    with ipyparallel.Cluster(n=1, controller_ip="127.0.0.1", engine_launcher_class="local") as rc:
        rc.wait_for_engines(1, timeout=60)
        view = rc[:]
        view.block = True  # else %px returns before the engine has run anything
        view.activate()

        def cell(payload: bytes) -> None:
            view.push({"payload": payload})
            run(shell, f"%px {CELL.strip()}")
            _check(view["size"][0])

        yield cell


def _check(size: object) -> None:
    if size != SIZE:
        raise RuntimeError(f"{size} bytes arrived of {SIZE}")
