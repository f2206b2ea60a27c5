"""D08 to D12: fleet files, paths and OpenSSH's configuration, as a cell's user meets them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.transport.ssh.config import ClientConfig, aliases
from jupyter_macgpu.transport.ssh.login import Keyring, LoginRefused
from jupyter_macgpu.transport.ssh.route import route_to
from jupyter_macgpu.wire.errors import ConfigError, MacGPUError
from tests.inputs.shell import notebook
from tests.ssh_keys import Keys

HEAD = b"version: 1\n"
BOMB = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
#: Content of a fleet file, and words that its error must have.
FILES: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["nothing"]),
    "a tag": (HEAD + b"hosts: {a: !!python/object/apply:os.system [id]}\n", ["line 2", "tag"]),
    "aliases that double": (
        HEAD + b"l0: &l0 [x]\n" + BOMB.encode() + b"hosts: {a: {}}\n",
        ["line 14", "nested deeper, or longer"],
    ),
    "an alias of itself": (HEAD + b"hosts: &h {a: *h}\n", ["line 2"]),
    "the same host twice": (HEAD + b"hosts:\n  a: {}\n  a: {port: 2}\n", ["line 4", "twice"]),
    "the same key twice": (HEAD + b"hosts: {a: {port: 1, port: 2}}\n", ["line 2", "port"]),
    "ten megabytes": (HEAD + b"hosts: {a: {}}\n" + b"# c\n" * 2_500_000, ["1 MiB"]),
    "latin-1": (HEAD + b"hosts: {a: {labels: {x: \xe4}}}\n", ["UTF-8"]),
    "UTF-16": ("version: 1\nhosts: {a: {}}\n".encode("utf-16"), ["UTF-8"]),
    "a NUL": (HEAD + b"hosts: {a: {labels: {x: 'a\x00'}}}\n", ["special characters"]),
    "deep": (HEAD + b"hosts: " + b"[" * 5000 + b"]" * 5000, []),
    "a list": (b"- a\n- b\n", ["line 1", "mapping"]),
    "two documents": (HEAD + b"hosts: {a: {}}\n---\n" + HEAD, ["document"]),
    "port 0": (HEAD + b"hosts: {a: {port: 0}}\n", ["hosts.a.port", "1 to 65535"]),
    "a port that is text": (HEAD + b"hosts: {a: {port: '22 '}}\n", ["hosts.a.port", "1 to 65535"]),
    "a user of a shell": (HEAD + b"hosts: {a: {user: 'root;'}}\n", ["hosts.a.user"]),
    "a user that is an option": (HEAD + b"hosts: {a: {user: -l}}\n", ["hosts.a.user"]),
    "a name of a shell": (HEAD + b"hosts: {'a;id': {}}\n", ["line 2", "a;id"]),
    "a name that is an option": (HEAD + b"hosts: {-oProxyCommand=id: {}}\n", ["line 2"]),
    "a name that climbs": (HEAD + b"hosts: {../x: {}}\n", ["line 2"]),
    "two mistakes": (HEAD + b"hosts:\n  a: {prot: 1}\n  b: {user: 5}\n", ["line 3", "line 4"]),
    "a key of a host": (HEAD + b"hosts: {a: {hostkey: SHA256:x}}\n", ["hosts.a.hostkey"]),
    "somebody's home": (HEAD + b"hosts: {a: {identity_file: ~other/k}}\n", ["identity_file"]),
    "a path that climbs": (HEAD + b"hosts: {a: {identity_file: ../k}}\n", ["identity_file"]),
    "a python of a shell": (HEAD + b"hosts: {a: {python: '$(id)'}}\n", ["hosts.a.python"]),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FILES)
def test_d08_to_d10_a_fleet_file_is_refused_with_its_place(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    content, words = FILES[name]
    file = tmp_path / "fleet.yaml"
    file.write_bytes(content)
    file.chmod(0o600)
    monkeypatch.setenv("MACGPU_FLEET", str(file))
    with notebook() as opened:
        ran = opened.run("%%macgpu\n1").error_is(MacGPUError)
        for word in [str(file), *words]:
            assert word in ran.text, ran.text
        assert len(ran.text) < 5000
        opened.run("1 + 1").error_is(None)
    assert not (state / "ledger").exists()
    assert file.read_bytes() == content


def written_by_the_group(path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a file to a group with others in it")
    # A group of the user's own name has nobody else in it.
    os.chown(path, -1, 7)
    path.chmod(0o620)


def writable(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o022)


#: What is done to a good file and its folder.
RIGHTS: dict[str, Callable[[Path], None]] = {
    "written by the group": lambda file: written_by_the_group(file),
    "written by others": lambda file: file.chmod(0o602),
    "a folder that others write": lambda file: writable(file.parent),
}


@pytest.mark.parametrize("name", RIGHTS)
def test_d11_a_fleet_file_that_others_can_write_is_refused(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "own" / "fleet.yaml"
    file.parent.mkdir(mode=0o700)
    file.write_text("version: 1\nhosts: {a: {transport: local}}\n")
    file.chmod(0o600)
    monkeypatch.setenv("MACGPU_FLEET", str(file))
    with notebook() as opened:
        opened.run("%macgpu status").error_is(None)
    RIGHTS[name](file)
    with notebook() as opened:
        ran = opened.run("%%macgpu\n1").error_is(MacGPUError)
        assert "chmod go-w" in ran.text


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    return folder


def config(folder: Path, text: str, mode: int = 0o600) -> ClientConfig:
    file = folder / "config"
    file.write_text(text)
    file.chmod(mode)
    return ClientConfig(("~/.ssh/config",))


#: Text of an ssh_config, and words that its error must have.
CONFIGS = {
    "a proxy command": ("Host mac\n  ProxyCommand touch CANARY\n", "ProxyJump"),
    "a proxy command for all": ("ProxyCommand touch CANARY\n", "ProxyJump"),
    "a port that is none": ("Port 22x\n", "22x"),
    "a time that is none": ("ConnectTimeout soon\n", "soon"),
    "an open quote": ('UserKnownHostsFile "x\n', "quot"),
    "an open quote in an Include": ('Include "x\n', "quot"),
    "a file that includes itself": ("Include config\n", "16 deep"),
    "a folder": ("Include .\n", "cannot be read"),
    "no configuration": ("Host a\n  nonsense\n", "nonsense"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_d12_a_configuration_that_cannot_be_followed_is_said(home: Path, name: str) -> None:
    text, word = CONFIGS[name]
    canary = home / "canary"
    with pytest.raises(ConfigError) as refused:
        config(home, text.replace("CANARY", str(canary))).lookup("mac")
    assert word in str(refused.value)
    assert not canary.exists()


@pytest.mark.parametrize("mode", [0o602, 0o606, 0o666])
def test_d12_a_configuration_that_others_can_write_is_refused_as_ssh_does(
    home: Path, mode: int
) -> None:
    with pytest.raises(ConfigError, match="written by others"):
        config(home, "Host mac\n  User me\n", mode)
    (home / "more").write_text("Host mac\n  User me\n")
    (home / "more").chmod(mode)
    with pytest.raises(ConfigError, match="more can be written by others"):
        config(home, "Include more\n")
    (home / "config").chmod(mode)
    with pytest.raises(ConfigError, match="written by others"):
        aliases(("~/.ssh/config",))


def test_d12_the_fleet_file_wins_over_a_host_for_all(home: Path) -> None:
    read = config(home, "Host *\n  User root\n  Port 99\n")
    route = route_to(Host(name="mac", transport="ssh", user="me"), read)
    assert (route.user, route.port) == ("me", 99)


@pytest.mark.parametrize(
    ("mode", "is_read"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)]
)
def test_d10_a_key_that_others_can_read_is_not_used(
    tmp_path: Path, keys: Keys, mode: int, is_read: bool
) -> None:
    path = tmp_path / "id"
    path.write_bytes(keys.private().read_bytes())
    path.chmod(mode)
    keyring = Keyring(lambda prompt: "")
    if is_read:
        keyring.open(str(path))
        return
    with pytest.raises(LoginRefused, match="read by others") as refused:
        keyring.open(str(path))
    assert f"chmod 600 {path}" in str(refused.value)


@pytest.mark.parametrize("make", ["folder", "nothing", "text", "half"])
def test_d10_what_is_no_key_is_said(tmp_path: Path, make: str) -> None:
    path = tmp_path / "id"
    if make == "folder":
        path.mkdir(mode=0o700)
    elif make != "nothing":
        path.touch(mode=0o600)
        path.write_text("x" if make == "text" else "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n")
    with pytest.raises(LoginRefused, match="cannot be read"):
        Keyring(lambda prompt: "").open(str(path))
