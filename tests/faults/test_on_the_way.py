"""Interrupts and cuts before a cell runs and after it ran: queue, upload, download."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from jupyter_macgpu.transport.base import Channel
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.verdicts import error_of
from jupyter_macgpu.wire.errors import ConnectionLost, MacGPUError, ResultLeft, TransportError

from . import invariants, processes
from .cells import Flood
from .desk import Desk, Record, Told, token
from .relay import DOWN, UP, Relay, Toxics

#: Seconds within which an interrupt is obeyed; far less than what it interrupts would take.
SOON = 15.0
MIB = 2**20
#: Places of a submission at which the line is cut; ``MACGPU_CUTS=2000`` sets more.
CUTS = int(os.environ.get("MACGPU_CUTS", "40"))


@pytest.fixture
def relay() -> Relay:
    return Relay(LocalTransport())


@pytest.fixture
def desk(state: Path, relay: Relay) -> Iterator[Desk]:
    desk = Desk(transport=relay)
    yield desk
    relay.toxics = Toxics()
    desk.close()


def when(condition: Callable[[], bool], act: Callable[[], object]) -> Callable[[], float]:
    """Act as soon as something is so; return a function that says when that was."""
    acted: list[float] = []

    def wait() -> None:
        while not condition():
            time.sleep(0.01)
        acted.append(time.monotonic())
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()

    def at() -> float:
        thread.join(timeout=60.0)
        return acted[0]

    return at


def cancelled_before_it_began(told: Told) -> None:
    assert told.state == "cancelled"
    assert told.result is not None
    error = error_of(told.result, None)
    assert isinstance(error, MacGPUError)
    invariants.said_in_four_parts(error)


def test_interrupt_while_queued(desk: Desk) -> None:
    first = Desk(notebook="first.ipynb")
    running = threading.Thread(target=first.run, args=("import time\ntime.sleep(60)",))
    running.start()
    while "started" not in first.record.states:
        time.sleep(0.01)
    at = when(lambda: "queued" in desk.record.states, lambda: desk.interrupts.count())
    told = desk.run("done = 1")
    assert time.monotonic() - at() < SOON
    cancelled_before_it_began(told)
    assert "done" not in desk.namespace
    first.interrupts.count()
    running.join()
    first.close()
    assert desk.run("done = 2").state == "ok"


def test_interrupt_while_uploading_over_a_slow_line(desk: Desk, relay: Relay, state: Path) -> None:
    desk.namespace["big"] = np.ones(200 * MIB, dtype=np.uint8)
    relay.toxics = Toxics(bandwidth=4 * MIB, latency=0.01)
    at = when(lambda: relay.carried[UP] > 3 * MIB, lambda: desk.interrupts.count())
    told = desk.run("total = int(big.sum())")
    assert time.monotonic() - at() < SOON
    cancelled_before_it_began(told)
    assert relay.carried[UP] < 100 * MIB
    relay.toxics = Toxics()
    desk.namespace["big"] = np.ones(1000, dtype=np.uint8)
    assert desk.run("total = int(big.sum())").state == "ok"
    assert desk.namespace["total"] == 1000
    stored = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    assert stored < MIB, "the half of an upload is kept"


def test_an_upload_that_is_cut_begins_again_and_runs_once(desk: Desk, relay: Relay) -> None:
    desk.namespace["big"] = np.arange(2 * MIB, dtype=np.uint32)
    desk.run("pass")
    relay.toxics = Toxics(bandwidth=16 * MIB)
    for part in (1, 4, 9):
        when(lambda part=part: relay.carried[UP] > part * MIB, relay.reset)
    told = desk.run("notes.append(int(big.sum()))")
    assert told.state == "ok"
    assert relay.opened == 4
    assert desk.namespace["notes"] == [int(np.arange(2 * MIB, dtype=np.uint32).sum())]


def test_interrupt_while_the_result_comes(desk: Desk, relay: Relay) -> None:
    desk.run("import numpy as np")
    relay.toxics = Toxics(bandwidth=4 * MIB)
    before = relay.carried[DOWN]
    at = when(lambda: relay.carried[DOWN] - before > 2 * MIB, lambda: desk.interrupts.count())
    told = desk.run("notes.append(1)\nbig = np.ones(100 << 20, dtype=np.uint8)")
    assert time.monotonic() - at() < SOON
    assert isinstance(told.error, ResultLeft)
    invariants.said_in_four_parts(told.error)
    assert desk.namespace["notes"] == []
    relay.toxics = Toxics()
    assert desk.rows()[told.run]["state"] == "ok"


def test_a_result_that_is_cut_comes_whole_after_all(desk: Desk, relay: Relay) -> None:
    desk.run("import numpy as np")
    relay.toxics = Toxics(bandwidth=16 * MIB)
    before = relay.carried[DOWN]
    for part in (1, 5):
        when(lambda part=part: relay.carried[DOWN] - before > part * MIB, relay.reset)
    told = desk.run("notes.append(1)\nbig = np.arange(2 << 20, dtype=np.uint32)")
    assert told.state == "ok"
    assert relay.opened == 3
    assert desk.namespace["notes"] == [1]
    assert (desk.namespace["big"] == np.arange(2 * MIB, dtype=np.uint32)).all()


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_line_that_falls_silent_is_noticed(
    desk: Desk, relay: Relay, direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_macgpu.execution.HEARTBEAT", 1.0)
    monkeypatch.setattr("jupyter_macgpu.execution.SILENCE", 3.0)
    cell = Flood(token=token(), side=tmp_path / "executions", lines=2000)
    desk.run("pass")

    def silence() -> None:
        relay.toxics.silent = direction
        when(lambda: relay.opened > 1, lambda: setattr(relay.toxics, "silent", ""))

    when(lambda: len(desk.record.outputs) > 2, silence)
    told = desk.run(cell.source)
    assert told.state == "ok"
    assert any("reconnected" in notice for notice in told.record.notices)
    invariants.never_twice(cell, told)
    invariants.nothing_lost(cell, told.record, whole=True)


class Brief:
    """A channel whose other end says hello, and hangs up."""

    def __init__(self, inner: Channel) -> None:
        self._inner = inner
        self._greeted = False
        self.send = inner.send
        self.close = inner.close

    def receive(self, timeout: float) -> bytes | None:
        if self._greeted:
            self.close()
            raise ConnectionLost("It hung up.")
        data = self._inner.receive(timeout)
        self._greeted = data is not None
        return data


def test_a_host_that_hangs_up_after_each_hello_is_given_up_and_taken_up_again(
    desk: Desk, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_macgpu.execution.PATIENCE", 2.0)
    cell = Flood(token=token(), side=tmp_path / "executions", lines=500, pause=0.01)
    desk.run("pass")

    with pytest.MonkeyPatch.context() as bad:

        def turn_bad() -> None:
            bad.setattr(relay, "open", lambda: Brief(Relay.open(relay)))
            relay.reset()

        when(lambda: len(desk.record.outputs) > 2, turn_bad)
        told = desk.run(cell.source)
    assert told.state == "unknown", told.error
    assert not any("reconnected" in notice for notice in told.record.notices)
    again = Record()
    assert desk.attach(told.run, again).state == "ok"
    invariants.nothing_lost(cell, again, whole=True)
    assert cell.executions() == 1


@pytest.mark.timeout(300 + 2 * CUTS)
def test_cut_at_every_place_of_a_submission(desk: Desk, relay: Relay, tmp_path: Path) -> None:
    side = tmp_path / "executions"
    desk.run("pass")
    for number in range(CUTS):
        desk.pool.session(desk.pool.fleet.hosts[0]).link.close()
        cell = Flood(token=token(), side=side, lines=5)
        relay.limited = False
        place = number * 60 % 2400 + number // 40
        relay.toxics = Toxics(limit=sum(relay.carried.values()) + place)
        mend = when(lambda: relay.limited, lambda: setattr(relay, "toxics", Toxics()))
        told = desk.run(cell.source)
        mend()
        assert told.state == "ok"
        invariants.never_twice(cell, told)
        invariants.nothing_lost(cell, told.record, whole=True)


@pytest.mark.parametrize("lost", ["connection", "supervisor"])
def test_an_answer_that_is_lost_is_given_again(
    desk: Desk, relay: Relay, state: Path, lost: str
) -> None:
    asked: list[str] = []

    def ask(prompt: str, password: bool) -> str:
        asked.append(prompt)
        if lost == "connection":
            relay.reset()
        else:
            (supervisor,) = processes.found(state, "supervisor")
            supervisor.kill()
        return prompt.upper()

    desk.run("pass")
    when(lambda: desk.busy, lambda: setattr(desk.record, "ask", ask))
    told = desk.run(
        "import time\ntime.sleep(0.3)\nnotes.append(input('one'))\nnotes.append(input('two'))"
    )
    assert told.state == "ok"
    assert desk.namespace["notes"] == ["ONE", "TWO"]
    assert asked == ["one", "two"]


def test_nothing_is_sent_where_no_supervisor_can_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    folder.chmod(0o777)
    blocked = folder / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("MACGPU_STATE", str(blocked))
    told = Desk().run("pass")
    assert told.state == "unsent"
    assert isinstance(told.error, TransportError)
    invariants.said_in_four_parts(told.error)
    assert "nothing was sent" in told.error.known
    roles = {"door", "supervisor", "worker", "child"}
    assert processes.wait_for_none(blocked, roles, 60.0) == []  # the door is just leaving
