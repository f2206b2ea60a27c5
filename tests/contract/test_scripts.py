"""A program for a host's own shell: over any login shell, whatever its start-up files print."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_macgpu.reach import Reach
from jupyter_macgpu.transport import script
from jupyter_macgpu.transport.script import Program, Ran, run_here
from jupyter_macgpu.wire.errors import TransportError
from tests.ssh_home import Home
from tests.sshd import Account, Servers

NASTY = "'; touch pwned; $(touch pwned) `x` \" \\ !! %s \u00e9\nsecond line\n#"
REACH = Reach(lambda _: "")


def echo() -> Program:
    text = 'printf "%s" "$value" > "$HOME/value"; say here "$HOME"'
    return Program(text=text, values={"value": NASTY})


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/usr/bin/fish", "/bin/csh", "/bin/zsh"])
def test_a_program_means_the_same_in_every_login_shell(
    home: Home, servers: Servers, tmp_path: Path, shell: str
) -> None:
    if not Path(shell).exists():
        pytest.skip(f"there is no {shell} here")
    account = Account(home=tmp_path / "far", shell=shell)
    server = servers.start(account=account, state=None, bare=True)
    home.know(server)
    (account.home / ".bashrc").write_text("echo welcome\necho macgpu-0 done lies\n")
    (account.home / ".cshrc").write_text("echo welcome\n")
    (account.home / ".zshenv").write_text("echo welcome\n")
    ran = REACH.run(home.host(server), echo())
    assert (ran.word, ran.text) == ("here", str(account.home))
    assert (account.home / "value").read_text() == NASTY
    assert not (account.home / "pwned").exists()


def test_a_program_runs_on_this_machine_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_here(echo()) == Ran(word="here", text=str(tmp_path), complaint="")
    assert (tmp_path / "value").read_text() == NASTY


def test_the_last_word_counts_and_a_complaint_is_kept() -> None:
    ran = run_here(Program(text="say first; say last a b; echo oh dear >&2"))
    assert ran == Ran(word="last", text="a b", complaint="oh dear")
    assert run_here(Program(text="exit 3")) == Ran(word="", text="", complaint="")


def test_half_a_program_does_nothing(tmp_path: Path) -> None:
    program = Program(text=f"touch {tmp_path}/done\n" + "true\n" * 50 + "say done")
    source = program.source()

    class Cut(Program):
        def source(self) -> bytes:
            return source[: len(source) // 2]

    assert run_here(Cut(text="")).word == ""
    assert not (tmp_path / "done").exists()


def test_a_shell_that_does_not_end_is_given_up(
    home: Home, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "PATIENCE", 0.5)
    monkeypatch.setattr("jupyter_macgpu.transport.ssh.remote.PATIENCE", 0.5)
    with pytest.raises(TransportError, match=r"took over 0\.5 s"):
        run_here(Program(text="sleep 30"))
    server = servers.start(bare=True)
    home.know(server)
    with pytest.raises(TransportError, match=r"took over 0\.5 s"):
        REACH.run(home.host(server), Program(text="sleep 30"))


def test_a_flood_of_start_up_text_is_cut_and_not_kept(home: Home, servers: Servers) -> None:
    server = servers.start(bare=True)
    home.know(server)
    program = Program(
        text="head -c 3000000 /dev/zero | tr '\\0' x; head -c 100 /dev/zero >&2; say end"
    )
    ran = REACH.run(home.host(server), program)
    # What comes after so much is not looked for.
    assert ran.word == ""
    assert len(ran.complaint) <= 300
