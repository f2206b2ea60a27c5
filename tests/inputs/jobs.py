"""Runs that a test's notebook hands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.inputs.shell import Notebook


def job(book: Notebook, cell: str, line: str) -> Any:
    """Hand a cell in with some options; return its `Run`."""
    book.run(f"%%macgpu --detach {line}\n{cell}").error_is(None)
    return book.names["_"]


def blocked(book: Notebook, gate: Path) -> Any:
    """Fill host a until the gate is there."""
    text = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    return job(book, text, "--on a --as blocker")
