"""Each notebook runs from its first cell to its last, in a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
#: Those that another file runs, to look at what they show.
ELSEWHERE = {"fleet", "jobs", "scheduling"}


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(FOLDER.glob("*.ipynb")) if path.stem not in ELSEWHERE],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs(path, state):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300).execute()
    errors = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert errors == []


def test_the_quickstart_trains_well_and_shows_its_figures(state):
    notebook = nbformat.read(FOLDER / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300).execute()
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    text = "".join(output.get("text", "") for output in outputs)
    shares = [float(word.rstrip("%;")) for word in text.split() if word.rstrip(";").endswith("%")]
    assert len(shares) >= 3
    assert min(shares) > 90
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) >= 3


def test_every_saved_notebook_is_without_outputs():
    for path in FOLDER.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert all(not cell.get("outputs") for cell in notebook.cells), path.name
