"""Cells on a real host with `trust: data`, in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.wire.errors import RemoteValueError
from jupyter_macgpu.wire.values.remote import RemoteValue
from tests.inputs.shell import Notebook, notebook

FLEET = """
version: 1
hosts:
  lab:
    transport: local
    trust: data
"""


@pytest.fixture(scope="module")
def book(own_state: Path) -> Iterator[Notebook]:
    patch = pytest.MonkeyPatch()
    own_state.joinpath("lab.yaml").write_text(FLEET)
    patch.setenv("MACGPU_FLEET", str(own_state / "lab.yaml"))
    with notebook() as opened:
        yield opened
    patch.undo()


@pytest.fixture
def shown(book: Notebook, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what is displayed from now on."""
    displays: list[dict[str, Any]] = []
    publisher = book.shell.display_pub
    monkeypatch.setattr(
        publisher, "publish", lambda data, **more: displays.append({**more, "data": data})
    )
    return displays


def test_data_comes_home_and_code_stays(book: Notebook) -> None:
    book.run("mine = [1]\nimport sys")
    ran = book.run(
        "%%macgpu\nimport numpy as np\ngrid = np.arange(5) * 2\nmine.append({'loss': 0.5})\n"
        "f = lambda x: x + 1\nimport pandas as pd\ndf = pd.DataFrame({'a': [1]})"
    ).error_is(None)
    names = book.names
    assert names["grid"].tolist() == [0, 2, 4, 6, 8]
    assert names["mine"] == [1, {"loss": 0.5}]
    assert isinstance(names["f"], RemoteValue)
    assert isinstance(names["df"], RemoteValue)
    assert "f (a function), df (a pandas object) stay on lab" in ran.text
    assert "set `trust: full` for lab" in ran.text
    book.run("f(1)").error_is(RemoteValueError)
    ran = book.run("f.fetch()").error_is(RemoteValueError)
    assert "`trust: data` does not load a function" in ran.text


def test_what_stayed_is_itself_in_a_cell_there(book: Notebook) -> None:
    book.run("%%macgpu\ng = lambda x: x + 1\nframe = {'g': g, 'n': 5}").error_is(None)
    assert book.run("%%macgpu\nprint(g(1), frame['g'](4), frame['n'])").text == "2 5 5\n"


def test_the_last_expression_is_shown_where_it_is_no_data(book: Notebook) -> None:
    ran = book.run("%%macgpu\nimport pandas as pd\npd.DataFrame({'a': [41]})").error_is(None)
    assert "41" in ran.text
    assert "the result (a pandas object) stays on lab" in ran.text
    assert isinstance(book.names["_"], RemoteValue)


def test_an_error_is_the_cells_own(book: Notebook) -> None:
    ran = book.run("%%macgpu\ndone = 1\nraise ValueError('no \\x1b]0;title\\x07 way')")
    ran.error_is(ValueError)
    assert "\x1b]" not in ran.text
    assert book.names["done"] == 1


def test_pages_are_framed_and_scripts_are_left_out(
    book: Notebook, shown: list[dict[str, Any]]
) -> None:
    book.run(
        "%%macgpu\nfrom IPython.display import display, HTML, Javascript, SVG\n"
        "display(HTML('<script>alert(1)</script>'), display_id='a')\n"
        "display(Javascript('alert(1)')); display(Javascript('alert(2)'))\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))"
    ).error_is(None)
    pages = [each["data"]["text/html"] for each in shown if "text/html" in each["data"]]
    assert len(pages) == 2
    assert pages[0].startswith('<iframe sandbox=""')
    assert pages[1].startswith("<img ")
    assert not any("application/javascript" in each["data"] for each in shown)
    texts = [str(each["data"].get("text/plain")) for each in shown]
    assert sum("application/javascript from lab is not shown" in text for text in texts) == 1
    framed = next(each for each in shown if "text/html" in each["data"])
    assert framed["transient"] == {"display_id": "macgpu:lab:a"}


def test_streams_keep_colours_alone(book: Notebook) -> None:
    ran = book.run(
        "%%macgpu\nprint('\\x1b[31mred\\x1b[0m', end='')\n"
        "print('\\x1b]0;title\\x07 and \\x1b[2Jmore')"
    ).error_is(None)
    assert ran.text == "red and more\n"


def test_requests_to_the_front_end_are_left_out(book: Notebook) -> None:
    ran = book.run("%%macgpu\nget_ipython().set_next_input('import os')").error_is(None)
    assert "a request to the front end (set_next_input) from lab is not shown" in ran.text
    manager: Any = book.shell.payload_manager
    assert manager.read_payload() == []


def test_a_run_is_attached_to_with_its_data_alone(book: Notebook) -> None:
    book.run("count = 1\ndef helper(): return count").error_is(None)
    book.run("%%macgpu --as again\nimport json\ntotal = helper() + 1\nh = helper").error_is(None)
    for name in ("total", "h", "helper", "count"):
        book.names.pop(name, None)
    ran = book.run("%macgpu attach again").error_is(None)
    assert book.names["total"] == 2
    assert book.names["count"] == 1
    assert "helper" not in book.names
    assert isinstance(book.names["h"], RemoteValue)
    assert "inputs of the run that are not data are not brought from lab: helper" in ran.text


def test_logs_are_screened_too(book: Notebook) -> None:
    book.run("%%macgpu --as noisy\nprint('a\\x1b[2Jb')").error_is(None)
    assert "ab" in book.run("%macgpu logs noisy").text
