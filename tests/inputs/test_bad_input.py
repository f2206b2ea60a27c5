"""What is wrong is said before anything is sent, in four parts, and the notebook stays well."""

from __future__ import annotations

import pytest

from jupyter_macgpu.wire.errors import MacGPUError, RemoteError
from tests.inputs.shell import notebook

_SETUP = """
import threading
small = [1, 2]
made = (n for n in small)
locked = {"model": [threading.Lock()]}
"""

#: A cell, and words that its error must have.
REFUSED = {
    "unknown option": ("%%macgpu --onn x\n1", ["--onn", "Did you mean --on?"]),
    "abbreviated option": ("%%macgpu --time 5s\n1", ["--timeout"]),
    "option of a later version": ("%%macgpu --detach\n1", ["--detach", "not available"]),
    "option twice": ("%%macgpu --cpu --cpu\n1", ["--cpu"]),
    "unbalanced quotes": ("%%macgpu --as 'one\n1", ["'"]),
    "no such host": ("%%macgpu --on mars\n1", ["mars", "this-machine"]),
    "missing inputs": ("%%macgpu -i nope,small,nada\n1", ["nope", "nada"]),
    "generator": ("%%macgpu\nprint(made)", ["made", "generator"]),
    "lock in a container": ("%%macgpu\nprint(locked)", ["locked['model'][0]", "lock"]),
    "both at once": ("%%macgpu\nprint(made, locked)", ["made", "locked['model'][0]"]),
    "too large": ("%%macgpu\nprint(vast.sum())", ["vast", "GiB", "--yes"]),
    "environment variable": ("%%macgpu --setenv NOT_SET_HERE\n1", ["NOT_SET_HERE"]),
    "unknown verb": ("%macgpu stats", ["stats", "Did you mean status?"]),
    "unknown run": ("%macgpu attach ffff", ["ffff", "%macgpu runs"]),
    "unknown setting": ("%macgpu config speed=9", ["speed", "return"]),
    "wrong value of a setting": ("%macgpu config return=much", ["much"]),
}


@pytest.fixture(scope="module")
def book(own_state):
    with notebook() as opened:
        opened.run(_SETUP).error_is(None)
        # 12 GB that the system has only promised: refusing must not touch them.
        opened.run("import numpy as np; vast = np.zeros(12 * 10**9 // 8)").error_is(None)
        opened.run("%%macgpu\nseen = small").error_is(None)
        yield opened


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_before_anything_is_sent(book, case):
    cell, words = REFUSED[case]
    before = book.runs()
    ran = book.run(cell).error_is(MacGPUError)
    for word in words:
        assert word in ran.text
    error = ran.error
    assert all([error.what, error.known, error.kept, error.next])
    assert book.runs() == before
    book.run("%%macgpu\nsmall.append(len(small))").error_is(None)
    assert book.names["small"][-1] == len(book.names["small"]) - 1


@pytest.mark.parametrize(
    ("body", "line"),
    [("x = 1\ndef f(:\n    pass", 3), ("if True:\nx = 1", 3), ("print('a'", 2), ("\tx\n  y", 3)],
)
def test_a_syntax_error_is_found_here_at_its_line(book, body, line):
    before = book.runs()
    ran = book.run("%%macgpu\n" + body).error_is(RemoteError)
    assert ran.error.ename.endswith("Error")
    assert f"line {line}" in ran.text
    assert book.runs() == before


def test_a_fleet_file_with_errors_names_all_of_them(state, tmp_path, monkeypatch):
    file = tmp_path / "fleet.yaml"
    file.write_text(
        "version: 1\nhosts:\n  a: {transprt: local}\n  b: {transport: local, slots: x}\n"
    )
    monkeypatch.setenv("MACGPU_FLEET", str(file))
    with notebook() as opened:
        ran = opened.run("%%macgpu\n1").error_is(MacGPUError)
        for word in (str(file), "transprt", "transport", "slots", "line 3", "line 4"):
            assert word in ran.text
        opened.run("1 + 1").error_is(None)


def test_a_name_that_no_text_shows_is_answered_with_the_way_to_ship_it(book):
    book.run("hidden = 4").error_is(None)
    ran = book.run("%%macgpu\neval('hidden + 1')").error_is(RemoteError)
    assert "hidden exists in the notebook: add -i hidden" in ran.text
    book.run("%%macgpu -i hidden\nfive = eval('hidden + 1')").error_is(None)
    assert book.names["five"] == 5


def test_a_dry_run_sends_nothing_and_says_what_would_be(book):
    before = book.runs()
    ran = book.run("%%macgpu --dry-run\nprint(small, unheard_of)").error_is(None)
    for word in ("small: list", "unheard_of", "this-machine"):
        assert word in ran.text
    assert book.runs() == before


def test_an_empty_cell_is_refused_by_ipython_itself(book):
    ran = book.run("%%macgpu\n")
    assert "cell body is empty" in ran.text
    book.run("%%macgpu\n# only a comment").error_is(None)
