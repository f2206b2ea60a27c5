"""Notebooks that run with nobody at them: nbclient and papermill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from jupyter_macgpu.showing import MIME

SLOW = "%%macgpu\nimport time\ntime.sleep(2.6)\nprint('done')"
CELLS = ["%load_ext jupyter_macgpu", SLOW, "%%macgpu\nx = 20 + 1", "2 * x"]
ASKS = "%%macgpu\nname = input('who? ')"


def book(*cells: str) -> nbformat.NotebookNode:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    return made


def texts(cell: nbformat.NotebookNode) -> list[str]:
    return [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]


def papermill(folder: Path, *cells: str) -> tuple[subprocess.CompletedProcess[str], list]:
    """Run cells by the command; return how it ended and the cells of the notebook it wrote."""
    nbformat.write(book(*cells), folder / "in.ipynb")
    ran = subprocess.run(
        [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    written = nbformat.read(folder / "out.ipynb", 4).cells
    return ran, [cell for cell in written if cell.cell_type == "code"]


def test_papermill_runs_it_and_keeps_nothing_of_the_line(own_state, tmp_path):
    ran, cells = papermill(tmp_path, *CELLS)
    assert ran.returncode == 0, ran.stderr
    assert texts(cells[1])[-1] == "done\n"
    assert not any(text.startswith("macgpu:") for text in texts(cells[1]))
    assert texts(cells[3]) == ["42"]


def test_papermill_shows_the_line_if_asked(own_state, tmp_path):
    ran, cells = papermill(tmp_path, CELLS[0], "%macgpu config progress=on", SLOW)
    assert ran.returncode == 0, ran.stderr
    assert [text for text in texts(cells[2]) if text.startswith("macgpu: this-machine:")]


def test_a_question_that_nobody_answers_under_papermill_is_a_clear_error(own_state, tmp_path):
    ran, cells = papermill(tmp_path, CELLS[0], ASKS, "'never'")
    assert ran.returncode != 0
    assert "this frontend does not support input requests" in ran.stderr
    assert cells[1].outputs[-1]["ename"] == "StdinNotImplementedError"
    assert cells[2].execution_count is None


def test_the_same_in_nbclient(own_state):
    with pytest.raises(CellExecutionError, match="does not support input requests"):
        NotebookClient(book(CELLS[0], ASKS), timeout=60, allow_errors=False).execute()


def test_verify_says_its_lines_where_nobody_looks(own_state):
    ran = book(CELLS[0], "%%macgpu --verify cpu\ny = 0.5")
    NotebookClient(ran, timeout=60).execute()
    said = texts(ran.cells[1])
    assert any(text.startswith("macgpu: the cell runs a second time") for text in said)
    assert any(text.startswith("macgpu: verified: 1 value equal") for text in said)


def test_a_run_is_named_in_the_cell_alone_that_handed_it_in(own_state):
    """Front ends write what a run shows behind its name: elsewhere something else stands there."""
    cells = [CELLS[0], "%%macgpu --detach\n1 + 1", "run = _\ndisplay(run)\nprint('mine')", "run"]
    called = "import jupyter_macgpu as macgpu\nmacgpu.submit(len, 'four')"
    done = NotebookClient(book(*cells, called), timeout=120).execute()
    runs = [
        (number, MIME in output.data)
        for number, cell in enumerate(done.cells)
        for output in cell.outputs
        if output.get("data", {}).get("text/plain", "").startswith("<run ")
    ]
    assert runs == [(1, True), (2, False), (3, False), (4, False)]
