"""When the supervisor asks its host's tools, and that it never waits for them."""

from __future__ import annotations

import os
import selectors
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from jupyter_macgpu import wire
from jupyter_macgpu.mac.aside import MOST
from jupyter_macgpu.mac.condition import ACTIVE, FRESH, LOAD, WATCHED, Condition
from jupyter_macgpu.mac.store import Store
from jupyter_macgpu.mac.telemetry import PATIENCE, Probe
from jupyter_macgpu.wire import messages as m
from tests.unit.supervisor_stage import Stage, finished, submit

SAID = "x begin\nx loadavg\n2.00 1.50 1.00 1/100 4242\nx cpuinfo\nonline: 8\nx end\n"


@dataclass
class Heard:
    """Stands where a client stands, and keeps what it is told."""

    number: int = 1
    congested: bool = False
    samples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def endpoint(self) -> Heard:
        return self

    def send(self, message: m.Message) -> None:
        assert isinstance(message, m.Telemetry)
        self.samples.append(message.sample)


class Loop:
    """The supervisor's loop and its clock, and a real program for a probe."""

    def __init__(self, folder: Path, stage: Stage) -> None:
        self.stage = stage
        self.selector = selectors.DefaultSelector()
        self.asked = folder / "asked"
        self.client = Heard()
        self.clients: dict[int, Any] = {1: self.client}
        self.condition = Condition(
            Store(folder), stage.mind, self.selector, lambda: stage.now, self.clients
        )

    @property
    def rounds(self) -> int:
        """How often the program was started."""
        return len(self.asked.read_text().split()) if self.asked.exists() else 0

    def watch(self, every: float = 0, client: Heard | None = None) -> None:
        self.condition.heard(cast("Any", client or self.client), m.Watch(every=every))

    def turn(self, *, starting: bool = False) -> None:
        for key, events in self.selector.select(0):
            key.data(events)
        self.condition.tick(starting)

    def passes(self, seconds: float, *, starting: bool = False) -> int:
        """Let time pass; return how many rounds were begun in it."""
        before = self.rounds
        end = self.stage.now + seconds
        while self.stage.now < end:
            self.stage.now += 0.5
            self.turn(starting=starting)
            self.settle()
        return self.rounds - before

    def settle(self) -> None:
        """Let a round that is under way come to its end, in no time."""
        until = time.monotonic() + 60.0
        probe = self.condition._probe
        while probe.asking or probe.ending:
            assert time.monotonic() < until
            self.turn()
            time.sleep(0.005)


@pytest.fixture
def loop(tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    (tmp_path / "said").write_text(SAID)
    script = f"echo x >> {tmp_path}/asked; cat {tmp_path}/said"
    monkeypatch.setenv("MACGPU_PROBE", shlex.join(["/bin/sh", "-c", script]))
    monkeypatch.setenv("MACGPU_HOST_POLICY", str(tmp_path / "none"))
    loop = Loop(tmp_path, stage)
    stage.now = 1000.0
    loop.turn()
    yield loop
    loop.condition.close()
    loop.selector.close()


def test_nobody_asks_while_nobody_needs_it(loop: Loop) -> None:
    assert loop.passes(100) == 0


def test_a_client_that_comes_finds_what_is_not_old(loop: Loop) -> None:
    assert loop.condition.greeted()["age"] is None
    assert loop.passes(1) == 1
    known = loop.condition.greeted()
    assert (known["cpu_taken"], known["probing"]) == (0.25, False)
    assert loop.passes(FRESH) == 0
    assert loop.condition.greeted()["probing"] is True
    assert loop.passes(1) == 1


def test_the_tools_wait_while_a_worker_starts(loop: Loop) -> None:
    loop.condition.greeted()
    assert loop.passes(5, starting=True) == 0
    assert loop.passes(0.5) == 1


def test_a_run_is_accompanied(loop: Loop) -> None:
    loop.stage.say(submit())
    loop.stage.ready()
    assert loop.passes(10 * ACTIVE) == 10
    loop.stage.worker(finished())
    assert loop.passes(100) == 0


def test_who_watches_is_told_as_often_as_he_asked(loop: Loop) -> None:
    loop.watch(every=2)
    loop.settle()
    assert [sample["age"] for sample in loop.client.samples] == [None, 0.0]
    del loop.client.samples[:]
    assert loop.passes(4 * WATCHED) == 4
    assert 26 <= len(loop.client.samples) <= 34
    ages = [sample["age"] for sample in loop.client.samples]
    assert max(ages) <= WATCHED + 0.5
    loop.watch()
    del loop.client.samples[:]
    assert (loop.passes(100), loop.client.samples) == (0, [])


def test_nobody_is_told_more_often_than_once_a_second(loop: Loop) -> None:
    loop.watch(every=0.001)
    loop.settle()
    del loop.client.samples[:]
    loop.passes(10)
    assert len(loop.client.samples) <= 11


def test_who_watches_hears_within_moments_that_a_run_began_or_ended(loop: Loop) -> None:
    loop.watch(every=1000)
    loop.passes(3)
    before = len(loop.client.samples)
    loop.passes(3)
    assert len(loop.client.samples) == before
    loop.stage.say(submit())
    loop.stage.ready()
    loop.passes(1)
    assert [each["lanes"]["gpu"]["running"] for each in loop.client.samples[before:]][-1] == 1
    loop.passes(1.5)
    before = len(loop.client.samples)
    loop.stage.worker(finished())
    loop.passes(1.5)
    assert [each["lanes"]["gpu"]["running"] for each in loop.client.samples[before:]][-1] == 0


def test_others_who_are_told_all_the_time_keep_no_news_from_who_is_told_seldom(loop: Loop) -> None:
    loop.watch(every=1000)
    for number in range(2, 6):
        loop.passes(0.5)
        loop.clients[number] = Heard(number)
        loop.watch(every=2, client=loop.clients[number])
    loop.passes(3)
    before = len(loop.client.samples)
    loop.stage.say(submit())
    loop.stage.ready()
    # The tools answer at once here; what they say is told to all, and is no news of lanes.
    loop.passes(1.5, starting=True)
    assert [each["lanes"]["gpu"]["running"] for each in loop.client.samples[before:]] == [1]
    before = len(loop.client.samples)
    loop.stage.worker(finished())
    loop.passes(1.5, starting=True)
    assert [each["lanes"]["gpu"]["running"] for each in loop.client.samples[before:]] == [0]


def test_who_did_not_listen_when_a_run_began_hears_of_it_as_soon_as_he_does(loop: Loop) -> None:
    loop.watch(every=1000)
    loop.passes(3)
    before = len(loop.client.samples)
    loop.client.congested = True
    loop.stage.say(submit())
    loop.stage.ready()
    loop.passes(5)
    loop.client.congested = False
    loop.passes(2, starting=True)
    assert [each["lanes"]["gpu"]["running"] for each in loop.client.samples[before:]] == [1]


def test_a_client_that_does_not_listen_is_not_told(loop: Loop) -> None:
    loop.watch(every=1)
    loop.client.congested = True
    before = len(loop.client.samples)
    loop.passes(20)
    assert len(loop.client.samples) == before


def test_a_client_that_left_is_not_watched_for(loop: Loop) -> None:
    loop.watch(every=1)
    loop.settle()
    loop.condition._clients.clear()
    assert loop.passes(100) == 0


def test_what_others_take_is_told_from_a_time_without_runs(loop: Loop) -> None:
    def taken() -> float | None:
        loop.watch()
        loop.settle()
        value: float | None = loop.condition.sample()["cpu_taken"]
        return value

    assert taken() == 0.25
    loop.stage.say(submit())
    loop.stage.ready()
    loop.passes(1)
    loop.stage.now += FRESH
    assert taken() is None
    loop.stage.worker(finished())
    loop.passes(LOAD - 1)
    assert taken() is None
    loop.passes(FRESH + 2)
    assert taken() == 0.25


# The program.


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Ask]]:
    made: list[Ask] = []

    def ask(script: str) -> Ask:
        monkeypatch.setenv("MACGPU_PROBE", shlex.join(["/bin/sh", "-c", script]))
        made.append(Ask())
        return made[-1]

    yield ask
    for each in made:
        each.probe.close()
        each.selector.close()


class Ask:
    """One probe, its clock, and the processes that it has."""

    def __init__(self) -> None:
        self.now = 0.0
        self.selector = selectors.DefaultSelector()
        self.probe = Probe(self.selector, lambda: self.now)
        self.probe.begin()

    def turn(self) -> None:
        for key, events in self.selector.select(0.01):
            key.data(events)
        self.probe.tick()

    def until(self, happened: Callable[[], object]) -> None:
        until = time.monotonic() + 60.0
        while not happened():
            assert time.monotonic() < until
            self.turn()


def group(probe: Probe) -> list[int]:
    """Return the living processes of the program's group."""
    assert probe._aside._process is not None
    leader = probe._aside._process.pid
    return [pid for pid in psutil.pids() if _lives_in(leader, pid)]


def _lives_in(group: int, pid: int) -> bool:
    """Say whether a process is of a group; other tests' processes come and go meanwhile."""
    try:
        return os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def test_a_program_that_hangs_is_ended_with_all_its_children(
    asked: Callable[[str], Ask],
) -> None:
    ask = asked("echo x begin; echo x loadavg; echo 2.00 1 1 1/1 1; sleep 500 & sleep 500")
    ask.until(lambda: len(group(ask.probe)) == 3)
    members = group(ask.probe)
    ask.now = PATIENCE
    for _ in range(20):
        ask.turn()
    assert ask.probe.asking
    ask.now = PATIENCE + 0.1
    ask.until(lambda: not (ask.probe.asking or ask.probe.ending))
    ask.until(lambda: not any(map(psutil.pid_exists, members)))
    assert ask.probe.sample is not None
    assert (ask.probe.sample.system.load_1, ask.probe.sample.complete) == (2.0, False)


def test_a_supervisor_whose_code_was_deleted_says_nothing_of_its_host(
    asked: Callable[[str], Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupyter_macgpu.wire.probe", None)
    monkeypatch.delattr(wire, "probe", raising=False)
    ask = asked(f"printf {shlex.quote(SAID)}")
    assert (ask.probe.asking, ask.probe.sample, ask.probe.rounds) == (False, None, 1)
    monkeypatch.undo()
    monkeypatch.setenv("MACGPU_PROBE", shlex.join(["/bin/sh", "-c", f"printf {shlex.quote(SAID)}"]))
    ask.probe.begin()
    ask.until(lambda: not (ask.probe.asking or ask.probe.ending))
    assert ask.probe.sample is not None


def test_a_program_that_floods_is_ended(asked: Callable[[str], Ask]) -> None:
    ask = asked("exec yes")
    ask.until(lambda: not (ask.probe.asking or ask.probe.ending))
    assert (ask.probe.sample, ask.probe.rounds) == (None, 1)
    assert len(ask.probe._aside._said) <= MOST


def test_a_program_that_closes_its_output_and_stays_is_ended(asked: Callable[[str], Ask]) -> None:
    ask = asked("printf 'x begin\\nx loadavg\\n2.00 1 1 1/1 1\\nx end\\n'; exec >&-; sleep 500")
    ask.until(lambda: not ask.probe.asking)
    assert ask.probe.ending
    ask.now += 1
    ask.until(lambda: not (ask.probe.asking or ask.probe.ending))
    assert ask.probe.sample is not None
    assert ask.probe.sample.complete is True


def test_what_was_known_grows_old_where_the_tools_fall_silent(
    asked: Callable[[str], Ask], tmp_path: Path
) -> None:
    said = tmp_path / "said"
    said.write_text(SAID)
    ask = asked(f"cat {said}")
    ask.until(lambda: ask.probe.ended == 0.0 and not ask.probe.ending)
    known = ask.probe.plain
    said.unlink()
    ask.now = 7.0
    ask.probe.begin()
    ask.until(lambda: ask.probe.tried == 7.0)
    assert (ask.probe.plain, ask.probe.ended) == (known, 0.0)


def test_the_program_gets_the_script_with_the_mark_put_in(
    asked: Callable[[str], Ask], tmp_path: Path
) -> None:
    script = tmp_path / "script"
    ask = asked(f"cat > {script}")
    ask.until(lambda: not (ask.probe.asking or ask.probe.ending))
    assert script.read_text().startswith("# Prints how this machine is")
    assert "@NONCE@" not in script.read_text()
