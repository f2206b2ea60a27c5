"""`macgpu add` against real SSH servers: from a name to a first tensor, and again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_macgpu import cli, keyline
from jupyter_macgpu.adding import Target, host_for, read_target
from jupyter_macgpu.fleet.file import parse_fleet
from jupyter_macgpu.fleet.hosts import Fleet, Host
from jupyter_macgpu.fleet.places import user_folder
from jupyter_macgpu.wire.errors import InputError
from tests.ssh_home import Home
from tests.sshd import Servers, Sshd

#: What `add` cannot know is said for all: the tests' own interpreter has what cells need.
FLEET = f"""\
version: 1 # mine
defaults: {{python: {sys.executable}}}
hosts:
  here: {{transport: local}}
"""
TARGETS = {
    "studio": Target(address="studio"),
    "me@studio.local": Target(address="studio.local", user="me"),
    "10.0.0.7:2222": Target(address="10.0.0.7", port=2222),
    "me@[fe80::1%en0]:22": Target(address="fe80::1%en0", user="me", port=22),
}


@pytest.mark.parametrize("text", TARGETS)
def test_a_target_is_read(text: str) -> None:
    assert read_target(text) == TARGETS[text]


@pytest.mark.parametrize(
    "text", ["", "a b", "-oProxyCommand=x", "a:b", "a:0", "a:70000", "@a", "::1", "a;b", "ssh://a"]
)
def test_what_is_no_machine_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no machine"):
        read_target(text)


def test_a_new_host_is_called_like_its_address_and_a_known_one_is_found() -> None:
    known = Host(name="studio", hostname="studio.local", user="me")
    fleet = Fleet(hosts=(known, Host(name="mini")), files=(Path("f"),))
    found = {
        text: host_for(read_target(text), fleet)
        for text in ("studio", "me@studio.local", "mini", "you@studio.local", "pro.local", "::")
        if text != "::"
    }
    assert found["studio"] == (known, True)
    assert found["me@studio.local"] == (known, True)
    assert found["mini"] == (Host(name="mini"), True)
    assert found["you@studio.local"] == (Host(name="studio.local", user="you"), False)
    assert found["pro.local"] == (Host(name="pro", hostname="pro.local"), False)


@pytest.fixture
def config(home: Home, servers: Servers) -> Home:
    """Return a home whose SSH configuration names the key, as after ssh-keygen."""
    home.write_config(f"Host *\n  IdentityFile {servers.keys.private()}\n  IdentitiesOnly yes\n")
    home.fleet.write_text(FLEET)
    return home


def target(server: Sshd) -> str:
    return f"{server.user}@{server.address}:{server.port}"


def test_a_machine_is_added_up_to_its_first_tensor_and_a_second_time_changes_nothing(
    config: Home, sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["add", target(sshd), "--yes"]) == 0
    said = capsys.readouterr().out
    fingerprint = said.partition("shows the key ")[2].split()[0]
    assert fingerprint in {sshd.keys.fingerprint(kind=kind) for kind in ("ed25519", "ecdsa")}
    assert "ok  tensor" in said or "note  tensor" in said
    text = config.fleet.read_text()
    assert text.startswith("version: 1 # mine\n")
    added = {host.name: host for host in parse_fleet(text, "f")}["127.0.0.1"]
    assert (added.user, added.port, added.hostkey) == (sshd.user, sshd.port, fingerprint)
    assert cli.main(["add", target(sshd)]) == 0  # nothing is asked any more
    again = capsys.readouterr().out
    assert "shows the key that is known" in again
    assert "was known already" in again
    assert config.fleet.read_text() == text


def test_the_first_machine_makes_the_file(
    config: Home, sshd: Sshd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MACGPU_FLEET")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.folder / "config"))
    config.know(sshd)
    cli.main(["add", target(sshd)])
    file = user_folder() / "macgpu.yaml"
    assert f"127.0.0.1 is in {file}" in capsys.readouterr().out
    assert file.stat().st_mode & 0o777 == 0o600
    (host,) = parse_fleet(file.read_text(), "f")
    # What known_hosts says already is not said a second time.
    assert (host.user, host.port, host.hostkey) == (sshd.user, sshd.port, None)


def test_the_files_defaults_hold_from_the_first_contact_on(
    config: Home, sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    config.know(sshd)
    shared = f"user: {sshd.user}, port: {sshd.port}, python: {sys.executable}"
    config.fleet.write_text(f"version: 1\ndefaults: {{{shared}}}\nhosts: {{mini: {{}}}}\n")
    assert cli.main(["add", "127.0.0.1"]) == 0
    assert f"port {sshd.port} shows the key that is known" in capsys.readouterr().out
    text = config.fleet.read_text()
    assert "{127.0.0.1: {}, mini: {}}" in text.replace('"', "")
    assert parse_fleet(text, "f")[0].port == sshd.port


def test_nothing_is_written_before_the_key_was_agreed_to(
    config: Home, sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["add", target(sshd)]) == 2
    said = capsys.readouterr()
    assert "shows the key SHA256:" in said.out
    assert "nobody here who could be asked" in said.err
    assert config.fleet.read_text() == FLEET
    assert sshd.logins() == 0


def test_a_refused_login_says_how_a_key_gets_there_and_writes_nothing(
    config: Home, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    server = servers.start(authorized=("other-user",))
    config.know(server)
    assert cli.main(["add", target(server)]) == 1
    said = capsys.readouterr().err
    assert f"`ssh-copy-id -p {server.port} {server.user}@127.0.0.1`" in said
    assert f"macgpu add --print-key-line {target(server)}" in said
    assert "Nothing was written" in said
    assert config.fleet.read_text() == FLEET


def test_a_changed_key_is_refused_and_nobody_is_asked(
    config: Home, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    server = servers.start(host_name="other-host")
    key = server.keys.public("host")
    config.known_hosts.write_text(f"[{server.address}]:{server.port} {key}\n")
    assert cli.main(["add", target(server), "--yes"]) == 1
    assert "key" in capsys.readouterr().err
    assert server.logins() == 0
    assert config.fleet.read_text() == FLEET


def test_one_machine_that_fails_does_not_keep_the_others_out(
    config: Home, sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["add", "127.0.0.1:1", target(sshd), "--yes"]) == 1
    assert "127.0.0.1" in capsys.readouterr().err
    hosts = parse_fleet(config.fleet.read_text(), "f")
    assert sshd.port in [host.port for host in hosts]


# The restricted key.


@pytest.fixture
def own_keys(servers: Servers, tmp_path: Path) -> tuple[Sshd, Path]:
    """Give a server that reads its account's own authorized_keys, and that file."""
    file = tmp_path / "sshd-0" / "home" / ".ssh" / "authorized_keys"
    server = servers.start(options={"AuthorizedKeysFile": f'"{file}"'})
    file.parent.mkdir(mode=0o700)
    keys = servers.keys
    file.write_text(f"# keys\n{keys.public('other-user')} them\n{keys.public('user')} me@laptop")
    file.chmod(0o600)
    return server, file


def test_a_key_is_restricted_in_its_place_and_every_other_line_stays(
    config: Home, own_keys: tuple[Sshd, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    server, file = own_keys
    before = file.read_text()
    assert cli.main(["add", target(server), "--yes", "--restrict"]) == 0
    said = capsys.readouterr().out
    assert "this key opens nothing but the door from now on" in said
    lines = file.read_text().splitlines()
    assert lines[:2] == before.splitlines()[:2]
    assert lines[2].startswith("restrict,command=")
    assert lines[2].endswith(f"{server.keys.public('user')} me@laptop")
    assert len(lines) == 3
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["authorized_keys"]
    after = file.read_text()
    assert cli.main(["add", target(server), "--restrict"]) == 0
    assert "nothing but the door already" in capsys.readouterr().out
    assert file.read_text() == after


def test_a_link_is_not_replaced(
    config: Home, own_keys: tuple[Sshd, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    server, file = own_keys
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")
    assert cli.main(["add", target(server), "--yes", "--restrict"]) == 1
    assert "is a link" in capsys.readouterr().err
    assert file.is_symlink()
    assert "restrict" not in file.read_text()


def test_the_printed_line_opens_the_door_and_nothing_else(
    config: Home, servers: Servers, sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["add", "--print-key-line", target(sshd)]) == 0
    line = capsys.readouterr().out
    assert line.startswith("restrict,command=")
    assert sshd.logins() == 0
    (sshd.folder / "authorized_keys").write_text(line)
    config.know(sshd)
    said = config.openssh(sshd, "echo in a shell")
    assert "in a shell" not in said.stdout
    config.write_fleet({"studio": sshd})
    assert cli.main(["doctor", "studio"]) == 0
    assert "tensor" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/fish", "/bin/csh", "/usr/bin/zsh"])
def test_the_printed_command_is_one_to_every_shell(shell: str, tmp_path: Path) -> None:
    if not Path(shell).exists():
        pytest.skip(f"there is no {shell} here")
    door = tmp_path / "Library" / "Application Support" / "macgpu" / "door"
    door.parent.mkdir(parents=True)
    door.write_text("#!/bin/sh\necho opened\n")
    door.chmod(0o700)
    command = keyline.options().removeprefix('restrict,command="').removesuffix('"')
    command = command.replace('\\"', '"').replace("\\\\", "\\")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [shell, "-c", command], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "opened\n", done.stderr
