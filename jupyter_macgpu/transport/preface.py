r"""What a host says before the protocol begins. Pure: bytes in, one verdict out.

The outer door speaks in lines that begin with ``\0macgpu-``. Whatever else comes before is noise
of the account's start-up files, and is passed over up to a limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..wire.connection import MAX_NOISE, PREAMBLE

#: How each line of a door begins, the protocol's own first line included.
_LINE = re.compile(rb"\x00macgpu-([a-z]+)(?: ([^\n]*))?\n")
_BEGUN = b"\x00macgpu-"
#: Longest line of a door.
_MAX_LINE = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoke:
    """The protocol begins.

    Attributes
    ----------
    data
        Everything from the preamble on.
    """

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line of a door or an installer.

    Attributes
    ----------
    word
        ``need`` (something has to be put there first), ``want``, ``done`` or ``error``.
    text
        What stands behind the word.
    rest
        The bytes behind the line.
    """

    word: str
    text: str
    rest: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noisy:
    """More noise than is passed over.

    Attributes
    ----------
    line
        Its first line that is not empty.
    """

    line: str


Verdict = Spoke | Said | Noisy


class Preface:
    """Reads the first bytes of a channel.

    Once it has come to a verdict it takes no more.
    """

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def noise(self) -> str:
        """The first line of the noise so far that is not empty; for error texts."""
        text = bytes(self._data[:2000]).decode("utf-8", "replace")
        lines = [_shown(line) for line in text.splitlines()]
        return next((line for line in lines if line), "")

    def feed(self, data: bytes | bytearray | memoryview) -> Verdict | None:
        """Take bytes in any cut; return the verdict, or None if more bytes are needed."""
        self._data += data
        at = self._data.find(PREAMBLE)
        line = _LINE.search(self._data)
        if at >= 0 and (line is None or at < line.start()):
            return Spoke(data=bytes(self._data[at:]))
        if line is not None:
            text = (line[2] or b"").decode("utf-8", "replace")
            rest = bytes(self._data[line.end() :])
            return Said(word=line[1].decode(), text=text, rest=rest)
        if len(self._data) > MAX_NOISE + _MAX_LINE or (
            len(self._data) > MAX_NOISE and self._data.rfind(_BEGUN) < 0
        ):
            return Noisy(line=self.noise)
        return None


def _shown(line: str) -> str:
    """Return a line without what a terminal would do and not show, at most 100 characters."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
    return "".join(sign for sign in plain if sign.isprintable()).strip()[:100]
