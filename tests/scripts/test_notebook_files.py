"""`macgpu run FILE.ipynb`: the cells run in order, and the file that has run is a notebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.scripts.shell import WATCHDOG, Shell, first_line, interrupt


@pytest.fixture
def shell(tmp_path: Path, own_state: Path) -> Shell:
    return Shell(tmp_path / "desk")


def write(shell: Shell, *sources: str, name: str = "book.ipynb", tags: Any = None) -> Path:
    cells = [new_code_cell(source) for source in sources]
    for index in tags or ():
        cells[index].metadata["tags"] = ["raises-exception"]
    path = shell.folder / name
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), *cells]), path)
    return path


def ran_cells(path: Path) -> list[Any]:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    return [cell for cell in book.cells if cell.cell_type == "code"]


def test_cells_run_in_order_and_share_what_cannot_travel(shell: Shell) -> None:
    source = write(
        shell,
        "numbers = (n for n in range(9))\nprint('made')",
        "",
        "next(numbers)",
        "import sys\nprint(next(numbers), _, Out[2], _2)",
        "print('err', file=sys.stderr)\n%time 1 + 1",
        "!echo shell {type(numbers).__name__}",
    )
    before = source.read_bytes()
    ran = shell.macgpu("run", "book.ipynb")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("made\n0\n1 0 0 0\n")
    assert source.read_bytes() == before
    cells = ran_cells(shell.folder / "book.out.ipynb")
    first, _, value, both, error, command = cells
    assert first.outputs == [{"output_type": "stream", "name": "stdout", "text": "made\n"}]
    assert value.outputs[0].data == {"text/plain": "0"}
    assert [c.execution_count for c in (first, value, both, error, command)] == [1, 2, 3, 4, 5]
    assert value.outputs[0].execution_count == 2
    assert both.outputs[0].text == "1 0 0 0\n"
    assert error.outputs[0] == {"output_type": "stream", "name": "stderr", "text": "err\n"}
    assert "shell generator" in command.outputs[0].text


def test_the_first_error_ends_it_and_is_kept(shell: Shell) -> None:
    write(shell, "print('before')\n1 / 0", "print('not run')")
    path = shell.folder / "book.ipynb"
    book = json.loads(path.read_text())
    book["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "old"}]
    path.write_text(json.dumps(book))
    ran = shell.macgpu("run", "--output", "done.ipynb", "book.ipynb")
    assert (ran.code, ran.out) == (1, "before\n")
    assert "ZeroDivisionError" in ran.err
    assert "\x1b[" not in ran.err
    failed, left = ran_cells(shell.folder / "done.ipynb")
    assert failed.outputs[0].text == "before\n"
    assert failed.outputs[1].ename == "ZeroDivisionError"
    assert "line 2" in "".join(failed.outputs[1].traceback)
    assert (left.outputs, left.execution_count) == ([], None)


def test_a_cell_that_may_fail_does_not_end_it(shell: Shell) -> None:
    write(shell, "raise KeyError('expected')", "print('goes on')", tags=[0])
    ran = shell.macgpu("run", "book.ipynb")
    assert (ran.code, ran.out) == (0, "goes on\n")


def test_lines_that_choose_a_place_are_left_out(shell: Shell) -> None:
    write(
        shell,
        "%load_ext jupyter_macgpu\nx = 1",
        "%%macgpu --on studio -o y\ny = x + 1\nif y:\n    %macgpu status\nboom",
        "%%local\nprint(x, y)",
        tags=[1],
    )
    ran = shell.macgpu("run", "book.ipynb")
    assert (ran.code, ran.out) == (0, "1 2\n"), ran.err
    cells = ran_cells(shell.folder / "book.out.ipynb")
    assert cells[1].source.startswith("%%macgpu --on studio")
    assert "line 5" in "".join(cells[1].outputs[0].traceback)


def test_displays_are_updated_and_cleared_as_in_a_notebook(shell: Shell) -> None:
    write(
        shell,
        "from IPython.display import clear_output, display\n"
        "print('gone')\nclear_output(wait=True)\nprint('stays')\n"
        "handle = display('old', display_id=True)",
        "handle.update('new')\nclear_output()",
    )
    assert shell.macgpu("run", "book.ipynb").code == 0
    first, second = ran_cells(shell.folder / "book.out.ipynb")
    assert first.outputs[0].text == "stays\n"
    assert first.outputs[1].data == {"text/plain": "'new'"}
    assert second.outputs == []


def test_an_interrupt_ends_it_and_what_was_shown_is_kept(shell: Shell) -> None:
    write(shell, "import time\nprint('running')\ntime.sleep(60)", "print('not run')")
    with shell.started("run", "book.ipynb") as process:
        assert first_line(process) == "running\n"
        interrupt(process)
        assert process.wait(WATCHDOG) == 130
    first, second = ran_cells(shell.folder / "book.out.ipynb")
    assert first.outputs[0].text == "running\n"
    assert first.outputs[1].ename == "KeyboardInterrupt"
    assert second.outputs == []


def test_a_worker_that_dies_ends_it(shell: Shell) -> None:
    write(shell, "print('last words', flush=True)\nimport os; os._exit(1)", "print('not run')")
    ran = shell.macgpu("run", "book.ipynb")
    assert (ran.code, ran.out) == (121, "last words\n")
    first, _ = ran_cells(shell.folder / "book.out.ipynb")
    assert first.outputs[0].text == "last words\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--output", "book.ipynb", "book.ipynb"], "the source is never overwritten"),
        (["--output", "no/folder/x.ipynb", "book.ipynb"], "there is no such folder"),
        (["book.ipynb", "argument"], "A notebook takes no arguments"),
        (["text.ipynb"], "it is not JSON"),
        (["old.ipynb"], "it is not of nbformat 4"),
        (["other.ipynb"], "is written in julia"),
    ],
)
def test_what_is_no_notebook_of_ours_is_refused(shell: Shell, words: list[str], said: str) -> None:
    write(shell, "print('it ran')")
    shell.write("text.ipynb", "no notebook")
    shell.write("old.ipynb", '{"nbformat": 3, "worksheets": []}')
    shell.write(
        "other.ipynb",
        '{"nbformat": 4, "cells": [], "metadata": {"language_info": {"name": "julia"}}}',
    )
    ran = shell.macgpu("run", *words)
    assert (ran.code, ran.out) == (125, "")
    assert said in ran.err


def test_of_a_host_of_data_only_text_and_pictures_are_kept(shell: Shell) -> None:
    fleet = shell.write(
        "fleet.yaml", "version: 1\nhosts:\n  there: {transport: local, trust: data}\n"
    )
    shell.variables["MACGPU_FLEET"] = str(fleet)
    write(
        shell,
        "from IPython.display import HTML, Javascript, display\nx = 5\n"
        "display(Javascript('alert(1)'), HTML('<script>alert(2)</script>'))",
        "x",
    )
    ran = shell.macgpu("run", "book.ipynb")
    assert ran.code == 0, ran.err
    first, second = ran_cells(shell.folder / "book.out.ipynb")
    data = [output.data for output in first.outputs]
    assert all("application/javascript" not in each for each in data)
    assert all("sandbox" in each["text/html"] for each in data if "text/html" in each)
    assert second.outputs[0].data == {"text/plain": "5"}
