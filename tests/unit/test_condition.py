"""How a host is and what may run on it, asked of a real supervisor on this machine."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.policy import HostPolicy, Limits, render
from jupyter_macgpu.wire.telemetry import from_json
from tests.unit.caller import PATIENCE, Caller

SAMPLES = Path(__file__).parents[1] / "macsamples"
GPU = (SAMPLES / "ioreg-accel__m1max-64gb.txt").read_text(encoding="utf-8")
RECORDED = f"""\
x begin
x loadavg
2.00 1.50 1.00 1/100 4242
x cpuinfo
online: 8
x ioreg-accel
{GPU}
x end
"""
#: Runs until a file is there.
UNTIL = "import os, time\nwhile not os.path.exists({path!r}):\n    time.sleep(0.02)\n"


def wait_for(happened: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("MACGPU_HOST_POLICY", str(folder / "host.yaml"))
    return folder / "host.yaml"


def lay_down(path: Path, content: bytes) -> None:
    fresh = path.with_name("fresh")
    fresh.write_bytes(content)
    fresh.chmod(0o644)
    fresh.replace(path)


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the supervisor's probe say what was recorded, once ``gate`` is there."""
    output, gate = tmp_path / "recorded", tmp_path / "gate"
    output.write_text(RECORDED)
    script = f"while [ ! -e {gate} ]; do sleep 0.05; done; cat {output}"
    monkeypatch.setenv("MACGPU_PROBE", shlex.join(["/bin/sh", "-c", script]))


@pytest.fixture
def caller(state: Path, policy: Path, recorded: None) -> Iterator[Caller]:
    with Caller() as caller:
        yield caller


# What a client is told.


def test_a_watch_is_answered_at_once_and_again_when_the_tools_have_said_more(
    tmp_path: Path, caller: Caller
) -> None:
    assert caller.hello.detail["telemetry"]["age"] is None
    caller.say(m.Watch())
    first = caller.listen(m.Telemetry).sample
    assert (first["age"], first["telemetry"], first["probing"]) == (None, {}, True)
    (tmp_path / "gate").touch()
    second = caller.listen(m.Telemetry).sample
    assert (second["probing"], 0 <= second["age"] < PATIENCE) == (False, True)
    telemetry = from_json(second["telemetry"])
    assert (telemetry.machine.cpus, telemetry.complete) == (8, True)
    assert telemetry.gpu is not None
    assert second["gpu_taken"] == telemetry.gpu.utilization
    assert second["cpu_taken"] == 0.25
    assert second["devices"] == caller.hello.detail["devices"]
    assert (second["draining"], second["paused"], second["asked"]) == (False, False, 0)
    lane = {"slots": 1, "running": 0, "queued": 0, "wait": 0.0}
    assert second["lanes"]["gpu"] == lane
    # What is known goes to whoever comes next, without a question.
    with Caller() as another:
        known = another.hello.detail["telemetry"]
        assert known["telemetry"] == second["telemetry"]


def test_who_watches_is_told_until_he_stops(caller: Caller, tmp_path: Path) -> None:
    caller.say(m.Watch(every=1))
    assert caller.listen(m.Telemetry).sample["age"] is None
    (tmp_path / "gate").touch()
    while (first := caller.listen(m.Telemetry).sample["age"]) is None:
        pass
    assert caller.listen(m.Telemetry).sample["age"] > first
    caller.say(m.Watch())
    while caller.heard(m.Telemetry, 2.5) is not None:
        pass
    assert sample_of(caller)["age"] > 2.5


@pytest.mark.parametrize("command", ["/nowhere/probe", "/bin/true", "'unbalanced"])
def test_tools_that_say_nothing_leave_all_unknown(
    command: str, state: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACGPU_PROBE", command)
    with Caller() as caller:
        caller.say(m.Watch())
        samples = [caller.listen(m.Telemetry).sample]
        if samples[0]["probing"]:
            samples.append(caller.listen(m.Telemetry).sample)
        last = samples[-1]
        assert (last["age"], last["telemetry"], last["probing"]) == (None, {}, False)
        assert (last["gpu_taken"], last["cpu_taken"]) == (None, None)


def test_the_real_probe_runs_beside_the_loop(
    state: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MACGPU_PROBE", raising=False)
    with Caller() as caller:
        caller.say(m.Watch())
        caller.say(m.Ping(number=7))
        caller.listen(m.Telemetry)
        assert caller.listen(m.Pong).number == 7
        telemetry = from_json(caller.listen(m.Telemetry).sample["telemetry"])
        assert telemetry.complete is True
        assert telemetry.machine.cpus == os.cpu_count()
        assert telemetry.memory.total_bytes


def test_while_a_cell_runs_nobody_can_tell_what_others_take(caller: Caller, tmp_path: Path) -> None:
    gate = tmp_path / "end"
    caller.submit(UNTIL.format(path=str(gate)), mem=7)
    caller.reaches("started")
    (tmp_path / "gate").touch()
    caller.say(m.Watch(every=1))
    while (sample := caller.listen(m.Telemetry).sample)["age"] is None:
        pass
    assert (sample["gpu_taken"], sample["cpu_taken"], sample["asked"]) == (None, None, 7)
    lane = {"slots": 1, "running": 1, "queued": 0, "wait": None}
    assert sample["lanes"]["gpu"] == lane
    gate.touch()
    assert caller.listen(m.End).state == "ok"


# What may run.


def test_a_drained_host_keeps_what_waits_and_says_why(caller: Caller, policy: Path) -> None:
    lay_down(policy, render(HostPolicy(limits=Limits(drain=True))))
    wait_for(lambda: sample_of(caller)["draining"])
    caller.submit("1")
    told = caller.reaches("queued")
    assert "drained by its administrator" in told.detail["reason"]
    policy.unlink()
    assert caller.listen(m.End).state == "ok"


def test_a_policy_that_cannot_be_read_closes_the_host(
    state: Path, policy: Path, recorded: None
) -> None:
    lay_down(policy, b"drain: false\n")
    with Caller() as caller:
        known = caller.hello.detail["telemetry"]
        assert (known["draining"], "it is not JSON" in known["reason"]) == (True, True)
        caller.submit("1")
        assert "it is not JSON" in caller.reaches("queued").detail["reason"]
        lay_down(policy, render(HostPolicy(slots=3)))
        assert caller.listen(m.End).state == "ok"
        assert sample_of(caller)["lanes"]["gpu"]["slots"] == 3
        assert sample_of(caller)["policy"] == {"slots": 3}


def test_a_run_lasts_no_longer_than_the_policy_lets_it(
    state: Path, policy: Path, recorded: None
) -> None:
    lay_down(policy, render(HostPolicy(limits=Limits(max_time=0.5))))
    with Caller() as caller:
        caller.submit("import time\nwhile True: time.sleep(0.01)", timeout=1000)
        end = caller.listen(m.End)
        assert end.state == "cancelled"
        assert "lets a run last 0.5 s" in end.summary["limit"]


def test_what_its_manager_did_not_give_out_is_refused(
    state: Path, policy: Path, recorded: None
) -> None:
    lay_down(policy, render(HostPolicy(limits=Limits(managed_by="slurm"))))
    with Caller() as caller:
        run = caller.submit("1")
        refused = caller.listen(m.Refused)
        assert (refused.subject, refused.reason) == (run, "managed")
        caller.submit("1", engine="slurm")
        assert caller.listen(m.End).state == "ok"


def test_the_owners_pause_outlives_the_supervisor(caller: Caller) -> None:
    answer = caller.operate("pause", seconds=3600)
    assert (answer.error, answer.detail["paused"]) == ("", True)
    assert 3500 < answer.detail["left"] <= 3600
    caller.submit("1")
    assert "paused by its owner" in caller.reaches("queued").detail["reason"]
    os.kill(caller.supervisor, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(caller.supervisor))
    with Caller() as after:
        assert after.hello.detail["telemetry"]["paused"] is True
        assert sample_of(after)["lanes"]["gpu"]["queued"] == 1
        assert after.operate("resume").detail == {"paused": False, "left": 0.0}
        wait_for(lambda: sample_of(after)["lanes"]["gpu"]["queued"] == 0)


def test_a_pause_of_no_length_is_refused(caller: Caller) -> None:
    for seconds in (0, -1, "60", None, True, 1e12):
        refused = caller.operate("pause", seconds=seconds).error
        assert refused == "a pause lasts up to 30 days", seconds
    assert sample_of(caller)["paused"] is False


def test_a_pause_ends_by_itself(caller: Caller) -> None:
    caller.operate("pause", seconds=3)
    caller.submit("1")
    assert caller.reaches("queued").detail["reason"]
    assert caller.listen(m.End).state == "ok"


def sample_of(caller: Caller) -> dict[str, Any]:
    caller.say(m.Watch())
    return caller.listen(m.Telemetry).sample


# The companion.

COMPANION = """\
#!/bin/sh
echo "$$ $*" >> {record}
while kill -0 "$4" 2>/dev/null; do sleep 0.05; done
"""


@pytest.fixture
def companions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a stand-in for ``caffeinate`` write down its id and its arguments."""
    program, record = tmp_path / "caffeinate", tmp_path / "companions"
    program.write_text(COMPANION.format(record=shlex.quote(str(record))))
    program.chmod(0o755)
    monkeypatch.setenv("MACGPU_CAFFEINATE", str(program))
    return record


def begun(record: Path) -> list[tuple[int, str]]:
    lines = record.read_text().splitlines() if record.exists() else []
    return [(int(pid), rest) for pid, _, rest in (line.partition(" ") for line in lines)]


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_companion_lives_as_long_as_the_run(
    companions: Path, caller: Caller, tmp_path: Path
) -> None:
    for number in (1, 2):
        gate = tmp_path / f"gate{number}"
        assert len(begun(companions)) == number - 1
        caller.submit(UNTIL.format(path=str(gate)))
        caller.reaches("started")
        wait_for(lambda: begun(companions)[number - 1 :])  # noqa: B023 - called at once
        pid, arguments = begun(companions)[-1]
        assert arguments == f"-i -s -w {caller.supervisor}"
        time.sleep(1.2)
        assert lives(pid)
        gate.touch()
        assert caller.listen(m.End).state == "ok"
        wait_for(lambda: not psutil.pid_exists(pid))  # noqa: B023 - called at once
    time.sleep(1.2)
    assert len(begun(companions)) == 2
    assert lives(caller.supervisor)


def test_the_companion_dies_with_the_supervisor_and_comes_with_the_next(
    companions: Path, caller: Caller, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run = caller.submit(UNTIL.format(path=str(gate)))
    caller.reaches("started")
    wait_for(lambda: begun(companions))
    pid, _ = begun(companions)[0]
    os.kill(caller.supervisor, signal.SIGKILL)
    wait_for(lambda: not lives(pid))
    with Caller() as after:
        wait_for(lambda: len(begun(companions)) == 2)
        pid, arguments = begun(companions)[1]
        assert arguments == f"-i -s -w {after.supervisor}"
        assert lives(pid)
        gate.touch()
        after.say(m.Attach(run=run))
        assert after.listen(m.End).state == "ok"
        wait_for(lambda: not lives(pid))


def test_a_companion_that_is_not_there_changes_nothing(
    state: Path, policy: Path, recorded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACGPU_CAFFEINATE", "/nowhere/caffeinate")
    with Caller() as caller:
        caller.submit("import time; time.sleep(1.2)")
        assert caller.listen(m.End).state == "ok"
