"""Login shells of every kind, with start-up files of every kind."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import paramiko
import pytest

from jupyter_macgpu.transport.ssh.connection import SshConnection
from tests.ssh_home import Home
from tests.sshd import Account, Servers

from . import invariants
from .away import desk_at

#: Start-up file that each shell reads even for one command.
FILES = {
    "bash": ".bashrc",
    "zsh": ".zshenv",
    "fish": ".config/fish/config.fish",
    "csh": ".cshrc",
    "dash": "",
}
#: What stands in it.
_NOISE = "echo Welcome to the studio\n/usr/bin/seq 1 9000\nsh -c 'echo oops >&2'\ncd /\n"
_END = "echo You are not wanted here\nexit 1\n"
#: Shell, start-up file, and whether a cell can run all the same.
CASES = {
    **{f"{shell} and noise": (shell, _NOISE, True) for shell in FILES},
    # The exit of the others ends the file alone.
    **{f"{shell} and an end": (shell, _END, shell not in ("bash", "zsh")) for shell in FILES},
}


@pytest.mark.parametrize("case", CASES)
def test_f60_shells_and_their_noise(
    case: str, servers: Servers, home: Home, tmp_path: Path
) -> None:
    shell, text, well = CASES[case]
    path, file = shutil.which(shell), FILES[shell]
    if path is None:
        pytest.skip(f"there is no {shell} here")
    account = Account(home=tmp_path / "ada", shell=path)
    if file:
        (account.home / file).parent.mkdir(parents=True)
        (account.home / file).write_text(text)
    server = servers.start(account=account)
    home.know(server)
    desk = desk_at(home, server)
    told = desk.run("notes.append(6 * 7)")
    desk.close()
    if well:
        assert told.state == "ok", told.error
        assert desk.namespace["notes"] == [42]
    else:
        assert told.state == "unsent"
        assert told.error is not None
        invariants.said_in_four_parts(told.error)
        assert "You are not wanted here" in told.error.what


@pytest.mark.parametrize("text", [_END, "echo oops >&2\nexit 1\n"], ids=["a word", "no word"])
def test_f60_what_a_shell_says_is_heard_though_it_has_hung_up_before_it_is_greeted(
    text: str, servers: Servers, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(home=tmp_path / "ada", shell=shutil.which("bash") or "/bin/bash")
    account.home.mkdir()
    (account.home / ".bashrc").write_text(text)
    server = servers.start(account=account)
    home.know(server)
    execute = SshConnection.execute

    def execute_late(connection: SshConnection, command: str) -> paramiko.Channel:
        channel = execute(connection, command)
        deadline = time.monotonic() + 60.0
        while not channel.closed:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return channel

    monkeypatch.setattr(SshConnection, "execute", execute_late)
    desk = desk_at(home, server)
    told = desk.run("notes.append(6 * 7)")
    desk.close()
    assert told.state == "unsent"
    assert told.error is not None
    invariants.said_in_four_parts(told.error)
    assert "ended before our door was opened" in told.error.what
    assert ("You are not wanted here" in told.error.what) == (text == _END)
