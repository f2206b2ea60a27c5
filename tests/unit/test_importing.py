"""Hosts of others' files: dstack's fleets, and OpenSSH's configuration."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_macgpu import cli
from jupyter_macgpu.fleet.file import FleetFileError, parse_fleet
from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.fleet.importing import read_dstack
from jupyter_macgpu.transport.ssh.config import ClientConfig, aliases
from jupyter_macgpu.transport.ssh.route import route_to

FLEET = Path(__file__).parent / "dstack" / "macs.dstack.yml"


def test_a_fleet_file_of_dstack_gives_its_hosts() -> None:
    found = read_dstack(FLEET.read_bytes(), "f")
    labels = {"room": "lab", "team": "vision"}
    key = {"user": "ubuntu", "identity_file": "~/.ssh/id_rsa"}
    assert found.hosts == (
        Host(name="3.255.177.51", labels=labels, **key),
        Host(
            name="gpu-node02.example.com",
            port=2222,
            user="ml",
            identity_file="~/.ssh/lab",
            slots=4,
            labels=labels,
        ),
        Host(name="fd00--7", hostname="fd00::7", labels=labels, **key),
    )
    assert found.notes == (
        "not taken over: placement, env",
        "not taken over: ssh_config.network",
        "the tag cost/center/7 cannot be a label: the prefix must be a DNS name in lower case of "
        "at most 253 characters",
        "not taken over: ssh_config.hosts[1].internal_ip",
        "not taken over: ssh_config.hosts[2].proxy_jump.ssh_key",
        "the way through bastion.example.com has a key of its own: write into ~/.ssh/config "
        "`Host bastion.example.com` and under it `IdentityFile ~/.ssh/bastion`",
        "ssh_config.hosts[2].blocks: auto is not known here; the hosts have one slot",
        "fd00::7 is reached through another machine: write into ~/.ssh/config `Host fd00::7` and "
        "under it `ProxyJump jump@bastion.example.com:2200`",
    )


SHARED = """\
type: fleet
blocks: 2
idle_duration: 1h
spot_policy: auto
tags: {cost-center: "42"}
ssh_config:
  user: admin
  port: 2022
  identity_file: ~/.ssh/lab
  proxy_jump: {hostname: gate.example.org, user: jump, identity_file: ~/.ssh/gate}
  hosts:
    - 10.0.0.11
    - {hostname: studio.local, port: 22, user: ml, proxy_jump: {hostname: b.example.org, user: x}}
"""


def test_what_hosts_of_a_fleet_share_holds_where_they_say_nothing_else() -> None:
    found = read_dstack(SHARED, "f")
    said = [(host.name, host.user, host.port, host.slots) for host in found.hosts]
    assert said == [("10.0.0.11", "admin", 2022, 2), ("studio.local", "ml", 22, 2)]
    assert {host.identity_file for host in found.hosts} == {"~/.ssh/lab"}
    assert [dict(host.labels) for host in found.hosts] == [{"cost-center": "42"}] * 2
    assert found.notes == (
        "not taken over: idle_duration, spot_policy",
        "the way through gate.example.org has a key of its own: write into ~/.ssh/config "
        "`Host gate.example.org` and under it `IdentityFile ~/.ssh/gate`",
        "10.0.0.11 is reached through another machine: write into ~/.ssh/config "
        "`Host 10.0.0.11` and under it `ProxyJump jump@gate.example.org`",
        "studio.local is reached through another machine: write into ~/.ssh/config "
        "`Host studio.local` and under it `ProxyJump x@b.example.org`",
    )


BAD = {
    "": [(0, "", "empty")],
    "type: task\ncommands: [x]": [(1, "type", "this is no fleet")],
    "name: a": [(0, "type", "this is no fleet")],
    "type: fleet\nnodes: 2": [(0, "ssh_config", "in a cloud")],
    "type: fleet\nssh_config: {user: a}": [(2, "ssh_config.hosts", "list of hosts")],
    "type: fleet\nssh_config:\n  hosts: [-oProxyCommand=id]": [
        (3, "ssh_config.hosts[0]", "a host name")
    ],
    "type: fleet\nssh_config:\n  user: -l\n  hosts:\n    - {port: 22}": [
        (3, "ssh_config.user", "a user's name"),
        (5, "ssh_config.hosts[0].hostname", "missing"),
    ],
    "type: fleet\nssh_config:\n  hosts:\n    - {hostname: a, blocks: 0}": [
        (4, "ssh_config.hosts[0].blocks", "from 1 to 64")
    ],
    "type: fleet\nssh_config: !!python/name:os.system x": [(2, "", "is not taken")],
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:50]))
def test_what_is_wrong_is_said_with_its_line(text: str) -> None:
    with pytest.raises(FleetFileError) as caught:
        read_dstack(text, "x.dstack.yml")
    found = caught.value.problems
    assert [(each.line, each.key) for each in found] == [each[:2] for each in BAD[text]]
    assert all(said in each.text for each, (_, _, said) in zip(found, BAD[text], strict=True)), (
        found
    )


ROUTER = """\
type: fleet
ssh_config:
  user: admin
  hosts:
    - {hostname: 198.51.100.7, port: 2201}
    - {hostname: 198.51.100.7, port: 2202}
    - 198.51.100.8
    - {hostname: 198.51.100.8, port: 22}
"""


def test_machines_behind_one_address_are_several_and_one_that_is_listed_twice_is_one() -> None:
    found = read_dstack(ROUTER, "f")
    assert [(host.name, host.address, host.port) for host in found.hosts] == [
        ("198.51.100.7", "198.51.100.7", 2201),
        ("198.51.100.7-2202", "198.51.100.7", 2202),
        ("198.51.100.8", "198.51.100.8", None),
    ]
    assert found.notes == ("198.51.100.8, port 22, is listed twice: the first counts",)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MACGPU_FLEET", str(tmp_path / "macgpu.yaml"))
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh" / "more").write_text("Host included\n  HostName 10.0.0.9\n")
    (tmp_path / ".ssh" / "config").write_text(
        "# mine\n"
        "Include more\n"
        "Host studio mini  # two of them\n"
        "  User me\n"
        'Host "quoted" *.lab !bad ?x\n'
        "  HostName 10.0.0.1\n"
        "host = equals\n"
        "Host github.com\n"
        "  User git\n"
        "Host proxied\n"
        "  ProxyCommand nc %h %p\n"
        "Match host studio\n"
        "  Port 2222\n"
        "Host *\n"
        "  ServerAliveInterval 30\n"
    )
    return tmp_path


def test_the_names_of_single_machines_are_found_in_the_ssh_configuration(home: Path) -> None:
    assert aliases(("~/.ssh/config",)) == (
        "included",
        "studio",
        "mini",
        "quoted",
        "equals",
        "github.com",
        "proxied",
    )
    assert aliases(("~/.ssh/none",)) == ()


def fleet(home: Path) -> list[str]:
    return [host.name for host in parse_fleet((home / "macgpu.yaml").read_text(), "f")]


OFFICE = """\
# from the office
Include more
IgnoreUnknown UseKeychain,AddKeysToAgent

Match host *.corp exec "false"
    User corp

Host gate
    HostName gate.example.org
    ControlMaster auto
    ControlPath ~/.ssh/cm-%r@%h:%p

Host studio-1 studio-2
\tHostName %h.lab.example.org
\tUser ml
\tPort=2222
\tIdentityFile "~/.ssh/lab key"
\tProxyJump gate
\tLocalForward 8888 localhost:8888

Host mini
    Hostname=192.168.1.20
    UseKeychain yes
    RemoteCommand tmux new -A -s main
    RequestTTY yes

Host *.wild !not.wild
    User x

Host *
    ServerAliveInterval 60
    Compression yes
"""


def test_a_configuration_as_offices_have_it_gives_hosts_that_go_its_way(home: Path) -> None:
    (home / ".ssh" / "config").write_text(OFFICE)
    (home / "macgpu.yaml").write_text("version: 1\nhosts:\n  here: {transport: local}\n")
    assert cli.main(["import", "ssh", "--yes"]) == 0
    names = ["included", "gate", "studio-1", "studio-2", "mini"]
    assert fleet(home) == ["here", *names]
    hosts = {host.name: host for host in parse_fleet((home / "macgpu.yaml").read_text(), "f")}
    ways = {name: route_to(hosts[name], ClientConfig()) for name in names}
    studio, mini = ways["studio-2"], ways["mini"]
    assert (studio.address, studio.port, studio.user) == ("studio-2.lab.example.org", 2222, "ml")
    assert studio.identities == (str(home / ".ssh" / "lab key"),)
    assert studio.through is not None
    assert studio.through.address == "gate.example.org"
    assert (mini.address, mini.port, mini.through) == ("192.168.1.20", 22, None)


def test_hosts_of_the_ssh_configuration_are_added_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "macgpu.yaml").write_text("# mine\nversion: 1\nhosts:\n  mini: {slots: 2} # fast\n")
    assert cli.main(["import", "ssh", "--yes"]) == 0
    said = capsys.readouterr().out
    assert fleet(home) == ["mini", "included", "studio", "quoted", "equals"]
    text = (home / "macgpu.yaml").read_text()
    assert text.startswith("# mine\nversion: 1\nhosts:\n  mini: {slots: 2} # fast\n")
    assert "  studio: {}\n" in text
    assert "github.com: a server of repositories" in said
    assert "ProxyCommand of proxied is not run" in said
    assert "in the fleet already: mini" in said
    assert cli.main(["import", "ssh", "--yes"]) == 0
    assert "There is no new host." in capsys.readouterr().out
    assert (home / "macgpu.yaml").read_text() == text


def test_patterns_choose_and_nobody_is_asked_in_vain(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "macgpu.yaml").write_text("version: 1\nhosts: {own: {}}\n")
    assert cli.main(["import", "ssh", "st*"]) == 2
    assert "nobody here who could be asked" in capsys.readouterr().err
    assert fleet(home) == ["own"]
    assert cli.main(["import", "ssh", "st*", "equals", "--yes"]) == 0
    assert fleet(home) == ["equals", "studio", "own"]


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_a_person_at_a_terminal_is_asked_once(home: Path, answer: str, code: int) -> None:
    before = "version: 1\nhosts:\n  own: {}\n"
    (home / "macgpu.yaml").write_text(before)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "jupyter_macgpu.cli", "import", "ssh", "studio"]
    with os.fdopen(theirs) as terminal:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(words, stdin=terminal, capture_output=True, text=True, timeout=60)
    os.close(ours)
    assert done.returncode == code
    assert done.stdout.count("[y/N]") == 1
    assert (fleet(home) == ["own", "studio"]) == (code == 0)
    assert ((home / "macgpu.yaml").read_text() == before) == (code == 1)


def test_machines_behind_one_address_are_all_added_and_only_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "macgpu.yaml").write_text("version: 1\nhosts:\n  own: {}\n")
    (home / "router.dstack.yml").write_text(ROUTER)
    words = ["import", "dstack", str(home / "router.dstack.yml"), "--yes"]
    assert cli.main(words) == 0
    names = ["198.51.100.7", "198.51.100.7-2202", "198.51.100.8"]
    assert fleet(home) == ["own", *names]
    assert cli.main(words) == 0
    assert "There is no new host." in capsys.readouterr().out
    assert fleet(home) == ["own", *names]


def test_hosts_of_a_dstack_fleet_are_added(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "macgpu.yaml").write_text("version: 1\nhosts:\n  own: {}\n")
    assert cli.main(["import", "dstack", str(FLEET), "--yes"]) == 0
    assert fleet(home) == ["own", "3.255.177.51", "gpu-node02.example.com", "fd00--7"]
    assert "not taken over: placement, env" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["import"], 2, "none is given"),
        (["import", "ansible", "x"], 2, "import dstack FILE"),
        (["import", "dstack"], 2, "import dstack FILE"),
        (["import", "dstack", "/nowhere.dstack.yml"], 2, "There is no /nowhere"),
        (["import", "dstack", "/etc"], 2, "cannot be read"),
    ],
)
def test_what_cannot_be_imported_is_answered(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    (home / "macgpu.yaml").write_text("version: 1\nhosts: {own: {}}\n")
    assert cli.main(words) == code
    assert said in capsys.readouterr().err
