"""`%%macgpu --detach` and the `Run` that it returns, in a real shell with a real supervisor."""

from __future__ import annotations

import pytest

from jupyter_macgpu.wire.errors import RunCancelled, RunDied, RunRefused
from tests.inputs.shell import notebook


@pytest.fixture(scope="module")
def book(own_state):
    with notebook() as opened:
        yield opened


def job(book, cell, line=""):
    """Hand a cell in; return its run."""
    book.run(f"%%macgpu --detach {line}\n{cell}").error_is(None)
    return book.names["_"]


def test_the_cell_returns_at_once_and_the_next_one_does_not_wait_for_it(book, tmp_path):
    gate = tmp_path / "gate"
    run = job(
        book, f"import time, os\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\n7"
    )
    assert not run.done()
    assert book.run("%%macgpu --cpu\nprint('meanwhile')").text.endswith("meanwhile\n")
    with pytest.raises(
        TimeoutError, match=f"run {run.run[:8]} has not ended within 0.1 s; it goes"
    ):
        run.result(timeout=0.1)
    gate.touch()
    assert run.result(timeout=60) == 7
    assert run.done()


def test_a_run_says_what_it_is_now(book, tmp_path):
    gate = tmp_path / "gate"
    run = job(
        book,
        f"import time, os\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)",
        "--as shown",
    )
    assert "shown" in repr(run)
    assert "done" not in repr(run)
    gate.touch()
    assert run.wait(60.0)
    assert "done" in repr(run)
    assert "done" in run._repr_html_()
    assert "&lt;run" in run._repr_html_()


def test_variables_come_when_they_are_bound_and_not_before(book):
    book.run("data, n = [1], 5\nalias = data").error_is(None)
    run = job(book, "data.append(n)\nm = n * 2\ndata")
    assert run.result(30) == [1, 5]
    assert run.values()["m"] == 10
    assert book.names["data"] == [1]
    assert "m" not in book.names
    assert run.result() is not book.names["data"]
    run.bind()
    assert book.names["data"] == [1, 5]
    assert book.names["data"] is book.names["alias"]
    assert book.names["m"] == 10


def test_what_the_notebook_changed_since_is_named(book):
    book.run("rows, same, made = [0], [0], 'old'").error_is(None)
    run = job(book, "rows.append(1)\nsame.append(1)\nmade = 'new'")
    assert run.wait(60.0)
    book.run("rows.append('here')\nmade = 'here'").error_is(None)
    book.names["it"] = run
    said = book.run("it.bind()").error_is(None).text
    assert "made, rows had changed" in said or "rows, made had changed" in said
    assert "same" not in said
    assert book.names["rows"] == [0, 1]
    assert book.names["made"] == "new"


def test_outputs_are_there_while_it_runs_and_after(book, tmp_path):
    gate = tmp_path / "gate"
    run = job(
        book,
        "import sys, time, os\nprint('first')\n"
        f"while not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"
        "print('second', file=sys.stderr)\n'value'",
    )
    while not run.outputs:
        pass
    assert run.outputs == [{"output_type": "stream", "name": "stdout", "text": "first\n"}]
    gate.touch()
    assert run.wait(60.0)
    kinds = [(each["output_type"], each.get("name")) for each in run.outputs]
    assert kinds == [("stream", "stdout"), ("stream", "stderr"), ("execute_result", None)]
    assert run.outputs[-1]["data"]["text/plain"] == "'value'"


def test_an_error_of_the_cell_is_raised_where_its_result_is_wanted(book):
    run = job(book, "kept = 1\n1 / 0")
    with pytest.raises(ZeroDivisionError):
        run.result(30)
    assert run.state == "error"
    with pytest.raises(ZeroDivisionError):
        run.bind()
    assert book.names["kept"] == 1


def test_it_can_be_awaited_beside_others(book):
    book.names["one"] = job(book, "1")
    book.names["two"] = job(book, "2")
    book.run("import asyncio\nsum_ = sum(await asyncio.gather(one, two))").error_is(None)
    assert book.names["sum_"] == 3


def test_it_is_stopped_and_says_so(book):
    run = job(book, "import time\nprint('on')\ntime.sleep(60)")
    while not run.outputs:
        pass
    run.cancel()
    assert run.wait(60.0)
    assert run.state == "cancelled"
    with pytest.raises(KeyboardInterrupt):
        run.result()
    with pytest.raises(RunRefused):
        run.cancel()


def test_it_can_be_ended_with_its_worker(book):
    run = job(
        book,
        "import time\nprint('on')\nwhile True:\n"
        "    try: time.sleep(60)\n    except KeyboardInterrupt: pass",
    )
    while not run.outputs:
        pass
    run.cancel(kill=True)
    assert run.wait(60.0)
    assert run.state == "cancelled"


def test_it_follows_others(book, tmp_path):
    side = tmp_path / "order"
    write = "open({!r}, 'a').write({!r})"
    job(book, f"import time\ntime.sleep(0.5)\n{write.format(str(side), 'a')}", "--as before")
    after = job(book, write.format(str(side), "b"), "--cpu --after before")
    assert "follows run" in repr(after)
    assert after.result(30) == 1
    assert side.read_text() == "ab"


def test_a_cell_that_is_waited_for_follows_others_too(book, tmp_path):
    side = tmp_path / "before"
    job(book, f"import time\ntime.sleep(0.5)\nopen({str(side)!r}, 'w').close()", "--cpu --as early")
    ran = book.run(f"%%macgpu --after early\nimport os\nprint(os.path.exists({str(side)!r}))")
    assert ran.error_is(None).text.endswith("True\n")


def test_it_does_not_follow_one_that_failed_unless_it_may(book):
    job(book, "import time\ntime.sleep(0.3)\n1 / 0", "--as fails")
    vain = job(book, "1", "--after fails")
    behind = job(book, "1", f"--after {vain.run[:12]}")
    anyway = job(book, "2", "--after any:fails")
    with pytest.raises(RunCancelled, match="which it was to follow, ended: error"):
        vain.result(30)
    with pytest.raises(RunCancelled, match="ended: cancelled"):
        behind.result(30)
    assert anyway.result(30) == 2


def test_a_run_whose_worker_died_is_tried_again(book, tmp_path):
    side = tmp_path / "tries"
    run = job(
        book,
        f"import os\nwith open({str(side)!r}, 'a') as file: file.write('x')\n"
        f"if os.path.getsize({str(side)!r}) < 3: os.kill(os.getpid(), 9)\n'through'",
        "--retry 3",
    )
    assert run.result(60) == "through"
    assert side.read_text() == "xxx"
    assert len(set(run.runs)) == 3
    assert "before it" in repr(run)


def test_it_is_not_tried_again_for_an_error_nor_more_often_than_was_said(book, tmp_path):
    side = tmp_path / "tries"
    note = f"with open({str(side)!r}, 'a') as file: file.write('x')\n"
    failed = job(book, f"{note}1 / 0", "--retry 3")
    with pytest.raises(ZeroDivisionError):
        failed.result(30)
    assert side.read_text() == "x"
    died = job(book, f"import os\n{note}os.kill(os.getpid(), 9)", "--retry 1")
    with pytest.raises(RunDied):
        died.result(60)
    assert side.read_text() == "xxx"


def test_a_cell_that_is_waited_for_is_tried_again_too(book, tmp_path):
    side = tmp_path / "tries"
    ran = book.run(
        f"%%macgpu --retry 1\nimport os\nwith open({str(side)!r}, 'a') as file: file.write('x')\n"
        f"if os.path.getsize({str(side)!r}) < 2: os.kill(os.getpid(), 9)\nprint('through')"
    ).error_is(None)
    assert "tried again as" in ran.text
    assert ran.text.endswith("through\n")


def test_what_cannot_travel_is_used_in_the_worker_that_has_it(book):
    run = job(book, "import os\nnumbers = (n for n in range(9))\nwhere = os.getpid()")
    run.bind(30)
    book.run("%%macgpu\nimport os\ngot, there = next(numbers), os.getpid()").error_is(None)
    assert (book.names["got"], book.names["there"]) == (0, book.names["where"])
    # A job that reads it runs there as well, and is not promised another try.
    job(book, "got = next(numbers)").bind(30)
    assert book.names["got"] == 1
    refused = book.run("%%macgpu --detach --retry 1\nnext(numbers)")
    assert "would die with it" in refused.text


def test_a_limit_of_time_counts_what_it_runs(book):
    run = job(book, "import time\ntime.sleep(60)", "--timeout 500ms")
    assert run.wait(60.0)
    assert run.state == "cancelled"
