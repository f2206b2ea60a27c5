"""D07: what may stand in the body of a cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inputs.shell import Notebook, notebook, well


@pytest.fixture(scope="module")
def book(own_state: Path) -> Iterator[Notebook]:
    with notebook() as opened:
        yield opened
        well(opened)


#: A body, and the number of its line that is not Python, the magic's own being the first.
BROKEN = {
    "a bracket": ("x = 1\ny = (2\n", 3),
    "tabs and blanks": ("if True:\n\tx = 1\n        y = 2\n", 4),
    "a form feed": ("x = 1\n\x0cdef f(:\n", 3),
    "CRLF": ("x = 1\r\ny = 1 +\r\n", 3),
    "a NUL": ("x = 1\ny = '\x00'\n", 3),
    "return": ("x = 1\nreturn x\n", 3),
    "a magic before it": ("%time x = 1\ny = 1 +\n", 3),
    "a byte order mark": ("\ufeffprint(1)", 2),
    "far down": ("x = 1\n" * 5000 + "x = = 1\n", 5002),
}


@pytest.mark.parametrize("name", BROKEN)
def test_d07_what_is_not_python_is_said_here_and_sends_nothing(book: Notebook, name: str) -> None:
    body, line = BROKEN[name]
    before = book.runs()
    ran = book.run(f"%%macgpu\n{body}")
    assert type(ran.error).__name__ in (
        "RemoteError",
        "SyntaxError",
        "IndentationError",
        "TabError",
    )
    assert f"line {line}" in ran.text or name in ("a NUL", "return"), ran.text
    assert book.runs() == before
    assert "x" not in book.names


#: A body, and what it prints.
GOOD = {
    "comments alone": ("# nothing\n\n# more\n", ""),
    "CRLF": ("print(1)\r\nprint(2)\r\n", "1\n2\n"),
    "a magic": (
        "%env MACGPU_NOT_SET_EVER=5\nimport os\nprint(os.environ['MACGPU_NOT_SET_EVER'])",
        "5",
    ),
    "a shell line": ("!echo there", "there"),
    "an assignment from a shell": ("out = !echo there\nprint(out[0])", "there\n"),
    "await": ("import asyncio\nprint(await asyncio.sleep(0, 7))", "7\n"),
    "a cell magic": ("%%timeit -n1 -r1\npass", "loop"),
    "the magic itself": ("print('%%macgpu --on mars')", "%%macgpu --on mars\n"),
    "braces and dollars": ("a = 1\nprint('{a} $a')", "{a} $a\n"),
}


@pytest.mark.parametrize("name", GOOD)
def test_d07_what_ipython_takes_a_cell_takes(book: Notebook, name: str) -> None:
    body, shown = GOOD[name]
    assert shown in book.run(f"%%macgpu\n{body}").error_is(None).text


def test_d07_the_magic_in_a_cell_of_its_own_is_answered(book: Notebook) -> None:
    ran = book.run("%%macgpu\n%macgpu status")
    assert ran.error is not None or "macgpu" in ran.text


@pytest.mark.parametrize("rest", ["# " + "a" * 10_000_000, "b = '" + "a" * 10_000_000 + "'"])
def test_d07_ten_megabytes(book: Notebook, rest: str) -> None:
    ran = book.run(f"%%macgpu\nprint('first')\n{rest}").error_is(None)
    assert ran.text == "first\n"
    assert len(book.names.pop("b", "")) in (0, 10_000_000)
