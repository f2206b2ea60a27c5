"""What cells start and leave behind ends with their worker, wherever it went."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.link import Link
from jupyter_macgpu.mac import stragglers
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.wire import messages as m

from . import invariants, processes
from .desk import Desk

#: Ways in which a child gets away from its parent's process group, or its parent.
ESCAPES = {
    "a child": "subprocess.Popen(['sleep', '301'])",
    "a session of its own": "subprocess.Popen(['sleep', '301'], start_new_session=True)",
    "a daemon": (
        "subprocess.run(['sh', '-c', '(setsid sleep 301 </dev/null >/dev/null 2>&1 &)'], "
        "check=True)"
    ),
    "one that ignores": (
        "subprocess.Popen(['sh', '-c', 'trap \"\" INT TERM HUP; setsid sleep 301; true'], "
        "start_new_session=True)"
    ),
}


@pytest.fixture
def desk(state: Path) -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def sleepers(state: Path) -> list[psutil.Process]:
    """Return the processes that cells started; the cell did not wait until they were there."""
    deadline = time.monotonic() + 60.0
    while True:
        there = [each.process for each in processes.found(state, "child")]
        if found := [process for process in there if "301" in process.cmdline()]:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.02)


def orphans(link: Link) -> list[dict[str, object]]:
    link.connect()
    link.say(m.Operate(operation="look", session="", action="orphans"))
    answer = link.await_message(lambda message: isinstance(message, m.Operated))
    assert isinstance(answer, m.Operated)
    return list(answer.detail["orphans"])


@pytest.mark.parametrize("end", ["closed", "worker killed", "both killed"])
@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
def test_what_a_cell_started_outlives_the_cell_and_not_the_worker(
    desk: Desk, state: Path, escape: str, end: str
) -> None:
    told = desk.run(f"import subprocess\nchild = {escape}\ndel child")
    assert told.state == "ok"
    assert sleepers(state)
    assert orphans(desk.pool.session(desk.host).link) == []
    (worker,), (supervisor,) = (processes.found(state, role) for role in ("worker", "supervisor"))
    if end == "closed":
        desk.close()
    elif end == "both killed":
        supervisor.kill()
    if end != "closed":
        worker.kill()
    desk.close()
    desk = Desk(notebook="next.ipynb")
    desk.rows()
    assert not processes.wait_for_none(state, {"child"}, 60.0)
    assert orphans(desk.pool.session(desk.host).link) == []
    invariants.nothing_left(state, desk)


@pytest.mark.parametrize("dies", ["nobody", "the supervisor"])
def test_who_deletes_the_folder_ends_all_that_was_kept_there(
    desk: Desk, state: Path, dies: str
) -> None:
    """The run is lost, and its notebook is told so; the next cell begins anew."""
    before = threading.Thread(target=lambda: _delete(state, dies == "the supervisor"))
    before.start()
    told = desk.run(
        "import subprocess, time\n"
        "subprocess.Popen(['sleep', '301'], start_new_session=True)\ntime.sleep(1e6)"
    )
    before.join()
    assert told.state == "lost"
    assert told.error is not None
    invariants.said_in_four_parts(told.error)
    assert "the folder in which its runs are kept was deleted" in str(told.error)
    assert "restarted" not in str(told.error)
    assert not processes.wait_for_none(state, {"worker", "child"}, 60.0)
    assert desk.run("x = 1").state == "ok"
    invariants.nothing_left(state, desk)


def _delete(state: Path, supervisor_too: bool) -> None:
    sleepers(state)
    if supervisor_too:
        (supervisor,) = processes.found(state, "supervisor")
        supervisor.kill()
    shutil.rmtree(state)


def test_orphans_are_found_and_told(desk: Desk, state: Path) -> None:
    """A worker is gone and nobody was there to see it: until a supervisor comes they are said."""
    desk.run("import subprocess\nsubprocess.Popen(['sleep', '301'], start_new_session=True)\npass")
    (worker,) = processes.found(state, "worker")
    folder = Path(worker.process.environ()[stragglers.VARIABLE])
    (folder / "process").unlink()
    link = Link(LocalTransport(), "doctor", "doctor")
    found = orphans(link)
    link.close()
    told = {(row["pid"], row["session"]) for row in found}
    assert told == {(each.pid, folder.name) for each in (worker.process, *sleepers(state))}
    assert any("sleep 301" in str(row["command"]) for row in found)


def test_a_supervisor_that_a_cell_starts_is_not_taken_for_its_child(
    desk: Desk, state: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    told = desk.run(
        "import os, subprocess, sys\n"
        f"env = {{**os.environ, 'MACGPU_STATE': {str(other)!r}}}\n"
        "subprocess.run([sys.executable, '-m', 'jupyter_macgpu.cli', 'runs'], env=env, "
        "check=True, stdout=subprocess.DEVNULL)\ndel env"
    )
    try:
        assert told.state == "ok"
        desk.close()
        assert not processes.wait_for_none(state, {"worker"}, 60.0)
        assert len(processes.found(other, "supervisor")) == 1
    finally:
        processes.end_all(other)


PS = b"""\
    1 /sbin/launchd
  501 sleep 301 HOME=/Users/ana MACGPU_WORKER=/Users/ana/Library/Application Support/macgpu/M/main/\
workers/ab12 PATH=/bin
 5021 python -c x MACGPU_WORKER=/tmp/w
"""


def test_variables_are_read_from_what_macos_lists() -> None:
    listed = list(stragglers.read_ps(PS))
    folder = b"/Users/ana/Library/Application Support/macgpu/M/main/workers/ab12"
    assert listed == [
        (501, b"sleep 301 HOME=/Users/ana", [b"MACGPU_WORKER=" + folder]),
        (5021, b"python -c x", [b"MACGPU_WORKER=/tmp/w"]),
    ]


def test_this_process_is_never_a_straggler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(stragglers.VARIABLE, str(tmp_path))
    assert os.getpid() not in [each.pid for each in stragglers.found(tmp_path)]
