"""Two who do the same at once, and stubborn cells: one effect each, and all see the same end.

``MACGPU_RACES=1000`` sets how often a cancel races with an end, and how many submit one run.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.execution import Execution, Outcome, Submission
from jupyter_macgpu.interrupts import Interrupts
from jupyter_macgpu.link import Link
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.wire import bundle
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.errors import MacGPUError, RunRefused
from jupyter_macgpu.wire.values.capture import capture

from . import invariants, processes
from .desk import Desk, Record, Told

RACES = int(os.environ.get("MACGPU_RACES", "40"))
SEED = int(os.environ.get("MACGPU_SEED", "0")) or secrets.randbelow(10**6)
SESSION = secrets.token_hex(16)

pytestmark = pytest.mark.timeout(300 + 2 * RACES)


def submission(source: str, run: str, session: str = SESSION) -> Submission:
    description = {"source": source, "execution_count": 1, "cell_id": "c", "names": [], "free": []}
    pieces = bundle.pack([json.dumps(description).encode(), capture([], {}).stream])
    message = m.Submit(
        run=run,
        epoch=1,
        session=session,
        size=bundle.size_of(pieces),
        digest=bundle.digest_of(pieces),
    )
    return Submission(message=message, pieces=pieces)


class Viewer(threading.Thread):
    """One client of a run, which submits it or attaches to it."""

    def __init__(self, run: str, given: Submission | None = None) -> None:
        super().__init__(daemon=True)
        self.record, self.interrupts = Record(), Interrupts()
        self.outcome: Outcome | None = None
        self.error: MacGPUError | None = None
        self._link = Link(LocalTransport(), secrets.token_hex(4), "races.ipynb")
        self._execution = Execution(self._link, run, self.record, self.interrupts, given)

    def run(self) -> None:
        try:
            self.outcome = self._execution.drive()
        except MacGPUError as error:
            self.error = error
        finally:
            self._link.close()

    @property
    def state(self) -> str:
        assert self.outcome is not None, self.error
        return self.outcome.end.state


@pytest.fixture
def desk(state: Path) -> Iterator[Desk]:
    desk = Desk()
    desk.run("import time")
    yield desk
    desk.close()


def until(so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60.0
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_f49_one_run_submitted_by_many_at_once_happens_once(desk: Desk, tmp_path: Path) -> None:
    side, run = tmp_path / "side", secrets.token_hex(16)
    cell = f"with open({str(side)!r}, 'a') as file: file.write('x')\nprint('shown')"
    given = submission(cell, run)
    viewers = [Viewer(run, given) for _ in range(min(RACES // 2, 100))]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join(60.0)
    assert {viewer.state for viewer in viewers} == {"ok"}
    assert {viewer.record.stream("stdout")[0] for viewer in viewers} == {b"shown\n"}
    assert side.read_text() == "x"


def test_f50_one_id_for_two_cells_is_refused(desk: Desk, tmp_path: Path) -> None:
    run, side = secrets.token_hex(16), tmp_path / "side"
    first = Viewer(run, submission("1", run))
    first.start()
    first.join(60.0)
    second = Viewer(run, submission(f"open({str(side)!r}, 'w')", run))
    second.start()
    second.join(60.0)
    assert first.state == "ok"
    assert isinstance(second.error, RunRefused)
    assert "used before" in str(second.error)
    invariants.said_in_four_parts(second.error)
    assert not side.exists()


def test_f46_the_newest_who_attached_drives_and_the_older_one_is_told(desk: Desk) -> None:
    run = secrets.token_hex(16)
    cell = "import time\nprint('begun')\ntime.sleep(60)"
    older = Viewer(run, submission(cell, run))
    older.start()
    until(lambda: older.record.outputs)
    newer = Viewer(run)
    newer.start()
    until(lambda: any("another notebook" in notice for notice in older.record.notices))
    older.interrupts.count()
    until(lambda: any("was refused" in notice for notice in older.record.notices))
    assert older.is_alive()
    assert newer.is_alive()
    for viewer in (older, newer):
        viewer.interrupts.count()
    for viewer in (older, newer):
        viewer.join(60.0)
    assert older.state == newer.state == "cancelled"
    shown = newer.record.stream("stdout")[0]
    assert shown.startswith(b"begun\n")
    assert older.record.stream("stdout")[0] == shown


def test_f47_a_cancel_that_races_with_the_end_leaves_one_end(desk: Desk) -> None:
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    ends = []
    for _ in range(RACES):
        pause = chance.uniform(0.02, 0.06)
        told: list[Told] = []
        thread = threading.Thread(
            target=lambda told=told, pause=pause: told.append(desk.run(f"time.sleep({pause})"))
        )
        thread.start()
        until(lambda: "started" in desk.record.states or not desk.busy)
        time.sleep(pause + chance.uniform(-0.01, 0.01))
        desk.interrupts.count()
        thread.join(60.0)
        again = Record()
        assert desk.attach(told[0].run, again).state == told[0].state
        invariants.ended_once(told[0], desk.rows()[told[0].run])
        ends.append(told[0].state)
    assert set(ends) <= {"ok", "cancelled"}
    assert desk.run("1").state == "ok"


# Cells that do not obey.


def test_f26_a_loop_in_c_that_ignores_an_interrupt_is_killed_by_the_second(
    desk: Desk, state: Path
) -> None:
    """It holds Python's lock as well (F28): the supervisor answers all the while."""
    (worker,) = processes.found(state, "worker")
    told: list[Told] = []
    # One call of C that takes for ever, with the lock held, and never looks for signals.
    cell = "print('so far')\nsum(range(10**14))"
    thread = threading.Thread(target=lambda: told.append(desk.run(cell)))
    thread.start()
    until(lambda: desk.record.outputs)
    watch = invariants.Watch()
    desk.interrupts.count()
    for _ in range(10):
        watch.ping()
        time.sleep(0.05)
    assert thread.is_alive()
    assert watch.slowest < invariants.DEAF
    watch.close()
    desk.interrupts.count()
    thread.join(60.0)
    assert told[0].state == "cancelled"
    assert told[0].record.stream("stdout")[0] == b"so far\n"
    worker.process.wait(60.0)
    assert desk.run("1").state == "ok"
    invariants.nothing_left(state, desk)


@pytest.mark.parametrize("stopped", ["SIGTERM ignored", "stopped"])
def test_a_worker_that_does_not_end_is_killed_with_its_group(
    desk: Desk, state: Path, stopped: str
) -> None:
    cell = (
        "import signal, subprocess\nfor number in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sh', '-c', 'trap \"\" INT TERM; sleep 361; true'])\n"
        "print('so far')\ntime.sleep(100)"
    )
    told: list[Told] = []
    thread = threading.Thread(target=lambda: told.append(desk.run(f"import time\n{cell}")))
    thread.start()
    until(lambda: desk.record.outputs)
    (worker,) = processes.found(state, "worker")
    if stopped == "stopped":
        os.kill(worker.pid, signal.SIGSTOP)
    desk.interrupts.count()
    time.sleep(0.2)
    desk.interrupts.count()
    thread.join(60.0)
    assert told[0].state == "cancelled"
    assert not processes.wait_for_none(state, {"child"}, 60.0)
    invariants.ended_once(told[0], desk.rows()[told[0].run])
    invariants.nothing_left(state, desk)
