"""The oracle's verdict on one program: the same wherever its cells ran, or announced."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import assume

from .oracle import differences
from .runner import LocalRunner, Notebook, Runner

_MODULE = re.compile(r"\A[\w.]+\.(?=\w+(:|\n))")


def judge(program: list[str], places: Sequence[int], workers: tuple[Runner, Runner]) -> None:
    """Run a program at home, with the cells at `places`, and with two workers in turn.

    Each cell begins with an empty line, where the notebook has the magic's own.
    """
    program = ["\n" + cell for cell in program]
    local = LocalRunner()
    runners: list[Runner] = [local, *workers]
    for mixed, choice in ((Notebook(), places), (Notebook(), [1, 2] * 4)):
        at_home = Notebook()
        said: list[str] = []
        for number, (cell, place) in enumerate(zip(program, choice, strict=False)):
            expected = at_home.run(cell, local)
            # How deep a recursion gets depends on who called the cell.
            assume("RecursionError" not in expected.error)
            got = mixed.run(cell, runners[place])
            said += got.notes
            where = f"cell {number} at {place}:\n{cell}\n"
            assert got.stdout == expected.stdout, where
            assert _named(got.error) == _named(expected.error), where
            found = [line for line in differences(at_home, mixed) if not _announced(line, said)]
            assert not found, where + "\n".join(found)


def _named(error: str) -> str:
    """Return an error's text without the module of its class: a notebook shows none."""
    return _MODULE.sub("", error)


def _announced(difference: str, notes: list[str]) -> bool:
    """Say whether a note named what differs."""
    name = difference.partition(":")[0].partition(".")[0].partition("[")[0]
    return any(name in note.split(":")[0].split(", ") for note in notes)
