"""`macgpu discover`: machines on a network of its own that announce themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.discovering import Found, discover
from jupyter_macgpu.fleet.hosts import Host
from tests.network import Network, why_none

RESPONDER = Path(__file__).parent / "bonjour_responder.py"
MACHINES = [
    ["Ada's Studio", "adas-studio.local", "", 22, {"model": "Mac14,14", "osxvers": "24"}],
    ["mini", "mini.local", "", 2222, {"model": "Mac16,10", "osxvers": "27"}],
    ["nas", "nas.local", "", 22, {"model": "MacSamba"}],
    ["raspi", "raspi.local", "", 22, None],
    ["old", "old.local", "", 22, {"model": "x\x1b[31m", "osxvers": "what"}],
]


@pytest.fixture
def lan(network: Network) -> Iterator[Network]:
    machines = [[name, host, network.address, *rest] for name, host, _, *rest in MACHINES]
    inside = ["ip", "netns", "exec", network.far, sys.executable, str(RESPONDER)]
    process = subprocess.Popen([*inside, json.dumps(machines)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        yield network
        process.terminate()
        process.wait(timeout=60.0)


def test_machines_on_the_network_are_found_and_nobody_is_connected_to(lan: Network) -> None:
    fleet = [Host(name="my-mini", hostname="mini.local", port=2222)]
    with lan.inside():
        found = discover(2.0, fleet)
    place = {"addresses": (lan.address,)}
    assert found == [
        Found(
            name="Ada's Studio",
            hostname="adas-studio.local",
            model="Mac14,14",
            system="macOS 15",
            **place,
        ),
        Found(
            name="mini",
            hostname="mini.local",
            port=2222,
            model="Mac16,10",
            host="my-mini",
            **place,
        ),
        Found(name="old", hostname="old.local", model="x?[31m", **place),
        Found(name="raspi", hostname="raspi.local", **place),
        Found(name="nas", hostname="nas.local", model="MacSamba", **place),
    ]
    assert [each.is_mac for each in found] == [True, True, True, None, False]
    assert [each.target for each in found][:2] == ["adas-studio.local", "mini.local:2222"]


def test_the_command_offers_what_is_not_in_the_fleet(lan: Network, tmp_path: Path) -> None:
    fleet = tmp_path / "macgpu.yaml"
    fleet.write_text("version: 1\nhosts:\n  mini: {hostname: mini.local, port: 2222}\n")
    words = [sys.executable, "-m", "jupyter_macgpu.cli", "discover", "--wait", "2s"]
    inside = ["ip", "netns", "exec", lan.near, "env", f"MACGPU_FLEET={fleet}", *words]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["name", "hostname", "address", "model", "system", "fleet"]
    offers = [line for line in lines if line.startswith("macgpu add ")]
    assert offers == [
        "macgpu add adas-studio.local",
        "macgpu add old.local",
        "macgpu add raspi.local",
    ]
    assert "MacSamba (no Mac)" in done.stdout
    assert "\x1b" not in done.stdout
    as_json = subprocess.run([*inside, "--json"], capture_output=True, text=True, timeout=60)
    rows = {row["hostname"]: row for row in json.loads(as_json.stdout)}
    assert (rows["mini.local"]["host"], rows["raspi.local"]["is_mac"]) == ("mini", None)


@pytest.mark.skipif(bool(why_none()), reason=why_none() or "-")
def test_where_nobody_announces_anything_that_is_said(network: Network, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "jupyter_macgpu.cli", "discover", "--wait", "500ms"]
    fleet = tmp_path / "macgpu.yaml"
    fleet.write_text("version: 1\nhosts: {mini: {}}\n")
    inside = ["ip", "netns", "exec", network.near, "env", f"MACGPU_FLEET={fleet}", *words]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "No machine with Remote Login answered." in done.stdout
