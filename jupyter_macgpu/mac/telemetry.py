"""The host's own tools, asked how it is: a program beside the supervisor's loop.

Runs on the Mac. Only Python and `wire` may be imported here.

Nothing here waits. The program's output is taken as it comes, and a program that takes longer than
`PATIENCE` is ended: what it has said until then counts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import shlex
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire.telemetry import Telemetry

#: Names another program in place of the probe: a simulated Mac's. It gets the same input.
VARIABLE = "MACGPU_PROBE"
#: Seconds that the probe may take. Its tools have limits of their own, which add up to more.
PATIENCE = 10.0
#: A probe says a few kilobytes; no program fills our memory. In bytes.
MOST = 1024 * 1024
_CHUNK = 64 * 1024
_SHELL = ("/bin/sh", "-s")


class Probe:
    """Runs the probe, one round at a time, and keeps what it said last.

    Parameters
    ----------
    selector
        The loop's; it calls back when there is something to read.
    now
        The time in seconds.

    Attributes
    ----------
    sample, plain
        What the last round that said anything found, and the same as JSON has it.
    begun, ended
        When that round began, and when it was over; None before the first.
    tried
        When the last round of all was over, whatever it said.
    rounds
        How many rounds are over.
    """

    def __init__(self, selector: selectors.BaseSelector, now: Callable[[], float]) -> None:
        self.sample: Telemetry | None = None
        self.plain: dict[str, Any] = {}
        self.begun: float | None = None
        self.ended: float | None = None
        self.tried: float | None = None
        self.rounds = 0
        self._selector = selector
        self._now = now
        self._start = 0.0
        self._nonce: str | None = None
        self._said = b""
        self._output = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def asking(self) -> bool:
        """Whether a round is under way."""
        return self._output >= 0

    @property
    def ending(self) -> bool:
        """Whether the program of the last round is not gone yet: no round can begin."""
        return self._process is not None and self._output < 0

    def begin(self) -> None:
        """Begin a round, if none is under way. A program that cannot be started says nothing."""
        if self._process is not None:
            return
        from ..wire import probe  # who is never asked how it is, never reads it

        named, nonce = os.environ.get(VARIABLE), secrets.token_hex(8)
        script = Path(probe.__file__).with_name(probe.SCRIPT).read_text()
        # A program that replays a recording may have marks of its own.
        self._nonce = None if named else nonce
        self._start, self._said = self._now(), b""
        try:
            self._spawn(shlex.split(named) if named else _SHELL, bool(named))
        except (OSError, ValueError):
            self.tried = self._start
            self.rounds += 1
            return
        self._hand(probe.with_nonce(script, nonce).encode())

    def tick(self) -> None:
        """End a program that takes too long, or that has nothing more to say and stays."""
        process = self._process
        if process is None:
            return
        if self._output >= 0 and self._now() - self._start > PATIENCE:
            self._finish()
        if self._output < 0:
            if process.poll() is None:
                _kill(process)
            else:
                self._process = None

    def close(self) -> None:
        """End the program, and wait until it has."""
        if self._output >= 0:
            self._shut()
        if self._process is not None:
            _kill(self._process)
            self._process.wait()
            self._process = None

    def _spawn(self, command: list[str] | tuple[str, ...], everything: bool) -> None:
        # Nothing of ours is for the tools, but a stand-in is told by variables what it is to be.
        kept = ("HOME", "USER", "LOGNAME", "TMPDIR")
        variables = {name: os.environ[name] for name in kept if name in os.environ}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ) if everything else variables,
            cwd="/",
            process_group=0,
        )
        assert self._process.stdout is not None
        self._output = os.dup(self._process.stdout.fileno())
        self._process.stdout.close()
        os.set_blocking(self._output, False)
        self._selector.register(self._output, selectors.EVENT_READ, lambda _events: self._read())

    def _hand(self, script: bytes) -> None:
        """Give the program its input, which every system's pipe holds whole: nobody waits."""
        assert self._process is not None
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        with contextlib.suppress(OSError):
            os.write(self._process.stdin.fileno(), script)
        self._process.stdin.close()

    def _read(self) -> None:
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._said += data
        if not data or len(self._said) > MOST:
            self._finish()

    def _finish(self) -> None:
        self._shut()
        self.tried = self._now()
        self.rounds += 1
        if self._process is not None and self._process.poll() is None:
            _kill(self._process)
        from ..wire.probe import read_probe
        from ..wire.telemetry import to_json

        sample = read_probe(self._said, self._nonce)
        plain = to_json(sample)
        self._said = b""
        # That nothing was said is no news of the host: what was known grows old.
        if plain.keys() - {"complete", "stopped"}:
            self.sample, self.plain = sample, plain
            self.begun, self.ended = self._start, self.tried

    def _shut(self) -> None:
        self._selector.unregister(self._output)
        os.close(self._output)
        self._output = -1


def gpu_taken(sample: Telemetry) -> float | None:
    """Return the share of the first GPU that was in use, 0 to 1."""
    return None if sample.gpu is None else sample.gpu.utilization


def cpu_taken(sample: Telemetry) -> float | None:
    """Return the share of the cores that were wanted in the last minute, 0 to 1."""
    load, cores = sample.system.load_1, sample.machine.cpus
    return None if load is None or not cores else min(1.0, load / cores)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program with all that it started. It was not waited for: its id is still its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
