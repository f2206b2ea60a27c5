"""A warm cell that does nothing: what the way there and back costs.

Ours is ``%%macgpu`` with ``pass``, through a real IPython shell: over the local transport, and over
a real sshd on the loopback address. The peer is ipyparallel's ``%px pass`` through the same shell,
to one engine on this machine. The floors are a byte echoed by another process, and one echoed over
an open exec channel of the same SSH library with the same tuning.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
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

ROUNDS, WARM_UP = 400, 40
#: Cells over which round trips are counted.
COUNTED = 50
ECHO = "import socket; s = socket.socket(fileno=0)\nwhile d := s.recv(64): s.sendall(d)"


def measure(rounds: int = ROUNDS) -> Report:
    """Time each peer once in each round, in an order that changes from round to round."""
    shell = InteractiveShell.instance()
    notes: dict[str, object] = {}
    with ExitStack() as stack, contextlib.redirect_stdout(io.StringIO()) as printed:
        stack.enter_context(this_machine())
        contenders = {
            "ours": stack.enter_context(_macgpu(shell)),
            "px": stack.enter_context(_px(shell)),
            "raw-echo": stack.enter_context(_echo()),
        }
        if why := sshd.why_none():
            notes["ssh"] = f"left out: {why}"
        else:
            contenders |= stack.enter_context(_over_ssh(notes))
        times = _timed(contenders, rounds, printed)
    ours, over_ssh = times.pop("ours"), times.pop("ours-ssh", None)
    echo_ssh = times.pop("raw-echo-ssh", [])
    parts = {}
    if over_ssh:
        peers = {"px": times["px"], "raw-echo-ssh": echo_ssh, "ours, local": ours}
        parts["ssh"] = Comparison(ours=over_ssh, peers=peers)
    whole = Comparison(ours=ours, peers=times)
    return Report(name="noop", unit="ms", whole=whole, parts=parts, notes=notes)


def _timed(
    contenders: dict[str, Callable[[], None]], rounds: int, printed: io.StringIO
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    order = list(contenders)
    for round_ in range(WARM_UP + rounds):
        order.append(order.pop(0))
        for name in order:
            started = time.perf_counter()
            contenders[name]()
            elapsed = (time.perf_counter() - started) * 1000
            if round_ >= WARM_UP:
                times.setdefault(name, []).append(elapsed)
        printed.truncate(0)
    return times


@contextmanager
def _macgpu(shell: InteractiveShell) -> Iterator[Callable[[], None]]:
    run(shell, "%load_ext jupyter_macgpu")
    # Its fleet is read now: another shell may have another one.
    run(shell, "%%macgpu\npass\n")
    yield lambda: run(shell, "%%macgpu\npass\n")
    run(shell, "%unload_ext jupyter_macgpu")


@contextmanager
def _over_ssh(notes: dict[str, object]) -> Iterator[dict[str, Callable[[], None]]]:
    """Yield our cell over SSH and the echo beside it; say how often a cell goes there and back."""
    with sshd.machines(1) as machines, ExitStack() as stack:
        port = machines.hosts[0].port
        counters = stack.enter_context(relay(port, [(0, 0)]))
        os.environ["MACGPU_FLEET"] = str(machines.fleet({"counted": counters.ports[0]}))
        with _macgpu(new_shell()) as cell:
            notes["round trips per cell over ssh"] = _round_trips(cell, counters.turns)
        os.environ["MACGPU_FLEET"] = str(machines.fleet({"studio": port}))
        ours = stack.enter_context(_macgpu(new_shell()))
        connection = machines.connect(port)
        stack.callback(connection.close)
        channel = connection.execute("exec cat")

        def once() -> None:
            channel.sendall(b"x")
            channel.recv(64)

        yield {"ours-ssh": ours, "raw-echo-ssh": once}


def _round_trips(cell: Callable[[], None], turns: Callable[[], int]) -> float:
    """Return how often a warm cell's client spoke after its host had, on average."""
    for _ in range(WARM_UP):
        cell()
    before = turns()
    for _ in range(COUNTED):
        cell()
    return (turns() - before) / COUNTED


@contextmanager
def _px(shell: InteractiveShell) -> Iterator[Callable[[], None]]:
    with ipyparallel.Cluster(n=1, controller_ip="127.0.0.1", engine_launcher_class="local") as rc:
        rc.wait_for_engines(1, timeout=60)
        view = rc[:]
        view.block = True  # else %px returns before the engine has run anything
        view.activate()
        yield lambda: run(shell, "%px pass")


@contextmanager
def _echo() -> Iterator[Callable[[], None]]:
    ours, theirs = socket.socketpair()
    with (
        ours,
        subprocess.Popen([sys.executable, "-S", "-c", ECHO], stdin=theirs.fileno()) as process,
    ):
        theirs.close()

        def once() -> None:
            ours.sendall(b"x")
            ours.recv(64)

        try:
            yield once
        finally:
            ours.close()
            process.wait(timeout=10)
