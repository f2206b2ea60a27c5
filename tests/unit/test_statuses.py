"""What kernels keep of what hosts said: shared, aged, and of no harm if it is broken."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.fleet.status import Heard, host_status
from jupyter_macgpu.scheduling.status import State
from jupyter_macgpu.scheduling.weights import STALE_AFTER
from jupyter_macgpu.statuses import LONGEST, Statuses, key_of, sample_of, tells, verdict_on
from jupyter_macgpu.transport.dial import Crowded, Hanging, HungUp, ShutOut, Unanswered
from jupyter_macgpu.wire.errors import ConfigError, MacGPUError, TransportError
from jupyter_macgpu.wire.telemetry import from_json

HOST = Host(name="studio", hostname="studio.local")
SAMPLE: dict[str, Any] = {
    "age": 1.0,
    "telemetry": {"memory": {"total_bytes": 2**36}, "machine": {"chip": "M2 Ultra"}},
    "lanes": {"gpu": {"slots": 1, "running": 1, "queued": 2}},
    "paused": True,
}


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def kernel(tmp_path: Path, clock: Clock) -> Statuses:
    return Statuses(tmp_path / "statuses", clock)


def test_what_one_kernel_hears_another_one_knows_with_its_age(tmp_path: Path, clock: Clock) -> None:
    kernel(tmp_path, clock).told(HOST, SAMPLE, ago=2)
    clock.time += 10
    other = kernel(tmp_path, clock)
    assert other.known(HOST).tried is None
    other.look([HOST])
    known = other.known(HOST)
    assert known.age(clock.time) == pytest.approx(12)
    assert known.heard.sampled == pytest.approx(997)
    status = other.status(HOST)
    assert status.memory.total == 2**36
    assert status.labels["chip"] == "m2-ultra"
    assert status.gpu.running == 1
    assert status.is_paused


def test_what_was_handed_in_counts_until_the_host_is_heard_of_again(
    tmp_path: Path, clock: Clock
) -> None:
    statuses = kernel(tmp_path, clock)
    statuses.told(HOST, SAMPLE)
    assert statuses.status(HOST).sent_since == 0
    version = statuses.version
    statuses.sent(HOST)
    statuses.sent(HOST)
    assert statuses.status(HOST).sent_since == 2
    assert statuses.version > version
    statuses.told(HOST, SAMPLE)
    assert statuses.status(HOST).sent_since == 0


def test_the_newer_news_counts(tmp_path: Path, clock: Clock) -> None:
    one, two = kernel(tmp_path, clock), kernel(tmp_path, clock)
    one.told(HOST, SAMPLE)
    clock.time += 5
    two.failed(HOST, TransportError("no route."))
    one.look([HOST])
    assert one.known(HOST).heard.state is State.UNREACHABLE
    # What was learnt before is kept: it will be the same machine when it comes back.
    clock.time += 5
    one.answered(HOST)
    two.look([HOST])
    assert two.known(HOST).heard.state is State.READY
    two.told(HOST, {}, ago=60)
    assert two.known(HOST).tried == clock.time
    assert two.status(HOST).memory.total == 2**36


def test_what_passes_is_not_believed_for_long(tmp_path: Path, clock: Clock) -> None:
    statuses = kernel(tmp_path, clock)
    statuses.told(HOST, SAMPLE)
    assert statuses.status(HOST).gpu.queued == 2
    clock.time += STALE_AFTER + 1
    old = statuses.status(HOST)
    assert old.gpu.queued is None
    assert old.is_paused is None
    assert old.memory.total == 2**36
    assert old.seen == 1000


def test_a_machine_under_the_same_name_is_another_machine(tmp_path: Path, clock: Clock) -> None:
    kernel(tmp_path, clock).told(HOST, SAMPLE)
    other = kernel(tmp_path, clock)
    moved = Host(name="studio", hostname="elsewhere.local")
    labelled = Host(name="studio", hostname="studio.local", labels={"room": "lab"})
    other.look([moved, labelled])
    assert other.known(moved).tried is None
    assert other.status(labelled).labels["room"] == "lab"
    assert other.status(labelled).labels["chip"] == "m2-ultra"


GARBAGE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"written": "now", "heard": {}}',
    b'{"written": true, "heard": {}}',
    b'{"written": 5, "heard": 7, "tried_age": "x"}',
    b'{"written": 5, "tried_age": 1, "heard": {"telemetry": [], "said": 3, "state": {}}}',
    b'{"written": 5, "tried_age": 1, "heard": {"said": {"lanes": 1, "policy": []}}}',
    b"[" * 200_000,
    b" " * (LONGEST + 1),
]


@pytest.mark.parametrize("content", GARBAGE, ids=lambda content: repr(content[:40]))
def test_a_file_that_is_broken_is_as_none(tmp_path: Path, clock: Clock, content: bytes) -> None:
    statuses = kernel(tmp_path, clock)
    statuses.folder.mkdir()
    (statuses.folder / f"{key_of(HOST)}.json").write_bytes(content)
    statuses.look([HOST])
    status = statuses.status(HOST)
    assert status.gpu.running is None
    assert status.memory.total is None
    statuses.told(HOST, SAMPLE)
    other = kernel(tmp_path, clock)
    other.look([HOST])
    assert other.status(HOST).memory.total == 2**36


def test_no_time_to_come_is_believed(tmp_path: Path, clock: Clock) -> None:
    kernel(tmp_path, clock).told(HOST, SAMPLE)
    clock.time -= 500
    other = kernel(tmp_path, clock)
    other.look([HOST])
    assert other.known(HOST).tried == pytest.approx(clock.time)


def test_the_files_are_for_the_account_alone_and_whole(tmp_path: Path, clock: Clock) -> None:
    statuses = kernel(tmp_path, clock)
    statuses.told(HOST, SAMPLE)
    (file,) = statuses.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert statuses.folder.stat().st_mode & 0o777 == 0o700
    assert json.loads(file.read_text())["host"] == "studio"
    statuses.told(HOST, {**SAMPLE, "devices": ["x" * LONGEST]})
    assert [each.name for each in statuses.folder.iterdir()] == [file.name]
    assert file.stat().st_size < LONGEST


def test_a_folder_that_cannot_be_written_keeps_nothing_from_working(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "statuses").write_text("a file is in the way")
    statuses = kernel(tmp_path, clock)
    statuses.told(HOST, SAMPLE)
    statuses.look([HOST])
    assert statuses.status(HOST).memory.total == 2**36


def test_a_host_that_is_slow_is_not_dead(tmp_path: Path, clock: Clock) -> None:
    statuses = kernel(tmp_path, clock)
    statuses.slow(HOST, 15)
    status = statuses.status(HOST)
    assert status.state is State.SLOW
    assert status.state_reason == "no answer for 15 s"
    assert not statuses.folder.exists()
    statuses.told(HOST, SAMPLE)
    assert statuses.status(HOST).state is State.READY


SLEEPER = Heard(telemetry=from_json({"power": {"sleep_after_seconds": 600.0}}))
VERDICTS = {
    "asleep": (Unanswered("studio: x port 22 has not answered within 10 s."), SLEEPER),
    "unreachable": (Unanswered("studio: x port 22 has not answered within 10 s."), Heard()),
    "unreachable, refused": (TransportError("studio: Connection refused."), SLEEPER),
    "slow": (Hanging("studio: x port 22 has said nothing for 15 s."), SLEEPER),
    "unreachable, hung up": (HungUp("studio: x port 22 takes connections."), SLEEPER),
    "slow, crowded": (Crowded("studio: x port 22 hung up."), SLEEPER),
    "refused": (ShutOut("studio shuts this address out."), SLEEPER),
    "unusable": (ConfigError("Packages are missing."), Heard()),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_each_error_on_the_way_says_what_it_means(name: str) -> None:
    error, before = VERDICTS[name]
    assert isinstance(error, MacGPUError)
    state, reason = verdict_on(error, before)
    assert state == name.partition(",")[0]
    assert reason


def hello(**detail: Any) -> Any:
    return SimpleNamespace(detail=detail)


def test_an_older_supervisor_tells_of_its_slots_and_runs() -> None:
    old = hello(slots={"gpu": 2, "cpu": 4}, live=3, devices=["mps", "cpu"])
    assert not tells(old)
    sample = sample_of(old)
    assert sample["lanes"]["gpu"] == {"slots": 2, "running": 2, "queued": 1}
    assert sample["devices"] == ["mps", "cpu"]
    new = hello(slots={"gpu": 2}, live=3, telemetry=SAMPLE)
    assert tells(new)
    assert sample_of(new)["lanes"] == SAMPLE["lanes"]
    assert sample_of(hello(slots="x", live=None)) == {}
    assert not tells(None)


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e300, float("nan"), True, "7", None, []])
def test_what_is_no_sensible_number_is_unknown(number: object) -> None:
    said = {"age": number, "lanes": {"gpu": {"wait": number, "queued": number}}}
    heard = Heard().told(SAMPLE | said, 1000.0)
    assert heard.sampled is None
    status = host_status(HOST, heard)
    assert (status.gpu.wait, status.gpu.queued) == (None, None)
