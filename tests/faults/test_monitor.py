"""A fleet that is watched: every state is seen on real servers; nobody is knocked at for ever."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jupyter_macgpu import closing, monitor, overview
from jupyter_macgpu.fleet import pacing
from jupyter_macgpu.fleet.file import load_fleet
from jupyter_macgpu.fleet.hosts import Fleet, Host
from jupyter_macgpu.fleet.seen import Seen
from jupyter_macgpu.monitor import Monitor
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.simulation import servers as simulated_servers
from jupyter_macgpu.simulation.fleet import SimulatedFleet
from tests.ssh_home import Home
from tests.sshd import Servers, Sshd

from .away import desk_at
from .test_ssh_hosts import speaking

#: Seconds in which a state is seen on a machine that does much else.
PATIENCE = 60.0


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """Wait a second for what is waited for longer, and try again soon."""
    home.write_config("Host *\n  ConnectTimeout 1\n")
    monkeypatch.setattr(pacing, "FIRST", 0.3)
    monkeypatch.setattr(pacing, "ASLEEP", 1.0)
    monkeypatch.setattr(pacing, "LONGEST", 2.0)
    monkeypatch.setattr(monitor, "SLOW", 1.0)
    monkeypatch.setattr(monitor, "SILENT", 3.0)
    monkeypatch.setattr("jupyter_macgpu.transport.dial.expect_ssh.__defaults__", (1.0,))
    monkeypatch.setattr("jupyter_macgpu.transport.ssh.connection._CROWDED", 1.0)


@contextmanager
def watching(*hosts: Host, every: float = 1.0) -> Iterator[Monitor]:
    watched = Monitor.of(hosts, Reach(nobody_to_ask), every=every)
    watched.start()
    try:
        yield watched
    finally:
        watched.stop()


def until(watched: Monitor, happened: Callable[[dict[str, Seen]], object]) -> dict[str, Seen]:
    deadline = time.monotonic() + PATIENCE
    while True:
        version, seen = watched.version, {each.host.name: each for each in watched.view()}
        if happened(seen):
            return seen
        shown = {name: (each.state, each.reason) for name, each in seen.items()}
        assert time.monotonic() < deadline, shown
        watched.wait(version, 0.5)


def states(seen: dict[str, Seen]) -> dict[str, str]:
    return {name: str(each.state) for name, each in seen.items()}


def failed_logins(server: Sshd) -> int:
    return server.log.read_text().count("Failed publickey")


def settled_logins(server: Sshd) -> int:
    """Return how many failed once all is written down, which is another process's work."""
    count = -1
    while count != (count := failed_logins(server)):
        time.sleep(0.5)
    return count


def test_every_state_is_seen_with_its_reason_and_age(
    servers: Servers, home: Home, brisk: None, tmp_path: Path
) -> None:
    made = {name: servers.start(state=tmp_path / name) for name in ("ready", "busy", "draining")}
    made |= {
        "refused": servers.start(authorized=("other-user",)),
        "unusable": servers.start(state=tmp_path / "bare"),
        "slow": servers.start(),
        "unreachable": servers.start(),
    }
    for server in made.values():
        home.know(server)
    hosts = [home.host(server, name) for name, server in made.items() if name != "unusable"]
    hosts.append(home.host(made["unusable"], "unusable", python="/nowhere/python3"))
    os.kill(made["slow"].pid, signal.SIGSTOP)
    made["unreachable"].stop()
    desk = desk_at(home, made["busy"], name="busy")
    gate = tmp_path / "gate"
    cell = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)"
    runs = threading.Thread(target=desk.run, args=(cell,))
    pool = Pool(Fleet(hosts=tuple(hosts)), Reach(nobody_to_ask), "")
    closing.pause(pool, next(host for host in hosts if host.name == "draining"), 600.0)
    pool.close()
    runs.start()
    try:
        with watching(*hosts) as watched:
            seen = until(watched, lambda seen: all(states(seen)[name] == name for name in seen))
            assert all(each.age is not None and each.age < PATIENCE for each in seen.values())
            assert {name for name, each in seen.items() if each.is_connected} == {
                *("ready", "busy", "draining")
            }
            reasons = {name: seen[name].reason for name in seen}
            assert reasons["ready"] == reasons["busy"] == ""
            assert "pause" in reasons["draining"]
            assert "refuses the login" in reasons["refused"]
            assert "said nothing" in reasons["slow"] or "no answer" in reasons["slow"]
            assert "Connection refused" in reasons["unreachable"]
            assert "/nowhere/python3" in reasons["unusable"]
            rows = {row["host"]: row for row in overview.watched(watched.view())}
            assert (rows["busy"]["running"], rows["ready"]["running"]) == (1, 0)
            gate.touch()
            # A host is one thing after the other, as it goes.
            os.kill(made["slow"].pid, signal.SIGCONT)
            made["unreachable"].start()
            well = {"busy": "ready", "slow": "ready", "unreachable": "ready"}
            until(watched, lambda seen: well.items() <= states(seen).items())
    finally:
        gate.touch()
        os.kill(made["slow"].pid, signal.SIGCONT)
        runs.join()
        desk.close()


def test_two_refused_logins_are_the_last_until_something_changes(
    servers: Servers, home: Home, brisk: None
) -> None:
    server = servers.start(authorized=("other-user",))
    home.know(server)
    with watching(home.host(server)) as watched:
        seen = until(watched, lambda seen: seen["studio"].has_stopped)
        assert "not tried again after 2 refusals" in seen["studio"].reason
        count = settled_logins(server)
        time.sleep(2.5)
        assert failed_logins(server) == count <= 2
        watched.ask()
        until(watched, lambda _seen: failed_logins(server) > count)
        until(watched, lambda seen: seen["studio"].has_stopped)
        count = settled_logins(server)
        (server.folder / "authorized_keys").write_text(server.keys.public("user") + "\n")
        time.sleep(2.5)
        assert failed_logins(server) == count
        # The key or its place is touched, as by whoever mends it.
        (home.ssh / "id_new").write_text("x")
        until(watched, lambda seen: seen["studio"].state == "ready")


def test_hosts_that_hang_hold_up_nobody(
    servers: Servers, home: Home, brisk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, well = servers.start(), servers.start()
    for server in (hanging, well):
        home.know(server)
    os.kill(hanging.pid, signal.SIGSTOP)
    try:
        dead = [home.host(hanging, f"dead-{n}") for n in range(8)]
        with watching(*dead) as watched:
            # Slow is also who has only begun to be tried; these have all been given up once.
            until(watched, lambda seen: all("said nothing" in e.reason for e in seen.values()))
            # From now on each keeps who connects to it for longer than this test takes.
            monkeypatch.setattr("jupyter_macgpu.transport.dial.expect_ssh.__defaults__", (90.0,))
            time.sleep(4.0)
            watched.watch([*dead, home.host(well)])
            seen = until(watched, lambda seen: seen["studio"].state == "ready")
            assert len(seen) == 9
            os.kill(hanging.pid, signal.SIGCONT)
            until(watched, lambda seen: {each.state for each in seen.values()} == {"ready"})
    finally:
        os.kill(hanging.pid, signal.SIGCONT)


def test_a_host_that_falls_silent_is_slow_and_never_called_dead(
    sshd: Sshd, home: Home, brisk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.know(sshd)
    with watching(home.host(sshd)) as watched:
        seen = until(watched, lambda seen: seen["studio"].state == "ready")
        hello = seen["studio"].hello
        assert hello is not None
        supervisor = int(hello.detail["pid"])
        os.kill(supervisor, signal.SIGSTOP)
        try:
            until(watched, lambda seen: seen["studio"].state == "slow")
            monkeypatch.setattr("jupyter_macgpu.link.Link.await_message.__defaults__", (2.0,))
            ending = time.monotonic() + 8.0
            # Also when its connection is given up, and the next one gets no answer either.
            while time.monotonic() < ending:
                assert watched.view()[0].state == "slow"
                time.sleep(0.1)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        until(watched, lambda seen: seen["studio"].state == "ready")


def test_a_host_that_hangs_up_before_it_greets_is_not_taken_for_a_slow_one(
    sshd: Sshd, home: Home, brisk: None
) -> None:
    with (
        speaking(lambda peer: peer.shutdown(socket.SHUT_RDWR)) as port,
        watching(home.host(sshd, port=port)) as watched,
    ):
        seen = until(watched, lambda seen: seen["studio"].state not in ("", None))
        assert seen["studio"].state == "unreachable", seen
        assert "takes connections and hangs up without a word" in seen["studio"].reason
        assert not seen["studio"].has_stopped


def has_another_end(peer: socket.socket) -> bool:
    """Whether the other end of a connection, which says nothing, has not hung up."""
    try:
        return bool(peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True


def test_no_more_than_four_hosts_are_connected_to_at_the_same_time(
    sshd: Sshd, home: Home, brisk: None
) -> None:
    held: list[socket.socket] = []
    most: list[int] = [0]
    lock = threading.Lock()

    def hold(peer: socket.socket) -> None:
        """Say nothing until the other end hangs up."""
        with lock:
            held.append(peer)
            # One that has hung up may still stand here, if its thread is late.
            most[0] = max(most[0], sum(map(has_another_end, held)))
        peer.recv(1)
        with lock:
            held.remove(peer)

    with ExitStack() as ports:
        # Each at an address of its own: what one address bears is another rule.
        hosts = [
            home.host(sshd, f"host-{n}", port=ports.enter_context(speaking(hold)))
            for n in range(10)
        ]
        with watching(*hosts) as watched:
            until(watched, lambda seen: {each.state for each in seen.values()} == {"slow"})
    assert most[0] == monitor.HANDSHAKES == 4


def test_connections_that_nobody_looks_at_are_closed(
    sshd: Sshd, home: Home, brisk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.know(sshd)
    with watching(home.host(sshd)) as watched:
        until(watched, lambda seen: seen["studio"].state == "ready")
        assert sshd.connections() == 1
        monkeypatch.setattr(monitor, "IDLE", 0.5)
        deadline = time.monotonic() + PATIENCE
        while sshd.connections():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1.5)
        assert sshd.connections() == 0
        monkeypatch.setattr(monitor, "IDLE", 60.0)
        until(watched, lambda seen: seen["studio"].is_connected)
        assert sshd.logins() == 2
    deadline = time.monotonic() + PATIENCE
    while sshd.connections():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.skipif(shutil.which("ss") is None, reason="there is no ss here, which counts bytes")
def test_hosts_are_left_alone_when_nobody_looks_and_are_asked_anew_over_the_same_connection(
    sshd: Sshd, home: Home
) -> None:
    home.know(sshd)
    with watching(home.host(sshd)) as watched:
        until(watched, lambda seen: seen["studio"].state == "ready")
        # It tells how it is by itself.
        _learns(watched)
        watched.hush()
        deadline, before = time.monotonic() + PATIENCE, (-1, -1)
        # A round may be under way, or an answer. A host that tells is never silent for so long.
        while (now := (watched.statuses.version, _carried(sshd))) != before:
            assert time.monotonic() < deadline
            before = now
            time.sleep(3.5)
        assert now[1] > 0
        assert sshd.connections() == 1
        watched.view()
        _learns(watched)
        seen = until(watched, lambda seen: seen["studio"].is_connected)
        assert seen["studio"].state == "ready"
        assert (sshd.connections(), sshd.logins()) == (1, 1)


def _carried(sshd: Sshd) -> int:
    """Return how many bytes the connections to a server have brought from it."""
    words = ["ss", "-tinH", "state", "established", f"dport = :{sshd.port}"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return sum(map(int, re.findall(r"bytes_received:(\d+)", shown)))


def _learns(watched: Monitor) -> None:
    """Wait until something has been heard twice."""
    learnt, deadline = watched.statuses.version, time.monotonic() + PATIENCE
    while watched.statuses.version < learnt + 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(
    bool(simulated_servers.why_none()), reason=simulated_servers.why_none() or "there is sshd"
)
def test_a_simulated_mac_that_sleeps_is_asleep_and_is_ready_when_it_wakes(
    state: Path, home: Home, brisk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedFleet(2, seed=7, age=-86_400.0) as fleet:
        monkeypatch.setenv("MACGPU_FLEET", str(fleet.file))
        with watching(*load_fleet().hosts) as watched:
            # How it is lets it sleep: so its tools have to have spoken before.
            until(
                watched,
                lambda seen: all(each.status.memory.total for each in seen.values()),
            )
            fleet["sim-m4"].sleep()
            seen = until(watched, lambda seen: seen["sim-m4"].state == "asleep")
            assert "let it sleep" in seen["sim-m4"].reason
            assert seen["sim-m2-ultra"].state == "ready"
            fleet["sim-m4"].wake()
            until(watched, lambda seen: seen["sim-m4"].state == "ready")
            fleet["sim-m4"].crash()
            seen = until(watched, lambda seen: seen["sim-m4"].state == "unreachable")
            assert "Connection refused" in seen["sim-m4"].reason


def test_the_command_shows_the_fleet_until_it_is_interrupted(
    sshd: Sshd, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.know(sshd)
    home.write_fleet({"studio": sshd})
    words = [sys.executable, "-m", "jupyter_macgpu.cli", "status", "--watch", "--json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if '"state": "ready"' in line:
            break
    home.write_fleet({"mini": sshd})
    for line in process.stdout:
        if '"host": "mini"' in line and '"state": "ready"' in line:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "the fleet file was read again" in said
