"""`%macgpu move`: a run that waits, taken to another host; and `--after` a run of another host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu import moving
from jupyter_macgpu.runs import KnownRun, find_run
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.errors import RunCancelled, RunRefused
from tests.inputs.jobs import blocked, job
from tests.inputs.shell import Notebook, notebook
from tests.scripts.fleet import several


@pytest.fixture
def book(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """Open a notebook that has two hosts."""
    fleet = several(tmp_path / "fleet.yaml", ["a", "b"])
    monkeypatch.setenv("MACGPU_FLEET", str(fleet))
    with notebook() as opened:
        yield opened


def pool(book: Notebook) -> Any:
    return book.shell.magics_manager.registry["MacGPUMagics"].extension.pool


def test_a_run_that_waits_is_moved_with_its_inputs_and_runs_once(
    book: Notebook, tmp_path: Path
) -> None:
    gate, side = tmp_path / "gate", tmp_path / "side"
    book.run("data = [1, 2]").error_is(None)
    blocked(book, gate)
    run = job(
        book, f"open({str(side)!r}, 'a').write('x')\ndata.append(3)\nsum(data)", "--on a --as goes"
    )
    assert run.state == "queued"
    said = json.loads(book.run("%macgpu move goes b --json").error_is(None).text)
    assert said["host"] == "b"
    assert [find_run(pool(book), each).run for each in ("goes", "last")] == [said["run"]] * 2
    assert run.result(30) == 6
    assert run.host == "b"
    run.bind()
    assert book.names["data"] == [1, 2, 3]
    gate.touch()
    assert "moved to b" in book.run("%macgpu runs").text
    assert side.read_text() == "x"


def test_a_run_that_waits_for_its_time_is_moved_and_keeps_it(book: Notebook) -> None:
    book.run("%%macgpu --at in 2h --on a --as goes\n1").error_is(None)
    run = book.names["_"]
    due = run.shown()["at"]
    book.run("%macgpu move goes b").error_is(None)
    assert (run.state, run.host, run.shown()["at"]) == ("queued", "b", due)
    assert "starts at" in repr(run)
    run.cancel()


def test_what_has_started_stays(book: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run = blocked(book, gate)
    while run.state != "started":
        pass
    ran = book.run("%macgpu move blocker b").error_is(RunRefused)
    assert "what has begun is not moved" in ran.text
    gate.touch()
    assert run.wait(60.0)
    assert (run.state, run.host) == ("ok", "a")


def parked_on_b(book: Notebook, run: str) -> tuple[KnownRun, moving.Moved]:
    """Do the first half of a move: the run is on both hosts, and only the first may begin it."""
    known = find_run(pool(book), run)
    there = next(host for host in pool(book).fleet.hosts if host.name == "b")
    moved = moving.Moved(run=moving._id_there(run, there), host="b")
    moving._park(pool(book), known, there, moved)
    return known, moved


def given_up(book: Notebook, known: KnownRun, moved: moving.Moved) -> None:
    """Do what comes next: the first host gives the run up."""
    withdraw = m.Withdraw(run=known.run, to={"host": moved.host, "run": moved.run})
    pool(book).lookouts.of(known.session.host).tell(withdraw, m.Withdrawn)


@pytest.mark.parametrize("died_after", ["park", "withdraw"])
def test_a_move_that_was_cut_short_is_finished_by_the_same_line(
    book: Notebook, tmp_path: Path, died_after: str
) -> None:
    gate, side = tmp_path / "gate", tmp_path / "side"
    blocked(book, gate)
    run = job(book, f"open({str(side)!r}, 'a').write('x')", "--on a --as goes")
    known, moved = parked_on_b(book, run.run)
    if died_after == "withdraw":
        given_up(book, known, moved)
    parked = find_run(pool(book), moved.run)
    assert (parked.row["state"], parked.row["detail"]["reason"]) == (
        "queued",
        "it is being moved here",
    )
    book.run(f"%macgpu move {run.run[:12]} b").error_is(None)
    assert run.result(30) == 1
    gate.touch()
    assert side.read_text() == "x"


def test_a_move_is_finished_by_whoever_holds_the_run_once_the_first_host_gave_it_up(
    book: Notebook, tmp_path: Path
) -> None:
    gate, side = tmp_path / "gate", tmp_path / "side"
    blocked(book, gate)
    run = job(book, f"open({str(side)!r}, 'a').write('x')", "--on a --as goes")
    known, moved = parked_on_b(book, run.run)
    # It is on both hosts, and either may be the one that keeps it: nobody decides that.
    assert run.state == "queued"
    assert run.host == "a"
    copy = find_run(pool(book), moved.run)
    assert copy.row["detail"]["reason"] == "it is being moved here"
    given_up(book, known, moved)
    assert run.result(30) == 1
    assert (run.host, run.run) == ("b", moved.run)
    gate.touch()
    assert side.read_text() == "x"


def test_a_copy_never_begins_if_the_run_began_where_it_was(book: Notebook, tmp_path: Path) -> None:
    gate, side = tmp_path / "gate", tmp_path / "side"
    blocked(book, gate)
    run = job(book, f"open({str(side)!r}, 'a').write('x')", "--on a --as goes")
    _, moved = parked_on_b(book, run.run)
    gate.touch()
    assert run.wait(60.0)
    book.run(f"%macgpu move {moved.run[:12]}").error_is(RunRefused)
    assert find_run(pool(book), moved.run).row["state"] == "cancelled"
    assert side.read_text() == "x"


def test_a_run_of_another_host_is_waited_for_here(book: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    blocked(book, gate)
    after = job(book, "7", "--on b --after blocker")
    assert "this kernel waits for that" in repr(after)
    assert not after.done()
    gate.touch()
    assert after.result(30) == 7
    job(book, "1 / 0", "--on a --as fails")
    vain = job(book, "7", "--on b --after fails")
    with pytest.raises(RunCancelled, match="which it was to follow"):
        vain.result(30)
