"""A notebook's shell with the extension, and what it showed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Shown:
    """One cell's text and error."""

    text: str
    error: BaseException | None


class Notebook:
    """Runs cells in one IPython shell, as a front end would."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        self.shell = InteractiveShell.instance()
        self.names: dict[str, Any] = self.shell.user_ns
        self.run("%load_ext jupyter_macgpu").error_is(None)

    def run(self, cell: str) -> Ran:
        """Run one cell."""
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            result = self.shell.run_cell(cell, store_history=True)
        error = result.error_before_exec or result.error_in_exec
        return Ran(Shown(_COLOUR.sub("", out.getvalue()), error))

    def runs(self) -> list[str]:
        """Return the ids of all runs that the host knows."""
        extension = self.shell.magics_manager.registry["MacGPUMagics"].extension
        pool = extension.pool
        return [str(row["run"]) for host in pool.fleet.hosts for row in pool.runs(host, "")]


class Ran:
    """What a cell did, to be asked about."""

    def __init__(self, shown: Shown) -> None:
        self.text = shown.text
        self.error = shown.error

    def error_is(self, kind: type | None) -> Ran:
        """Check the kind of error; None is none."""
        if kind is None:
            assert self.error is None, self.text
        else:
            assert isinstance(self.error, kind), (self.error, self.text)
        return self


@contextmanager
def notebook() -> Iterator[Notebook]:
    """Open a notebook, and leave nothing of it."""
    opened = Notebook()
    try:
        yield opened
    finally:
        opened.run("%unload_ext jupyter_macgpu").error_is(None)
        opened.shell.history_manager.end_session()
        InteractiveShell.clear_instance()
