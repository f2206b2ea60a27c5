"""What the fault tests over SSH share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ssh_home import Home
from tests.sshd import Sshd

from .away import Away, desk_at
from .relay import Toxics
from .tcp_relay import Relays


@pytest.fixture
def away(sshd: Sshd, home: Home, relays: Relays) -> Iterator[Away]:
    """Give a test a notebook on an SSH server behind a relay."""
    relay = relays.before(sshd.address, sshd.port)
    home.know(sshd, name=f"[{relay.address}]:{relay.port}")
    away = Away(server=sshd, home=home, relay=relay, desk=desk_at(home, sshd, port=relay.port))
    yield away
    relay.toxics = Toxics()
    away.desk.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a silent line count as dead after 1.5 s instead of 15, and 4 s while it is opened."""
    monkeypatch.setattr("jupyter_macgpu.execution.HEARTBEAT", 0.5)
    monkeypatch.setattr("jupyter_macgpu.execution.SILENCE", 1.5)
    monkeypatch.setattr("jupyter_macgpu.fetching.SILENCE", 1.5)
    monkeypatch.setattr("jupyter_macgpu.link.Link.await_message.__defaults__", (4.0,))
    monkeypatch.setattr("jupyter_macgpu.transport.dial.expect_ssh.__defaults__", (4.0,))
    monkeypatch.setattr("jupyter_macgpu.transport.ssh.connection.STEP", 4.0)
