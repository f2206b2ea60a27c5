"""A notebook of `notebooks/` that has run, as its tests read it."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

_FOLDER = Path(__file__).parents[1] / "notebooks"


def executed(name: str, *, timeout: int) -> dict[str, str]:
    """Run a notebook; return what each of its cells showed, by its id, as text.

    Parameters
    ----------
    timeout
        Seconds that one cell may take.
    """
    book = nbformat.read(_FOLDER / name, as_version=4)
    NotebookClient(book, timeout=timeout).execute()
    return {
        cell.id: "\n".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in book.cells
        if cell.cell_type == "code"
    }
