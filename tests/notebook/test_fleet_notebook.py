"""The tour of a fleet runs from its first cell to its last, and shows what it tells."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from jupyter_macgpu.simulation import servers

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "fleet.ipynb"


def tour():
    """Run the notebook; return what each cell showed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=60).execute()
    return {
        cell.id: "\n".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


@pytest.fixture
def temporary(monkeypatch):
    """Give the notebook a folder of its own for temporary files: other tests start fleets too."""
    with tempfile.TemporaryDirectory(prefix="tour-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield folder


@pytest.mark.skipif(bool(servers.why_none()), reason=servers.why_none())
def test_the_tour_of_a_fleet_shows_what_it_tells(state, temporary):
    shown = tour()
    for host in ("sim-m2-ultra", "sim-m4", "sim-m1-max"):
        assert host in shown["status"]
        assert host in shown["live"]
    assert "Apple M4 · 10 GPU cores" in shown["device"]
    assert shown["labels"].count("simulated=true") == 3
    assert "30" in shown["on-name"].split()
    assert "sim-m2-ultra" in shown["ran-where"]
    assert "sim-m1-max" in shown["ran-where"]
    assert "sim-m2-ultra" in shown["where"]
    assert "went to sim-m1-max" in shown["why"]
    assert "(simulated)" in shown["describe"]
    assert "put 1 file" in shown["put"]
    assert "sim-m1-max" in shown["put"]
    assert shown["got"] == "['2', '4', '6']"
    steps = [line for line in shown["counting"].splitlines() if line.startswith("step")]
    assert steps == [f"step {number} of 6" for number in range(1, 7)]
    assert "reconnected to sim-m1-max" in shown["counting"]
    row = next(line for line in shown["crash"].splitlines() if line.startswith("sim-m4"))
    assert "unreachable" in row
    assert shown["answer"] == "'back again'"
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if f"{temporary}/macgpu-demo-" in " ".join(process.info["cmdline"] or ())
    ]
    assert left == []
