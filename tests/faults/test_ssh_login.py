"""Logging in with keys that have a passphrase, and with an agent's."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.reach import nobody_to_ask
from jupyter_macgpu.transport.ssh.login import Keyring, LoginRefused
from jupyter_macgpu.transport.ssh.transport import Ways
from jupyter_macgpu.wire.errors import TransportError
from tests.faults.away import Away, desk_at
from tests.faults.desk import Desk
from tests.faults.relay import Toxics
from tests.ssh_home import Home
from tests.sshd import Servers, Sshd

SECRET = "not a good one"


@pytest.fixture
def locked(sshd: Sshd, tmp_path: Path) -> Path:
    """Return the user's key in a file of its own, with a passphrase."""
    path = tmp_path / "locked"
    shutil.copy(sshd.keys.private(), path)
    path.chmod(0o600)
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", SECRET, "-f", str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start an agent of the test's own; `SSH_AUTH_SOCK` names it."""
    place = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60.0
    while not place.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    yield place
    process.terminate()
    process.wait(timeout=60.0)


def desk_with(home: Home, sshd: Sshd, key: Path, ask: object) -> Desk:
    host = home.host(sshd, identity_file=str(key))
    ways = Ways(ask, home.folder / "handshakes")  # type: ignore[arg-type]
    return Desk(host=host, transport=ways.to(host))


def test_a_passphrase_is_asked_for_once(home: Home, sshd: Sshd, locked: Path) -> None:
    home.know(sshd)
    asked: list[str] = []
    desk = desk_with(home, sshd, locked, lambda prompt: (asked.append(prompt), SECRET)[1])
    assert desk.run("1").state == "ok"
    desk.transport.close()
    assert desk.run("2").state == "ok"
    assert asked == [f"Passphrase of {locked}: "]
    desk.close()


def test_without_anybody_to_ask_the_agent_is_named(home: Home, sshd: Sshd, locked: Path) -> None:
    home.know(sshd)
    desk = desk_with(home, sshd, locked, nobody_to_ask)
    told = desk.run("1")
    desk.close()
    assert isinstance(told.error, LoginRefused)
    assert f"ssh-add {locked}" in told.error.next
    assert "nothing was sent" in told.error.known


def test_a_wrong_passphrase_is_said_and_asked_for_again(locked: Path) -> None:
    answers = ["wrong", SECRET]
    keyring = Keyring(lambda _prompt: answers.pop(0))
    with pytest.raises(LoginRefused, match="cannot be read"):
        keyring.open(str(locked))
    assert keyring.open(str(locked)).get_bits()
    assert answers == []


def test_the_agents_key_needs_no_passphrase(
    home: Home, sshd: Sshd, locked: Path, agent: Path
) -> None:
    home.know(sshd)
    subprocess.run(["ssh-add", "-q", sshd.keys.private()], check=True)
    desk = desk_with(home, sshd, locked, nobody_to_ask)
    assert desk.run("1").state == "ok"
    desk.close()


def test_a_line_that_is_cut_during_the_login_is_no_refusal(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host has refused nobody, and the login is worth another try."""
    monkeypatch.setattr("jupyter_macgpu.transport.ssh.connection._CROWDED", 0.0)
    errors: list[TransportError] = []
    for size in range(2000, 20_000, 100):
        away.relay.toxics = Toxics(limit=sum(away.relay.carried.values()) + size)
        try:
            away.desk.transport.open().close()
            break
        except TransportError as error:
            errors.append(error)
        finally:
            away.desk.transport.close()
    assert not [error for error in errors if error.lasting]
    assert [error for error in errors if "during the login" in str(error)], "\n".join(
        error.what for error in errors
    )
    assert size < 20_000, errors[-1]
    assert away.server.logins() > 0


def test_a_server_that_hangs_up_after_too_many_keys_has_refused_the_login(
    servers: Servers, home: Home
) -> None:
    server = servers.start(authorized=("other-user",), options={"MaxAuthTries": "1"})
    home.know(server)
    desk = desk_at(home, server)
    told = desk.run("1")
    assert isinstance(told.error, LoginRefused)
    desk.close()
