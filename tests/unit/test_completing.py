"""What completion offers, as tables; and the scripts in the shells that they are for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter

from jupyter_macgpu.completing import SHELLS, Known, known, of_cell, of_verb, script
from jupyter_macgpu.ledger import ledger_path, recent_runs
from tests.inputs.shell import notebook

KNOWN = Known(
    hosts=("studio", "mini"),
    labels={"chip": frozenset({"m2-ultra", "m4"}), "room": frozenset({"lab"})},
    profiles=("train",),
    runs=("night", "7f3a2b1c"),
    variables=("model", "mean"),
)
CELLS = {
    "--ti": ["--timeout"],
    "--timeout 2h --ti": [],
    "--on s": ["studio"],
    "--on=s": ["--on=studio"],
    "--on chip": ["chip"],
    "--on chip=m": ["chip=m2-ultra", "chip=m4"],
    "-i m": ["model", "mean"],
    "-i model,me": ["model,mean"],
    "--profile ": ["train"],
    "--timeout ": [],
    "mo": [],
}
VERBS = {
    "desc": ["describe"],
    "describe st": ["studio"],
    "attach 7": ["7f3a2b1c"],
    "attach l": ["last"],
    "free mo": ["model"],
    "where --prefer room=l": ["--prefer room=lab"],
    "nonsense ": [],
    "schem": [],
}


@pytest.mark.parametrize("line", CELLS)
def test_what_a_cell_may_say(line: str) -> None:
    *before, current = line.split(" ")
    assert of_cell(before, current, lambda: KNOWN) == CELLS[line]


@pytest.mark.parametrize("line", VERBS)
def test_what_a_verb_takes(line: str) -> None:
    *before, current = line.split(" ")
    wanted = [text.rpartition(" ")[2] for text in VERBS[line]]
    assert of_verb(before, current, lambda: KNOWN, in_shell=False) == wanted


def test_a_shell_has_verbs_of_its_own() -> None:
    assert of_verb([], "schem", lambda: KNOWN, in_shell=True) == ["schema"]
    assert of_verb(["run"], "--o", lambda: KNOWN, in_shell=True) == ["--output", "--on"]


def test_nothing_is_looked_up_for_the_names_of_options() -> None:
    def never() -> Known:
        raise AssertionError

    assert "--timeout" in of_cell([], "--", never)
    assert "status" in of_verb([], "", never, in_shell=True)


def test_what_is_known_comes_from_files_alone(own_state) -> None:
    path = ledger_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    path.write_bytes(before + b'{"run": "%s", "name": "night"}\nnonsense\n[]\n' % (b"ab" * 16))
    assert recent_runs()[:2] == ["night", "abababab"]
    path.write_bytes(before)
    assert known(["x", "_hidden"]).variables == ("x",)
    assert known().hosts == ("this-machine",)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("%%macgpu --tim", "--timeout"),
        ("%%macgpu --on this", "this-machine"),
        ("%%macgpu -i limit,thr", "threshold"),
        ("%macgpu descr", "describe"),
        ("%macgpu describe th", "this-machine"),
    ],
)
def test_ipython_offers_it(own_state, typed: str, wanted: str) -> None:
    with notebook() as book:
        book.run("limit, threshold = 1, 2")
        with provisionalcompleter():
            found = list(book.shell.Completer.completions(typed, len(typed)))
        completed = {typed[: each.start] + each.text + typed[each.end :] for each in found}
        assert any(text.endswith(wanted) for text in completed), completed


def complete_in_bash(folder: Path, line: str) -> list[str]:
    words = line.split(" ")
    text = f"""{script("bash")}
    COMP_WORDS=({" ".join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}
    compopt() {{ :; }}
    _macgpu; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    ran = subprocess.run(
        ["bash", "-c", text],
        env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split()


@pytest.fixture
def command(tmp_path: Path) -> Path:
    file = tmp_path / "macgpu"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -m jupyter_macgpu.cli "$@"\n')
    file.chmod(0o755)
    return tmp_path


def test_bash_completes_verbs_options_and_hosts(command: Path) -> None:
    assert complete_in_bash(command, "macgpu desc") == ["describe"]
    assert complete_in_bash(command, "macgpu where --tim") == ["--timeout"]
    assert complete_in_bash(command, "macgpu describe this") == ["this-machine"]
    assert complete_in_bash(command, "macgpu nonsense x") == []


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish here")
def test_fish_completes_verbs(command: Path) -> None:
    text = f"{script('fish')}\ncomplete -C 'macgpu desc'"
    env = {"PATH": f"{command}:/usr/bin:/bin", "HOME": str(command)}
    ran = subprocess.run(["fish", "-c", text], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["describe"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh here")
def test_zsh_completes_verbs(command: Path) -> None:
    text = f"""compdef() {{ :; }}
    compadd() {{ shift; [[ $1 == -- ]] && shift; print -l -- "$@"; }}
    _files() {{ :; }}
    {script("zsh")}
    words=(macgpu desc); CURRENT=2
    _macgpu
    """
    env = {"PATH": f"{command}:/usr/bin:/bin", "HOME": str(command)}
    ran = subprocess.run(["zsh", "-fc", text], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["describe"]


def test_every_shell_that_is_offered_has_a_script() -> None:
    assert all("macgpu --complete" in script(shell) for shell in SHELLS)
