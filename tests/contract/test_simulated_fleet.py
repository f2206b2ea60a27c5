"""Simulated Macs are hosts as others are: real servers, real supervisors, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu import closing, overview
from jupyter_macgpu.fleet.file import load_fleet
from jupyter_macgpu.fleet.simulated import probe_command
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.simulation import servers
from jupyter_macgpu.simulation.fleet import SimulatedFleet
from jupyter_macgpu.simulation.weather import ASLEEP, CRASHED, SPELL, state_at
from jupyter_macgpu.wire.probe import read_probe

ssh_only = pytest.mark.skipif(bool(servers.why_none()), reason=servers.why_none())
WAYS = [pytest.param(True, marks=ssh_only, id="ssh"), pytest.param(False, id="local")]
SEED = 7
#: Weather that begins tomorrow: until then all are well, however long a test takes.
CALM = -86_400.0


@pytest.fixture(params=WAYS)
def fleet(request, state, monkeypatch):
    with SimulatedFleet(2, seed=SEED, age=CALM, over_ssh=request.param) as fleet:
        monkeypatch.setenv("MACGPU_FLEET", str(fleet.file))
        yield fleet
    assert not fleet.folder.exists()


def rows():
    pool = Pool(load_fleet(), Reach(nobody_to_ask), "")
    try:
        return overview.status(pool)
    finally:
        pool.close()


def status():
    return {row["host"]: row["state"] for row in rows()}


def until_ready():
    """Wait until each host has been given our code and answers."""
    until(lambda: set(status().values()) == {"ready"})


def alive(pids):
    return [pid for pid in pids if lives(pid)]


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def supervisor_of(host):
    """Return the host's supervisor; other processes of it come and go meanwhile."""
    for pid in host.pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if "jupyter_macgpu.mac.serve" in " ".join(process.cmdline()):
                return process
    raise AssertionError(f"{host.name} has no supervisor")


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_each_host_has_a_supervisor_of_its_own_that_knows_its_probe(fleet):
    until_ready()
    found = [supervisor_of(host) for host in fleet.hosts]
    assert len(set(found)) == 2
    for host, supervisor in zip(fleet.hosts, found, strict=True):
        command = supervisor.environ()["MACGPU_PROBE"]
        assert command == probe_command(load_fleet_labels()[host.name])
        printed = subprocess.run(
            ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
        assert read_probe(printed.stdout).gpu.name == {"m2-ultra": "Apple M2 Ultra"}.get(
            host.mac, "Apple M4"
        )


def load_fleet_labels():
    return {host.name: host.labels for host in load_fleet().hosts}


def test_every_host_is_labelled_as_simulated(fleet):
    assert all(labels["simulated"] == "true" for labels in load_fleet_labels().values())
    assert load_fleet_labels()["sim-m4"]["chip"] == "m4"


def test_a_supervisor_tells_what_the_simulated_mac_says(fleet):
    until(lambda: all(row.get("memory") for row in rows()))
    assert {row["host"]: row["memory"] for row in rows()} == {
        "sim-m2-ultra": 192 * 2**30,
        "sim-m4": 16 * 2**30,
    }


def test_nothing_of_it_is_left(fleet):
    until_ready()
    pids = [pid for host in fleet.hosts for pid in host.pids]
    assert len(alive(pids)) >= 2
    fleet.stop()
    assert alive(pids) == []
    assert not fleet.folder.exists()
    store = Path(os.environ["MACGPU_STATE"])
    assert not [path for path in store.rglob("*") if path.name.startswith("simulated-")]
    fleet.stop()


def test_a_host_sleeps_wakes_crashes_and_boots_as_its_weather_says(fleet):
    until_ready()
    host = fleet["sim-m4"]
    supervisor = supervisor_of(host)

    def turn_to(state):
        spells = (number * SPELL + 5 for number in range(40))
        fleet.since = time.time() - next(at for at in spells if state_at(host.seed, at) == state)
        fleet.enact()

    turn_to(ASLEEP)
    until(lambda: supervisor.status() == psutil.STATUS_STOPPED)
    turn_to("calm")
    until(lambda: supervisor.status() != psutil.STATUS_STOPPED)
    until_ready()
    turn_to(CRASHED)
    assert alive([supervisor.pid]) == []
    turn_to("calm")
    until_ready()
    assert supervisor_of(host).pid != supervisor.pid


@ssh_only
def test_a_host_that_is_drained_is_the_only_one(state, monkeypatch):
    with SimulatedFleet(2, seed=SEED, age=CALM, over_ssh=True) as fleet:
        monkeypatch.setenv("MACGPU_FLEET", str(fleet.file))
        until_ready()
        first, second = fleet.hosts
        pool = Pool(load_fleet(), Reach(nobody_to_ask), "")
        try:
            path = closing.drain(pool, pool.fleet.hosts[0], is_drained=True)
        finally:
            pool.close()
        assert path.startswith(str(fleet.folder))
        until(lambda: status() == {first.name: "draining", second.name: "ready"})


@ssh_only
def test_a_server_that_sleeps_says_nothing(state):
    with SimulatedFleet(1, seed=SEED) as fleet:
        host = fleet.hosts[0]

        def banner(seconds):
            with socket.create_connection((servers.ADDRESS, host.server.port)) as connection:
                connection.settimeout(seconds)
                return connection.recv(4)

        assert banner(60) == b"SSH-"
        host.sleep()
        # Nobody takes the connection, as nobody would where a machine sleeps.
        with pytest.raises(TimeoutError):
            socket.create_connection((servers.ADDRESS, host.server.port), timeout=0.5)
        host.wake()
        assert banner(60) == b"SSH-"
        host.crash()
        with pytest.raises(ConnectionRefusedError):
            banner(60)


def demo(*words):
    program = [sys.executable, "-m", "jupyter_macgpu.cli", "demo", *words]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_shows_a_table_and_ends_everything_when_told_to(state, sign):
    process = demo("--fleet", "2", "--seed", "7")
    shown = []
    for line in process.stdout:
        shown.append(line)
        if line.startswith("sim-m4"):
            break
    process.send_signal(sign)
    rest, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    text = "".join(shown)
    file = next(word for word in text.split() if word.startswith("MACGPU_FLEET="))
    assert shown[-1].split()[1] == "(simulated)"
    assert "calm" in shown[-1]
    assert "are ended" in rest
    assert not Path(file.partition("=")[2]).exists()


@pytest.mark.parametrize("words", [["--fleet", "0"], ["--fleet", "65"], ["--fleet", "x"]])
def test_a_number_that_cannot_be_is_refused(words, state):
    process = demo(*words)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "number" in complaints
