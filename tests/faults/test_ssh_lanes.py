"""Large inputs and results over several channels of one SSH connection, on a long way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from jupyter_macgpu import lanes
from jupyter_macgpu.link import Link
from jupyter_macgpu.transport.base import Channel
from jupyter_macgpu.wire.errors import ConnectionLost
from tests.ssh_home import Home
from tests.sshd import Servers, Sshd

from .away import desk_at
from .desk import Desk
from .relay import Toxics
from .tcp_relay import Relays

MIB = 2**20
#: Seconds that the relay needs in each direction.
LATENCY = 0.02
SIZE = 6 * MIB


class Counted:
    """A channel that counts what it carries, and breaks when it is told to.

    Parameters
    ----------
    inner
        The real one.
    """

    def __init__(self, inner: Channel) -> None:
        self._inner = inner
        self.carried = 0
        #: Bytes after which it is lost.
        self.limit: float = float("inf")

    def send(self, data: bytes | memoryview) -> None:
        self._count(len(data))
        self._inner.send(data)

    def receive(self, timeout: float) -> bytes | None:
        data = self._inner.receive(timeout)
        self._count(len(data or b""))
        return data

    def close(self) -> None:
        self._inner.close()

    def _count(self, size: int) -> None:
        self.carried += size
        if self.carried > self.limit:
            self._inner.close()
            raise ConnectionLost("It was cut.")


class Ways:
    """The way to a host, and the channels that were opened on it."""

    def __init__(self, desk: Desk) -> None:
        self.channels: list[Counted] = []
        self.limit: Callable[[int], float] = lambda _number: float("inf")
        self._open, self._guard = desk.transport.open, threading.Lock()
        desk.transport.open = self._counted  # type: ignore[method-assign]

    def further(self) -> list[int]:
        """Return what each channel beside the first has carried."""
        return [channel.carried for channel in self.channels[1:]]

    def _counted(self) -> Counted:
        channel = Counted(self._open())
        with self._guard:
            channel.limit = self.limit(len(self.channels))
            self.channels.append(channel)
        return channel


@pytest.fixture
def desk(
    servers: Servers, home: Home, relays: Relays, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    # The relay holds 64 KiB in each direction: that is what comes through in one round trip.
    monkeypatch.setattr(lanes, "FULL", 16 * 1024)
    monkeypatch.setattr(lanes, "WORTH", MIB)
    desk = _desk(servers.start(), home, relays)
    yield desk
    desk.close()


def _desk(server: Sshd, home: Home, relays: Relays) -> Desk:
    relay = relays.before(server.address, server.port, Toxics(latency=LATENCY))
    home.know(server, name=f"[{relay.address}]:{relay.port}")
    return desk_at(home, server, port=relay.port)


def both_ways(desk: Desk) -> None:
    """Send a large array there and bring another back; both must be what they were."""
    numbers = np.random.default_rng(5).integers(0, 255, SIZE, dtype=np.uint8)
    desk.namespace["numbers"] = numbers
    told = desk.run("turned = numbers[::-1].copy()")
    assert told.state == "ok", told.error
    assert (desk.namespace["turned"] == numbers[::-1]).all()
    assert not any("reconnected" in notice for notice in told.record.notices)


def test_several_channels_carry_one_stream_there_and_back(desk: Desk) -> None:
    ways = Ways(desk)
    both_ways(desk)
    assert len(ways.channels) == 1 + 2 * lanes.MOST
    # One of them may be opened when nearly all is sent.
    assert sum(carried > MIB / 8 for carried in ways.further()) >= lanes.MOST, ways.further()
    # Nothing is sent twice: what the channels carried is the array, twice, and a little.
    assert sum(channel.carried for channel in ways.channels) < 2 * SIZE * 1.05


@pytest.mark.parametrize("limit", [10, 3_000, 300_000])
def test_further_channels_that_are_lost_cost_only_speed(desk: Desk, limit: int) -> None:
    ways = Ways(desk)
    ways.limit = lambda number: limit if number else float("inf")
    both_ways(desk)
    assert len(ways.channels) > 2


def test_a_host_that_opens_one_channel_will_do(
    servers: Servers, home: Home, relays: Relays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "FULL", 16 * 1024)
    monkeypatch.setattr(lanes, "WORTH", MIB)
    desk = _desk(servers.start(options={"MaxSessions": "1"}), home, relays)
    both_ways(desk)
    desk.close()


def test_a_short_way_needs_one_channel(sshd: Sshd, home: Home) -> None:
    home.know(sshd)
    desk = desk_at(home, sshd)
    ways = Ways(desk)
    both_ways(desk)
    assert len(ways.channels) == 1
    desk.close()


def test_a_connection_beside_nobody_is_of_no_use_and_no_harm(desk: Desk) -> None:
    desk.run("pass")
    own = desk.pool.session(desk.host).link
    for kernel, number in (("another", own.connect().detail["client"]), (own.client, 10**6)):
        link = Link(desk.transport, kernel, "desk.ipynb", beside=number)
        link.connect()
        link.close()
    assert desk.run("pass").state == "ok"
