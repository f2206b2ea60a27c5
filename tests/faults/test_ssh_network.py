"""A line to an SSH server that is cut, falls silent, loses, slows down and lies."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paramiko
import pytest

from jupyter_macgpu.transport.dial import dial
from jupyter_macgpu.wire.errors import ConnectionLost
from tests.network import Network
from tests.ssh_home import Home
from tests.sshd import Servers

from . import invariants, processes
from .away import Away, desk_at
from .cells import Flood
from .desk import Desk, Told, token
from .relay import DOWN, UP, Toxics
from .tcp_relay import Relays

#: Seconds within which an interrupt is obeyed; the upload itself would take hours.
SOON = 15.0
MIB = 2**20


class Meanwhile:
    """Acts as soon as something is so, while a cell runs in the main thread."""

    def __init__(self, condition: Callable[[], bool], *acts: Callable[[], object]) -> None:
        self._condition = condition
        self._acts = acts
        self._over = False
        self.at = 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def done(self) -> float:
        """Return when it acted; it must have."""
        self._over = True
        self._thread.join()
        assert self.at, "the moment never came"
        return self.at

    def _run(self) -> None:
        while not self._condition():
            if self._over:
                return
            time.sleep(0.01)
        self.at = time.monotonic()
        for act in self._acts:
            act()


def flood(tmp_path: Path, lines: int = 3000, pause: float = 0.05) -> Flood:
    return Flood(token=token(), side=tmp_path / "executions", lines=lines, pause=pause)


def whole_and_once(cell: Flood, told: Told) -> None:
    """What is to hold after every fault that the notebook is to get over by itself."""
    assert told.state == "ok", told.error
    invariants.never_twice(cell, told)
    invariants.nothing_lost(cell, told.record, whole=True)


def reconnected(told: Told) -> bool:
    return any("reconnected" in notice for notice in told.record.notices)


def some_output(desk: Desk) -> Callable[[], bool]:
    return lambda: desk.busy and len(desk.record.outputs) > 3


# A line through the relay.


def test_f05_resets_while_a_cell_writes(away: Away, tmp_path: Path) -> None:
    cell, desk = flood(tmp_path), away.desk
    desk.run("pass")
    cut = Meanwhile(some_output(desk), away.relay.reset, lambda: time.sleep(0.3), away.relay.reset)
    told = desk.run(cell.source)
    cut.done()
    whole_and_once(cell, told)
    assert reconnected(told)
    invariants.ended_once(told, desk.rows()[told.run])


@pytest.mark.parametrize("directions", [(UP,), (DOWN,), (UP, DOWN)], ids="-".join)
def test_f06_f07_a_line_that_falls_silent(
    away: Away, tmp_path: Path, impatient: None, directions: tuple[str, ...]
) -> None:
    cell, desk = flood(tmp_path), away.desk
    desk.run("pass")
    hole = Meanwhile(some_output(desk), lambda: away.relay.blackhole(*directions))
    told = desk.run(cell.source)
    hole.done()
    whole_and_once(cell, told)
    assert reconnected(told)


def test_f06_a_line_that_falls_silent_while_a_command_is_asked_for(
    away: Away, tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host has opened the channel, and its answer to the command never comes."""
    cell, desk, relay = flood(tmp_path), away.desk, away.relay
    desk.run("pass")
    ask, holes = paramiko.Channel.exec_command, [relay.blackhole]

    def ask_in_vain(channel: paramiko.Channel, command: str) -> None:
        while holes:
            assert holes.pop()()
        ask(channel, command)

    monkeypatch.setattr(paramiko.Channel, "exec_command", ask_in_vain)
    cut = Meanwhile(some_output(desk), relay.reset)
    told = desk.run(cell.source)
    cut.done()
    assert not holes
    whole_and_once(cell, told)
    assert reconnected(told)


def little_room(*where: Any) -> socket.socket:
    """Return a socket to a server that holds less than an SSH channel may have under way."""
    link = dial(*where)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
    return link


def test_f06_a_host_that_takes_nothing_while_its_system_acknowledges(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes stand still in the middle of an upload, until the notebook has noticed."""
    desk, relay = away.desk, away.relay
    monkeypatch.setattr("jupyter_macgpu.transport.dial._UNACKNOWLEDGED", 0)
    monkeypatch.setattr("jupyter_macgpu.transport.ssh.connection.dial", little_room)
    monkeypatch.setattr("jupyter_macgpu.transport.ssh.bounded.STALL", 2.0)
    desk.run("pass")
    desk.namespace["large"] = np.arange(5 * MIB)
    before, opened = relay.carried[UP], relay.opened

    def stand_still() -> None:
        relay.toxics = Toxics(silent=UP)
        deadline = time.monotonic() + 60.0
        while relay.opened == opened and time.monotonic() < deadline:
            time.sleep(0.02)
        relay.toxics = Toxics()

    still = Meanwhile(lambda: relay.carried[UP] > before + 4 * MIB, stand_still)
    told = desk.run("total = int(large.sum())")
    still.done()
    assert told.state == "ok", told.error
    assert reconnected(told)
    assert desk.namespace["total"] == int(desk.namespace["large"].sum())


def test_f10_cut_at_every_place_of_a_submission(away: Away, tmp_path: Path) -> None:
    desk = away.desk
    desk.run("pass")
    for size in range(0, 4000, 250):
        cell = flood(tmp_path, lines=5)
        away.relay.cut_after(size)
        told = desk.run(cell.source)
        whole_and_once(cell, told)


def test_f11_an_answer_to_a_submission_that_is_lost(away: Away, tmp_path: Path) -> None:
    desk = away.desk
    desk.run("pass")
    for _ in range(5):
        cell = flood(tmp_path, lines=5)
        away.relay.toxics = Toxics(limit=away.relay.carried[DOWN], only=DOWN)
        mended = Meanwhile(
            lambda: away.relay.limited, lambda: setattr(away.relay, "toxics", Toxics())
        )
        told = desk.run(cell.source)
        mended.done()
        whole_and_once(cell, told)
        assert cell.executions() == 1


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_f12_a_bit_that_is_turned(away: Away, tmp_path: Path, direction: str) -> None:
    cell, desk = flood(tmp_path), away.desk
    desk.run("pass")
    lie = Meanwhile(some_output(desk), lambda: away.relay.flip(direction))
    told = desk.run(cell.source)
    lie.done()
    whole_and_once(cell, told)
    assert reconnected(told)


def test_f30_the_door_is_killed(away: Away, tmp_path: Path, state: Path) -> None:
    cell, desk = flood(tmp_path), away.desk
    desk.run("pass")

    def kill() -> None:
        assert [door.kill() for door in processes.found(state, "door")]

    killed = Meanwhile(some_output(desk), kill)
    told = desk.run(cell.source)
    killed.done()
    whole_and_once(cell, told)
    assert reconnected(told)


def test_f56_an_upload_that_is_cut_near_both_ends_and_in_between(away: Away) -> None:
    desk = away.desk
    desk.run("pass")
    for part in (0.01, 0.5, 0.999):
        # New each time: what arrived once is not sent again.
        big = np.random.default_rng(int(1000 * part)).integers(0, 255, 4 * MIB, dtype=np.uint8)
        desk.namespace |= {"big": big, "notes": []}
        away.relay.cut_after(int(big.nbytes * part))
        told = desk.run("notes.append(int(big.sum()))")
        assert told.state == "ok", told.error
        assert desk.namespace["notes"] == [int(big.sum())]


def test_output_arrives_whole_in_the_smallest_pieces(away: Away, tmp_path: Path) -> None:
    cell = flood(tmp_path, lines=600, pause=0.0)
    away.desk.run("pass")
    away.relay.toxics = Toxics(slicer=7)
    told = away.desk.run(cell.source)
    whole_and_once(cell, told)


def test_a_dead_line_is_noticed_before_the_next_cell_is_sent(
    away: Away, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine slept, or changed its network: nobody was told that the line is dead."""
    monkeypatch.setattr("jupyter_macgpu.link._STALE", 0.2)
    away.desk.run("pass")
    away.relay.blackhole()
    time.sleep(0.3)
    cell = flood(tmp_path, lines=5)
    told = away.desk.run(cell.source)
    whole_and_once(cell, told)
    assert not reconnected(told), "the cell itself saw nothing of it"


# A line between two machines.


@pytest.fixture
def far(network: Network, servers: Servers, home: Home) -> Iterator[Desk]:
    """Give a notebook in one network namespace, whose host is in the other."""
    server = servers.start(namespace=network.far, address=network.address)
    home.know(server)
    with network.inside():
        desk = desk_at(home, server)
        assert desk.run("pass").state == "ok"
        yield desk
        network.mend()
        desk.close()


def test_f05_the_system_resets_the_connection(far: Desk, network: Network, tmp_path: Path) -> None:
    cell = flood(tmp_path)
    killed = Meanwhile(some_output(far), network.reset)
    told = far.run(cell.source)
    killed.done()
    whole_and_once(cell, told)
    assert reconnected(told)


def test_f06_the_cable_is_pulled_and_put_back(
    far: Desk, network: Network, tmp_path: Path, impatient: None
) -> None:
    cell = flood(tmp_path, lines=6000)
    plugged: list[float] = []

    def interrupt_cable() -> None:
        network.pull()
        time.sleep(4.0)
        network.plug()
        plugged.append(time.monotonic())

    pulled = Meanwhile(some_output(far), interrupt_cable)
    told = far.run(cell.source)
    pulled.done()
    whole_and_once(cell, told)
    assert reconnected(told)


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_f07_packets_of_one_direction_are_dropped(
    far: Desk, network: Network, tmp_path: Path, impatient: None, direction: str
) -> None:
    cell = flood(tmp_path, lines=4000)
    dropped = Meanwhile(
        some_output(far),
        lambda: network.drop(direction),
        lambda: time.sleep(3.0),
        network.mend,
    )
    told = far.run(cell.source)
    dropped.done()
    whole_and_once(cell, told)
    assert reconnected(told)


def test_f08_a_fifth_of_the_packets_lost_and_a_third_of_a_second_late(
    network: Network, servers: Servers, home: Home, relays: Relays, tmp_path: Path
) -> None:
    server = servers.start(namespace=network.far, address=network.address)
    with network.inside():
        relay = relays.before(server.address, server.port, Toxics(latency=0.15))
        home.know(server, name=f"[{relay.address}]:{relay.port}")
        desk = desk_at(home, server, hostname=relay.address, port=relay.port)
        network.drop(UP, 20)
        network.drop(DOWN, 20)
        cell = flood(tmp_path, lines=600)
        told = desk.run(cell.source)
        whole_and_once(cell, told)
        assert not reconnected(told), "a bad line is not a dead one"
        network.mend()
        desk.close()


def test_f09_an_interrupt_overtakes_an_upload_over_64_kbit(far: Desk, network: Network) -> None:
    far.namespace["big"] = np.random.default_rng(1).integers(0, 255, 50 * MIB, dtype=np.uint8)
    network.limit(8000)
    began = time.monotonic()
    pressed = Meanwhile(
        lambda: far.busy and time.monotonic() > began + 8.0, lambda: far.interrupts.count()
    )
    told = far.run("total = int(big.sum())")
    ended = time.monotonic()
    assert ended - pressed.done() < SOON
    assert told.state == "cancelled"
    assert not reconnected(told), "a slow line is not a dead one"
    assert "total" not in far.namespace


def test_a_channel_is_closed_quietly_on_a_line_that_was_just_cut(away: Away) -> None:
    away.desk.run("pass")
    transport = away.desk.transport
    for _ in range(8):
        channel = transport.open()
        away.relay.reset()
        with pytest.raises(ConnectionLost):
            channel.send(bytes(64 * 1024 * 1024))
        channel.close()
        transport.close()
