"""The notebook about scheduling runs from its first cell to its last, and shows what it tells."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.simulation import servers
from tests.executed import executed

FILE = Path(__file__).parents[2] / "notebooks" / "scheduling.ipynb"
pytestmark = pytest.mark.skipif(bool(servers.why_none()), reason=servers.why_none())


@pytest.fixture(scope="module")
def folder():
    """A folder for all that the notebook makes: other tests start fleets and servers too."""
    with tempfile.TemporaryDirectory(prefix="book-") as made:
        yield made


@pytest.fixture(scope="module")
def shown(own_state, folder):
    """Return what each cell showed, by its id, as text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        for kind in ("CONFIG", "DATA", "RUNTIME"):
            patch.setenv(f"JUPYTER_{kind}_DIR", f"{folder}/jupyter")
        return executed("scheduling.ipynb", timeout=100)


def test_jobs_are_put_into_an_order(shown):
    assert "train on sim-m4" in shown["train-run"]
    places = {
        words[1]: words[4]
        for words in map(str.split, shown["runs"].splitlines())
        if "queued" in words
    }
    assert places == {"plots": "1", "urgent": "0"}
    assert "went to sim-m4: sim-m4 was asked for" in shown["why"]
    assert "on sim-m1-max now" in shown["move"]
    assert "'plotted'" in shown["moved"]
    assert "told to stop" in shown["cancel"]


def test_they_are_looked_at_again_and_followed(shown):
    assert "step 60: loss 0.017" in shown["attach"]
    assert shown["attached"].strip() == "60 losses; the last one is 0.0167"
    assert "the report of a run that ended well" in shown["followed"]
    assert "best: rate 0.3, 80 steps" in shown["swept"]
    assert shown["swept"].split().count("ok") == 6


def test_a_notebook_runs_on_a_mac_by_hand_and_by_the_server(shown):
    assert "runs on sim-m2-ultra" in shown["run"]
    assert shown["ran"] == r"'2 epochs: loss 0.50\n'"
    assert "ok 20 epochs: loss 0.05" in shown["now"]
    assert shown["cron"].strip() == "waiting 03:30"


def test_what_was_due_while_no_server_ran_runs_when_it_is_back(shown):
    assert shown["off"].startswith("ok ")
    assert "'30 3 * * *'" in shown["off"]


def test_nothing_of_it_is_left(shown, folder):
    assert "end" in shown
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if folder in (line := " ".join(process.info["cmdline"] or ())) or "root_dir=work" in line
    ]
    assert left == []


def test_its_pictures_are_there_and_small():
    names = re.findall(r"\]\((scheduling-[a-z]+\.png)\)", FILE.read_text())
    assert sorted(names) == sorted(path.name for path in FILE.parent.glob("*.png"))
    assert len(names) == 3
    assert all((FILE.parent / name).stat().st_size < 100_000 for name in names)
