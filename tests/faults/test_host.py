"""The machine itself: it sleeps, restarts, has a wrong date, and runs out of what all need."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.transport.sockets import SocketChannel
from jupyter_macgpu.verdicts import error_of
from jupyter_macgpu.wire.errors import MacGPUError, TransportError
from tests.faults.desk import Told

from . import invariants, processes
from .cells import Flood
from .desk import WATCHDOG, Desk, token
from .injection import small_disk
from .kernels import Kernel

#: Seconds for which a laptop or a host sleeps.
ASLEEP = float(os.environ.get("MACGPU_ASLEEP", "5"))
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@pytest.fixture
def desk(state: Path) -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def supervisor(state: Path) -> psutil.Process:
    (found,) = processes.found(state, "supervisor")
    return found.process


def until(so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60.0
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def begin(desk: Desk, source: str) -> tuple[threading.Thread, list[Told]]:
    told: list[Told] = []
    thread = threading.Thread(target=lambda: told.append(desk.run(source)))
    thread.start()
    until(lambda: desk.busy)
    return thread, told


# Sleep.


def test_f33_a_laptop_that_sleeps_finds_everything_when_it_wakes(
    state: Path, tmp_path: Path
) -> None:
    """Its kernel is stopped, and the run ends meanwhile. For dead lines see F06."""
    side = tmp_path / "side"
    cell = (
        "%%macgpu\nimport time\n"
        f"open({str(side)!r}, 'a').write('x')\n"
        "for number in range(200):\n    print(number)\n    time.sleep(0.01)\nkept = number\n"
    )
    with Kernel("sleeper.ipynb") as kernel:
        kernel.run("%%macgpu\n1")
        request = kernel.begin(cell)
        while "20\n" not in kernel.reply.stdout:
            kernel.listen(request, 60.0)
        (laptop,) = [each.process for each in processes.found(state, "kernel")]
        laptop.suspend()
        time.sleep(ASLEEP)
        laptop.resume()
        while not kernel.listen(request, 60.0):
            pass
        assert kernel.reply.error == ""
        assert kernel.reply.stdout == "".join(f"{number}\n" for number in range(200))
        assert kernel.value("kept") == 199
    assert side.read_text() == "x"


def test_f34_a_host_that_sleeps_is_not_dead(
    desk: Desk, state: Path, tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.desk.WATCHDOG", WATCHDOG + ASLEEP)
    desk.run("pass")
    cell = Flood(token=token(), side=tmp_path / "executions", lines=3000, every=100, pause=0.03)
    thread, told = begin(desk, cell.source)
    until(lambda: len(desk.record.outputs) > 5)
    host = suspended(state)
    time.sleep(ASLEEP)
    assert thread.is_alive()
    for process in host:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    thread.join(60.0)
    assert told[0].state == "ok", (told[0].error, told[0].result)
    invariants.never_twice(cell, told[0])
    invariants.nothing_lost(cell, told[0].record, whole=True)
    invariants.ended_once(told[0], desk.rows()[told[0].run])
    invariants.nothing_left(state, desk)


def suspended(state: Path) -> list[psutil.Process]:
    """Stop all processes of a host, the ones that come and go as well."""
    stopped: list[psutil.Process] = []
    for each in processes.found(state):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.process.suspend()
            stopped.append(each.process)
    return stopped


# A restart: other processes, another boot.


class Unplugged(LocalTransport):
    """The way to a host that may be off."""

    off = False

    def open(self) -> SocketChannel:
        if self.off:
            raise TransportError("The host cannot be reached.")
        return super().open()


def rebooted(state: Path, tmp_path: Path) -> None:
    """Kill everything at once, and start a supervisor that sees another boot of the machine."""
    for process in suspended(state):
        process.kill()
    assert not processes.wait_for_none(state, {"supervisor", "worker", "door", "child"}, 60.0)
    other = tmp_path / "boot_id"
    other.write_text("5f0e1d2c-0000-4000-8000-000000000000\n")
    words = [sys.executable, "-m", "jupyter_macgpu.cli", "runs"]
    script = f'mount --bind "$1" {BOOT_ID} && shift && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(other), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no namespace of its own can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


def test_f35_a_restart_in_mid_run_loses_the_run_and_says_so(state: Path, tmp_path: Path) -> None:
    way = Unplugged()
    desk = Desk(transport=way)
    desk.run("pass")
    cell = Flood(token=token(), side=tmp_path / "executions", lines=9000, every=100, pause=0.05)
    waits = Desk(notebook="waits.ipynb", transport=way)
    thread, told = begin(desk, cell.source)
    until(lambda: len(desk.record.outputs) > 5)
    queued, answer = begin(waits, f"open({str(tmp_path / 'queued')!r}, 'a').write('x')")
    until(lambda: "queued" in waits.record.states)
    way.off = True
    rebooted(state, tmp_path)
    way.off = False
    thread.join(60.0)
    assert told[0].state == "lost"
    error = told[0].error
    if error is None:
        assert told[0].result is not None
        found = error_of(told[0].result, None)
        assert isinstance(found, MacGPUError)
        error = found
    invariants.said_in_four_parts(error)
    assert "restarted" in str(error)
    invariants.never_twice(cell, told[0])
    invariants.nothing_lost(cell, told[0].record, whole=False)
    invariants.ended_once(told[0], desk.rows()[told[0].run])
    # What was queued is on the disk, had not begun, and begins at this contact: once.
    queued.join(60.0)
    assert answer[0].state == "ok", answer[0].error
    assert (tmp_path / "queued").read_text() == "x"
    waits.close()
    invariants.nothing_left(state, desk)


# Disks.


def test_f38_a_state_folder_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"
    with small_disk(folder, 1 << 20):
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        monkeypatch.setenv("MACGPU_STATE", str(folder / "state"))
        told = Desk().run("pass")
        assert told.state == "unsent"
        assert isinstance(told.error, TransportError)
        invariants.said_in_four_parts(told.error)
        assert "Read-only" in str(told.error)
        assert str(folder) in str(told.error)
        roles = {"door", "supervisor", "worker", "child"}
        assert processes.wait_for_none(folder / "state", roles, 60.0) == []
        assert list(folder.iterdir()) == []


# Clocks.

#: Not `time.sleep`, which fails under faketime.
PAUSE = "__import__('select').select([], [], [], 0.1)"
SERVE = "from jupyter_macgpu.mac.serve import main; main()"


def clocked(state: Path, **how: str) -> None:
    """Start a supervisor that sees another date; what measures time stays the system's."""
    # What killed processes left there refuses their numbers to others.
    for path in Path("/dev/shm").glob("*faketime*_*"):
        if not psutil.pid_exists(int(path.name.rpartition("_")[2])):
            path.unlink(missing_ok=True)
    found = subprocess.run(
        ["faketime", "-f", "+0", "env"], capture_output=True, text=True, check=True
    ).stdout
    preload = next(line for line in found.splitlines() if line.startswith("LD_PRELOAD="))
    same = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    env = {**os.environ, "LD_PRELOAD": preload.partition("=")[2], **same, **how}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=env, cwd="/", start_new_session=True
    )
    process.returncode = 0  # it is ended with all that the test left
    until(lambda: any(path.name == "socket" for path in state.rglob("socket")))


@pytest.mark.skipif(shutil.which("faketime") is None, reason="there is no faketime")
@pytest.mark.parametrize("clock", ["+1d", "-1d", "-3650d"])
def test_f39_a_host_with_another_date_measures_as_any(
    state: Path, tmp_path: Path, clock: str
) -> None:
    """Nothing is compared between clocks: ages and times come out right all the same."""
    clocked(state, FAKETIME=clock)
    assert "faketime" in supervisor(state).environ().get("LD_PRELOAD", "")
    desk = Desk()
    told = desk.run(f"import time\nnotes.append(time.time())\n{PAUSE}\nprint('x')", timeout=100.0)
    assert told.state == "ok", told
    away = abs(desk.namespace["notes"][0] - time.time())
    assert away > 80_000, "the clock over there is not another one"
    begun = time.monotonic()
    age = desk.rows()[told.run]["age"]
    assert 0 <= age < 5 + time.monotonic() - begun
    late = desk.run(f"for _ in range(600):\n    {PAUSE}", timeout=1.0)
    assert late.state == "cancelled"
    desk.run("open('file', 'w').close()")
    assert desk.run("import os\nassert os.path.exists('file')").state == "ok"
    invariants.nothing_left(state, desk)


def test_f39_the_date_is_set_back_in_mid_run(state: Path, tmp_path: Path) -> None:
    if shutil.which("faketime") is None:
        pytest.skip("there is no faketime")
    stamp = tmp_path / "offset"
    stamp.write_text("+0")
    clocked(state, FAKETIME_TIMESTAMP_FILE=str(stamp), FAKETIME_NO_CACHE="1")
    desk = Desk()
    cell = f"for number in range(30):\n    print(number)\n    {PAUSE}"
    begun = time.monotonic()
    thread, told = begin(desk, cell)
    until(lambda: len(desk.record.outputs) > 5)
    stamp.write_text("-3h")
    time.sleep(0.5)
    stamp.write_text("+25h")
    thread.join(60.0)
    assert told[0].state == "ok", (told[0].error, told[0].result)
    assert told[0].record.stream("stdout") == [b"".join(b"%d\n" % number for number in range(30))]
    age = desk.rows()[told[0].run]["age"]
    assert 0 <= age < 1 + time.monotonic() - begun
    invariants.nothing_left(state, desk)


# Descriptors.


def test_f40_no_descriptors_are_left(state: Path, desk: Desk, tmp_path: Path) -> None:
    """With each number of free descriptors from none on: a clear answer, and no crash."""
    desk.run("pass")
    process = supervisor(state)
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    answers = []
    for free in (*range(8), 16, 40, 100, 200):
        other = Desk(notebook=f"other{free}.ipynb")
        limit = process.num_fds() + free
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, hard))
        cell = Flood(token=token(), side=tmp_path / "executions", lines=30, every=10, pause=0)
        told = other.run(cell.source, wait=15.0)
        answers.append(told.state)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        error = told.error
        if error is None and told.result is not None and told.state != "ok":
            found = error_of(told.result, None)
            assert isinstance(found, MacGPUError), found
            error = found
        if error is not None:
            invariants.said_in_four_parts(error)
        invariants.never_twice(cell, told)
        assert told.state in ("ok", "unsent", "died", "cancelled"), told
        other.close()
    assert supervisor(state).pid == process.pid, "the supervisor crashed"
    assert answers[0] != "ok"
    assert answers[-1] == "ok"
    assert desk.run("1").state == "ok"
    invariants.nothing_left(state, desk)


def test_f42_nothing_of_ours_is_in_temporary_folders(
    state: Path, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    cell = Flood(token=token(), side=tmp_path / "executions", lines=600, every=20, pause=0.02)
    thread, told = begin(desk, cell.source)
    until(lambda: len(desk.record.outputs) > 2)
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
    thread.join(60.0)
    assert told[0].state == "ok"
    invariants.nothing_lost(cell, told[0].record, whole=True)


def test_a_supervisor_that_is_told_to_end_leaves_its_runs(
    state: Path, desk: Desk, tmp_path: Path
) -> None:
    """A logout or a shutdown ends it with SIGTERM, which is a death like any other."""
    cell = Flood(token=token(), side=tmp_path / "executions", lines=1500, every=50, pause=0.03)
    thread, told = begin(desk, cell.source)
    until(lambda: len(desk.record.outputs) > 5)
    os.kill(supervisor(state).pid, signal.SIGTERM)
    thread.join(60.0)
    assert told[0].state == "ok", (told[0].error, told[0].result)
    invariants.never_twice(cell, told[0])
    invariants.nothing_lost(cell, told[0].record, whole=True)
    invariants.nothing_left(state, desk)
