"""Questions of a cell that runs elsewhere: debuggers, and front ends that answer nothing."""

from __future__ import annotations

import nbclient
import nbformat
import pytest

from tests.faults import processes
from tests.notebook.golden import run_plain
from tests.notebook.widgets.front_end import ROOT

FAILS = """\
%%macgpu
above = 40
def deeper(x):
    inside = x + above
    return inside / 0
deeper(2)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("debug")
    with run_plain.kernel(folder, PYTHONPATH=ROOT, MACGPU_STATE=str(folder / "s")) as client:
        run_plain.run_unseen(client, "%load_ext jupyter_macgpu")
        yield client
    processes.end_all(folder / "s")


def printed(ran) -> str:
    return "".join(o["text"] for o in ran.outputs if o["what"] == "stream")


@pytest.mark.parametrize("how", ["%debug", "%%macgpu\n%debug"])
def test_a_post_mortem_shows_the_frames_and_their_globals_on_the_worker(kernel, how):
    ran = run_plain.run(kernel, FAILS)
    assert ran.outputs[-1]["ename"] == "ZeroDivisionError"
    ran = run_plain.run(kernel, how, ["p inside, above", "up", "p deeper", "q"])
    assert ran.status == "ok"
    assert "(42, 40)" in printed(ran)
    assert "<function deeper" in printed(ran)
    # What the debugger was lent is not what its cell has bound.
    ran = run_plain.run(kernel, "'inside' in globals(), 'above' in globals()")
    assert ran.outputs[-1]["data"]["text/plain"] == "(False, True)"


def test_an_error_of_this_kernel_is_debugged_here(kernel):
    run_plain.run(kernel, FAILS)
    run_plain.run(kernel, "here = 17\n[][here]")
    ran = run_plain.run(kernel, "%debug", ["p here", "q"])
    assert "17" in printed(ran)
    assert "[][here]" in printed(ran)


@pytest.mark.parametrize("stop", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_a_cell_stops_where_it_says(kernel, stop):
    source = (
        f"%%macgpu\nfor turn in range(2):\n    {stop}\n    twice = turn * 2\nprint('end', twice)"
    )
    ran = run_plain.run(kernel, source, ["p turn", "c", "p turn", "c"])
    assert ran.status == "ok"
    asked = [o["prompt"] for o in ran.outputs if o["what"] == "input_request"]
    assert asked == ["(Pdb) "] * 4
    assert printed(ran).splitlines()[-1] == "end 2"


@pytest.mark.parametrize(
    "source", ["input('name? ')", "from getpass import getpass\ngetpass('word: ')"]
)
def test_where_nobody_answers_the_cell_fails_and_says_why(tmp_path, monkeypatch, source):
    monkeypatch.setenv("MACGPU_STATE", str(tmp_path / "s"))
    monkeypatch.setenv("PYTHONPATH", ROOT)
    cells = [nbformat.v4.new_code_cell(text) for text in ("%load_ext jupyter_macgpu", source)]
    cells[1].source = "%%macgpu\n" + source
    book = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(book, timeout=60, allow_errors=True)
    client.execute(cwd=str(tmp_path))
    processes.end_all(tmp_path / "s")
    (error,) = [o for o in cells[1].outputs if o.output_type == "error"]
    assert error.ename == "StdinNotImplementedError"
    assert "does not support input requests" in error.evalue
