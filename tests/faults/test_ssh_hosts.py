"""Hosts that cannot be used: each says so once, in four parts, and what to do."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.wire.errors import TransportError
from tests.network import Network
from tests.ssh_home import Home
from tests.sshd import Account, Mount, Servers, Sshd

from . import processes
from .away import desk_at
from .test_ssh_keys import refused

#: Seconds that a host may take to be found unusable.
SOON = 10.0


def tell(home: Home, server: Sshd, *words: str, **changed: object) -> None:
    """Run a cell on a host that cannot be used, and look at what is said."""
    desk = desk_at(home, server, **changed)
    began = time.monotonic()
    told = desk.run("1")
    took = time.monotonic() - began
    desk.close()
    refused(told, *words)
    assert isinstance(told.error, TransportError)
    assert took < SOON


def test_wrong_user(sshd: Sshd, home: Home) -> None:
    home.know(sshd)
    tell(home, sshd, "nobody-here", "user", user="nobody-here")


def test_f15_no_such_host(sshd: Sshd, home: Home) -> None:
    tell(home, sshd, "no-such-host.invalid", "hostname", hostname="no-such-host.invalid")


def test_f15_a_port_where_nobody_listens(sshd: Sshd, home: Home) -> None:
    sshd.stop()
    tell(home, sshd, f"port {sshd.port}", "refused")


def test_f15_an_address_that_swallows_everything(
    network: Network, servers: Servers, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers.start(namespace=network.far, address=network.address)
    home.write_config("Host *\n  ConnectTimeout 2\n")
    with network.inside():
        network.drop("up")
        tell(home, server, network.address, "has not answered within 2 s")


def test_f15_the_other_address_of_a_name_is_tried(
    network: Network, servers: Servers, home: Home, state: Path
) -> None:
    server = servers.start(namespace=network.far, address=network.address)
    home.know(server, name=f"[twofold]:{server.port}")
    home.write_fleet({"studio": server}, hostname="twofold")
    network.swallow("fd00:dead::1")
    program = (
        "import time\n"
        "from tests.inputs.shell import notebook\n"
        "began = time.monotonic()\n"
        "with notebook() as book:\n"
        "    ran = book.run('%%macgpu\\nprint(6 * 7)')\n"
        "assert ran.error is None, ran.text\n"
        "assert '42' in ran.text\n"
    )
    hosts = f"fd00:dead::1 twofold\n{network.address} twofold\n127.0.0.1 localhost\n"
    child = network.popen([sys.executable, "-c", program], hosts, cwd=Path(__file__).parents[2])
    assert child.wait(60) == 0


# A peer that is not what it should be.


@contextmanager
def speaking(speak: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen, and say something to everybody who connects."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                peer, _ = listener.accept()
            except TimeoutError:
                continue
            with peer:
                try:
                    speak(peer)
                    peer.settimeout(5.0)
                    while peer.recv(4096):
                        pass
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n",
        b"220 mail.example.org ESMTP\r\n" * 500,
        bytes(range(256)) * 100,
    ],
    ids=["http", "mail", "noise"],
)
def test_f16_a_peer_that_is_not_ssh(sshd: Sshd, home: Home, said: bytes) -> None:
    with speaking(lambda peer: peer.sendall(said)) as port:
        tell(home, sshd, f"port {port}", "does not speak SSH", port=port)


def test_f16_a_banner_of_ten_megabytes(sshd: Sshd, home: Home) -> None:
    process, sent = psutil.Process(), []
    before = process.memory_info().rss

    def speak(peer: socket.socket) -> None:
        for _ in range(160):
            sent.append(peer.send(b"x" * 63 + b"\n" + b"Welcome to the machine. " * 2700))

    with speaking(speak) as port:
        tell(home, sshd, f"port {port}", "does not speak SSH", port=port)
    assert process.memory_info().rss - before < 8 * 2**20


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-Half"], ids=["nothing", "half a line"])
def test_f16_a_peer_that_falls_silent(
    sshd: Sshd, home: Home, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("dial.BANNER", "ssh.connection.BANNER", "ssh.connection.STEP"):
        monkeypatch.setattr(f"jupyter_macgpu.transport.{place}", 1.0)
    monkeypatch.setattr("jupyter_macgpu.transport.dial.expect_ssh.__defaults__", (1.0,))
    monkeypatch.setattr("jupyter_macgpu.transport.ssh.connection._CROWDED", 2.0)
    with speaking(lambda peer: peer.sendall(said)) as port:
        tell(home, sshd, f"port {port}", port=port)


# A login that works, on a host that does not do.


def hidden(*paths: Path) -> list[Mount]:
    """Return mounts behind which programs cannot be run."""
    return [("--bind", "/dev/null", str(path)) for path in paths]


def pythons() -> list[Path]:
    """Return the interpreters that are found without being named."""
    folders = [Path(folder) for folder in ("/usr/bin", "/usr/local/bin", "/opt/conda/bin")]
    found = {path.resolve() for folder in folders for path in folder.glob("python3*")}
    return sorted(found)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(home=tmp_path / "ada")


def test_no_python(servers: Servers, home: Home, account: Account) -> None:
    server = servers.start(account=account, mounts=hidden(*pythons()), state=None)
    home.know(server)
    tell(home, server, "no Python 3.11 or newer", "install", python=None)


def test_an_interpreter_that_is_not_there(sshd: Sshd, home: Home) -> None:
    home.know(sshd)
    tell(home, sshd, "/opt/nowhere/python3", python="/opt/nowhere/python3")


def test_old_python(servers: Servers, home: Home, account: Account, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\necho 3.9.\n")
    old.chmod(0o755)
    mounts = [("--bind", str(old), str(path)) for path in pythons()]
    server = servers.start(account=account, mounts=mounts, state=None)
    home.know(server)
    tell(home, server, "3.11", "3.9", "install", python=None)


def test_full_disk(servers: Servers, home: Home, account: Account) -> None:
    disk = ("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(account.home))
    server = servers.start(account=account, mounts=[disk], state=None)
    home.know(server)
    tell(home, server, "full")


def test_read_only_home(servers: Servers, home: Home, account: Account) -> None:
    disk = ("-t", "tmpfs", "-o", "ro", "tmpfs", str(account.home))
    server = servers.start(account=account, mounts=[disk], state=None)
    home.know(server)
    tell(home, server, "read-only", str(account.home))


def test_a_state_folder_that_others_may_write(servers: Servers, home: Home, state: Path) -> None:
    server = servers.start(bare=True)
    home.know(server)
    state.mkdir()
    state.chmod(0o777)
    tell(home, server, str(state), "0700")
    state.chmod(0o700)
    everybody = {"door", "supervisor", "worker", "child"}
    assert processes.wait_for_none(state, everybody, 60.0) == []


def test_f17_a_host_that_opens_no_channel(servers: Servers, home: Home) -> None:
    server = servers.start(options={"MaxSessions": "0"})
    home.know(server)
    tell(home, server, "MaxSessions")


def test_f17_a_host_that_opens_one_channel_will_do(servers: Servers, home: Home) -> None:
    server = servers.start(options={"MaxSessions": "1"})
    home.know(server)
    desk = desk_at(home, server)
    desk.namespace["big"] = bytes(2_000_000)
    for _ in range(3):
        assert desk.run("notes.append(len(big))\nbig = big[::-1]").state == "ok"
    assert desk.namespace["notes"] == [2_000_000] * 3
    desk.close()
