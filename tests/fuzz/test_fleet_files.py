"""Generated fleet files: they are read, or answered with a FleetFileError, and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_macgpu.fleet.editing import pin_hostkey
from jupyter_macgpu.fleet.fields import DEFAULT_KEYS, HOST_KEYS
from jupyter_macgpu.fleet.file import FleetFileError, parse_fleet
from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.wire.errors import ConfigError

KEY = "SHA256:" + "A" * 43
PROFILE_KEYS = ("nodeSelector", "tolerations", "affinity", "nodeAffinity", "mem", "cpu", "operator")
POLICY_KEYS = ("max_runs", "max_time", "max_memory", "owner_hours", "drain", "managed_by")
SCRAPS = [
    *(f"{key}: " for key in (*PROFILE_KEYS, *POLICY_KEYS, "profiles", "key", "effect", "values")),
    *("profiles:\n", "policy: {", "taints: [{", "matchExpressions: [{", "24GB", "2h", "Exists"),
    "requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{",
    "preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {",
    *(f"{key}: " for key in (*HOST_KEYS, *DEFAULT_KEYS, "version", "hosts", "defaults", "<<")),
    *("version: 1\n", "hosts:\n", "  a:\n", "  b: ", "    port: 22\n", "    labels: {x: y}\n"),
    *(
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\n",
        " ",
        "  ",
        "- ",
        "? ",
        "# c\n",
        "&a ",
        "*a",
        "!t ",
        "|",
        ">-",
    ),
    *("'", '"', "~", "null", "true", "1", "0x1", "local", "ssh", "full", "data", "~/k", "/p"),
    *("\t", "\r\n", "\ufeff", "\u2028", "\x00", "\u202e", "---\n", "...\n", "%YAML 1.1\n", KEY),
]
FUZZ = settings(
    max_examples=2000,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(SCRAPS), max_size=40).map("".join),
    st.lists(st.one_of(st.sampled_from(SCRAPS), st.text(max_size=8)), max_size=20).map("".join),
    st.text(max_size=200),
)
#: Files that are right, in many shapes: what a command changes must fit into each.
GOOD = st.builds(
    lambda head, hosts, tail: f"{head}hosts:\n{''.join(hosts)}{tail}",
    st.sampled_from(["version: 1\n", "# c\nversion: 1 # d\ndefaults: {user: me}\n"]),
    st.lists(
        st.sampled_from(
            [
                "  a: {}\n",
                "  b:\n    port: 22 # c\n",
                "  # c\n  c: {port: 22,\n    slots: 2}\n",
                "  d: &d\n    labels: {x: y}\n",
                "\n  e:\n      python: >-\n        /opt/python\n",
                f"  f:\n    hostkey: '{KEY}'\n\n    # c\n    slots: 3\n",
            ]
        ),
        min_size=1,
        unique=True,
    ),
    st.sampled_from(["", "# the end", "\n\n", "...\n"]),
)
#: The same, with something in the middle that may or may not belong there.
SPOILT = st.builds(
    lambda text, at, scrap: text[:at] + scrap + text[at:],
    GOOD,
    st.integers(0, 120),
    st.sampled_from(SCRAPS),
)


def assert_that_it_helps(error: FleetFileError) -> None:
    assert error.problems
    assert all(problem.text for problem in error.problems)
    assert all([error.what, error.known, error.kept, error.next])
    assert max(len(line) for line in error.what.splitlines()) < 500


@FUZZ
@given(st.one_of(TEXTS, SPOILT))
def test_a_text_gives_hosts_or_a_fleet_file_error(text: str) -> None:
    try:
        hosts = parse_fleet(text, "macgpu.yaml")
    except FleetFileError as error:
        assert_that_it_helps(error)
    else:
        assert hosts
        assert all(isinstance(host, Host) for host in hosts)


@pytest.fixture
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "macgpu.yaml"


@settings(FUZZ, max_examples=300)
@given(st.one_of(GOOD, SPOILT, TEXTS), st.sampled_from("abcdefg"))
def test_a_pinned_key_is_the_only_change_or_there_is_none(file: Path, text: str, name: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    file.write_bytes(content)
    file.chmod(0o600)
    pinned = KEY[:-1] + "E"
    try:
        pin_hostkey(file, name, pinned)
    except (ConfigError, FleetFileError):
        assert file.read_bytes() == content
    else:
        hosts = parse_fleet(file.read_text(encoding="utf-8-sig"), "macgpu.yaml")
        assert {host.name: host.hostkey for host in hosts}[name] == pinned
        kept = file.read_bytes().decode().splitlines()
        # A line with a brace may have got the key inside, one with a key another one.
        lines = [line for line in text.splitlines() if "{" not in line and "hostkey" not in line]
        assert [line for line in lines if line not in kept] == []
    assert list(file.parent.iterdir()) == [file]
