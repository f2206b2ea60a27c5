"""The fleet file: what it may say, and that every mistake is named with its place."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.file import FleetFileError, load_fleet, parse_fleet
from jupyter_macgpu.fleet.hosts import THIS_MACHINE, Host, select
from jupyter_macgpu.wire.errors import PlacementError

GOOD = """\
version: 1
defaults: {slots: 2, python: /usr/bin/python3, labels: {room: lab}}
hosts:
  this-machine: {transport: local}
  beside-it:
    transport: local
    slots: 4
    python: ~/venv/bin/python
    labels: {room: office, example.org/team: "7", empty: ""}
"""


def test_a_good_file_gives_its_hosts_with_the_defaults_filled_in() -> None:
    assert parse_fleet(GOOD, "macgpu.yaml") == (
        Host(
            name="this-machine",
            transport="local",
            slots=2,
            python="/usr/bin/python3",
            labels={"room": "lab"},
        ),
        Host(
            name="beside-it",
            transport="local",
            slots=4,
            python="~/venv/bin/python",
            labels={"room": "office", "example.org/team": "7", "empty": ""},
        ),
    )


def test_hosts_may_share_a_value_by_an_alias() -> None:
    text = "version: 1\nhosts:\n  a: &shared {transport: local, slots: 3}\n  b: *shared\n"
    assert [host.slots for host in parse_fleet(text, "f")] == [3, 3]


def host(settings: str) -> str:
    return f"version: 1\nhosts:\n  a: {{transport: local, {settings}}}\n"


#: text -> line, key and text of the problems, in order.
BAD_FILES = {
    "": [(0, "", "the file is empty")],
    "# nothing\n": [(0, "", "the file is empty")],
    "[]": [(1, "", "must be a mapping")],
    "version: 1": [(0, "hosts", "is missing")],
    "hosts: {a: {transport: local}}": [(0, "version", "write version: 1")],
    "version: 2\nhosts: {a: {transport: local}}": [(1, "version", "from 1 to 1")],
    "version: '1'\nhosts: {a: {transport: local}}": [(1, "version", "from 1 to 1")],
    "version: 1\nhosts: {}": [(2, "hosts", "there is no host")],
    "version: 1\nhosts:\n": [(2, "hosts", "it is empty")],
    "version: 1\nhosts: [a]": [(2, "hosts", "not a list")],
    "version: 1\nhosts:\n  a:\n": [(3, "hosts.a", "it is empty")],
    "version: 1\nhosts:\n  a: {}": [(3, "hosts.a.transport", "write transport: local")],
    "version: 1\nhosts:\n  a: {transport: ssh}": [
        (3, "hosts.a.transport", "ssh is not available in this version")
    ],
    "version: 1\nhosts:\n  a: {transport: 3}": [(3, "hosts.a.transport", 'write it as "3"')],
    "version: 1\nhosts: {auto: {transport: local}}": [(2, "hosts", "'auto' cannot be a host")],
    "version: 1\nhosts: {'a b': {transport: local}}": [(2, "hosts", "'a b' cannot be a host")],
    "version: 1\nhosts: {gpu=metal: {transport: local}}": [(2, "hosts", "cannot be a host")],
    "version: 1\nhosts: {[a]: {transport: local}}": [(2, "hosts", "a key must be plain text")],
    host("slot: 1"): [(3, "hosts.a.slot", "did you mean slots?")],
    host("qqq: 1"): [(3, "hosts.a.qqq", "The valid keys are labels, python, slots, transport")],
    host("hostname: b"): [(3, "hosts.a.hostname", "not available in this version")],
    host("trust: data"): [(3, "hosts.a.trust", "not available in this version")],
    host("<<: {slots: 2}"): [(3, "hosts.a.<<", "under defaults")],
    host("slots: 0"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: 1.5"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: 0x2"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: [1]"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: 99999999999999999999"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: 1, slots: 2"): [(3, "hosts.a.slots", "stands twice; the first is on line 3")],
    host("python: "): [(3, "hosts.a.python", "it is empty")],
    host("python: ''"): [(3, "hosts.a.python", "it is empty")],
    host("python: true"): [(3, "hosts.a.python", 'write it as "true"')],
    host('python: "a\\nb"'): [(3, "hosts.a.python", "cannot be printed")],
    host("labels: [x]"): [(3, "hosts.a.labels", "not a list")],
    host("labels: {x: 1}"): [(3, "hosts.a.labels.x", 'write it as "1"')],
    host("labels: {x: {y: z}}"): [(3, "hosts.a.labels.x", "not a mapping")],
    host("labels: {x: a b}"): [(3, "hosts.a.labels.x", "not the value of a Kubernetes label")],
    host("labels: {-x: a}"): [(3, "hosts.a.labels.-x", "not the key of a Kubernetes label")],
    host("labels: {a/b/c: d}"): [(3, "hosts.a.labels.a/b/c", "not the key of a Kubernetes")],
    "version: 1\nprofiles: {}\nhosts: {a: {transport: local}}": [
        (2, "profiles", "not available in this version")
    ],
    "version: 1\nhost: {a: {transport: local}}": [
        (0, "hosts", "is missing"),
        (2, "host", "did you mean hosts?"),
    ],
    "version: 1\ndefaults: {slots: no}\nhosts: {a: {transport: local}}": [
        (2, "defaults.slots", "from 1 to 64")
    ],
    "version: 1\ndefaults: {user: me}\nhosts: {a: {transport: local}}": [
        (2, "defaults.user", "not available in this version")
    ],
    host("python: !!str x"): [(3, "", "the tag tag:yaml.org,2002:str is not taken")],
    host("python: !!python/name:os.system x"): [(3, "", "the tag tag:yaml.org,2002:python")],
    "version: 1\nhosts: !map {a: {transport: local}}": [(2, "", "the tag !map is not taken")],
    "version: &v 1\nhosts: &v {a: {transport: local}}": [(2, "", "the anchor &v stands twice")],
    "version: *v": [(1, "", "undefined alias")],
    "x: &x [*x]": [(0, "hosts", ""), (0, "version", ""), (1, "x", "unknown key")],
    "version: 1\nhosts: {a: [": [(2, "", "this is not YAML")],
    "version: 1\n\thosts: x": [(2, "", "this is not YAML")],
    "a\n---\nb": [(2, "", "another document")],
    'version: "\\U00110000"': [(0, "", "this is not YAML")],
    "version: \x00": [(0, "", "this is not YAML")],
    "[" * 100_000: [(1, "", "nested deeper, or longer")],
    "- a\n" * 60_000: [(50_000, "", "nested deeper, or longer")],
    "x: &x a\ny: [" + "*x," * 101 + "]": [(2, "", "nested deeper, or longer")],
}


@pytest.mark.parametrize("text", BAD_FILES, ids=lambda text: repr(text[:60]))
def test_a_bad_file_is_refused_with_line_key_and_remedy(text: str) -> None:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, "macgpu.yaml")
    problems = sorted(caught.value.problems, key=lambda problem: (problem.line, problem.key))
    wanted = BAD_FILES[text]
    assert len(problems) == len(wanted), problems
    for problem, (line, key, said) in zip(problems, wanted, strict=True):
        assert abs(problem.line - line) <= (2 if line > 1000 else 0)
        assert problem.key == key
        assert said in problem.text


def test_every_mistake_is_reported_at_once() -> None:
    text = """\
version: 3
defaults: {slots: -1}
hosts:
  a: {transport: local, slot: 1}
  b: {transport: ssh, labels: {x: 1}}
  b: {transport: local}
"""
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, "/home/me/macgpu.yaml")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 4, 5, 5, 6]
    what = str(caught.value)
    assert what.startswith("The fleet file /home/me/macgpu.yaml has 6 errors:\n")
    assert "line 4, hosts.a.slot: unknown key; did you mean slots?" in what
    assert "nothing was sent" in caught.value.known


def test_an_alias_that_doubles_at_each_level_costs_nothing() -> None:
    levels = "".join(f"l{i}: &l{i} [*l{i - 1}, *l{i - 1}]\n" for i in range(1, 40))
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(f"l0: &l0 [x, x]\n{levels}", "macgpu.yaml")
    assert len(caught.value.problems) == 42


def test_an_error_survives_pickling() -> None:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet("version: 2", "macgpu.yaml")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


def test_without_a_file_it_is_this_machine_and_says_so(tmp_path: Path) -> None:
    fleet = load_fleet({}, tmp_path)
    assert fleet.hosts == (THIS_MACHINE,)
    assert fleet.file is None
    looked_at = tmp_path / "macgpu.yaml"
    wanted = f"No fleet file found (looked at {looked_at}): running on this machine."
    assert fleet.notice == wanted


def test_the_users_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "macgpu.yaml").write_text(GOOD)
    fleet = load_fleet({"MACGPU_FLEET": ""}, tmp_path)
    assert [host.name for host in fleet.hosts] == ["this-machine", "beside-it"]
    assert (fleet.file, fleet.notice) == (tmp_path / "macgpu.yaml", "")


def test_the_file_that_the_environment_names_wins(tmp_path: Path) -> None:
    (tmp_path / "macgpu.yaml").write_text("not: read")
    (tmp_path / "other.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    fleet = load_fleet({"MACGPU_FLEET": str(tmp_path / "other.yaml")}, tmp_path)
    assert fleet.file == tmp_path / "other.yaml"


def test_a_file_that_the_environment_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "macgpu.yaml").write_text(GOOD)
    with pytest.raises(FleetFileError, match="there is no such file"):
        load_fleet({"MACGPU_FLEET": str(tmp_path / "macgpu.yml")}, tmp_path)


def test_a_file_that_cannot_be_read_is_no_missing_file(tmp_path: Path) -> None:
    (tmp_path / "macgpu.yaml").mkdir()
    with pytest.raises(FleetFileError, match="it cannot be read"):
        load_fleet({}, tmp_path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "macgpu.yaml").write_bytes(b"version: 1 # gr\xfc\xdfe")
    with pytest.raises(FleetFileError, match="byte 15 is not UTF-8"):
        load_fleet({}, tmp_path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "macgpu.yaml").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(FleetFileError, match="larger than 1 MiB"):
        load_fleet({}, tmp_path)


def test_a_file_under_a_home_that_nobody_has_is_a_missing_file() -> None:
    with pytest.raises(FleetFileError, match="there is no such file"):
        load_fleet({"MACGPU_FLEET": "~nobody-of-this-name/macgpu.yaml"})


HOSTS = [Host(name=name, transport="local") for name in ("studio-1", "studio-2", "mini")]


def test_a_host_is_selected_by_its_name() -> None:
    assert select(HOSTS, "mini") is HOSTS[2]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("studio", "Did you mean studio-"),
        ("minni", "Did you mean mini?"),
        ("zzz", "The hosts are studio-1, studio-2, mini."),
        ("", "The hosts are studio-1, studio-2, mini."),
        ("x" * 1_000_000, "The hosts are"),
        ("Mini", "Did you mean mini?"),
    ],
    ids=lambda text: text[:20],
)
def test_a_name_that_no_host_has_is_answered_with_near_ones(name: str, hint: str) -> None:
    with pytest.raises(PlacementError) as caught:
        select(HOSTS, name)
    assert hint in caught.value.next
    assert len(str(caught.value)) < 500
