"""D26 to D31: what a host may show, well meant or not."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_macgpu.outputs import Publisher
from jupyter_macgpu.screening import screen_for
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.errors import MacGPUError
from jupyter_macgpu.wire.plain import plain_line
from tests.inputs.shell import Notebook, notebook, well

RUN = "0" * 32
FUZZ = settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
KINDS = """stream display_data update_display_data execute_result clear_output error notice gap
piece input_request later state output settle __init__""".split()
MIMES = """text/plain text/html image/png image/jpeg image/svg+xml application/json
application/javascript text/html;charset=utf-8 application/vnd.jupyter.widget-view+json""".split()
scraps = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["<script>", "\x1b]8;;http://x\x07a\x1b]8;;\x07", "\x1b[2J", "iVBORw0KGgo=", "5"]
    ),
)
values = st.recursive(
    scraps,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(MIMES), inner, max_size=3)
    ),
    max_leaves=5,
)
contents = st.dictionaries(
    st.sampled_from(
        "data metadata transient name ename evalue traceback text at_most wait in_buffers".split()
    ),
    values,
    max_size=4,
)
outputs = st.tuples(st.sampled_from(KINDS), contents, st.lists(st.binary(max_size=20), max_size=2))


@pytest.fixture(scope="module")
def book(own_state: Path) -> Iterator[Notebook]:
    with notebook() as opened:
        yield opened
        well(opened)


@pytest.mark.parametrize("trust", ["full", "data"])
def test_d26_to_d29_any_content_is_shown_or_answered(book: Notebook, trust: str) -> None:
    @FUZZ
    @given(st.lists(outputs, max_size=4))
    def show(said: list[tuple[str, dict[str, Any], list[bytes]]]) -> None:
        notices: list[str] = []
        publisher = Publisher(book.shell, notices.append)
        publisher.screen = screen_for("h", trust)
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            try:
                for what, content, buffers in said:
                    publisher.output(
                        m.Output(
                            run=RUN,
                            start=0,
                            end=1,
                            what=what,
                            content=content,
                            buffers=tuple(buffers),
                        )
                    )
                publisher.release()
                publisher.settle()
                publisher.finish()
            except MacGPUError as error:
                shown.write(error.next)
        assert "\x1b]" not in "".join(notices)

    show()


#: A picture that says it has ten thousand million points.
VAST_PNG = "iVBORw0KGgoAAAANSUhEUgABhqAAAYagCAYAAAA="
SHOWN = {
    "D26 a kind that nobody knows": "{'application/x-nobody': 'x', 'text/plain': 'p'}",
    "D26 ten thousand megapixels": f"{{'image/png': '{VAST_PNG}', 'text/plain': 'p'}}",
    "D26 ten megabytes": "{'text/html': 'x' * 10_000_000, 'text/plain': 'p'}",
    "D28 metadata of a megabyte": "{'text/plain': 'p'}, metadata={'a': 'x' * 10**6}",
    "D28 metadata that is deep": "{'text/plain': 'p'}, metadata={'a': {'b': {'c': {'d': [[[]]]}}}}",
}


@pytest.mark.parametrize("name", SHOWN)
def test_d26_and_d28_displays_arrive_or_are_left_out_and_the_run_ends_well(
    book: Notebook, name: str
) -> None:
    ran = book.run(
        "%%macgpu\nfrom IPython.display import publish_display_data\n"
        f"publish_display_data({SHOWN[name]})\nprint('after')"
    ).error_is(None)
    assert "after" in ran.text


def test_d27_ids_of_displays_and_many_updates(book: Notebook) -> None:
    ran = book.run(
        "%%macgpu\nfrom IPython.display import display, update_display\n"
        "update_display('x', display_id='of another notebook')\n"
        "h = display('first', display_id=True)\n"
        "for n in range(2000): h.update(n)\nprint('after')"
    ).error_is(None)
    assert "after" in ran.text
    book.run("del h").error_is(None)


def test_d29_errors_of_any_shape_end_their_run(book: Notebook) -> None:
    bodies = [
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
        "class E(Exception):\n    def __str__(self): return 5\nraise E",
        "raise ValueError('x' * 1_000_000)",
        "raise ValueError('<script>alert(1)</script>\\x00\\ud800')",
        "class E(Exception):\n    __module__ = 5\nraise E('x')",
        "raise type('a b\\n', (Exception,), {})('x')",
        "raise BaseException('x')",
        "raise ExceptionGroup('g', [ValueError(1)] * 100)",
    ]
    for body in bodies:
        ran = book.run(f"%%macgpu\n{body}")
        assert ran.error is not None, body
        assert len(ran.text) < 3_000_000
        well(book)


BARS = {
    "carriage returns": ("for n in range(3): print(f'\\r{n}', end='')", "\r0\r1\r2"),
    "backspaces": ("print('ab\\b\\bc', end='')", "ab\b\bc"),
    "up a line": ("print('a\\nb\\x1b[Ac', end='')", "a\nb\x1b[Ac"),
    "a character in two pieces": (
        "import os, time\nfor b in '\u00e4\u20ac'.encode():\n    os.write(1, bytes([b]))\n"
        "    time.sleep(.01)",
        "\u00e4\u20ac",
    ),
    "half a character": ("import os\nos.write(1, b'a\\xe2\\x82')\nx = 0", "a\ufffd"),
}


@pytest.mark.parametrize("name", BARS)
def test_d30_what_moves_the_cursor_arrives_as_it_was_written(book: Notebook, name: str) -> None:
    body, wanted = BARS[name]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        book.shell.run_cell(f"%%macgpu\n{body}")
    assert out.getvalue() == wanted


HOSTILE = [
    "\x1b]8;;http://evil/\x07click\x1b]8;;\x07",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP+q544e\x1b\\",
    "\x1b]0;title\x07",
    "\x9d0;title\x9c",
    "a\u202etxt.exe",
    "a\u2066b\u2069",
    "line\nbreak\r\n",
    "\x1b[2J\x1b[H",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_d31_our_own_lines_hold_nothing_that_acts(text: str) -> None:
    shown = plain_line(text)
    assert shown.isprintable()
    assert not any(word in shown for word in ("\x1b", "evil/", "ZXZp", "title"))
    error = MacGPUError(text, known=text, kept=text, next=text)
    assert all(c.isprintable() or c in "\n\t" for c in str(error))


def test_d31_a_run_cannot_be_named_so(book: Notebook) -> None:
    for text in HOSTILE:
        if "\n" not in text:
            ran = book.run(f"%%macgpu --as '{text}'\n1").error_is(MacGPUError)
            assert "name of a run" in ran.text
    assert json.dumps(book.runs())


def test_a_comm_of_a_host_of_data_only_is_left_out_and_that_is_said(book: Notebook) -> None:
    taken: list[object] = []
    notices: list[str] = []
    record = m.Output(run=RUN, start=0, end=1, what="comm", content={"action": "open", "comm": "c"})
    for trust in ("full", "data"):
        publisher = Publisher(book.shell, notices.append)
        publisher.screen = screen_for("h", trust)
        publisher.comm = lambda content, _buffers: taken.append(content)
        publisher.output(record)
        publisher.output(record)
    assert taken == [record.content] * 2
    assert [note for note in notices if "a widget from h is not shown" in note] == notices
    assert len(notices) == 1
