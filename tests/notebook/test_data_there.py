"""What a host holds of a cell's inputs speaks for it: two hosts, each with a store of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jupyter_macgpu.wire.errors import MacGPUError
from tests.inputs.shell import Notebook, notebook
from tests.scripts.fleet import several

#: Sending it takes longer than anything else that tells these hosts apart for a short cell.
SIZE = 64 * 2**20


@pytest.fixture
def book(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """Open a notebook that has two hosts and a large array."""
    fleet = several(tmp_path / "fleet.yaml", ["a", "b"])
    monkeypatch.setenv("MACGPU_FLEET", str(fleet))
    with notebook() as opened:
        opened.names["big"] = np.zeros(SIZE, np.uint8)
        yield opened


def points(rows: list[dict]) -> dict[str, float]:
    """Return what each host's data term adds."""
    return {row["host"]: row["terms"].get("data", {"points": 0.0})["points"] for row in rows}


def why(book: Notebook) -> dict:
    return json.loads(book.run("%macgpu why last --json").error_is(None).text)


def test_a_host_that_holds_an_array_is_better_by_the_time_of_sending_it(book: Notebook) -> None:
    book.run("%%macgpu --on b\nint(big.sum())").error_is(None)
    kept = why(book)
    assert kept.get("there") is None
    assert points(kept["rows"])["b"] < -0.05
    # The notebook is on the other host now.
    book.run("%%macgpu --on a\n1").error_is(None)
    shown = book.run("%%macgpu --dry-run\nint(big.sum())").error_is(None).text
    assert "would run on a (this notebook's host)" in shown
    assert "there from before" not in shown
    assert "64 MiB to send" in shown
    # A run that goes on by itself goes where the array is.
    book.run("%%macgpu --detach\nint(big.sum())").error_is(None)
    run = book.names["_"]
    assert run.host == "b"
    assert run.result(60) == 0
    kept = why(book)
    assert kept["there"] == {"b": SIZE}
    assert points(kept["rows"])["a"] < -0.05
    assert points(kept["rows"])["b"] == 0.0
    assert "b holds 64 MiB of the inputs already" in book.run("%macgpu why last").text
    assert "there from before" in book.run("%%macgpu --dry-run --on b\nint(big.sum())").text


def test_where_says_what_inputs_cost_that_are_named(book: Notebook) -> None:
    book.run("%%macgpu --on b\nint(big.sum())").error_is(None)
    said = json.loads(book.run("%macgpu where -i big --json").error_is(None).text)
    assert said["there"] == {"b": SIZE}
    assert points(said["rows"])["a"] < -0.05
    assert "there" not in json.loads(book.run("%macgpu where --json").text)
    book.names["big"][0] = 1
    assert "there" not in json.loads(book.run("%macgpu where -i big --json").text)
    book.run("%macgpu where -i bgi").error_is(MacGPUError)


def test_what_a_run_by_itself_has_sent_counts_for_cells_too(book: Notebook) -> None:
    book.run("%%macgpu --detach --on b\nint(big.sum())").error_is(None)
    assert book.names["_"].result(60) == 0
    said = json.loads(book.run("%macgpu where -i big --json").error_is(None).text)
    assert said["there"] == {"b": SIZE}
