"""Flood in every cell while processes are killed and Ctrl-C is pressed, and what holds then.

``MACGPU_HARNESS=500`` sets how many kills and interrupts each test does; a seed that failed is
tried again with ``MACGPU_SEED``.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.wire.errors import TransportError

from . import invariants, processes
from .assassin import Assassin, Watchman, killer, presser
from .cells import Flood
from .desk import Desk, Record, Told, token
from .relay import Relay, Toxics

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_macgpu.transport.base import Transport

Harms = dict[str, "Callable[[], bool]"]
LEVEL = int(os.environ.get("MACGPU_HARNESS", "60"))
SEED = int(os.environ.get("MACGPU_SEED", "0")) or secrets.randbelow(10**6)
ROLES = ("door", "supervisor", "worker")
#: Seconds for which a supervisor that was killed is asked again.
PATIENCE = 60.0

pytestmark = pytest.mark.timeout(300 + 8 * LEVEL)


@dataclass(slots=True, kw_only=True)
class Stage:
    """One notebook, its cells, and whoever disturbs them."""

    state: Path
    desk: Desk
    assassin: Assassin
    chance: random.Random
    endings: Counter[str] = field(default_factory=Counter)

    def play(self, harms: int) -> None:
        """Run cells until that much harm was done, and look at each when it has ended."""
        watchman = Watchman()
        watchman.start()
        self.assassin.start()
        try:
            while sum(self.assassin.done.values()) < harms:
                self._one_cell()
        finally:
            self.assassin.stop()
            watchman.stop()
            print(f"seed {SEED}: {dict(self.assassin.done)}, runs {dict(self.endings)}")
        harmed = self.assassin.done
        assert self.endings["died"] <= harmed["worker"], "a worker died that nobody killed"
        assert self.endings["lost"] <= harmed["supervisor"]
        assert self.endings["cancelled"] <= harmed["single"] + harmed["double"]
        assert not self.endings["error"]
        assert watchman.watch.answers
        assert watchman.watch.slowest < invariants.DEAF, "the supervisor was deaf"

    def _one_cell(self) -> None:
        side, lines = self.state.parent / "executions", self.chance.randrange(300, 6000)
        cell = Flood(token=token(), side=side, lines=lines)
        told = self.desk.run(cell.source)
        self.endings[told.state] += 1
        self.endings["declared gaps"] += sum(output.what == "gap" for output in told.record.outputs)
        if told.error is not None:
            invariants.said_in_four_parts(told.error)
        invariants.never_twice(cell, told)
        invariants.nothing_lost(cell, told.record, whole=told.state == "ok")
        bound = cell.token in self.desk.namespace["notes"]
        assert bound or told.state != "ok"
        assert not bound or told.state not in ("died", "lost", "unsent", "unknown")
        if told.state != "unsent":
            self._look_again(cell, told)

    def _look_again(self, cell: Flood, told: Told) -> None:
        """Show the run once more, as another notebook would, and compare."""
        other, again = Desk(notebook="other.ipynb"), Record()
        try:
            end = other.attach(told.run, again)
            row = _rows(other)[told.run]
        finally:
            other.close()
        invariants.nothing_lost(cell, again, whole=end.state == "ok")
        invariants.ended_once(told, row)
        if told.state != "unknown":
            shown = [(output.end, output.what) for output in told.record.outputs]
            assert shown == [(output.end, output.what) for output in again.outputs]


def _rows(desk: Desk) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return desk.rows()
        except TransportError:
            if time.monotonic() > deadline:
                raise


def _finish(stage: Stage) -> None:
    """Undisturbed, the next cell is as any other, and nothing is left behind."""
    cell = Flood(token=token(), side=stage.state.parent / "executions", lines=300)
    told = stage.desk.run(cell.source)
    assert told.state == "ok"
    invariants.nothing_lost(cell, told.record, whole=True)
    invariants.nothing_left(stage.state, stage.desk)


def _line(name: str) -> Transport:
    if name == "direct":
        return LocalTransport()
    return Relay(LocalTransport(), Toxics(bandwidth=1.5e6, latency=0.005))


def _stage(state: Path, line: str, harms: Callable[[Desk, random.Random], Harms]) -> Stage:
    chance = random.Random(SEED)
    desk = Desk(transport=_line(line))
    assassin = Assassin(harms(desk, chance), SEED)
    return Stage(state=state, desk=desk, assassin=assassin, chance=chance)


def _kills(state: Path) -> Callable[[Desk, random.Random], Harms]:
    return lambda _desk, chance: {role: killer(state, role, chance) for role in ROLES}


def _presses(desk: Desk, _chance: random.Random) -> Harms:
    return {"single": presser(desk, 1), "double": presser(desk, 2)}


@pytest.mark.parametrize("line", ["direct", "slow"])
def test_kill_any_of_the_three_at_any_time(line: str, state: Path) -> None:
    stage = _stage(state, line, _kills(state))
    stage.play(LEVEL // 2)
    _finish(stage)


def test_kill_the_supervisor_while_a_run_ends(state: Path) -> None:
    """The moments between a run's last mark, its end in the journal and the entry in the log."""
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    desk = Desk(namespace={"notes": [], "big": bytes(400_000)})
    desk.run("import os, threading, time")
    for _ in range(LEVEL // 2):
        _rows(desk)
        (supervisor,) = processes.found(state, "supervisor")
        murder = f"""
def murder():
    time.sleep({chance.uniform(0.0, 0.006)})
    os.kill({supervisor.pid}, 9)
threading.Thread(target=murder).start()
"""
        result = chance.choice(["big = bytes(400_000)", "big = 1"])
        cell = Flood(token=token(), side=state.parent / "executions", lines=20, every=10, pause=0)
        told = desk.run(murder + cell.source + result)
        assert told.state == "ok", told.error or told.result
        invariants.never_twice(cell, told)
        invariants.nothing_lost(cell, told.record, whole=True)
        _gone(supervisor)
        invariants.ended_once(told, _rows(desk)[told.run])
    invariants.nothing_left(state, desk)


def _gone(found: processes.Found) -> None:
    deadline = time.monotonic() + PATIENCE
    while found.process.is_running() and found.process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("line", ["direct", "slow"])
def test_interrupt_at_any_time(line: str, state: Path) -> None:
    stage = _stage(state, line, _presses)
    stage.play(LEVEL // 2)
    assert stage.endings["cancelled"]
    _finish(stage)


def test_kills_interrupts_and_resets_together(state: Path) -> None:
    def harms(desk: Desk, chance: random.Random) -> Harms:
        assert isinstance(desk.transport, Relay)
        reset = {"reset": desk.transport.reset}
        return _kills(state)(desk, chance) | _presses(desk, chance) | reset

    stage = _stage(state, "slow", harms)
    stage.play(LEVEL // 2)
    _finish(stage)
