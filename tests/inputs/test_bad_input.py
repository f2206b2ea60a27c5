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
    "option of a later version": ("%%macgpu --with x\n1", ["--with", "not available"]),
    "option twice": ("%%macgpu --cpu --cpu\n1", ["--cpu"]),
    "unbalanced quotes": ("%%macgpu --as 'one\n1", ["'"]),
    "no such host": ("%%macgpu --on mars\n1", ["mars", "this-machine"]),
    "missing inputs": ("%%macgpu -i nope,small,nada\n1", ["nope", "nada"]),
    "generator": ("%%macgpu\nprint(made)", ["made", "generator"]),
    "lock in a container": ("%%macgpu\nprint(locked)", ["locked['model'][0]", "lock"]),
    "both at once": ("%%macgpu\nprint(made, locked)", ["made", "locked['model'][0]"]),
    "too large": ("%%macgpu\nprint(vast.sum())", ["vast", "GiB", "--yes"]),
    "environment variable": ("%%macgpu --setenv NOT_SET_HERE\n1", ["NOT_SET_HERE"]),
    "no such file": ("%%macgpu --files no-such.csv\n1", ["no-such.csv", "There is no"]),
    "no such file to put": ("%macgpu put no-such.csv", ["no-such.csv", "There is no"]),
    "nothing to put": ("%macgpu put", ["PATH"]),
    "no plain file": ("%macgpu put /dev/null", ["/dev/null", "not a plain file"]),
    "a pattern that fits nothing": ("%macgpu put no-such*.csv", ["no-such*.csv"]),
    "a path out of the folder": ("%macgpu get ../../id_rsa", ["leads out of"]),
    "an absolute path": ("%macgpu get /etc/passwd", ["absolute"]),
    "a file that is not there": ("%macgpu get no-such.pt", ["no-such.pt", "%macgpu files"]),
    "a target out of the folder": ("%macgpu put README.md --to ../up", ["../up", "leads out"]),
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


#: Text of a fleet file, its mode, and words that the error must have.
BAD_FLEETS = {
    "tag": ("version: 1\nhosts: !!python/object:os.x {a: {}}\n", 0o600, ["line 2", "tag"]),
    "port": ("version: 1\nhosts: {a: {port: 65536}}\n", 0o600, ["hosts.a.port", "1 to 65535"]),
    "user": ("version: 1\nhosts: {a: {user: root;}}\n", 0o600, ["hosts.a.user", "user's name"]),
    "hostkey": ("version: 1\nhosts: {a: {hostkey: x}}\n", 0o600, ["a.hostkey", "SHA256:"]),
    "option for a name": (
        "version: 1\nhosts: {a: {hostname: -oProxyCommand=id}}\n",
        0o600,
        ["hosts.a.hostname", "host name"],
    ),
    "relative path": ("version: 1\ndefaults: {identity_file: ../id}\n", 0o600, ["~/", "hosts"]),
    "written by others": ("version: 1\nhosts: {a: {}}\n", 0o666, ["chmod go-w"]),
}


@pytest.mark.parametrize("case", BAD_FLEETS)
def test_a_bad_fleet_file_is_refused_and_the_notebook_stays_well(
    state, tmp_path, monkeypatch, case
):
    text, mode, words = BAD_FLEETS[case]
    file = tmp_path / "fleet.yaml"
    file.write_text(text)
    file.chmod(mode)
    monkeypatch.setenv("MACGPU_FLEET", str(file))
    with notebook() as opened:
        ran = opened.run("%%macgpu\n1").error_is(MacGPUError)
        for word in [str(file), *words]:
            assert word in ran.text
        opened.run("1 + 1").error_is(None)


def test_a_fleet_file_beside_the_notebook_is_named_and_not_used(state, tmp_path, monkeypatch):
    folder = tmp_path / "cloned"
    folder.mkdir()
    (folder / "macgpu.yaml").write_text("version: 1\nhosts: {elsewhere: {}}\n")
    monkeypatch.chdir(folder)
    with notebook() as opened:
        ran = opened.run("%%macgpu --dry-run\n1").error_is(None)
        assert "this-machine" in ran.text
        ran = opened.run("%%macgpu --on elsewhere\n1").error_is(MacGPUError)
        assert "macgpu allow" in ran.text


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
