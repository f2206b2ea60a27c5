"""Kills processes and presses Ctrl-C while cells run, at moments drawn from a seed."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from jupyter_macgpu.wire.errors import MacGPUError

from . import processes
from .invariants import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .desk import Desk


class Assassin(threading.Thread):
    """Does one harm after another until it is stopped.

    Parameters
    ----------
    harms
        By name: each does its harm and says whether there was anything to harm.
    seed
        What is drawn from.
    """

    def __init__(self, harms: dict[str, Callable[[], bool]], seed: int) -> None:
        super().__init__(daemon=True)
        self.done: Counter[str] = Counter()
        self._harms = harms
        self._random = random.Random(seed)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Do harm. This is the thread."""
        while not self._stopped.wait(self._pause()):
            name = self._random.choice(sorted(self._harms))
            if self._harms[name]():
                self.done[name] += 1

    def _pause(self) -> float:
        """Return how long to wait: about 0.2 s, now and then long enough for a cell to end."""
        return self._random.uniform(0.04, 0.36) * self._random.choice([1, 1, 1, 8])

    def stop(self) -> None:
        """Stop, after the harm that is being done."""
        self._stopped.set()
        self.join()


def killer(state: Path, role: str, chance: random.Random) -> Callable[[], bool]:
    """Return a harm: ``kill -9`` of one of the processes of a role."""

    def harm() -> bool:
        there = processes.found(state, role)
        return bool(there) and chance.choice(there).kill()

    return harm


def presser(desk: Desk, times: int) -> Callable[[], bool]:
    """Return a harm: Ctrl-C in the notebook, so many times in a row."""

    def harm() -> bool:
        interrupts = desk.interrupts
        if not desk.busy:
            return False
        for _ in range(times):
            interrupts.count()
            time.sleep(0.03)
        return True

    return harm


class Watchman(threading.Thread):
    """Asks the supervisor all the while whether it answers."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.watch = Watch()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Ask. This is the thread."""
        while not self._stopped.wait(0.1):
            try:
                self.watch.ping()
            except MacGPUError:
                self.watch.close()

    def stop(self) -> None:
        """Stop asking."""
        self._stopped.set()
        self.join()
        self.watch.close()
