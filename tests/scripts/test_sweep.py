"""`%%macgpu --sweep`: one run for each combination, over several hosts, and the table of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from jupyter_macgpu.wire.errors import InputError, PlacementError
from jupyter_macgpu.words import OptionError
from tests.inputs.shell import Notebook, notebook
from tests.scripts.fleet import several

PATIENCE = 90.0


@pytest.fixture
def book(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """Open a notebook that has three hosts."""
    fleet = several(tmp_path / "fleet.yaml", ["a", "b", "c"])
    monkeypatch.setenv("MACGPU_FLEET", str(fleet))
    with notebook() as opened:
        yield opened


def test_ten_runs_on_three_hosts_of_which_one_fails(book: Notebook) -> None:
    book.run("def loss_of(lr, seed):\n    return lr * (seed + 1)").error_is(None)
    ran = book.run(
        "%%macgpu --sweep lr=1e-3,1e-2 seed=0..4 -o loss,note\n"
        "import time; time.sleep(0.2)\n"
        "if seed == 3 and lr > 0.005:\n    raise ValueError('it diverged')\n"
        "loss, note = loss_of(lr, seed), [seed]"
    ).error_is(None)
    assert "sweep, 10 runs: lr 0.001 0.01, seed 0 1 2 3 4" in ran.text
    swept = book.names["_"]
    assert len(swept) == 10
    assert swept.wait(PATIENCE)
    rows = swept.rows()
    assert [(row["lr"], row["seed"]) for row in rows] == [
        (lr, seed) for lr in (1e-3, 1e-2) for seed in range(5)
    ]
    failed = [row for row in rows if row["state"] != "ok"]
    assert [(row["lr"], row["seed"], row["state"], row["why"]) for row in failed] == [
        (1e-2, 3, "error", "ValueError: it diverged")
    ]
    well = [row for row in rows if row["state"] == "ok"]
    assert [row["loss"] for row in well] == [row["lr"] * (row["seed"] + 1) for row in well]
    assert {row["note"] for row in well} == {"<list>"}
    assert {row["host"] for row in rows} == {"a", "b", "c"}
    assert all(0.1 < row["seconds"] < 60 for row in well)
    assert len({row["run"] for row in rows}) == 10
    assert swept.done()
    frame = swept.frame()
    assert frame.loc[frame.state == "ok", "loss"].min() == 1e-3
    assert list(pd.DataFrame(swept)["seed"]) == list(frame["seed"])
    assert "it diverged" in repr(swept)
    assert ">0.001</td>" in swept._repr_html_()
    assert "lr" not in book.names
    assert "loss" not in book.names


def test_only_so_many_run_at_once(book: Notebook, tmp_path: Path) -> None:
    book.run(f"folder = {str(tmp_path)!r}").error_is(None)
    book.run(
        "%%macgpu --sweep n=0..4 --max 2 -o most\n"
        "import pathlib, time\n"
        "marks = pathlib.Path(folder)\n"
        "(marks / f'running{n}').touch()\n"
        "time.sleep(0.4)\n"
        "most = len(list(marks.glob('running*')))\n"
        "(marks / f'running{n}').unlink()\n"
        "if n == 1:\n    raise ValueError"
    ).error_is(None)
    swept = book.names["_"]
    assert swept.wait(PATIENCE)
    rows = swept.rows()
    assert [row["state"] for row in rows] == ["ok", "error", "ok", "ok", "ok"]
    assert max(row["most"] for row in rows if row["state"] == "ok") <= 2


def test_all_that_runs_is_cancelled_and_what_waits_never_begins(
    book: Notebook, tmp_path: Path
) -> None:
    book.run(f"folder = {str(tmp_path)!r}").error_is(None)
    book.run(
        "%%macgpu --sweep n=0..5\n"
        "import pathlib, time\npathlib.Path(folder, f'begun{n}').touch()\ntime.sleep(60)"
    ).error_is(None)
    swept = book.names["_"]
    until = time.monotonic() + PATIENCE
    while len(list(tmp_path.glob("begun*"))) < 3:
        assert time.monotonic() < until
        time.sleep(0.05)
    swept.cancel()
    assert swept.wait(PATIENCE)
    assert {row["state"] for row in swept.rows()} == {"cancelled"}
    assert len(list(tmp_path.glob("begun*"))) == 3


def test_a_variable_may_hold_the_combinations(book: Notebook) -> None:
    book.run("import pandas as pd\ngrid = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})").error_is(
        None
    )
    ran = book.run("%%macgpu --sweep @grid -o c\nc = b * a").error_is(None)
    assert "sweep, 2 runs: a, b of grid" in ran.text
    swept = book.names["_"]
    assert swept.wait(PATIENCE)
    assert [row["c"] for row in swept] == ["x", "yy"]


REFUSED = {
    "--sweep lr=1,2\nx = 1\nlr = 3": (InputError, "The cell sets lr itself, on line 3."),
    "--sweep n=0..50\nn": (InputError, "These are 51 combinations, more than 50."),
    "--sweep @nothing\n1": (InputError, "The notebook has no variable nothing."),
    "--sweep @number\n1": (InputError, "number cannot be swept: it is a int."),
    "--sweep n=1 -o n\nn": (InputError, "n is swept, and -o names it too."),
    "--sweep n=1 n=2\nn": (OptionError, "n stands there twice"),
    "--sweep n\nn": (OptionError, "n is not NAME=VALUES"),
    "--max 2\n1": (InputError, "--max belongs to --sweep"),
    "--sweep n=1,2 --on nowhere\nn": (PlacementError, "The fleet has no host nowhere."),
}


@pytest.mark.parametrize("cell", REFUSED)
def test_what_is_no_sweep_is_refused_and_nothing_runs(book: Notebook, cell: str) -> None:
    book.run("number = 5").error_is(None)
    kind, said = REFUSED[cell]
    ran = book.run(f"%%macgpu {cell}").error_is(kind)
    assert said in ran.text
    assert book.runs() == []
