"""One connection a host and account, whose owner may end, stop or stall at any moment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_macgpu.link import Link
from jupyter_macgpu.reach import nobody_to_ask
from jupyter_macgpu.transport.sockets import SocketChannel
from jupyter_macgpu.transport.ssh import guests
from jupyter_macgpu.transport.ssh.config import ClientConfig
from jupyter_macgpu.transport.ssh.meeting import Meeting
from jupyter_macgpu.transport.ssh.route import route_to
from jupyter_macgpu.transport.ssh.transport import SshTransport, Ways
from jupyter_macgpu.wire.errors import ConnectionLost
from tests.ssh_home import Home
from tests.sshd import Servers, Sshd

from . import invariants
from .away import Away
from .cells import Flood
from .desk import Desk, Told, token
from .kernels import Kernel
from .test_ssh_kills import _seconds

PROJECT = Path(__file__).parents[2]
PATIENCE = 60.0
#: Sessions that a Mac takes in all.
SESSIONS = 42
LINES = 200
CELL = f"""%%macgpu
import os, time
with open({{side!r}}, "a") as file:
    file.write("executed\\n")
for number in range({LINES}):
    print(f"line {{{{number:04d}}}}")
    while number == {LINES // 2} and not os.path.exists({{gate!r}}):
        time.sleep(0.01)
"""
PRINTED = "".join(f"line {number:04d}\n" for number in range(LINES))
#: A process that has the connection, until a line comes on its standard input.
_OWNER = """
import os, sys, time
from tests.inputs.shell import notebook
with notebook() as book:
    ran = book.run("%%macgpu\\npass")
    assert ran.error is None, ran.text
    print("ready", flush=True)
    exec(sys.stdin.readline())
"""
#: Some processes of each of several accounts, which connect one after the other.
_ACCOUNTS = """
import random, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.link import Link
from jupyter_macgpu.reach import nobody_to_ask
from jupyter_macgpu.transport.ssh.transport import Ways
port, user, key, python, folder, accounts = sys.argv[1:]
host = Host(name="studio", hostname="127.0.0.1", port=int(port), user=user, identity_file=key,
            python=python, transport="ssh")
ways = [Ways(nobody_to_ask, Path(folder) / f"account-{n}") for n in range(int(accounts))]
links = [Link(each.to(host), f"{n:02}" * 16, f"{n}.ipynb") for n, each in enumerate(ways)]
random.shuffle(links)
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(4) as pool:
    print(len([hello for hello in pool.map(Link.connect, links)]), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def meeting(state: Path) -> Path:
    """Where the processes of a test meet: kernels' own place."""
    return state / "handshakes"


@pytest.fixture
def known(sshd: Sshd, home: Home) -> Sshd:
    """Give a test a server that its notebooks know, by a fleet file as well."""
    home.know(sshd)
    home.write_fleet({"studio": sshd})
    return sshd


def well(desk: Desk, source: str = "pass") -> None:
    told = desk.run(source)
    assert told.state == "ok", told.error


def desk(home: Home, server: Sshd, place: Path, notebook: str = "desk.ipynb") -> Desk:
    """Return a notebook of this process that meets others at a place."""
    return Desk(notebook=notebook, host=home.host(server), transport=way(home, server, place))


def way(home: Home, server: Sshd, place: Path, **changed: Any) -> SshTransport:
    return Ways(nobody_to_ask, place).to(home.host(server, **changed))


def start(program: str, *words: str) -> subprocess.Popen[str]:
    """Start a process and wait until it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def tell(child: subprocess.Popen[str], line: str = "") -> None:
    assert child.stdin is not None
    child.stdin.write(f"{line}\n")
    child.stdin.flush()


@pytest.fixture
def owner(known: Sshd, state: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a test a process that has the connection."""
    child = start(_OWNER)
    assert known.connections() == 1
    yield child
    child.kill()
    child.communicate()


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def during(desk: Desk, cell: Flood, act: Callable[[], object]) -> Told:
    """Run a cell, and do something in its midst."""
    told: list[Told] = []
    thread = threading.Thread(target=lambda: told.append(desk.run(cell.source)))
    desk.record.moved.clear()
    thread.start()
    assert eventually(lambda: len(desk.record.outputs) > 3)
    act()
    thread.join()
    assert told, "it says why above"
    return told[0]


def whole(cell: Flood, told: Told) -> None:
    assert told.state == "ok", told.error
    invariants.never_twice(cell, told)
    invariants.nothing_lost(cell, told.record, whole=True)


def reconnected(told: Told) -> list[float]:
    return [_seconds(line) for line in told.record.notices if "reconnected" in line]


# Kernels.


def test_two_kernels_share_a_connection_and_a_run_outlives_its_owner(
    known: Sshd, state: Path, tmp_path: Path
) -> None:
    sides, gate = (tmp_path / "one", tmp_path / "two"), tmp_path / "gate"
    # There is one slot: the second cell begins behind the first one, and waits to be cut off.
    gates, requests = (tmp_path, gate), []
    with Kernel("one.ipynb") as one, Kernel("two.ipynb") as two:
        assert one.run("%%macgpu\npass").error == ""
        for kernel, side, each in zip((one, two), sides, gates, strict=True):
            requests.append(kernel.begin(CELL.format(side=str(side), gate=str(each))))
            while "line" not in kernel.reply.stdout:
                kernel.listen(requests[-1], PATIENCE)
        assert known.connections() == 1
        one.kill()
        gate.touch()
        while not two.listen(requests[1], PATIENCE):
            pass
        assert two.reply.stdout == PRINTED
        assert two.reply.error == ""
        assert any("reconnected" in text for text in two.reply.texts)
        assert eventually(lambda: known.connections() == 1)
        assert known.logins() == 2
    assert sides[1].read_text() == "executed\n"


def test_an_owner_that_ends_in_order_does_not_wait_for_its_guests(
    owner: subprocess.Popen[str], known: Sshd, home: Home, meeting: Path, tmp_path: Path
) -> None:
    guest = desk(home, known, meeting)
    well(guest)
    assert known.connections() == 1
    cell = Flood(token=token(), side=tmp_path / "side", lines=6000)

    def end() -> None:
        tell(owner)
        assert owner.wait(PATIENCE) == 0

    told = during(guest, cell, end)
    whole(cell, told)
    assert len(reconnected(told)) == 1
    assert known.logins() == 2
    guest.close()


def test_a_child_of_the_owner_does_not_hide_its_death(
    owner: subprocess.Popen[str],
    known: Sshd,
    home: Home,
    meeting: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It must see the end itself: silence does not count as one here.
    monkeypatch.setattr("jupyter_macgpu.execution.SILENCE", 1e6)
    guest = desk(home, known, meeting)
    well(guest)
    pid = tmp_path / "pid"
    tell(
        owner,
        f"child = os.fork(); child or (time.sleep(120), os._exit(0)); "
        f"open({str(pid)!r}, 'w').write(str(child) + '.'); time.sleep(120)",
    )
    assert eventually(lambda: pid.exists() and pid.read_text().endswith("."))
    cell = Flood(token=token(), side=tmp_path / "side", lines=6000)
    try:
        told = during(guest, cell, owner.kill)
    finally:
        os.kill(int(pid.read_text()[:-1]), signal.SIGKILL)
    whole(cell, told)
    assert reconnected(told)
    guest.close()


def test_a_stopped_owner_is_not_waited_for(
    owner: subprocess.Popen[str],
    known: Sshd,
    home: Home,
    meeting: Path,
    tmp_path: Path,
    impatient: None,
) -> None:
    guest, late, later = (desk(home, known, meeting, f"{n}.ipynb") for n in range(3))
    well(guest)
    assert known.logins() == 1
    owner.send_signal(signal.SIGSTOP)
    # Who comes now connects, and takes the owner's place.
    well(late)
    well(later)
    # Who was its guest finds out by its silence, and goes where the others are.
    cell = Flood(token=token(), side=tmp_path / "side")
    whole(cell, guest.run(cell.source))
    # Each alone would make four.
    assert known.logins() < 4
    owner.send_signal(signal.SIGCONT)
    for each in (guest, later, late):
        each.close()


def test_an_owner_that_is_stopped_in_mid_run(
    owner: subprocess.Popen[str],
    known: Sshd,
    home: Home,
    meeting: Path,
    tmp_path: Path,
    impatient: None,
) -> None:
    guest = desk(home, known, meeting)
    well(guest)
    cell = Flood(token=token(), side=tmp_path / "side", lines=6000)
    told = during(guest, cell, lambda: owner.send_signal(signal.SIGSTOP))
    whole(cell, told)
    assert reconnected(told)
    assert known.logins() == 2
    owner.send_signal(signal.SIGCONT)
    guest.close()


def test_an_owner_that_does_not_know_that_its_line_is_dead(
    away: Away, tmp_path: Path, impatient: None
) -> None:
    guest = away.another("guest.ipynb")
    well(away.desk)
    well(guest)
    assert away.server.connections() == 1
    cell = Flood(token=token(), side=tmp_path / "side", lines=6000)
    told = during(guest, cell, away.relay.blackhole)
    whole(cell, told)
    assert away.server.logins() == 2
    well(away.desk, "notes.append(1)")
    guest.close()


# Crowds.


def test_ten_processes_at_once_need_few_connections(known: Sshd, state: Path) -> None:
    words = [str(known.port), known.user, str(known.keys.private()), sys.executable]
    children = [start(_ACCOUNTS, *words, str(state), "1") for _ in range(10)]
    try:
        for child in children:
            tell(child)
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "1\n"
        # An owner has room for eight; on a busy machine one may be too slow for some.
        assert 2 <= known.connections() < 5
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert eventually(lambda: known.connections() == 0)


@pytest.mark.timeout(300)
def test_sessions_stay_under_42_with_25_users_of_three_processes(
    known: Sshd, tmp_path: Path, state: Path
) -> None:
    """Three processes hold one process each of every user's."""
    users = 25
    words = [str(known.port), known.user, str(known.keys.private()), sys.executable]
    children = [start(_ACCOUNTS, *words, str(tmp_path), str(users)) for _ in range(3)]
    over, most = threading.Event(), 0

    def watch() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, known.connections())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for child in children:
            tell(child)
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == f"{users}\n"
        assert users <= known.connections() < SESSIONS
    finally:
        over.set()
        watcher.join()
        for child in children:
            child.kill()
            child.communicate()
    print(f"{most} sessions at most, {known.logins()} logins")
    assert users <= most < SESSIONS


# Who may come.


def socket_of(home: Home, server: Sshd, place: Path) -> Path:
    route = route_to(home.host(server), ClientConfig())
    return Meeting(place, route).path(".sock")


_FOREIGNER = """
import os, socket, sys
folder, _, name = sys.argv[1].rpartition("/")
os.chdir(folder)
if sys.argv[2] == "listen":
    os.chmod(".", 0o777)
os.setresuid(65534, 65534, 65534)
link = socket.socket(socket.AF_UNIX)
if sys.argv[2] == "listen":
    os.unlink(name)
    link.bind(name)
    link.listen()
    print("ready", flush=True)
    peer, _ = link.accept()
    try:
        peer.sendall(b"ho")  # as an owner would
        print(peer.recv(64), flush=True)
    except OSError:
        print(b"", flush=True)
    sys.exit()
link.settimeout(10)
try:
    link.connect(name)
    print(link.recv(1))
except OSError as error:
    print(type(error).__name__)
"""


def foreigner(path: Path, *words: str) -> str:
    child = [sys.executable, "-c", _FOREIGNER, str(path), *words]
    return subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_another_user_gets_nothing(known: Sshd, home: Home, meeting: Path) -> None:
    owner = desk(home, known, meeting)
    well(owner)
    path = socket_of(home, known, meeting)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert foreigner(path, "connect") in ("PermissionError", "FileNotFoundError")
    # Even if the rights were lost:
    path.chmod(0o666)
    path.parent.chmod(0o755)
    assert foreigner(path, "connect") in ("b''", "ConnectionResetError")
    owner.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_another_user_is_told_nothing(known: Sshd, home: Home, meeting: Path) -> None:
    path = socket_of(home, known, meeting)
    meeting.mkdir(parents=True, mode=0o700)
    path.touch()
    child = start(_FOREIGNER, str(path), "listen")
    for mode in (0o777, 0o700):
        meeting.chmod(mode)
        owner = desk(home, known, meeting)
        well(owner)
        assert known.connections() == 1
        owner.close()
        assert eventually(lambda: known.connections() == 0)
    said, _ = child.communicate(timeout=PATIENCE)
    assert said == "b''\n"


@pytest.mark.parametrize("changed", ["user", "identity_file", "hostkey"])
def test_only_who_goes_the_same_way_is_a_guest(
    servers: Servers, home: Home, meeting: Path, changed: str
) -> None:
    server = servers.start(authorized=("user", "other-user"))
    home.know(server)
    value = {
        "user": "nobody-here",
        "identity_file": str(server.keys.private("other-user")),
        "hostkey": server.keys.fingerprint("host"),
    }[changed]
    owner = desk(home, server, meeting)
    well(owner)
    other = Desk(
        notebook="other.ipynb",
        host=home.host(server),
        transport=way(home, server, meeting, **{changed: value}),
    )
    state = other.run("pass").state
    assert state == ("unsent" if changed == "user" else "ok")
    other.close()
    assert server.logins() == (1 if changed == "user" else 2)
    owner.close()


# Sockets.


@pytest.mark.parametrize("left", ["socket", "file", "folder"])
def test_what_is_left_at_the_place(known: Sshd, home: Home, meeting: Path, left: str) -> None:
    first = desk(home, known, meeting)
    well(first)
    first.close()
    path = socket_of(home, known, meeting)
    assert path.is_socket()
    if left != "socket":
        path.unlink()
        path.touch() if left == "file" else path.mkdir()
    one, two = (desk(home, known, meeting, f"{n}.ipynb") for n in range(2))
    well(one)
    well(two)
    # The first one's may still be on its way out.
    assert eventually(lambda: known.connections() == (2 if left == "folder" else 1))
    one.close()
    two.close()


def test_a_place_whose_path_is_long(known: Sshd, home: Home, meeting: Path) -> None:
    place = meeting / ("long" * 30)
    here = Path.cwd()
    one, two = (desk(home, known, place, f"{n}.ipynb") for n in range(2))
    assert len(os.fsencode(socket_of(home, known, place))) > 104
    well(one)
    well(two)
    assert known.connections() == 1
    assert Path.cwd() == here
    one.close()
    two.close()


def test_nothing_is_left_of_guests(known: Sshd, home: Home, meeting: Path) -> None:
    owner, guest = (Link(way(home, known, meeting), n * 32, n) for n in "ab")
    process = psutil.Process()

    def held() -> tuple[int, int]:
        return process.num_fds(), threading.active_count()

    owner.connect()
    before = held()
    for _ in range(50):
        guest.connect()
        guest.close()
    assert eventually(lambda: held() <= before), (before, held())
    assert known.logins() == 1
    owner.drop()


def test_an_idle_owner_stays_while_there_are_guests(known: Sshd, home: Home, meeting: Path) -> None:
    owner, guest = (Link(way(home, known, meeting), n * 32, n) for n in "ab")
    owner.connect()
    guest.connect()
    owner.rest(-1.0)
    assert not owner.open
    guest.rest(60.0)
    assert guest.open
    guest.rest(-1.0)
    assert known.connections() == 1

    def gone() -> bool:
        owner.rest(-1.0)
        return known.connections() == 0

    assert eventually(gone)


def test_a_host_that_opens_few_channels(servers: Servers, home: Home, meeting: Path) -> None:
    server = servers.start(options={"MaxSessions": "2"})
    home.know(server)
    desks = [desk(home, server, meeting, f"{n}.ipynb") for n in range(4)]
    for each in desks:
        well(each, "notes.append(1)")
    assert server.connections() == 2
    # The owner's channel is lost, and another may have taken its place.
    link = desks[0].pool.session(desks[0].host).link
    link.close()
    for each in desks:
        well(each, "notes.append(2)")
        assert each.namespace["notes"] == [1, 2]
    for each in desks:
        each.close()


def test_a_guest_brings_our_code_over_the_owners_connection(
    known: Sshd, home: Home, meeting: Path, state: Path
) -> None:
    owner, guest = (desk(home, known, meeting, f"{n}.ipynb") for n in range(2))
    well(owner)
    shutil.rmtree(state / "code")
    well(guest)
    assert list((state / "code").glob("*/complete"))
    assert known.logins() == 1
    guest.close()
    owner.close()


def test_f17_a_host_that_opens_one_channel_is_given_our_code(
    servers: Servers, home: Home, meeting: Path
) -> None:
    server = servers.start(options={"MaxSessions": "1"}, bare=True)
    home.know(server)
    one = desk(home, server, meeting)
    well(one)
    assert server.logins() == 1
    one.close()


# Back-pressure.


@pytest.fixture
def lender(
    known: Sshd, home: Home, meeting: Path
) -> Iterator[tuple[Desk, Callable[[], SocketChannel]]]:
    """Give a test an owner, and a way to become its guest."""
    owner = desk(home, known, meeting)
    well(owner)
    opened: list[SocketChannel] = []

    def borrow() -> SocketChannel:
        with Meeting(meeting, route_to(home.host(known), ClientConfig())).enter(5.0) as entrance:
            assert entrance.channel is not None
        opened.append(entrance.channel)
        return opened[-1]

    yield owner, borrow
    for each in opened:
        each.close()
    owner.close()


def test_a_guest_that_takes_nothing_holds_up_nobody(
    lender: tuple[Desk, Callable[[], SocketChannel]],
    known: Sshd,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner, borrow = lender
    # Stands for a host that says more than anybody takes: the protocol's own would not.
    monkeypatch.setattr(guests, "door_command", lambda: "exec cat /dev/zero")
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(5):
        borrow()
    quick, taken = borrow(), 0
    cell = Flood(token=token(), side=tmp_path / "side")
    whole(cell, owner.run(cell.source))
    while taken < 2**24:
        taken += len(quick.receive(PATIENCE) or b"")
    # The window of SSH is 2 MiB a channel, and a socket's room a quarter of that.
    assert process.memory_info().rss - before < 6 * 3 * 2**20
    assert known.connections() == 1


def test_a_host_that_takes_nothing_holds_up_its_guest_alone(
    lender: tuple[Desk, Callable[[], SocketChannel]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner, borrow = lender
    monkeypatch.setattr(guests, "door_command", lambda: "exec sleep 600")
    monkeypatch.setattr("jupyter_macgpu.transport.sockets.STALL", 0.5)
    stuck = borrow()
    sent = 0

    def flood() -> None:
        nonlocal sent
        while True:
            stuck.send(bytes(2**16))
            sent += 2**16

    with pytest.raises(ConnectionLost):
        flood()
    assert sent < 2**23
    cell = Flood(token=token(), side=tmp_path / "side")
    whole(cell, owner.run(cell.source))


def test_guests_beyond_the_room_are_told_at_once(
    lender: tuple[Desk, Callable[[], SocketChannel]],
    known: Sshd,
    home: Home,
    meeting: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner, borrow = lender
    for _ in range(guests.ROOM):
        borrow()
    further = desk(home, known, meeting, "further.ipynb")
    well(further)
    assert known.connections() == 2
    well(owner)
    further.close()
