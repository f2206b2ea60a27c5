"""A host whose memory runs out, as a replayed Mac says it: the largest run is stopped, and why."""

from __future__ import annotations

import shlex
import threading
import time
from pathlib import Path

import pytest

from jupyter_macgpu.verdicts import error_of
from jupyter_macgpu.wire.errors import RunCancelled

from . import invariants, processes
from .desk import Desk, Told

SAID = """\
x begin
x sysctl
hw.model: Mac15,9
kern.memorystatus_vm_pressure_level: {level}
x end
"""


@pytest.fixture
def level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with what the Mac says; normal at first."""
    path = tmp_path / "said"
    path.write_text(SAID.format(level=1))
    monkeypatch.setenv("MACGPU_PROBE", shlex.join(["/bin/sh", "-c", f"cat {path}"]))
    return path


def test_the_largest_run_is_stopped_while_pressure_is_critical(
    state: Path, level: Path, tmp_path: Path
) -> None:
    small, large = Desk(notebook="small.ipynb"), Desk(notebook="large.ipynb")
    told: dict[str, Told] = {}
    end = tmp_path / "end"
    cells = {
        "small": f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.1)",
        "large": "held = b'x' * (300 << 20)\nprint('held')\nimport time\ntime.sleep(120)",
    }
    desks = {"small": small, "large": large}

    def work(name: str) -> None:
        told[name] = desks[name].run(cells[name], cpu=True)

    threads = [threading.Thread(target=work, args=(name,)) for name in cells]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60.0
    while not large.record.outputs or "started" not in small.record.states:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    level.write_text(SAID.format(level=4))
    threads[1].join(60.0)
    level.write_text(SAID.format(level=1))
    assert threads[0].is_alive(), "the other run goes on"
    end.touch()
    threads[0].join(60.0)
    assert told["small"].state == "ok"
    assert told["large"].state == "cancelled"
    assert told["large"].result is not None
    error = error_of(told["large"].result, None)
    assert isinstance(error, RunCancelled)
    invariants.said_in_four_parts(error)
    assert "memory pressure was critical" in str(error)
    peak = told["large"].result.summary["peak"]
    assert 300 << 20 < peak < 900 << 20
    assert "held" not in large.namespace
    invariants.ended_once(told["large"], large.rows()[told["large"].run])
    small.close()
    assert not processes.wait_for_none(state, {"child"}, 60.0)
    invariants.nothing_left(state, large)
