"""One program beside the supervisor's loop: started, read as it speaks, ended if it takes too long.

Runs on the Mac. Only Python and `wire` may be imported here.

Nothing here waits, but `close`.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: No program fills our memory. In bytes.
MOST = 1024 * 1024
#: Seconds that a program may live on whose output has ended.
LAST = 0.2
_CHUNK = 64 * 1024


class Aside:
    """Runs one program at a time.

    Parameters
    ----------
    selector
        The loop's; it calls back when there is something to read.
    now
        The time in seconds.

    Attributes
    ----------
    code
        How the last program ended, as ``subprocess`` says it; None as long as that is not known.
    is_late
        Whether the last program was ended for its time.
    """

    def __init__(self, selector: selectors.BaseSelector, now: Callable[[], float]) -> None:
        self.code: int | None = None
        self.is_late = False
        self._selector = selector
        self._now = now
        self._until = 0.0
        self._said = b""
        self._output = -1
        self._done: Callable[[bytes], None] = lambda _said: None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def speaking(self) -> bool:
        """Whether a program runs and may still say something."""
        return self._output >= 0

    @property
    def there(self) -> bool:
        """Whether the last program is not gone yet: none can be started."""
        return self._process is not None

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        patience: float,
        done: Callable[[bytes], None],
        given: bytes = b"",
        with_errors: bool = False,
    ) -> None:
        """Start a program. Its group is its own; nothing may run already.

        Parameters
        ----------
        patience
            Seconds that it may take.
        done
            Told what it said when it has said all, or was ended for its time or its length.
        given
            Its input, which every system's pipe holds whole: nobody waits.
        with_errors
            Whether what it writes to its standard error counts.

        Raises
        ------
        OSError, ValueError
            If it cannot be started.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if with_errors else subprocess.DEVNULL,
            env=dict(environment),
            cwd="/",
            process_group=0,
        )
        self.code, self.is_late = None, False
        self._until, self._said, self._done = self._now() + patience, b"", done
        assert self._process.stdout is not None
        self._output = os.dup(self._process.stdout.fileno())
        self._process.stdout.close()
        os.set_blocking(self._output, False)
        self._selector.register(self._output, selectors.EVENT_READ, lambda _events: self._read())
        self._hand(given)

    def tick(self) -> None:
        """End a program that takes too long, or that has nothing more to say and stays."""
        process = self._process
        if process is None:
            return
        if self._output >= 0 and self._now() > self._until:
            self.is_late = True
            self._finish(0.0)
        if self._output < 0:
            if process.poll() is None:
                if self._now() >= self._until:
                    kill(process)
            else:
                self.code = process.returncode
                self._process = None

    def stop(self) -> None:
        """End the program; what it said counts for nothing."""
        if self._output >= 0:
            self._shut()
        if self._process is not None:
            kill(self._process)

    def close(self) -> None:
        """End the program, and wait until it has."""
        self.stop()
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _hand(self, given: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        with contextlib.suppress(OSError):
            os.write(self._process.stdin.fileno(), given)
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
            self._finish(0.0 if data else LAST)

    def _finish(self, grace: float) -> None:
        self._shut()
        # How it ends is worth knowing: one that has said all gets a moment for that.
        self._until = self._now() + grace
        if self._process is not None and not grace:
            kill(self._process)
        said, self._said = self._said, b""
        self._done(said)

    def _shut(self) -> None:
        self._selector.unregister(self._output)
        os.close(self._output)
        self._output = -1


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program with all that it started. It was not waited for: its id is still its own."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
