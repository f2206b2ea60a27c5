"""A disk that is full or broken: nothing is said that is not written, and nothing is forgotten.

``MACGPU_DISK=200`` sets at how many calls the disk is full, and ``MACGPU_CRASHES=10`` how often the
supervisor is killed at each.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.runs import find_run, remove
from jupyter_macgpu.wire.errors import RunRefused, RunUnknown

from . import invariants, processes
from .cells import Flood
from .desk import Desk, Told, token
from .injection import fill, injected, small_disk, usable

#: Calls at each of which the disk is full once: half of them for the journal, half for the log.
CALLS = int(os.environ.get("MACGPU_DISK", "40"))
#: How often the supervisor is killed at each of the calls by which it writes.
CRASHES = int(os.environ.get("MACGPU_CRASHES", "1"))
MIB = 2**20
traced = pytest.mark.skipif(bool(usable()), reason=usable())


@pytest.fixture
def desk(state: Path) -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def supervisor(state: Path) -> psutil.Process:
    (found,) = processes.found(state, "supervisor")
    return found.process


def well(cell: Flood, told: Told, desk: Desk) -> None:
    assert told.state == "ok", told.error
    invariants.never_twice(cell, told)
    invariants.nothing_lost(cell, told.record, whole=True)
    invariants.ended_once(told, desk.rows()[told.run])


@pytest.mark.timeout(300 + 4 * CALLS)
@traced
@pytest.mark.parametrize("call", ["pwrite64", "write"])
def test_full_at_one_call(desk: Desk, state: Path, tmp_path: Path, call: str) -> None:
    """The journal is written by ``pwrite``, the log by ``write``; so are interrupts and folders."""
    desk.run("pass")
    pid, ends = supervisor(state).pid, []
    for number in range(1, CALLS // 2 + 1):
        cell = Flood(token=token(), side=tmp_path / "executions", lines=900, every=30, pause=0)
        with injected(pid, call, f"error=ENOSPC:when={number}"):
            told = desk.run(cell.source)
        ends.append(told.state)
        if told.state == "unsent":
            assert isinstance(told.error, RunRefused)
            invariants.said_in_four_parts(told.error)
            invariants.never_twice(cell, told)
            assert told.run not in desk.rows()
        else:
            well(cell, told, desk)
    assert ends[0] == "unsent", "the first record of all was not written"
    assert "ok" in ends
    assert supervisor(state).pid == pid
    invariants.nothing_left(state, desk)


@pytest.mark.timeout(600 * CRASHES)
@traced
@pytest.mark.parametrize("call", ["pwrite64", "write", "rename", "writev"])
def test_killed_at_each_call(desk: Desk, state: Path, tmp_path: Path, call: str) -> None:
    """The supervisor dies before and behind each step that it writes down or says."""
    desk.run("import numpy")
    number, untouched = 0, 0
    while untouched < CRASHES:
        number += 1
        cell = Flood(token=token(), side=tmp_path / "executions", lines=40, every=20, pause=0)
        killed = supervisor(state)
        with injected(killed.pid, call, f"signal=KILL:when={number // CRASHES + 1}"):
            told = desk.run(cell.source + "big = numpy.ones(300_000, dtype='u1')\n")
        invariants.never_twice(cell, told)
        assert told.state in ("ok", "lost"), told.error
        if told.state == "ok":
            invariants.nothing_lost(cell, told.record, whole=True)
        else:
            assert told.error is None or invariants.said_in_four_parts(told.error) is None
        invariants.ended_once(told, desk.rows()[told.run])
        # A run that makes no such call any more has seen all of them.
        untouched += killed.is_running() and killed.status() != psutil.STATUS_ZOMBIE
        assert number < 80 * CRASHES
    assert number > CRASHES, f"{call} is never made"
    invariants.nothing_left(state, desk)


@traced
@pytest.mark.parametrize("which", ["1+", "2+", "3+"])
def test_a_disk_that_fails_to_keep_refuses_what_would_rely_on_it(
    desk: Desk, state: Path, tmp_path: Path, which: str
) -> None:
    """A queued run is on the disk before it counts as accepted: journal, folder, and log."""
    first = Desk(notebook="first.ipynb")
    running = threading.Thread(target=first.run, args=("import time\ntime.sleep(60)",))
    running.start()
    while "started" not in first.record.states:
        time.sleep(0.01)
    cell = Flood(token=token(), side=tmp_path / "executions", lines=10)
    with injected(supervisor(state).pid, "fsync", f"error=EIO:when={which}"):
        told = desk.run(cell.source)
    assert isinstance(told.error, RunRefused), told
    assert "Input/output error" in str(told.error)
    invariants.said_in_four_parts(told.error)
    assert told.run not in desk.rows()
    first.interrupts.count()
    running.join()
    first.close()
    assert cell.executions() == 0
    told = desk.run(cell.source)
    well(cell, told, desk)
    invariants.nothing_left(state, desk)


# A real disk that is small.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The test's state is on a disk of 24 MiB."""
    folder = tmp_path / "state"
    folder.mkdir(exist_ok=True)
    with small_disk(folder, 24 * MIB):
        yield folder
        processes.end_all(folder)


@pytest.fixture
def cramped(disk: Path, state: Path) -> Iterator[Desk]:
    desk = Desk()
    desk.run("import time")
    yield desk
    (disk / "ballast").unlink(missing_ok=True)
    desk.close()


def trouble(desk: Desk) -> list[str]:
    return [notice for notice in desk.record.notices if "the disk of" in notice]


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


def test_output_waits_for_a_full_disk_and_is_all_there(
    cramped: Desk, disk: Path, tmp_path: Path
) -> None:
    before = cramped.run("print('kept')")
    whole = (next(disk.rglob(f"{before.run}.journal"))).read_bytes()
    cell = Flood(token=token(), side=tmp_path / "executions", lines=90_000, every=900, pause=0.001)
    ballast = fill(disk, 5 * MIB)
    thread, told = begin(cramped, cell.source)
    until(lambda: trouble(cramped))
    assert "No space left" in trouble(cramped)[0]
    (process,) = [each.process for each in processes.found(disk, "supervisor")]
    size = process.memory_info().rss
    time.sleep(1.5)
    assert thread.is_alive()
    assert process.memory_info().rss < size + 8 * MIB, "what waits is kept in memory"
    refused = Desk(notebook="other.ipynb")
    answer = refused.run("pass")
    assert isinstance(answer.error, RunRefused)
    assert str(disk) in str(answer.error)
    assert next(disk.rglob(f"{before.run}.journal")).read_bytes() == whole
    ballast.unlink()
    thread.join(60.0)
    well(cell, told[0], cramped)
    assert "has room again" in trouble(cramped)[-1]
    assert refused.run("1").state == "ok"
    refused.close()
    invariants.nothing_left(disk, cramped)


def test_a_run_on_a_full_disk_can_be_stopped(cramped: Desk, disk: Path) -> None:
    ballast = fill(disk, 5 * MIB)
    thread, told = begin(cramped, "while True: print('x' * 1000)")
    until(lambda: trouble(cramped))
    (worker,) = processes.found(disk, "worker")
    interrupts = cramped.interrupts
    interrupts.count()
    time.sleep(0.3)
    interrupts.count()
    thread.join(60.0)
    (answer,) = told
    assert isinstance(answer.error, RunUnknown)
    invariants.said_in_four_parts(answer.error)
    worker.process.wait(60.0)
    ballast.unlink()
    until(lambda: invariants.read_journal(answer.run))
    invariants.ended_once(answer, cramped.rows()[answer.run])
    assert cramped.run("1").state == "ok"
    invariants.nothing_left(disk, cramped)


def test_what_is_full_takes_no_run_and_says_what_to_do(cramped: Desk, disk: Path) -> None:
    fill(disk, 3 * MIB)
    told = cramped.run("pass")
    assert isinstance(told.error, RunRefused)
    invariants.said_in_four_parts(told.error)
    for word in ("MB left", str(disk), "macgpu rm"):
        assert word in str(told.error)


def test_a_supervisor_that_dies_on_a_full_disk_comes_back_there(
    cramped: Desk, disk: Path, tmp_path: Path
) -> None:
    cell = Flood(token=token(), side=tmp_path / "executions", lines=90_000, every=900, pause=0.001)
    ballast = fill(disk, 5 * MIB)
    thread, told = begin(cramped, cell.source)
    until(lambda: trouble(cramped))
    (before,) = processes.found(disk, "supervisor")
    before.kill()
    until(lambda: {each.pid for each in processes.found(disk, "supervisor")} - {before.pid})
    time.sleep(1.0)
    assert thread.is_alive()
    ballast.unlink()
    thread.join(60.0)
    well(cell, told[0], cramped)
    invariants.nothing_left(disk, cramped)


def test_removing_a_run_makes_room(cramped: Desk, disk: Path) -> None:
    large = cramped.run("for _ in range(4000): print('x' * 1000)")
    fill(disk, 5 * MIB)
    thread, told = begin(cramped, "for _ in range(7000): print('y' * 1000)")
    until(lambda: trouble(cramped))
    other = Desk(notebook="other.ipynb")
    remove(find_run(other.pool, large.run))
    other.close()
    thread.join(60.0)
    assert told[0].state == "ok"
    assert trouble(cramped)[-1].endswith("the run goes on")
