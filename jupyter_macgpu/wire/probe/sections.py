"""A probe's output taken apart: what stands between its marks."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

_BEGIN = re.compile(r"^(\S{1,64}) begin\s*$", re.MULTILINE)
#: More than a probe ever prints, in characters; a host cannot make us read more.
LONGEST = 256 * 1024
#: A probe has fewer than half as many sections.
MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The sections in their order, and whether the last mark came.

    A name may come more than once.
    """

    parts: tuple[tuple[str, str], ...] = ()
    complete: bool = False

    def all(self, name: str) -> list[str]:
        """Return the texts of one name."""
        return [text for found, text in self.parts if found == name]


def split(output: str, nonce: str | None = None) -> Sections:
    """Return what a probe printed.

    Parameters
    ----------
    output
        Whatever came; what stands before the first mark (a login shell's greeting) is not ours.
    nonce
        What marks a section; None takes that of the first line that looks like the beginning,
        which is good for a replay and not for a host.
    """
    output = output[:LONGEST]
    if nonce is None:
        begin = _BEGIN.search(output)
        if begin is None:
            return Sections()
        nonce = begin[1]
    mark = re.compile(rf"^{re.escape(nonce)} ([\w.-]{{1,40}})\s*?$", re.MULTILINE)
    marks = list(itertools.islice(mark.finditer(output), MOST))
    names = [match[1] for match in marks]
    if "begin" not in names:
        return Sections()
    ends = [match.start() for match in marks[1:]] + [len(output)]
    texts = [output[match.end() : end].strip("\n") for match, end in zip(marks, ends, strict=True)]
    parts = list(zip(names, texts, strict=True))[names.index("begin") + 1 :]
    whole = [part for part in parts if part[0] != "end"]
    return Sections(parts=tuple(whole), complete="end" in names)
