"""A notebook's code cells, run in order in one worker; its file is written after each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .cell import Cell, Dialect
from .recording import Recording
from .screening import screen_for
from .wire.errors import InputError
from .words import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .execution import Show
    from .fleet.hosts import Host
    from .notebookfile import CodeCell, NotebookFile
    from .options import CellOptions
    from .way import Result
    from .wire import messages as m

#: Of what has no shell of its own: its cells are transformed where they run.
PLAIN = Dialect(
    flags=0,
    transform=lambda text: text,
    number_of=lambda _name: None,
    register_source=lambda *_: None,
)


def run_cells(
    book: NotebookFile,
    target: Path,
    options: CellOptions,
    *,
    run: Callable[[Cell, CellOptions, Show], Result],
    show: Show,
    host: Callable[[], Host],
) -> Iterator[tuple[int, CodeCell, Result]]:
    """Run the cells in order, and yield each with its number when it has ended.

    Who does not ask for the next one ends the run there. Variables stay on the host that the first
    cell was placed on.

    Parameters
    ----------
    run
        Runs one cell; its errors are passed on, with what was shown until then in the file.
    show
        Where the output goes beside the file.
    host
        Returns where the cell runs that has just begun to show something.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    after, count = "", 0
    displays: dict[str, list[dict[str, object]]] = {}
    options = replace(options, outputs=())
    _write(book, target)
    for cell in book.cells:
        if not cell.source.strip():
            continue
        count += 1
        recorded = _Recorded(show, host, count, displays)
        try:
            result = run(_resident(cell, count, after), options, recorded)
        finally:
            book.finish(cell, recorded.outputs(), count)
            _write(book, target)
        yield count, cell, result
        after = result.run
        options = replace(options, on=result.host, files=(), profile=None, prefer=())


def _resident(cell: CodeCell, count: int, after: str) -> Cell:
    """Return a cell whose variables stay on the host, for those that come after it."""
    return Cell(
        source=cell.source, code="", count=count, dialect=PLAIN, headed=cell.headed, after=after
    )


def _write(book: NotebookFile, target: Path) -> None:
    try:
        book.write(target)
    except OSError as error:
        raise InputError(
            f"{shown(str(target))} cannot be written: {error.strerror or error}.",
            next="Name another file with --output.",
        ) from None


class _Recorded:
    """Shows a cell, and keeps it for the notebook's file."""

    def __init__(
        self,
        show: Show,
        host: Callable[[], Host],
        count: int,
        displays: dict[str, list[dict[str, object]]],
    ) -> None:
        self._show = show
        self._host = host
        self._begin = (count, displays)
        self._recording: Recording | None = None

    def output(self, output: m.Output) -> None:
        """Show one record, and keep it."""
        if self._recording is None:
            host = self._host()
            self._recording = Recording(*self._begin, screen_for(host.name, host.trust))
        self._recording.output(output)
        self._show.output(output)

    def state(self, state: m.RunState) -> None:
        """Show where the run is now."""
        self._show.state(state)

    def notice(self, text: str) -> None:
        """Show a line of ours."""
        self._show.notice(text)

    def ask(self, prompt: str, password: bool) -> str:
        """Ask the user."""
        return self._show.ask(prompt, password)

    def outputs(self) -> list[dict[str, Any]]:
        """Return what was kept."""
        return [] if self._recording is None else self._recording.finish()
