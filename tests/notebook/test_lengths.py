"""How long a cell took before is what its next placement goes by: cells, runs, sweeps, scripts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.ledger import Ledger, ledger_path
from jupyter_macgpu.lengths import LOOKED_AT, Lengths, past_of
from jupyter_macgpu.scheduling.status import HostStatus, Speed
from tests.inputs.shell import Notebook, notebook
from tests.scripts.shell import Shell

FLEET = """
version: 1
hosts:
  alpha: {transport: local}
  beta: {transport: local}
"""
SLEEP = "%%macgpu\nimport time; time.sleep(0.3)"


@pytest.fixture
def named(own_state: Path, monkeypatch: pytest.MonkeyPatch, request) -> str:
    """Give the notebook a name that outlives its kernel, and two hosts."""
    file = own_state / "lengths.yaml"
    file.write_text(FLEET)
    name = f"{request.node.name}-{time.time_ns()}.ipynb"
    monkeypatch.setenv("MACGPU_FLEET", str(file))
    monkeypatch.setenv("JPY_SESSION_NAME", name)
    return name


def past(book: Notebook, run: str = "last") -> dict[str, object] | None:
    """Return what is stored with a run of the length that it was expected to have."""
    return json.loads(book.run(f"%macgpu why {run} --json").error_is(None).text).get("length")


def test_a_cell_is_placed_by_its_own_last_runs_in_a_new_kernel_too(named: str) -> None:
    with notebook() as book:
        book.run(SLEEP).error_is(None)
        assert past(book) is None
        book.run(SLEEP).error_is(None)
        known = past(book)
        assert known is not None
        assert (known["runs"], known["edited"]) == (1, False)
        assert 0.3 <= float(str(known["seconds"])) < 60
        book.run("%%macgpu\nraise ValueError").error_is(Exception)
        book.run("%%macgpu\nraise ValueError").error_is(Exception)
        assert past(book) is None, "a run that failed tells no length"
    with notebook() as book:
        shown = book.run("%%macgpu --dry-run\nimport time; time.sleep(0.3)").error_is(None).text
        assert "on an M1, as its last 2 runs did" in shown
        assert "alpha" in shown
        assert "beta" in shown
        book.run(SLEEP).error_is(None)
        assert "on an M1, as its last 2 runs did" in book.run("%macgpu why last").text


def test_runs_that_nobody_waits_for_are_counted_when_their_end_is_seen(
    named: str, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    alone = f"import time; time.sleep(0.4); open({str(ended)!r}, 'w').close()"
    detached = SLEEP.replace("%%macgpu", "%%macgpu --detach")
    with notebook() as book:
        book.run(detached).error_is(None)
        book.run("_.wait(60)").error_is(None)
        run = book.run(f"{detached}\n").error_is(None) and book.names["_"]
        known = past(book, run.run)
        assert known is not None
        assert known["runs"] == 1
        run.wait(60)
        # Its host tells the next kernel, though no earlier one has seen its end.
        book.run(f"%%macgpu --detach\n{alone}").error_is(None)
    until = time.monotonic() + 60.0
    while not ended.exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.0)  # until its end has been told
    with notebook() as book:
        book.run("%%macgpu\n1").error_is(None)
        shown = book.run(f"%%macgpu --dry-run\n{alone}").error_is(None).text
        assert "as its last run did" in shown


def test_combinations_of_a_sweep_tell_of_each_other(named: str) -> None:
    swept = "%%macgpu --sweep x=1,2\nimport time; time.sleep(0.2); y = x"
    with notebook() as book:
        book.run(f"{swept}\n").error_is(None)
        assert book.names["_"].wait(60)
        book.run(swept).error_is(None)
        runs = book.names["_"].runs
        assert book.names["_"].wait(60)
        known = past(book, runs[0].run)
        assert known is not None
        assert known["runs"] == 2


def test_a_script_is_known_by_its_text_and_its_arguments(tmp_path: Path, named: str) -> None:
    shell = Shell(tmp_path / "desk")
    shell.write("slow.py", "import time; time.sleep(0.3)")
    for arguments, runs in ((), None), ((), 1), (("--more",), None):
        assert shell.macgpu("run", "slow.py", *arguments).code == 0
        why = json.loads(shell.macgpu("why", "last", "--json").out)
        assert (why.get("length") or {}).get("runs") == runs


def test_a_call_is_known_by_its_function(named: str) -> None:
    with notebook() as book:
        book.run("import jupyter_macgpu").error_is(None)
        book.run("def one(x):\n    return x + 1\ndef two(x):\n    return x + 2").error_is(None)
        for name, runs in ("one", None), ("one", 1), ("two", None), ("one", 2):
            book.run(f"jupyter_macgpu.run({name}, 1)").error_is(None)
            assert (past(book) or {}).get("runs") == runs
        book.run("list(jupyter_macgpu.map(two, [1, 2]))").error_is(None)
        book.run("jupyter_macgpu.run(two, 1)").error_is(None)
        assert (past(book) or {}).get("runs") == 3


def status(speed: float | None = None) -> HostStatus:
    told = None if speed is None else Speed(value=speed, source="prior")
    return HostStatus(name="mac", gpu_speed=told)


@pytest.fixture
def lengths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lengths]:
    monkeypatch.setenv("MACGPU_STATE", str(tmp_path))
    made = Lengths("nb")
    yield made
    made.close()


def origin(text: str, cell: str = "") -> dict[str, str]:
    return {"notebook": "nb", "cell": cell, "text": text}


def test_the_median_of_the_last_runs_counts_in_seconds_of_an_m1(lengths: Lengths) -> None:
    for number, (seconds, speed) in enumerate([(900.0, 1), (10.0, 4), (40.0, None), (20.0, 2)]):
        lengths.learn(f"r{number}", origin("a"), seconds, status(speed))
    known = lengths.of(origin("a"))
    assert known is not None
    assert (known.seconds, known.runs) == (40.0, 4)
    for number in range(LOOKED_AT):
        lengths.learn(f"later{number}", origin("a"), 5.0, status(1))
        lengths.learn(f"later{number}", origin("a"), 700.0, status(1))  # once a run
    known = lengths.of(origin("a"))
    assert known is not None
    assert (known.seconds, known.runs) == (5.0, LOOKED_AT)


def test_an_edited_cell_is_taken_for_what_it_was_until_it_has_run(lengths: Lengths) -> None:
    lengths.learn("r1", origin("a", "cell-1"), 8.0, status(1))
    edited = lengths.of(origin("b", "cell-1"))
    assert edited is not None
    assert (edited.seconds, edited.is_edited) == (8.0, True)
    assert "before it was edited" in edited.text()
    lengths.learn("r2", origin("b", "cell-1"), 3.0, status(1))
    known = lengths.of(origin("b", "cell-1"))
    assert known is not None
    assert (known.seconds, known.is_edited) == (3.0, False)
    assert lengths.of(origin("b", "cell-2")) == known, "the same text in another place"
    assert lengths.of(origin("c")) is None, "no id is no cell"
    assert lengths.of({"notebook": "other", "text": "c"}) is None


@pytest.mark.parametrize(
    "seconds", [None, "3", True, -1.0, float("nan"), float("inf"), 1e300, [], {}]
)
def test_what_a_host_says_may_be_anything(lengths: Lengths, seconds: object) -> None:
    lengths.learn("r", origin("a"), seconds, status(1))
    assert lengths.of(origin("a")) is None
    assert past_of({"seconds": seconds, "runs": 1}) is None
    assert past_of(seconds) is None


def test_lines_that_cannot_be_read_are_passed_over(lengths: Lengths) -> None:
    good, other = Ledger(), {"notebook": "else", "text": "a"}
    good.worked("r1", origin("a"), 4.0)
    good.worked("r2", other, 50.0)
    with ledger_path().open("ab") as file:
        file.write(b'{"run": "r3", "work": "x", "origin": {"notebook": "nb", "text": "a"}}\n')
        file.write(b'{"run": "r4", "work": 1e999, "origin": {"notebook": "nb", "text": "a"}}\n')
        file.write(b'{"run": "r5", "work": 7.0, "origin": 3}\n"work": \n\xff"work": {\n')
    good.worked("r6", origin("a"), 6.0)
    good.close()
    known = lengths.of(origin("a"))
    assert known is not None
    assert (known.seconds, known.runs) == (5.0, 2)
