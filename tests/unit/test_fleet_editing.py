"""Changes that commands make to a fleet file: one thing more, and every other byte as it was."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.editing import add_host, pin_hostkey
from jupyter_macgpu.fleet.file import FleetFileError, load_fleet, parse_fleet
from jupyter_macgpu.fleet.hosts import Fleet, Host
from jupyter_macgpu.fleet.places import Places
from jupyter_macgpu.fleet.trusting import trust
from jupyter_macgpu.wire.errors import ConfigError

KEY = "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8"
OLD = "SHA256:" + "A" * 43


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "config" / "macgpu"
    folder.mkdir(parents=True)
    return folder / "macgpu.yaml"


def pinned(file: Path, text: str, name: str = "mini") -> str:
    file.write_bytes(text.encode())
    assert pin_hostkey(file, name, KEY)
    new = file.read_bytes().decode()
    hosts = {host.name: host for host in parse_fleet(new.removeprefix("\ufeff"), "f")}
    assert hosts[name].hostkey == KEY
    return new


#: A file, and the same with the key of mini: nothing else differs.
PINNED = {
    "a block": (
        "# mine\nversion: 1  # first\nhosts:\n  # fast\n  mini:   # here\n"
        "    # by the window\n    hostname:  'mini.local'   # quoted\n  # slow\n  other: {}\n",
        "# mine\nversion: 1  # first\nhosts:\n  # fast\n  mini:   # here\n"
        "    # by the window\n    hostname:  'mini.local'   # quoted\n"
        f"    hostkey: {KEY}\n  # slow\n  other: {{}}\n",
    ),
    "four spaces, no last line end": (
        "version: 1\nhosts:\n    mini:\n        labels:\n            a: b",
        "version: 1\nhosts:\n    mini:\n        labels:\n            a: b\n"
        f"        hostkey: {KEY}\n",
    ),
    "a flow": (
        "version: 1\nhosts:\n  mini: { port: 22 } # x\n",
        f"version: 1\nhosts:\n  mini: {{hostkey: {KEY},  port: 22 }} # x\n",
    ),
    "an empty flow": (
        "version: 1\nhosts: {mini: {}}\n",
        f"version: 1\nhosts: {{mini: {{hostkey: {KEY}}}}}\n",
    ),
    "another key before": (
        f"version: 1\nhosts:\n  mini:\n    hostkey: '{OLD}' # old\n    port: 22\n",
        f"version: 1\nhosts:\n  mini:\n    hostkey: {KEY} # old\n    port: 22\n",
    ),
    "no such host": (
        "version: 1\nhosts:\n   other:\n     port: 22\n\n# the end\n",
        "version: 1\nhosts:\n   other:\n     port: 22\n"
        f"   mini:\n      hostkey: {KEY}\n\n# the end\n",
    ),
    "no such host in a flow": (
        "version: 1\nhosts: {other: {port: 22}}\n",
        f"version: 1\nhosts: {{mini: {{hostkey: {KEY}}}, other: {{port: 22}}}}\n",
    ),
    "no hosts": (
        "version: 1\ndefaults:\n  user: me\n",
        f"version: 1\ndefaults:\n  user: me\nhosts:\n  mini:\n    hostkey: {KEY}\n",
    ),
    "no host yet": (
        "version: 1\nhosts: {} # none\n",
        f"version: 1\nhosts: {{mini: {{hostkey: {KEY}}}}} # none\n",
    ),
    "all in one flow": (
        "{version: 1, defaults: {user: me}}",
        f"{{hosts: {{mini: {{hostkey: {KEY}}}}}, version: 1, defaults: {{user: me}}}}",
    ),
    "lines of Windows": (
        "version: 1\r\nhosts:\r\n  mini:\r\n    port: 22\r\n",
        f"version: 1\r\nhosts:\r\n  mini:\r\n    port: 22\r\n    hostkey: {KEY}\r\n",
    ),
    "a byte order mark": (
        "\ufeffversion: 1\nhosts:\n  mini: {}\n",
        f"\ufeffversion: 1\nhosts:\n  mini: {{hostkey: {KEY}}}\n",
    ),
    "a folded text last": (
        "version: 1\nhosts:\n  mini:\n    python: >-\n      /opt/python\n  b: {}\n",
        f"version: 1\nhosts:\n  mini:\n    python: >-\n      /opt/python\n"
        f"    hostkey: {KEY}\n  b: {{}}\n",
    ),
    "an alias last": (
        "version: 1\ndefaults: {labels: &l {a: b}}\nhosts:\n  mini:\n    labels: *l\n  b: {}\n",
        "version: 1\ndefaults: {labels: &l {a: b}}\nhosts:\n  mini:\n    labels: *l\n"
        f"    hostkey: {KEY}\n  b: {{}}\n",
    ),
    "an anchor nobody uses": (
        "version: 1\nhosts:\n  mini: &m\n    port: 22\n",
        f"version: 1\nhosts:\n  mini: &m\n    port: 22\n    hostkey: {KEY}\n",
    ),
    "a comment with a line separator": (
        "version: 1 # \u2028 \x85\nhosts:\n  mini:\n    port: 22\n  b: {}\n",
        f"version: 1 # \u2028 \x85\nhosts:\n  mini:\n    port: 22\n    hostkey: {KEY}\n  b: {{}}\n",
    ),
    "nothing": ("", f"version: 1\nhosts:\n  mini:\n    hostkey: {KEY}\n"),
}


@pytest.mark.parametrize("case", PINNED)
def test_a_key_is_pinned_and_every_other_byte_stays(file: Path, case: str) -> None:
    text, wanted = PINNED[case]
    if not text:
        file.unlink(missing_ok=True)
        assert pin_hostkey(file, "mini", KEY)
        assert file.read_text() == wanted
        return
    assert pinned(file, text) == wanted


def test_a_key_that_is_pinned_already_changes_nothing(file: Path) -> None:
    pinned(file, "version: 1\nhosts: {mini: {}}\n")
    before = file.stat()
    assert not pin_hostkey(file, "mini", KEY + "=")
    assert file.stat() == before


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nhosts:\n  mini: &m\n    port: 22\n  b: *m\n",
        "version: 1\nhosts:\n  b: &m\n    port: 22\n  mini: *m\n",
        f"version: 1\nhosts:\n  b: {{hostkey: &k {OLD}}}\n  mini: {{hostkey: *k}}\n",
        "version: 1\nhosts:\n  mini: {transport: local}\n",
    ],
    ids=["its anchor", "an alias", "an alias of a key", "this machine"],
)
def test_where_more_than_the_key_would_change_nothing_does(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises((ConfigError, FleetFileError)) as caught:
        pin_hostkey(file, "mini", KEY)
    assert file.read_text() == text
    error = caught.value
    assert all([error.what, error.known, error.kept, error.next])
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_would_not_be_read_is_not_changed(file: Path) -> None:
    text = "version: 1\nhosts: {mini: {}}\n"
    file.write_text(text)
    file.chmod(0o666)
    with pytest.raises(FleetFileError, match="chmod go-w"):
        pin_hostkey(file, "mini", KEY)
    file.chmod(0o600)
    file.write_text(text + "slots: 1\n")
    with pytest.raises(FleetFileError, match="unknown key"):
        pin_hostkey(file, "mini", KEY)
    assert file.read_text() == text + "slots: 1\n"


@pytest.mark.parametrize(("name", "key"), [("mini", "SHA256:x"), ("a b", KEY), ("mini", "")])
def test_what_is_no_key_of_a_host_is_not_written(file: Path, name: str, key: str) -> None:
    with pytest.raises(ConfigError, match="is no host with a key"):
        pin_hostkey(file, name, key)
    assert not file.exists()


def test_mode_and_link_stay(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "fleet"
    real.parent.mkdir()
    real.write_text("version: 1\nhosts: {mini: {}}\n")
    real.chmod(0o640)
    file.symlink_to(real)
    assert pin_hostkey(file, "mini", KEY)
    assert file.is_symlink()
    assert KEY in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640
    assert list(real.parent.iterdir()) == [real]


def test_two_changes_at_once_are_both_kept(file: Path) -> None:
    names = [f"mac-{number}" for number in range(16)]
    threads = [threading.Thread(target=pin_hostkey, args=(file, name, KEY)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hosts = parse_fleet(file.read_text(), "f")
    assert sorted(host.name for host in hosts) == sorted(names)
    assert {host.hostkey for host in hosts} == {KEY}


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_where_nothing_can_be_written_the_answer_says_so(file: Path) -> None:
    file.parent.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be written"):
        pin_hostkey(file, "mini", KEY)


HOSTS = (
    Host(name="studio-1"),
    Host(
        name="studio-2",
        hostname="fe80::1%en0",
        port=2222,
        user="me@lab",
        identity_file="/Keys of mine/id",
        hostkey=KEY,
        slots=2,
        labels={"a": "7", "b": "", "example.org/c": "true"},
        trust="data",
        python="~/venv/bin/python",
    ),
    Host(name="here", transport="local"),
    Host(name="null", hostname="true"),
    Host(name="7", hostname="0x10"),
)


def test_hosts_that_are_added_are_read_again_as_they_were(file: Path) -> None:
    for host in HOSTS:
        add_host(file, host)
    assert parse_fleet(file.read_text(), "f") == HOSTS
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_the_defaults_say_is_not_repeated(file: Path) -> None:
    file.write_text("version: 1\ndefaults: {user: me, slots: 2, labels: {a: b}}\n")
    add_host(file, Host(name="mini", user="me", slots=1, labels={"a": "b", "c": "d"}))
    added = file.read_text().partition("hosts:\n")[2]
    assert added == "  mini:\n    slots: 1\n    labels:\n      c: d\n"


def test_a_host_is_added_once(file: Path) -> None:
    add_host(file, HOSTS[0])
    with pytest.raises(ConfigError, match="stands there already"):
        add_host(file, HOSTS[0])


@pytest.fixture
def places(file: Path, tmp_path: Path) -> Places:
    (tmp_path / "site").mkdir()
    return Places(user=file.parent, site=tmp_path / "site", site_owner=os.getuid())


def test_the_key_of_a_sites_host_is_written_into_the_users_own_file(places: Places) -> None:
    site = f"version: 1\nhosts: {{mini: {{hostname: mini.lab, hostkey: {OLD}}}}}\n"
    places.site_file.write_text(site)
    fleet = load_fleet({}, places)
    done = trust(fleet, "mini", KEY + "=")
    assert (done.fingerprint, done.before, done.changed) == (KEY, OLD, True)
    assert done.file == places.user_file
    assert places.site_file.read_text() == site
    (host,) = load_fleet({}, places).hosts
    # To know a key for the right one does not mean to let it run code here.
    assert (host.hostname, host.hostkey, host.trust) == ("mini.lab", KEY, "data")


def test_a_host_that_no_file_names_gets_an_entry(places: Places) -> None:
    assert trust(load_fleet({}, places), "from-ssh-config", KEY).before is None
    (host,) = load_fleet({}, places).hosts
    assert host == Host(name="from-ssh-config", hostkey=KEY)


def test_this_machine_and_an_allowed_file_have_no_key_to_trust(places: Places) -> None:
    with pytest.raises(ConfigError, match="reached without a key"):
        trust(load_fleet({}, places), "this-machine", KEY)
    allowed = Fleet(hosts=(HOSTS[0],), files=(Path("/project/macgpu.yaml"),))
    with pytest.raises(ConfigError, match="counts only as it was allowed") as caught:
        trust(allowed, "studio-1", KEY)
    assert f"hostkey: {KEY} under hosts.studio-1" in caught.value.next
