"""One cell as the notebook has it, and what the notebook's shell knows of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .wire.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the notebook's shell knows of its cells' texts.

    Attributes
    ----------
    flags
        Its compiler flags: the ``from __future__`` imports so far.
    transform
        Its way from a cell as typed to plain Python.
    number_of
        Execution count of the cell whose code has a file name.
    register_source
        Takes a cell's file name, source and execution count, for tracebacks.
    """

    flags: int
    transform: Callable[[str], str]
    number_of: Callable[[str], int | None]
    register_source: Callable[[str, str, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell as the notebook has it.

    Attributes
    ----------
    source
        The body as typed, without the magic's own line.
    code
        The same as plain Python, all magics transformed.
    count
        Its execution count.
    cell
        Its id in the notebook; ``""`` where the front end gives none.
    headed
        Whether a line of the magic's own stands above the source; sticky mode has none.
    kernel
        The kernel's id, with `cell` and the notebook's name the run's origin.
    program
        What is run instead of the source.
    after
        Id of the run before it, where the variables stay on the host from one cell to the next and
        nothing of them travels; ``""`` for the first of them. Such a cell is transformed there.
        None is a notebook's cell.
    request
        Id of the front end's request that runs it; ``""`` where no front end shows widgets.
    known_as
        What tells it from other cells, where its source does not.
    """

    source: str
    code: str
    count: int
    cell: str = ""
    kernel: str = ""
    headed: bool = True
    program: Program | None = None
    after: str | None = None
    request: str = ""
    known_as: str = ""
    dialect: Dialect
