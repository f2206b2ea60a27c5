"""What every transport must do, whatever it is made of."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from jupyter_macgpu.fetching import fetch
from jupyter_macgpu.link import Link
from jupyter_macgpu.mac import door, store
from jupyter_macgpu.transport.base import Transport
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.transport.memory import MemoryTransport
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import MAX_NOISE
from jupyter_macgpu.wire.errors import (
    ConnectionLost,
    MacGPUError,
    RemoteProtocolError,
    TransportError,
)
from tests.faults import invariants, processes
from tests.faults.away import desk_at
from tests.faults.desk import Desk
from tests.ssh_home import Home
from tests.sshd import Servers

MIB = 2**20
PATIENCE = 60.0


def hand_over(far: socket.socket) -> None:
    """Give the far end of a channel to the supervisor, as a door would.

    Where the supervisor hangs up meanwhile, the channel ends with its far end, as with a door.
    """
    starter = Link(LocalTransport(), "starter", "starter")
    starter.connect()
    starter.close()
    place = store.Store(store.default_root())
    with door.connect(place) as link, far:
        try:
            socket.send_fds(link, [b"d"], [far.fileno(), far.fileno()])
            answer = link.recv(1)
        except ConnectionError:
            return
        assert answer in (door.ACKNOWLEDGED, b"")


def over_ssh(way: str, servers: Servers, home: Home, state: Path) -> Desk:
    """Return a notebook on a server: any key, one that opens the door alone, or by a bastion."""
    restricted = f'"{state}/door"' if way == "restricted" else ""
    server = servers.start(command=restricted) if restricted else servers.start()
    home.know(server)
    if way != "bastion":
        return desk_at(home, server)
    bastion = servers.start()
    home.know(bastion)
    home.by_bastion("inner", server, bastion)
    return desk_at(home, server, hostname="inner", port=None, user=None, identity_file=None)


@pytest.fixture(params=["memory", "local", "ssh", "restricted", "bastion"])
def ready(request: pytest.FixtureRequest, state: Path) -> Iterator[Desk]:
    """Give a notebook over each transport."""
    if request.param in ("ssh", "restricted", "bastion"):
        servers, home = request.getfixturevalue("servers"), request.getfixturevalue("home")
        desk = over_ssh(request.param, servers, home, state)
    elif request.param == "local":
        desk = Desk(transport=LocalTransport())
    else:
        desk = Desk(transport=MemoryTransport(hand_over))
    yield desk
    desk.close()
    desk.transport.close()


@pytest.fixture
def transport(ready: Desk) -> Transport:
    return ready.transport


@pytest.fixture
def link(transport: Transport) -> Iterator[Link]:
    link = Link(transport, "client", "contract.ipynb")
    yield link
    link.close()


@pytest.fixture
def desk(ready: Desk) -> Desk:
    return ready


def ask(link: Link, message: m.Message, answer: type[m.Message]) -> m.Message:
    link.connect()
    link.say(message)
    return link.await_message(lambda said: isinstance(said, answer), PATIENCE)


def test_both_sides_greet(link: Link) -> None:
    hello = link.connect()
    assert (hello.role, hello.protocol) == ("supervisor", m.PROTOCOL)
    assert hello.boot
    assert hello.store
    assert link.connect() is hello, "an open connection is used again"


def test_pings_are_answered_in_order(link: Link) -> None:
    link.connect()
    for number in range(50):
        link.say(m.Ping(number=number))
    for number in range(50):
        answer = link.await_message(lambda _message: True, PATIENCE)
        assert isinstance(answer, m.Pong)
        assert answer.number == number


def test_no_message_is_not_an_end(link: Link) -> None:
    link.connect()
    assert link.listen(0.05) is None
    assert link.open
    assert isinstance(ask(link, m.Ping(number=1), m.Pong), m.Pong)


def test_large_inputs_and_results_arrive_as_they_were(desk: Desk) -> None:
    numbers = np.random.default_rng(1).integers(0, 255, 24 * MIB, dtype=np.uint8)
    desk.namespace |= {"numbers": numbers, "small": np.arange(10)}
    told = desk.run("turned = numbers[::-1].copy()\nsmall += 1")
    assert told.state == "ok"
    assert (desk.namespace["turned"] == numbers[::-1]).all()
    assert desk.namespace["small"].tolist() == list(range(1, 11))


def test_a_cell_with_much_output_shows_all_of_it(desk: Desk) -> None:
    told = desk.run("for number in range(60_000): print(number)")
    assert told.state == "ok"
    written = "".join(f"{number}\n" for number in range(60_000)).encode()
    assert told.record.stream("stdout") == [written]


def test_a_result_that_is_not_kept_is_refused(link: Link) -> None:
    link.connect()
    with pytest.raises(MacGPUError) as caught:
        fetch(link, "0" * 32, "result", 10, "")
    invariants.said_in_four_parts(caught.value)
    assert isinstance(ask(link, m.Ping(number=1), m.Pong), m.Pong)


def test_a_closed_channel_is_a_lost_connection(transport: Transport, state: Path) -> None:
    link = Link(transport, "client", "contract.ipynb")
    link.connect()
    channel = transport.open()
    (supervisor,) = processes.found(state, "supervisor")
    assert supervisor.kill()
    assert _is_lost(lambda: link.listen(PATIENCE))
    assert not link.open
    assert _is_lost(lambda: channel.send(b"x" * 4096))
    assert _is_lost(lambda: channel.receive(PATIENCE))
    channel.close()
    channel.close()
    assert link.connect().role == "supervisor", "a new supervisor answers"
    link.close()


def _is_lost(act: Callable[[], object]) -> bool:
    """Say whether an act ends in a lost connection: what was under way may still come first."""
    for _ in range(1000):
        try:
            act()
        except ConnectionLost:
            return True
    return False


def test_the_end_of_the_bytes_is_not_the_end_of_a_run(desk: Desk, state: Path) -> None:
    done: list[str] = []
    source = "import time\nfor step in range(20):\n    print(step)\n    time.sleep(0.05)"
    thread = threading.Thread(target=lambda: done.append(desk.run(source).state))
    thread.start()
    while not desk.record.outputs:
        assert desk.record.moved.wait(PATIENCE)
        desk.record.moved.clear()
    (supervisor,) = processes.found(state, "supervisor")
    supervisor.kill()
    thread.join(timeout=60.0)
    assert done == ["ok"]
    assert any("reconnected" in notice for notice in desk.record.notices)
    shown = b"".join(desk.record.stream("stdout")).decode().split()
    assert shown == [str(step) for step in range(20)]


# A far end that is in this process, and says what it likes before it hands the channel over.


def saying(noise: bytes) -> Callable[[socket.socket], None]:
    def serve(far: socket.socket) -> None:
        far.sendall(noise)
        hand_over(far)

    return serve


@pytest.mark.parametrize(
    "noise",
    [
        b"Last login: Tue Sep  1 10:00:00 on ttys001\n",
        b"\x1b[1mWelcome\x1b[0m\n" * 100,
        b"\x00macgpu-protocol-",
        bytes(range(256)) * 200,
    ],
    ids=["banner", "colours", "half a preamble", "binary"],
)
def test_what_a_shell_prints_before_is_skipped(state: Path, noise: bytes) -> None:
    link = Link(MemoryTransport(saying(noise)), "client", "contract.ipynb")
    assert link.connect().role == "supervisor"
    link.close()


@pytest.mark.parametrize(
    "noise",
    [
        b"This account is currently not available.\n" * 3000,
        b"\x00macgpu-protocol-1\n" + b"garbage!" * 64,
    ],
    ids=["a text without an end", "garbage behind the preamble"],
)
def test_garbage_instead_is_a_clear_error(noise: bytes) -> None:
    assert len(noise) > MAX_NOISE or b"preamble" not in noise
    ends: list[socket.socket] = []

    def serve(far: socket.socket) -> None:
        ends.append(far)
        threading.Thread(target=lambda: _shut(far, noise)).start()

    link = Link(MemoryTransport(serve, name="studio-1"), "client", "contract.ipynb")
    with pytest.raises(RemoteProtocolError) as caught:
        link.connect()
    invariants.said_in_four_parts(caught.value)
    assert not link.open
    for end in ends:
        end.close()


def _shut(far: socket.socket, noise: bytes) -> None:
    try:
        far.sendall(noise)
    except OSError:
        return


def test_a_far_end_that_hangs_up_is_an_error_and_not_a_hang() -> None:
    opened: list[int] = []

    def serve(far: socket.socket) -> None:
        opened.append(1)
        far.close()

    link = Link(MemoryTransport(serve), "client", "contract.ipynb")
    with pytest.raises(ConnectionLost):
        link.connect()
    assert len(opened) == 3, "it may have been a supervisor that was just leaving"


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("error", [FileNotFoundError("no socket"), TransportError("no door")])
def test_who_finds_nobody_at_the_far_end_is_told_and_holds_no_socket(error: Exception) -> None:
    ends: list[socket.socket] = []

    def serve(far: socket.socket) -> None:
        ends.append(far)
        raise error

    before = open_files()
    with pytest.raises(TransportError):
        Link(MemoryTransport(serve), "client", "contract.ipynb").connect()
    assert [end.fileno() for end in ends] == [-1]
    assert open_files() == before
