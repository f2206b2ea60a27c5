"""A notebook that runs without anybody: cell by cell on a host, its file written as it goes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..bookrun import run_cells
from ..interrupts import Interrupts
from ..ledger import Ledger
from ..notebookfile import NotebookFile
from ..way import run_cell
from ..wire.errors import MacGPUError, RunUnknown
from .timetable import End

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ..cell import Cell
    from ..execution import Show
    from ..options import CellOptions
    from ..pool import Pool
    from ..way import Result
    from ..wire import messages as m


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a notebook is.

    Attributes
    ----------
    cell, cells
        Number of the cell that runs now, from 1 on, and of all that have a text.
    host, run
        Where it runs, and the id of its run.
    """

    began: float
    output: str
    cell: int = 0
    cells: int = 0
    host: str = ""
    run: str = ""


class NotebookJob:
    """One notebook, run once.

    Parameters
    ----------
    source, target
        The notebook, and the file for what has run.
    output
        The latter as the browser names it.
    options
        Where it runs, as a cell's line has it.
    lend
        Lends connections for the notebook's name; they are closed behind it.
    tell
        Called by the job's thread when it is further.

    Attributes
    ----------
    progress
        How far it is.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        output: str,
        *,
        options: CellOptions,
        parameters: Mapping[str, Any],
        lend: Callable[[str], AbstractContextManager[Pool]],
        tell: Callable[[], None],
    ) -> None:
        self.progress = Progress(began=time.time(), output=output)
        self._source, self._target = source, target
        self._options, self._parameters = options, parameters
        self._lend, self._tell = lend, tell
        self._interrupts = Interrupts()
        self._ledger = Ledger()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Interrupt the cell that runs, and begin no other one."""
        self._stopped.set()
        self._interrupts.count()

    def run(self) -> End:
        """Run it; return how it ended. What has run is in its file, whatever happened."""
        is_over = True
        try:
            state, message = self._run()
        except MacGPUError as error:
            # A host that is silent has not stopped anything.
            is_over = not isinstance(error, RunUnknown)
            state, message = "error", f"{error.what} {error.known}"
        except (OSError, EOFError) as error:
            state, message = "error", str(error)
        finally:
            self._ledger.close()
        now, progress = time.time(), self.progress
        return End(
            state="cancelled" if self._stopped.is_set() and state != "ok" and is_over else state,
            at=round(now, 3),
            seconds=round(now - progress.began, 3),
            output=progress.output,
            message=message,
        )

    def _run(self) -> tuple[str, str]:
        book = NotebookFile(self._source, self._parameters)
        cells = [cell for cell in book.cells if cell.source.strip()]
        self._go_on(cells=len(cells))
        with self._lend(str(self._source)) as pool:

            def run(cell: Cell, options: CellOptions, show: Show) -> Result:
                self._go_on(cell=cell.count, run="")
                return run_cell(
                    cell,
                    {},
                    options,
                    pool=pool,
                    show=show,
                    interrupts=self._interrupts,
                    record=self._record,
                    placed=lambda _session: None,
                    limits={},
                )

            def host() -> Any:
                assert pool.current is not None
                return pool.current.host

            ended = run_cells(book, self._target, self._options, run=run, show=self, host=host)
            for count, cell, result in ended:
                if result.state != "ok" and not (cell.may_fail and result.state == "error"):
                    return result.state, f"cell {count} of {len(cells)} ended: {result.state}"
                if self._stopped.is_set():
                    return "cancelled", f"it was stopped after cell {count} of {len(cells)}"
        return "ok", ""

    def _record(self, message: m.Submit, host: str) -> None:
        self._ledger.record(message, host)
        self._go_on(run=message.run, host=host)

    def _go_on(self, **further: Any) -> None:
        self.progress = replace(self.progress, **further)
        self._tell()

    # What a run is shown to: nobody looks, and the notebook's file keeps it.

    def output(self, output: m.Output) -> None:
        """Show nothing: whoever looks follows the run."""

    def state(self, state: m.RunState) -> None:
        """Show nothing, as above."""

    def notice(self, text: str) -> None:
        """Show nothing: what is said of the way is no output."""

    def ask(self, prompt: str, password: bool) -> str:  # noqa: ARG002 (as `Show` has it)
        """Refuse: there is nobody."""
        raise EOFError("nobody waits for a scheduled notebook who could answer")
