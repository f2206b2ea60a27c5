"""The doors that this process started on this machine, and their ends.

A door ends when its supervisor has seen that the channel is over: a moment later on a machine that
has other things to do, and not at all while the supervisor is stopped. Nobody who closes a channel
waits for that.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import threading
import time

#: Seconds that a door may outlive its channel.
PATIENCE = 2.0
#: Seconds between two looks at those that have not ended.
_LOOK = 0.02


class Doors:
    """Doors, from their start until they are gone. May be used by any thread.

    What is left when this process ends is killed. A forked child ends none of them.
    """

    def __init__(self) -> None:
        self._begin()
        atexit.register(self.end)
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._open: dict[int, subprocess.Popen[bytes]] = {}
        self._ending: list[tuple[float, subprocess.Popen[bytes]]] = []
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def opened(self, door: subprocess.Popen[bytes]) -> None:
        """Take in a door whose channel is open."""
        with self._lock:
            self._open[door.pid] = door

    def closed(self, door: subprocess.Popen[bytes]) -> None:
        """Take in that a door's channel is over: it has `PATIENCE` seconds to end by itself."""
        with self._lock:
            self._open.pop(door.pid, None)
            if door.poll() is not None:
                return
            self._ending.append((time.monotonic() + PATIENCE, door))
            if self._thread is None:
                thread = threading.Thread(target=self._look, name="doors", daemon=True)
                # While this process ends no thread begins any more; `end` is to come then.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def end(self) -> None:
        """Kill all that are left, and wait until they are gone."""
        with self._lock:
            left = [*self._open.values(), *(door for _, door in self._ending)]
            self._open.clear()
            self._ending.clear()
            for door in left:
                door.kill()
            for door in left:
                door.wait()

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK)
            with self._lock:
                now, still = time.monotonic(), []
                for until, door in self._ending:
                    if door.poll() is None:
                        if now > until:
                            door.kill()
                        still.append((until, door))
                self._ending = still
                if not still:
                    self._thread = None
                    return
