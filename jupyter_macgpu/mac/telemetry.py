"""The host's own tools, asked how it is: a program beside the supervisor's loop.

Runs on the Mac. Only Python and `wire` may be imported here.

The program's output is taken as it comes, and a program that takes longer than `PATIENCE` is ended:
what it has said until then counts.
"""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .aside import Aside

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable

    from ..wire.telemetry import Telemetry

#: Names another program in place of the probe: a simulated Mac's. It gets the same input.
VARIABLE = "MACGPU_PROBE"
#: Seconds that the probe may take. Its tools have limits of their own, which add up to more.
PATIENCE = 10.0
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
        self._now = now
        self._start = 0.0
        self._nonce: str | None = None
        self._aside = Aside(selector, now)

    @property
    def asking(self) -> bool:
        """Whether a round is under way."""
        return self._aside.speaking

    @property
    def ending(self) -> bool:
        """Whether the program of the last round is not gone yet: no round can begin."""
        return self._aside.there and not self._aside.speaking

    def begin(self) -> None:
        """Begin a round, if none is under way. A program that cannot be started says nothing."""
        if self._aside.there:
            return
        named, nonce = os.environ.get(VARIABLE), secrets.token_hex(8)
        # A program that replays a recording may have marks of its own.
        self._nonce = None if named else nonce
        self._start = self._now()
        # Nothing of ours is for the tools, but a stand-in is told by variables what it is to be.
        kept = ("HOME", "USER", "LOGNAME", "TMPDIR")
        variables = {name: os.environ[name] for name in kept if name in os.environ}
        try:
            from ..wire import probe  # who is never asked how it is, never reads it

            script = Path(probe.__file__).with_name(probe.SCRIPT).read_text()
            self._aside.start(
                shlex.split(named) if named else _SHELL,
                environment=os.environ if named else variables,
                patience=PATIENCE,
                done=self._ended,
                given=probe.with_nonce(script, nonce).encode(),
            )
        except (OSError, ValueError, ImportError):  # our code may have been deleted meanwhile
            self.tried = self._start
            self.rounds += 1

    def tick(self) -> None:
        """End a program that takes too long, or that has nothing more to say and stays."""
        self._aside.tick()

    def close(self) -> None:
        """End the program, and wait until it has."""
        self._aside.close()

    def _ended(self, said: bytes) -> None:
        self.tried = self._now()
        self.rounds += 1
        from ..wire.probe import read_probe
        from ..wire.telemetry import to_json

        sample = read_probe(said, self._nonce)
        plain = to_json(sample)
        # That nothing was said is no news of the host: what was known grows old.
        if plain.keys() - {"complete", "stopped"}:
            self.sample, self.plain = sample, plain
            self.begun, self.ended = self._start, self.tried


def gpu_taken(sample: Telemetry) -> float | None:
    """Return the share of the first GPU that was in use, 0 to 1."""
    return None if sample.gpu is None else sample.gpu.utilization


def cpu_taken(sample: Telemetry) -> float | None:
    """Return the share of the cores that were wanted in the last minute, 0 to 1."""
    load, cores = sample.system.load_1, sample.machine.cpus
    return None if load is None or not cores else min(1.0, load / cores)
