"""A notebook's shell with the extension, and what it showed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from jupyter_macgpu.wire.errors import MacGPUError
from jupyter_macgpu.wire.plain import plain

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


def refused(book: Notebook, cell: str, *words: str) -> None:
    """Run a cell that is refused: in four parts, before anything is sent, and no harm done."""
    before, names = book.runs(), dict(book.names)
    ran = book.run(cell).error_is(MacGPUError)
    assert isinstance(ran.error, MacGPUError)
    for word in words:
        assert word in ran.text, ran.text
    assert all([ran.error.what, ran.error.known, ran.error.kept, ran.error.next])
    # Nothing that acts on a terminal, and no more of a long input than says which it is.
    assert plain(ran.text) == ran.text
    assert max(len(line) for line in ran.text.splitlines()) < 1000
    assert book.runs() == before
    changed = {name for name in {*names, *book.names} if names.get(name) != book.names.get(name)}
    assert all(name.startswith("_") or name in ("In", "Out") for name in changed), changed


def well(book: Notebook) -> None:
    """Run a cell, to see that the notebook is well."""
    book.run("%%macgpu\nwell = 6 * 7").error_is(None)
    assert book.names.pop("well") == 42


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
