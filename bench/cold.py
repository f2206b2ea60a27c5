"""The first cell of a kernel on a host where our code lies and nothing runs.

The host is a real sshd on the loopback address; before each round its supervisor and workers are
ended. The time is from the request to the kernel's "idle", with the result received: at once after
``%load_ext jupyter_macgpu``, and two seconds after it, since the connection opens in the background
meanwhile. The peers are a local ipykernel from its start to the result of its first cell, plus one
connect: of the same SSH library with the same tuning, or of OpenSSH's client.

With ``--hosts N`` there is also a fleet of N: two that take connections and never answer, as
machines asleep behind a router do, one that is a black hole, and the rest well. The three stand
first in the file, where they do most harm.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from .report import Comparison, Report
from .sshd import ADDRESS, Machines, machines

ROUNDS, PAUSE_SECONDS = 10, 2.0
PATIENCE_SECONDS = 60
#: Hosts of a fleet that do not answer; a fleet of fewer than two more has none.
ASLEEP, BLACK_HOLES = 2, 1
#: Connections with which a listener's queue is full, so that it drops what comes.
_FULL = 16


@dataclass(slots=True, kw_only=True)
class Times:
    """What was measured, in ms, by contender; and beside it, by what it was."""

    cells: dict[str, list[float]] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)


def measure(rounds: int = ROUNDS, hosts: int = 1) -> Report:
    """Time each contender once a round.

    Raises
    ------
    NoServer
        If there is no SSH server to start here.
    """
    times = Times()
    dead = ASLEEP + BLACK_HOLES if hosts > ASLEEP + BLACK_HOLES else 0
    with ExitStack() as stack:
        fleet = stack.enter_context(machines(max(1, hosts - dead)))
        contenders = _contenders(fleet, times)
        if hosts > 1:
            contenders |= _fleets(fleet, stack.enter_context(_dead(dead)), times)
        names = list(contenders)
        for round_ in range(rounds):
            print(f"  round {round_ + 1} of {rounds}", file=sys.stderr, flush=True)
            names.append(names.pop(0))
            for name in names:
                times.cells.setdefault(name, []).append(contenders[name]())
                for machine in fleet.hosts:
                    machine.stop()
    return _report(times, hosts, dead)


def _report(times: Times, hosts: int, dead: int) -> Report:
    cells = times.cells
    peers = {name: cells[name] for name in ("ipykernel + connect", "ipykernel + ssh")}
    parts = {
        f"{PAUSE_SECONDS:g} s after load": Comparison(ours=cells["after a pause"], peers=peers)
    }
    notes: dict[str, object] = {"load_ext, ms": round(sorted(times.loads)[len(times.loads) // 2])}
    for name, alone in (("of a fleet", "ours"), ("of a fleet, after a pause", "after a pause")):
        if name in cells:
            parts[name.replace("a fleet", f"{hosts} hosts")] = Comparison(
                ours=cells[name], peers={"one host": cells[alone]}
            )
            notes["of these asleep or black-holed"] = dead
    return Report(
        name="cold",
        unit="ms",
        whole=Comparison(ours=cells["ours"], peers=peers),
        parts=parts,
        notes=notes,
    )


def _contenders(fleet: Machines, times: Times) -> dict[str, Callable[[], float]]:
    port = fleet.hosts[0].port
    file = str(fleet.fleet({"studio": port}))
    return {
        "ours": lambda: _first_cell(file, 0.0, times),
        "after a pause": lambda: _first_cell(file, PAUSE_SECONDS, times),
        "ipykernel + connect": lambda: _ipykernel() + _connect(fleet, port),
        "ipykernel + ssh": lambda: _ipykernel() + _openssh(fleet, port),
    }


def _fleets(fleet: Machines, dead: Sequence[int], times: Times) -> dict[str, Callable[[], float]]:
    ports = {f"gone-{number}": port for number, port in enumerate(dead, 1)}
    ports |= {f"studio-{number}": host.port for number, host in enumerate(fleet.hosts, 1)}
    file = str(fleet.fleet(ports))
    return {
        "of a fleet": lambda: _first_cell(file, 0.0, times),
        "of a fleet, after a pause": lambda: _first_cell(file, PAUSE_SECONDS, times),
    }


def _first_cell(file: str, pause: float, times: Times) -> float:
    with _kernel({"MACGPU_FLEET": file}) as client:
        times.loads.append(_execute(client, "%load_ext jupyter_macgpu", ""))
        time.sleep(pause)
        return _execute(client, "%%macgpu\n6 * 7\n", "42")


def _ipykernel() -> float:
    started = time.perf_counter()
    with _kernel({}) as client:
        _execute(client, "6 * 7\n", "42")
        return (time.perf_counter() - started) * 1000


def _connect(fleet: Machines, port: int) -> float:
    started = time.perf_counter()
    connection = fleet.connect(port)
    elapsed = time.perf_counter() - started
    connection.close()
    return elapsed * 1000


def _openssh(fleet: Machines, port: int) -> float:
    started = time.perf_counter()
    subprocess.run([*fleet.openssh(port), "true"], check=True, capture_output=True)
    return (time.perf_counter() - started) * 1000


@contextmanager
def _kernel(variables: dict[str, str]) -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(
        startup_timeout=60, env=os.environ | variables, stderr=subprocess.DEVNULL
    )
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)


def _execute(client: BlockingKernelClient, code: str, wanted: str) -> float:
    """Return the ms until the kernel is idle again.

    Raises
    ------
    RuntimeError
        If the cell fails, or its result is not the one that is wanted.
    """
    started = time.perf_counter()
    request = client.execute(code, store_history=False)
    result = ""
    while True:
        message = client.get_iopub_msg(timeout=PATIENCE_SECONDS)
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        if kind == "execute_result":
            result = content["data"]["text/plain"]
        elif kind == "status" and content["execution_state"] == "idle":
            break
    elapsed = (time.perf_counter() - started) * 1000
    if result != wanted:
        raise RuntimeError(f"the result is {result!r} and not {wanted!r}")
    return elapsed


@contextmanager
def _dead(count: int) -> Iterator[list[int]]:
    """Yield ports on which nobody answers: first those that take connections, then black holes."""
    ports: list[int] = []
    with ExitStack() as stack:
        for number in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind((ADDRESS, 0))
            ports.append(listener.getsockname()[1])
            if number < ASLEEP:
                # Whoever connects waits in its queue for ever.
                listener.listen(1024)
            else:
                listener.listen(0)
                _fill(ports[-1], stack)
        yield ports


def _fill(port: int, stack: ExitStack) -> None:
    """Fill a listener's queue, so that the system drops whatever knocks from then on."""
    for _ in range(_FULL):
        link = stack.enter_context(socket.socket())
        link.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            link.connect((ADDRESS, port))
    time.sleep(0.1)
    with socket.socket() as trial:
        trial.settimeout(0.2)
        try:
            trial.connect((ADDRESS, port))
        except TimeoutError:
            return
    raise RuntimeError("this system takes connections that nobody accepts without end")
