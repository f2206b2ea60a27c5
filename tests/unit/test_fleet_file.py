"""The fleet file: what it may say, and that every mistake is named with its place."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.file import FleetFileError, parse_fleet
from jupyter_macgpu.fleet.hosts import Host, candidates, select
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
KEY = "SHA256:" + "nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8"


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


OVER_SSH = f"""\
version: 1
defaults: {{user: me, identity_file: ~/.ssh/id_ed25519, port: 2222, trust: data}}
hosts:
  studio-1: {{}}
  studio-2:
    hostname: fe80::1%en0
    port: 22
    user: ml.ops@lab
    identity_file: /Volumes/Keys of mine/id
    hostkey: {KEY}=
    trust: full
  here: {{transport: local}}
"""


def test_a_host_over_ssh_says_how_it_is_reached() -> None:
    one, two, here = parse_fleet(OVER_SSH, "macgpu.yaml")
    shared = {"user": "me", "identity_file": "~/.ssh/id_ed25519", "port": 2222}
    assert one == Host(name="studio-1", transport="ssh", trust="data", **shared)
    assert one.address == "studio-1"
    assert two == Host(
        name="studio-2",
        hostname="fe80::1%en0",
        port=22,
        user="ml.ops@lab",
        identity_file="/Volumes/Keys of mine/id",
        hostkey=KEY,
        trust="full",
    )
    assert two.address == "fe80::1%en0"
    # What is for hosts over ssh does not reach this machine from the defaults.
    assert here == Host(name="here", transport="local", trust="data")


def test_the_example_of_the_readme_is_a_fleet_file() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    section = readme.read_text(encoding="utf-8").partition("\n## The fleet file\n")[2]
    example = section.partition("```yaml\n")[2].partition("```")[0]
    hosts = parse_fleet(example, "README.md")
    assert [host.name for host in hosts] == ["studio-1", "mini", "this-machine"]
    assert hosts[0].user == "me"


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
    "version: 2\nhosts: {a: {transport: local}}": [(1, "version", "must be 1")],
    "version: '1'\nhosts: {a: {transport: local}}": [(1, "version", "must be 1")],
    "version: 1\nhosts: {}": [(2, "hosts", "there is no host")],
    "version: 1\nhosts:\n": [(2, "hosts", "it is empty")],
    "version: 1\nhosts: [a]": [(2, "hosts", "not a list")],
    "version: 1\nhosts:\n  a:\n": [(3, "hosts.a", "it is empty")],
    "version: 1\nhosts:\n  a: {transport: tcp}": [(3, "hosts.a.transport", "write ssh or local")],
    "version: 1\nhosts:\n  a: {transport: 3}": [(3, "hosts.a.transport", 'write it as "3"')],
    "version: 1\nhosts: {auto: {transport: local}}": [(2, "hosts", "'auto' cannot be a host")],
    "version: 1\nhosts: {'a b': {transport: local}}": [(2, "hosts", "'a b' cannot be a host")],
    "version: 1\nhosts: {gpu=metal: {transport: local}}": [(2, "hosts", "cannot be a host")],
    "version: 1\nhosts: {[a]: {transport: local}}": [(2, "hosts", "a key must be plain text")],
    host("slot: 1"): [(3, "hosts.a.slot", "did you mean slots?")],
    host("qqq: 1"): [(3, "hosts.a.qqq", "the valid keys are hostkey, hostname, identity")],
    host("hostname: b, port: 22"): [
        (3, "hosts.a.hostname", "a has transport: local"),
        (3, "hosts.a.port", "this is for hosts over ssh"),
    ],
    host("taints: [a]"): [(3, "hosts.a.taints[0]", "must be a mapping")],
    host("trust: some"): [(3, "hosts.a.trust", "write full or data")],
    host("<<: {slots: 2}"): [(3, "hosts.a.<<", "under defaults")],
    host("slots: 0"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: 1.5"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: 0x2"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: [1]"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: 99999999999999999999"): [(3, "hosts.a.slots", "from 1 to 64")],
    host("slots: 1, slots: 2"): [(3, "hosts.a.slots", "stands twice; the first is on line 3")],
    host("python: "): [(3, "hosts.a.python", "it is empty")],
    host("python: ''"): [(3, "hosts.a.python", "it is empty")],
    host("python: python3"): [(3, "hosts.a.python", "an absolute path")],
    host("python: ~other/python"): [(3, "hosts.a.python", "begins with ~/")],
    host("python: /opt/python/"): [(3, "hosts.a.python", "an absolute path")],
    host("python: true"): [(3, "hosts.a.python", 'write it as "true"')],
    host('python: "a\\nb"'): [(3, "hosts.a.python", "cannot be printed")],
    host("labels: [x]"): [(3, "hosts.a.labels", "not a list")],
    host("labels: {x: 1}"): [(3, "hosts.a.labels.x", 'write it as "1"')],
    host("labels: {x: {y: z}}"): [(3, "hosts.a.labels.x", "not a mapping")],
    host("labels: {x: a b}"): [(3, "hosts.a.labels.x", "not the value of a Kubernetes label")],
    host("labels: {-x: a}"): [(3, "hosts.a.labels.-x", "not the key of a Kubernetes label")],
    host("labels: {a/b/c: d}"): [(3, "hosts.a.labels.a/b/c", "not the key of a Kubernetes")],
    host("engine: slurm"): [(3, "hosts.a.engine", "not available in this version")],
    host("environment: nlp"): [(3, "hosts.a.environment", "not available in this version")],
    "version: 1\ndefaults: {env: nlp}\nhosts: {a: {transport: local}}": [
        (2, "defaults.env", "not available in this version")
    ],
    "version: 1\nengines: {}\nhosts: {a: {transport: local}}": [
        (2, "engines", "not available in this version")
    ],
    "version: 1\nhost: {a: {transport: local}}": [
        (0, "hosts", "is missing"),
        (2, "host", "did you mean hosts?"),
    ],
    "version: 1\ndefaults: {slots: no}\nhosts: {a: {transport: local}}": [
        (2, "defaults.slots", "from 1 to 64")
    ],
    "version: 1\ndefaults: {hostname: b}\nhosts: {a: {transport: local}}": [
        (2, "defaults.hostname", "unknown key")
    ],
    host("python: !!str x"): [(3, "", "the tag tag:yaml.org,2002:str is not taken")],
    host("python: !!python/name:os.system x"): [(3, "", "the tag tag:yaml.org,2002:python")],
    "version: 1\nhosts: !map {a: {transport: local}}": [(2, "", "the tag !map is not taken")],
    "version: &v 1\nhosts: &v {a: {transport: local}}": [(2, "", "the anchor &v stands twice")],
    "version: *v": [(1, "", "undefined alias")],
    "x: &x [*x]": [(0, "hosts", ""), (0, "version", ""), (1, "x", "unknown key; the valid keys")],
    "version: 1\nhosts: {a: [": [(2, "", "this is not YAML")],
    "version: 1\n\thosts: x": [(2, "", "this is not YAML")],
    "version: 1\nhosts:\n\ta: {}": [
        (3, "", "a tab stands where the line is indented; take blanks")
    ],
    "version: 1\nhosts:\n  a: {}\n  \tb: {}": [(4, "", "a tab stands")],
    "a\n---\nb": [(2, "", "another document")],
    'version: "\\U00110000"': [(0, "", "this is not YAML")],
    "version: \x00": [(0, "", "this is not YAML")],
    "[" * 100_000: [(1, "", "nested deeper, or longer")],
    "- a\n" * 60_000: [(50_000, "", "nested deeper, or longer")],
    "x: &x a\ny: [" + "*x," * 101 + "]": [(2, "", "nested deeper, or longer")],
}


#: Value of a key, as YAML -> what the answer says.
BAD_VALUES = {
    "hostname": {
        "-oProxyCommand=id": "a host name",
        "'studio;id'": "a host name",
        "'`id`'": "a host name",
        "$(id)": "a host name",
        "../x": "a host name",
        "a b": "a host name",
        "st\u0443dio": "a host name",
        "x" * 254: "a host name",
        "'[::1]'": "without brackets",
        "studio:22": "and port",
        "me@studio": "a host name",
        "fe80::1%-x;": "a host name",
        "fe80::zz": "a host name",
        "10.5": 'write it as "10.5"',
        "''": "it is empty",
        '"a\\0"': "cannot be printed",
        '"a\\n"': "cannot be printed",
        '"\\u202ea"': "cannot be printed",
    },
    "user": {
        "root;": "a user's name",
        "-l": "a user's name",
        "$USER": "a user's name",
        "a b": "a user's name",
        "'a|b'": "a user's name",
        "7": 'write it as "7"',
        "x" * 256: "a user's name",
    },
    "port": {"0": "65535", "65536": "65535", "'22 '": "65535", "'22'": "65535", "-1": "65535"},
    "hostkey": {
        KEY[:-1]: "SHA256:",
        KEY + "A": "SHA256:",
        # Its spare bits are set: no key has this fingerprint.
        KEY[:-1] + "9": "SHA256:",
        KEY.replace("b", "-"): "SHA256:",
        KEY.lower(): "SHA256:",
        "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48": "SHA256:",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA": "SHA256:",
    },
    "identity_file": {
        "id_ed25519": "begins with ~/",
        "~other/id": "begins with ~/",
        "../id": "begins with ~/",
        "/keys/": "an absolute path",
    },
}
CASES = [(key, value) for key, values in BAD_VALUES.items() for value in values]


@pytest.mark.parametrize(("key", "value"), CASES, ids=[f"{k}: {v[:40]!a}" for k, v in CASES])
def test_what_would_be_misread_on_the_way_to_a_host_is_refused(key: str, value: str) -> None:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(f"version: 1\nhosts:\n  a:\n    {key}: {value}\n", "macgpu.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (4, f"hosts.a.{key}")
    assert BAD_VALUES[key][value] in problem.text
    assert len(problem.text) < 200


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
  b: {transport: usb, labels: {x: 1}}
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


def test_without_a_fleet_file_the_answer_says_where_one_was_looked_for() -> None:
    notice = "No fleet file found (looked at /x/macgpu.yaml): running on this machine."
    with pytest.raises(PlacementError) as caught:
        select(HOSTS[:1], "mars", notice)
    assert caught.value.next == f"{notice} The hosts are studio-1."


def test_a_fleet_of_many_hosts_is_not_listed_to_its_end() -> None:
    with pytest.raises(PlacementError) as caught:
        select([Host(name=f"{number:03}-mac") for number in range(500)], "zzz")
    assert "and 480 more" in caught.value.next


LABELLED = [
    Host(name="studio-1", labels={"room": "lab", "chip": "m2-ultra"}),
    Host(name="studio-2", labels={"room": "office", "chip": "m3-ultra"}),
    Host(name="mini", labels={"room": "lab"}),
    Host(name="room", labels={}),
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mini", ["mini"]),
        # A name is a name, even where a label is called so.
        ("room", ["room"]),
        ("chip", ["studio-1", "studio-2"]),
        ("room=lab", ["studio-1", "mini"]),
        ("room = lab , !chip", ["mini"]),
        ("chip in (m2-ultra, m3-ultra),room!=lab", ["studio-2"]),
        ("!room", ["room"]),
    ],
)
def test_a_name_or_a_selector_gives_its_candidates(text: str, names: list[str]) -> None:
    assert [host.name for host in candidates(LABELLED, text)] == names


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("minni", "no host minni", "Did you mean mini?"),
        ("", "no host", "The hosts are"),
        ("rooms", "no host rooms", "Did you mean room?"),
        ("room=attic", "has the labels room=attic", "chip=m2-ultra, chip=m3-ultra, room=lab"),
        ("room=", "has the labels room=", "room=lab"),
        ("room in lab", "cannot be read", "in (m2-ultra"),
        ("-oProxyCommand=id", "cannot be read", "Kubernetes"),
        ("host;id", "no host host;id", "The hosts are"),
        ("$(id)", "cannot be read", "Kubernetes"),
        ("x=" + "y" * 100_000, "cannot be read", "Kubernetes"),
    ],
    ids=lambda text: text[:20],
)
def test_a_selector_without_a_host_is_answered_with_what_there_is(
    text: str, what: str, hint: str
) -> None:
    with pytest.raises(PlacementError) as caught:
        candidates(LABELLED, text, "No fleet file found.")
    assert what in caught.value.what
    assert hint in caught.value.next
    assert len(str(caught.value)) < 1000


def test_where_no_host_has_labels_none_are_listed() -> None:
    with pytest.raises(PlacementError) as caught:
        candidates(HOSTS, "room=lab", "No fleet file found.")
    assert caught.value.next.startswith("No fleet file found. The fleet file gives no labels")
