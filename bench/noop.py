"""A warm cell that does nothing: what the way there and back costs.

Ours is ``%%macgpu`` with ``pass``, through a real IPython shell and over the local
transport. The peer is ipyparallel's ``%px pass`` through the same shell, to one
engine on this machine. The floor is a byte echoed by another process.
"""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import ipyparallel
from IPython.core.interactiveshell import InteractiveShell

from .fleet import this_machine
from .report import Comparison, Report

ROUNDS, WARM_UP = 400, 40
ECHO = "import socket; s = socket.socket(fileno=0)\nwhile d := s.recv(64): s.sendall(d)"


def measure() -> Report:
    """Time each peer once in each round, in an order that changes from round to round."""
    shell = InteractiveShell.instance()
    times: dict[str, list[float]] = {}
    with ExitStack() as stack, contextlib.redirect_stdout(io.StringIO()) as printed:
        stack.enter_context(this_machine())
        contenders = {
            "ours": stack.enter_context(_macgpu(shell)),
            "px": stack.enter_context(_px(shell)),
            "raw-echo": stack.enter_context(_echo()),
        }
        order = list(contenders)
        for round_ in range(WARM_UP + ROUNDS):
            order.append(order.pop(0))
            for name in order:
                started = time.perf_counter()
                contenders[name]()
                elapsed = (time.perf_counter() - started) * 1000
                if round_ >= WARM_UP:
                    times.setdefault(name, []).append(elapsed)
            printed.truncate(0)
    ours = times.pop("ours")
    return Report(name="noop", unit="ms", whole=Comparison(ours=ours, peers=times))


def _run(shell: InteractiveShell, cell: str) -> None:
    shell.run_cell(cell, store_history=False).raise_error()


@contextmanager
def _macgpu(shell: InteractiveShell) -> Iterator[Callable[[], None]]:
    _run(shell, "%load_ext jupyter_macgpu")
    yield lambda: _run(shell, "%%macgpu\npass\n")


@contextmanager
def _px(shell: InteractiveShell) -> Iterator[Callable[[], None]]:
    with ipyparallel.Cluster(n=1, controller_ip="127.0.0.1", engine_launcher_class="local") as rc:
        rc.wait_for_engines(1, timeout=60)
        view = rc[:]
        view.block = True  # else %px returns before the engine has run anything
        view.activate()
        yield lambda: _run(shell, "%px pass")


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
