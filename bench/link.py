"""Slow and long lines: a no-op, a push of 50 MB, and an interrupt during a push.

A relay in a process of its own stands between the SSH client and a real sshd and makes the line;
everything is on this machine. The peer of the no-op is a byte echoed over an open exec channel of
the same library; that of the push is OpenSSH's client on an open connection, with ``cat`` at the
far end. A line that would take long for 50 MB gets as much as it carries in some seconds; how much
that was stands in the notes. The interrupt is Ctrl-C half a second into a push that goes on for
longer, and its time is until the cell has ended.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from IPython.core.interactiveshell import InteractiveShell

from jupyter_macgpu.wire.errors import RunCancelled

from .relay import Counters, relay
from .report import Comparison, Report
from .shell import new_shell, run
from .sshd import Machines, machines

ROUNDS = 5
#: No-ops in each round; the first ones of a line are not counted.
NOOPS, WARM_UP = 10, 5
PUSH = 50_000_000
#: Seconds that a push takes by the line alone, at most; and the bytes that it is of at least.
PUSH_SECONDS, LEAST = 4.0, 96 * 1024
#: A push to interrupt: bytes that tell that it has begun, seconds from then on until Ctrl-C, and
#: how long it would go on, by the line alone.
BEGUN, INTERRUPT_SECONDS, INTERRUPTED_SECONDS = 4 * 1024, 0.5, 2.5
KIBI, MBIT = 1024, 1_000_000 / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A line.

    Attributes
    ----------
    shown
        Its rate, for a reader.
    rate, delay
        Bytes a second each way; milliseconds there and back.
    """

    shown: str
    rate: float
    delay: float

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return f"{self.shown}, {self.delay:g} ms"

    @property
    def push(self) -> int:
        """Bytes of a push."""
        return max(LEAST, min(PUSH, int(self.rate * PUSH_SECONDS)))


def _lines(shown: str, rate: float, *delays: float) -> list[Bad]:
    return [Bad(shown=shown, rate=rate, delay=delay) for delay in delays]


LINES = [
    *_lines("1 Gbit/s", 1000 * MBIT, 0, 2, 20, 80),
    *_lines("100 Mbit/s", 100 * MBIT, 0, 2, 20, 80),
    *_lines("1 Mbit/s", MBIT, 0, 20, 80),
    *_lines("128 KiB/s", 128 * KIBI, 0, 20, 80),
    *_lines("64 kbit/s", 0.064 * MBIT, 0, 80),
]
#: The line that the whole is about: an office and a home with a good line.
USUAL = "100 Mbit/s, 20 ms"


@dataclass(slots=True, kw_only=True)
class Times:
    """What was measured on one line, in ms."""

    noop: list[float] = field(default_factory=list)
    echo: list[float] = field(default_factory=list)
    push: list[float] = field(default_factory=list)
    cat: list[float] = field(default_factory=list)
    interrupt: list[float] = field(default_factory=list)


def measure(rounds: int = ROUNDS) -> Report:
    """Go over all lines, ours and the peers in turn on each.

    Raises
    ------
    NoServer
        If there is no SSH server to start here.
    """
    found: dict[str, Times] = {}
    parts: dict[str, Comparison] = {}
    sizes: dict[str, int] = {}
    with machines(1) as fleet, contextlib.redirect_stdout(io.StringIO()) as printed:
        limits = [(bad.rate, bad.delay) for bad in LINES]
        with relay(fleet.hosts[0].port, limits) as counters, _shell(fleet, counters) as shell:
            for number, bad in enumerate(LINES):
                print(f"  {bad.name}", file=sys.stderr, flush=True)
                found[bad.name] = _Over(bad, number, fleet, counters, shell).measure(rounds)
                printed.truncate(0)
                sizes[bad.name] = bad.push
    for name, times in found.items():
        parts[f"{name}: no-op"] = Comparison(ours=times.noop, peers={"raw-echo": times.echo})
        parts[f"{name}: push"] = Comparison(ours=times.push, peers={"ssh cat": times.cat})
        parts[f"{name}: interrupt"] = Comparison(ours=times.interrupt, peers={})
    usual = found[USUAL]
    return Report(
        name="link",
        unit="ms",
        whole=Comparison(ours=usual.noop, peers={"raw-echo": usual.echo}),
        parts=parts,
        notes={"whole": f"no-op over {USUAL}", "bytes pushed": sizes},
    )


class _Over:
    """What is done over one line.

    Parameters
    ----------
    number
        Of the line, in the relay and in the fleet.
    """

    def __init__(
        self, bad: Bad, number: int, fleet: Machines, counters: Counters, shell: InteractiveShell
    ) -> None:
        self._bad = bad
        self._host = _host(number)
        self._port = counters.ports[number]
        self._carried = lambda: counters.carried(number)
        self._fleet = fleet
        self._shell = shell

    def measure(self, rounds: int) -> Times:
        """Measure ours and the peers in turn."""
        times = Times()
        with _echo(self._fleet, self._port) as echo, _cat(self._fleet, self._port) as cat:
            for _ in range(WARM_UP):
                self._noop()
                echo()
            for _ in range(rounds):
                for _ in range(NOOPS):
                    times.noop.append(_timed(self._noop))
                    times.echo.append(_timed(echo))
                payload = self._shell.user_ns["payload"] = os.urandom(self._bad.push)
                times.push.append(_timed(self._push))
                times.cat.append(_timed(partial(cat, payload)))
                longer = max(LEAST, int(self._bad.rate * INTERRUPTED_SECONDS))
                self._shell.user_ns["payload"] = os.urandom(longer)
                times.interrupt.append(_interrupted(self._shell, self._host, self._carried))
        return times

    def _noop(self) -> None:
        run(self._shell, f"%%macgpu --on {self._host}\npass\n")

    def _push(self) -> None:
        run(self._shell, f"%%macgpu --on {self._host}\nsize = len(payload)\n")
        if self._shell.user_ns["size"] != self._bad.push:
            raise RuntimeError(f"{self._shell.user_ns['size']} bytes arrived of {self._bad.push}")


def _interrupted(shell: InteractiveShell, host: str, carried: Callable[[], int]) -> float:
    """Return the ms from Ctrl-C, in the middle of a push, until the cell has ended."""
    pressed: list[float] = []
    before = carried()

    def press() -> None:
        while carried() < before + BEGUN:
            time.sleep(0.01)
        time.sleep(INTERRUPT_SECONDS)
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    with contextlib.redirect_stderr(io.StringIO()):
        result = shell.run_cell(f"%%macgpu --on {host}\nlen(payload)\n", store_history=False)
    ended = time.perf_counter()
    if not isinstance(result.error_in_exec, (KeyboardInterrupt, RunCancelled)):
        raise RuntimeError(f"the push was not interrupted: {result.error_in_exec!r}")
    thread.join()
    return (ended - pressed[0]) * 1000


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _host(number: int) -> str:
    return f"line-{number}"


@contextmanager
def _shell(fleet: Machines, counters: Counters) -> Iterator[InteractiveShell]:
    ports = {_host(number): port for number, port in enumerate(counters.ports)}
    os.environ["MACGPU_FLEET"] = str(fleet.fleet(ports))
    shell = new_shell()
    run(shell, "%load_ext jupyter_macgpu")
    yield shell
    run(shell, "%unload_ext jupyter_macgpu")


@contextmanager
def _echo(fleet: Machines, port: int) -> Iterator[Callable[[], None]]:
    connection = fleet.connect(port)
    channel = connection.execute("exec cat")

    def once() -> None:
        channel.sendall(b"x")
        channel.recv(64)

    try:
        yield once
    finally:
        connection.close()


@contextmanager
def _cat(fleet: Machines, port: int) -> Iterator[Callable[[bytes], None]]:
    """Yield what sends bytes to a `cat` at the far end, over an open connection of OpenSSH's."""
    control = fleet.folder / "control"
    words = fleet.openssh(port, "-o", f"ControlPath={control}")
    with ExitStack() as stack:
        master = stack.enter_context(
            subprocess.Popen([*words[:-1], "-M", "-N", words[-1]], stdin=subprocess.DEVNULL)
        )
        stack.callback(master.terminate)
        while not control.exists():
            if master.poll() is not None:
                raise RuntimeError("OpenSSH's client does not connect")
            time.sleep(0.05)

        def send(data: bytes) -> None:
            subprocess.run([*words, "cat > /dev/null"], input=data, check=True)

        yield send
