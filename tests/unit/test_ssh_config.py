"""What is read of OpenSSH's configuration, and the way that follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.transport.ssh.config import ClientConfig, split_hop
from jupyter_macgpu.transport.ssh.route import Route, route_to
from jupyter_macgpu.wire.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the .ssh folder of a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    return ssh


def route(folder: Path, text: str, **said: object) -> Route:
    (folder / "config").write_text(text)
    host = Host(name="studio", **said)  # type: ignore[arg-type]
    return route_to(host, ClientConfig([str(folder / "config")]))


def test_without_a_file_the_name_itself_is_asked(folder: Path) -> None:
    found = route_to(Host(name="studio.local"), ClientConfig([str(folder / "none")]))
    assert (found.address, found.port, found.through) == ("studio.local", 22, None)
    assert str(folder / "known_hosts") in found.known_hosts
    assert "/etc/ssh/ssh_known_hosts" in found.known_hosts


def test_the_fleet_file_wins_over_the_configuration(folder: Path) -> None:
    text = "Host studio\n HostName 10.0.0.7\n Port 2200\n User ann\n IdentityFile ~/.ssh/mac\n"
    plain = route(folder, text)
    assert (plain.address, plain.port, plain.user) == ("10.0.0.7", 2200, "ann")
    assert plain.identities == (str(folder / "mac"),)
    assert not plain.only_these
    own = route(folder, text, port=22, user="bob", identity_file="~/k")
    assert (own.port, own.user, own.only_these) == (22, "bob", True)
    assert own.identities == (str(folder.parent / "k"),)


def test_a_host_is_looked_up_under_its_host_name(folder: Path) -> None:
    text = "Host mac7\n User seven\nHost studio\n User other\n"
    assert route(folder, text, hostname="mac7").user == "seven"


def test_included_files_count_where_they_are_included(folder: Path) -> None:
    (folder / "work").mkdir()
    (folder / "work" / "one").write_text("Host studio\n Port 2222\n")
    (folder / "inner").write_text("User inner\n")
    text = "Include work/*\nHost other\n Include inner\n Port 99\nHost studio\n User ann\n"
    found = route(folder, text)
    assert (found.port, found.user) == (2222, "ann")


def test_files_that_include_each_other_are_said(folder: Path) -> None:
    with pytest.raises(ConfigError, match="include each other"):
        route(folder, "Include config\n")


def test_hops_are_gone_through_in_their_order(folder: Path) -> None:
    text = (
        "Host studio\n ProxyJump ann@gate:2201,inner\n"
        "Host inner\n HostName 10.1.1.1\n User eve\n HostKeyAlias box\n"
    )
    found = route(folder, text)
    last = found.through
    assert last is not None
    assert last.through is not None
    assert (last.address, last.user, last.asked.names) == ("10.1.1.1", "eve", ("box",))
    first = last.through
    assert (first.address, first.port, first.user) == ("gate", 2201, "ann")
    assert first.through is None


def test_a_bastion_for_all_hosts_is_not_its_own_bastion(folder: Path) -> None:
    found = route(folder, "Host *\n ProxyJump studio\n")
    assert found.through is None


def test_a_proxy_command_is_refused_in_words(folder: Path) -> None:
    with pytest.raises(ConfigError, match="ProxyCommand") as refused:
        route(folder, "Host studio\n ProxyCommand nc %h %p\n")
    assert "ProxyJump" in refused.value.next
    assert route(folder, "Host studio\n ProxyCommand none\n").through is None


@pytest.mark.parametrize("text", ["Host studio\n Port many\n", "Host studio\n ProxyJump a:b:c\n"])
def test_what_cannot_be_read_is_an_error(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        route(folder, text)


def test_files_of_known_hosts_and_the_alias_are_followed(folder: Path) -> None:
    text = (
        "Host studio\n UserKnownHostsFile ~/one /two\n GlobalKnownHostsFile none\n"
        " HostKeyAlias alias\n IdentitiesOnly yes\n IdentityAgent none\n ConnectTimeout 3\n"
    )
    found = route(folder, text)
    assert found.known_hosts == (str(folder.parent / "one"), "/two")
    assert found.asked.names == ("alias",)
    assert (found.only_these, found.agent, found.timeout) == (True, "none", 3.0)


@pytest.mark.parametrize(
    ("hop", "parts"),
    [
        ("gate", (None, "gate", None)),
        ("ann@gate:22", ("ann", "gate", 22)),
        ("ssh://ann@gate:2200", ("ann", "gate", 2200)),
        ("[fe80::1]:22", (None, "fe80::1", 22)),
    ],
)
def test_a_hop_is_split(hop: str, parts: tuple[object, ...]) -> None:
    assert split_hop(hop) == parts
