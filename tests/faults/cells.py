"""The cell of every fault test: it floods, and what it should have written is known."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

_SOURCE = """
import os, sys, time, zlib
_fd = os.open({side!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.write(_fd, b"{token}\\n")
os.close(_fd)
for _n in range({lines}):
    _body = "{token} %06d " % _n + "x" * 60
    print("%s %08x" % (_body, zlib.crc32(_body.encode())))
    if _n % {every} == {every} - 1:
        print("{token} stderr %06d" % _n, file=sys.stderr)
        display({{"macgpu-test": _n}})
        time.sleep({pause})
notes.append("{token}")
answer = {lines}
answer
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """One flooding cell.

    Attributes
    ----------
    token
        A word that no other cell has.
    side
        File to which the cell writes its token when it begins: one line an execution.
    lines
        How many lines it prints.
    every, pause
        After so many lines it writes to stderr, displays, and sleeps `pause` seconds.
    """

    token: str
    side: Path
    lines: int = 3000
    every: int = 300
    pause: float = 0.03

    @property
    def source(self) -> str:
        """The cell's text."""
        return _SOURCE.format(
            token=self.token,
            side=str(self.side),
            lines=self.lines,
            every=self.every,
            pause=self.pause,
        )

    def executions(self) -> int:
        """Return how often the cell began to run."""
        words = self.side.read_text().split() if self.side.exists() else []
        return words.count(self.token)

    def stdout(self) -> bytes:
        """Return all that it writes to its standard output."""
        return b"".join(map(self._line, range(self.lines)))

    def stderr(self) -> bytes:
        """Return all that it writes to its standard error output."""
        ends = range(self.every - 1, self.lines, self.every)
        return b"".join(b"%s stderr %06d\n" % (self.token.encode(), n) for n in ends)

    def displays(self) -> list[str]:
        """Return the texts of its displays."""
        return [str({"macgpu-test": n}) for n in range(self.every - 1, self.lines, self.every)]

    def _line(self, number: int) -> bytes:
        body = b"%s %06d " % (self.token.encode(), number) + b"x" * 60
        return b"%s %08x\n" % (body, zlib.crc32(body))
