"""Sticky mode: every following cell runs elsewhere, with no magic on its first line.

So an editor sees Python, and keeps its highlighting, completion, formatter and linter. A cell is
turned into a ``%%macgpu`` cell where IPython transforms its text, after prompts were taken off and
before magics are read.

What a cell's first line decides: ``%%local`` and ``%%macgpu`` mean what they say; lines about this
kernel itself (``%macgpu``, ``%load_ext``, help) are for this kernel. Nothing else is guessed from
the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .words import OptionError

#: The cell magic that opts out of sticky mode.
LOCAL = "local"
_FIRST_WORD = re.compile(r"\s*(%{0,2}[\w.]*)")
#: First words of cells that are about this kernel, whoever runs the others.
_OURS = frozenset({"%%macgpu", "%macgpu", "%load_ext", "%reload_ext", "%unload_ext"})
_HELP = re.compile(r"\s*(\?{1,2}\S.*|[^#\n]*\S\?{1,2})\s*\Z")
_LINE_MAGIC = re.compile(r"^\s*%macgpu\b", re.MULTILINE)


class Sticky:
    """Turns cells into ``%%macgpu`` cells while it is on. One of IPython's transforms of lines.

    Parameters
    ----------
    silent
        Says whether the front end, not the user, runs something now.

    Attributes
    ----------
    on
        Whether cells are turned.
    """

    #: IPython asks the other transforms whether a cell that is being typed is complete.
    has_side_effects = True

    def __init__(self, silent: Callable[[], bool]) -> None:
        self.on = False
        self._silent = silent
        self._aside = False
        self._running = 0
        self._taken: str | None = None

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the lines of a cell as they are to be run."""
        if self._aside or not lines:
            return lines
        first = _first_word(lines)
        if first == f"%%{LOCAL}":
            return self._without_local(lines) if _is_alone(lines) else lines
        if not self.on or self._running or first in _OURS or self._silent():
            return lines
        text = "".join(lines)
        if not text.strip() or _HELP.fullmatch(text):
            return lines
        self._taken = text
        return ["%%macgpu\n", *lines]

    def began(self) -> None:
        """Note that a cell runs: what it has IPython run, such as ``%%capture``, is part of it."""
        self._running += 1

    def ended(self) -> None:
        """Note that it has ended."""
        self._running = max(0, self._running - 1)

    def took(self, body: str) -> bool:
        """Say whether this cell's text has no line of the magic's own above it."""
        return self._taken is not None and self._taken.rstrip("\n") == body.rstrip("\n")

    def aside(self, transform: Callable[[str], str]) -> Callable[[str], str]:
        """Return IPython's transform of a cell without this one: for text that is not a cell."""

        def transformed(text: str) -> str:
            before, self._aside = self._aside, True
            try:
                return transform(text)
            finally:
                self._aside = before

        return transformed

    @staticmethod
    def _without_local(lines: list[str]) -> list[str]:
        at = next(number for number, line in enumerate(lines) if line.strip())
        rest = lines[at + 1 :]
        if any(line.strip() for line in rest) and _first_word(rest).startswith("%%"):
            return rest  # IPython looks for a cell magic on the first line
        return [*lines[:at], "\n", *rest]


def refuse_own_lines(body: str) -> None:
    """Refuse ``%macgpu`` lines in a cell that is about to run elsewhere.

    Raises
    ------
    OptionError
        If there is one. Nothing was sent.
    """
    if (found := _LINE_MAGIC.search(body)) is not None:
        number = body.count("\n", 0, found.end()) + 1
        raise OptionError(
            f"Line {number} of this cell is a %macgpu line, and the cell would run elsewhere.",
            next="Put it into a cell of its own, or begin this one with %%local.",
        )


def _is_alone(lines: list[str]) -> bool:
    return len(next(line for line in lines if line.strip()).split()) == 1


def _first_word(lines: list[str]) -> str:
    text = next((line for line in lines if line.strip()), "")
    found = _FIRST_WORD.match(text)
    return found[1] if found else ""
