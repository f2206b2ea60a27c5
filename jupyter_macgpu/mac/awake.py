"""A companion that keeps macOS from sleeping while a run is active.

Runs on the Mac. Only Python and `wire` may be imported here.

``caffeinate -i -s`` holds off the sleep of an idle system, and with ``-w`` ends by itself when this
process does, however that ends: no death of a supervisor leaves a Mac awake.
"""

from __future__ import annotations

import os
import subprocess
import sys

#: Names another program, for tests and for systems with a tool of their own.
VARIABLE = "MACGPU_CAFFEINATE"
CAFFEINATE = "/usr/bin/caffeinate"


class Awake:
    """Holds the companion, or does nothing where there is none."""

    def __init__(self) -> None:
        default = CAFFEINATE if sys.platform == "darwin" else ""
        self._program = os.environ.get(VARIABLE, default)
        self._process: subprocess.Popen[bytes] | None = None
        self._ending: list[subprocess.Popen[bytes]] = []

    def hold(self) -> None:
        """Have a companion from now on. One that ended by itself is not started again."""
        self._ending = [each for each in self._ending if each.poll() is None]
        if self._process is not None:
            self._process.poll()
        elif self._program:
            try:
                self._process = subprocess.Popen(
                    [self._program, "-i", "-s", "-w", str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            except OSError:
                # It is not there, and will not be: the cells run all the same.
                self._program = ""

    def release(self) -> None:
        """End the companion, if there is one."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
                self._ending.append(self._process)
            self._process = None
        if self._ending:
            self._ending = [each for each in self._ending if each.poll() is None]

    def close(self) -> None:
        """End the companion, and wait until it has."""
        self.release()
        for process in self._ending:
            process.kill()
            process.wait()
        self._ending = []
