"""`%macgpu on`: following cells run elsewhere, as plain Python for editors; `%%local` opts out."""

from __future__ import annotations

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient

from jupyter_macgpu.sticky import Sticky
from jupyter_macgpu.words import OptionError
from tests.inputs.shell import notebook

WHERE = "import os\nprint(os.getpid())"


@pytest.fixture
def book(own_state):
    with notebook() as opened:
        yield opened


def is_here(text: str) -> bool:
    return int(text.split()[-1]) == os.getpid()


def test_cells_run_elsewhere_until_off(book):
    assert is_here(book.run(WHERE).text)
    book.run("%macgpu on").error_is(None)
    assert not is_here(book.run(WHERE).error_is(None).text)
    assert not is_here(book.run(f"%%macgpu --as named\n{WHERE}").error_is(None).text)
    book.run("%macgpu off").error_is(None)
    assert is_here(book.run(WHERE).error_is(None).text)


def test_local_opts_out_and_means_nothing_while_cells_run_here(book):
    assert is_here(book.run(f"%%local\n{WHERE}").error_is(None).text)
    book.run("%macgpu on").error_is(None)
    assert is_here(book.run(f"%%local\n{WHERE}").error_is(None).text)
    book.run(f"%%local\n%%capture seen\n{WHERE}\n").error_is(None)
    assert is_here(str(book.names["seen"]))
    assert "takes nothing" in book.run("%%local --cpu\n1").error_is(OptionError).text


def test_values_results_and_nested_magics_are_as_at_home(book):
    book.run("%macgpu on").error_is(None)
    book.run("a = [1, 2]\nb = a").error_is(None)
    book.run("a.append(3)").error_is(None)
    assert "[1, 2, 3]" in book.run("b").text
    assert book.names["b"] is book.names["a"]
    book.run("%%capture seen\nprint('inside')").error_is(None)
    assert str(book.names["seen"]) == "inside\n"


@pytest.mark.parametrize("text", ["%macgpu status", "len?", "?len", "", "%macgpu off"])
def test_what_is_about_this_kernel_stays_here(book, text):
    book.run("%macgpu on").error_is(None)
    before = len(book.runs())
    book.run(text).error_is(None)
    assert len(book.runs()) == before


def test_a_macgpu_line_further_down_is_refused_before_anything_is_sent(book):
    book.run("%macgpu on").error_is(None)
    before = len(book.runs())
    ran = book.run("x = 1\n\n%macgpu status").error_is(OptionError)
    assert "Line 3" in ran.text
    assert "%%local" in ran.text
    assert len(book.runs()) == before
    assert "x" not in book.names


def test_errors_name_the_lines_that_the_user_sees(book):
    book.run("%macgpu on").error_is(None)
    text = book.run("x = 1\n\n1 / 0").text
    assert "----> 3 1 / 0" in text
    assert ", line 2\n" in book.run("x = 1\nx = (").text
    book.run("%macgpu off").error_is(None)
    assert "----> 3 1 / 0" in book.run("%%macgpu\nx = 1\n1 / 0").text


def test_a_function_of_a_sticky_cell_shows_its_own_lines_here(book):
    book.run("%macgpu on").error_is(None)
    book.run("def fails():\n    raise ValueError('there')").error_is(None)
    book.run("%macgpu off").error_is(None)
    text = book.run("fails()").error_is(ValueError).text
    assert "----> 2     raise ValueError('there')" in text


def test_defaults_count_until_they_are_cleared(book):
    assert "no defaults" in book.run("%macgpu defaults").text
    assert "--timeout 1s" in book.run("%macgpu defaults --timeout 1s").error_is(None).text
    slow = "import time\ntime.sleep(30)"
    assert "its --timeout had passed" in book.run(f"%%macgpu\n{slow}").text
    book.run("%macgpu on").error_is(None)
    assert "its --timeout had passed" in book.run(slow).text
    book.run("%macgpu defaults --clear").error_is(None)
    assert "no defaults" in book.run("%macgpu defaults").text
    book.run("%macgpu defaults --nonsense").error_is(OptionError)


def test_the_rest_of_a_cell_that_is_not_yet_complete_is_waited_for(book):
    """A terminal asks whether a cell is complete: it is asked of the cell as typed."""
    book.run("%macgpu on").error_is(None)
    manager = book.shell.input_transformer_manager
    assert manager.check_complete("for i in range(3):")[0] == "incomplete"
    assert manager.check_complete("x = 1")[0] == "complete"


def test_a_kernel_runs_sticky_cells_and_leaves_silent_requests_alone(own_state):
    cells = ["%load_ext jupyter_macgpu", "%macgpu on", "import os\nhere = os.getpid()\nhere"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(book, timeout=60)
    with client.setup_kernel():
        for number, cell in enumerate(book.cells):
            client.execute_cell(cell, number)
        said = book.cells[2].outputs[-1]["data"]["text/plain"]
        asked = client.kc.execute(
            "", silent=True, user_expressions={"x": "__import__('os').getpid()"}
        )
        mine = client.wait_for_reply(asked)["content"]["user_expressions"]["x"]["data"]
        assert said != mine["text/plain"]
        client.wait_for_reply(client.kc.execute("inspected = os.getpid()", silent=True))
        asked = client.kc.execute("", silent=True, user_expressions={"x": "inspected"})
        seen = client.wait_for_reply(asked)["content"]["user_expressions"]["x"]["data"]
        assert seen == mine


@pytest.mark.parametrize(
    ("source", "error"), [("x = 1\n1/0", "----> 2 "), ("x = 1\nx = = 1", "line 2\n")]
)
def test_a_front_end_that_puts_the_line_in_front_has_lines_counted_as_they_stand(
    own_state, source, error
):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%load_ext jupyter_macgpu")])
    client = NotebookClient(book, timeout=60)
    with client.setup_kernel():
        client.execute_cell(book.cells[0], 0)
        said = {"code": f"%%macgpu\n{source}", "silent": False, "store_history": True}
        message = client.kc.session.msg(
            "execute_request",
            {**said, "user_expressions": {}, "allow_stdin": False},
            metadata={"macgpuBare": True},
        )
        client.kc.shell_channel.send(message)
        reply = client.wait_for_reply(message["header"]["msg_id"])["content"]
        shown = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(reply["traceback"]))
        assert error in shown
        assert "%%macgpu" not in shown


def test_the_transform_is_undisturbed_by_an_error():
    sticky = Sticky(lambda: False)

    def broken(text: str) -> str:
        raise SyntaxError(text)

    with pytest.raises(SyntaxError):
        sticky.aside(broken)("x")
    sticky.on = True
    assert sticky(["x = 1\n"]) == ["%%macgpu\n", "x = 1\n"]
