"""A notebook waits on its busy host, and says what keeps it there and who is free."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.staying import ROUND, Staying, told
from jupyter_macgpu.swaps import Stand
from jupyter_macgpu.wire import messages as m
from tests.faults.kernels import Kernel
from tests.scripts.fleet import several

WAITING = "macgpu: waiting for a free slot, next in line"
BLOCKER = """%%macgpu --detach --on a
import os, time
while not os.path.exists({gate!r}): time.sleep(0.02)"""


@pytest.fixture
def kernel(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """Start a kernel that has two hosts; a generator, which cannot travel, lives on one."""
    monkeypatch.setenv("MACGPU_FLEET", str(several(tmp_path / "fleet.yaml", ["a", "b"])))
    with Kernel("staying.ipynb") as started:
        assert not started.run("%%macgpu --on a\nlive = (n for n in range(3))").error
        yield started


def waits(kernel: Kernel, gate: Path, cell: str, words: str) -> list[str]:
    """Run a cell while another run has the host, until its line has these words; return lines."""
    assert not kernel.run(BLOCKER.format(gate=str(gate))).error
    request, deadline = kernel.begin(cell), time.monotonic() + 60
    while not any(words in line for line in (*kernel.reply.texts, *kernel.reply.updates)):
        assert time.monotonic() < deadline, kernel.reply
        assert not kernel.listen(request, 60), kernel.reply
    gate.touch()
    while not kernel.listen(request, 60):
        pass
    assert not kernel.reply.error
    return [line for line in (*kernel.reply.texts, *kernel.reply.updates) if "waiting" in line]


def test_a_cell_that_waits_says_who_is_free_and_what_would_be_left(
    kernel: Kernel, tmp_path: Path
) -> None:
    free = "; live lives on a; b is free: --on b begins there without it"
    lines = waits(kernel, tmp_path / "first", "%%macgpu\n3", free)
    assert all(line.startswith(WAITING) for line in lines)
    assert "3" in kernel.reply.texts


def test_a_cell_that_reads_what_lives_there_is_offered_nothing(
    kernel: Kernel, tmp_path: Path
) -> None:
    lines = waits(kernel, tmp_path / "first", "%%macgpu\nnext(live)", "; live lives on a alone")
    assert not any("free:" in line for line in lines)


def test_a_cell_that_names_its_host_is_told_its_place_alone(kernel: Kernel, tmp_path: Path) -> None:
    lines = waits(kernel, tmp_path / "first", "%%macgpu --on a\n3", WAITING)
    assert not any("live" in line for line in lines)


def test_what_keeps_a_cell_is_said_in_words() -> None:
    assert told("a", []) == ""
    assert told("a", ["x", "y"]) == "x, y live on a"
    assert told("a", ["x"], is_bound=True) == "x lives on a alone"
    assert told("a", list("vwxyz"), free="b") == (
        "v, w, x and 2 more live on a; b is free: --on b begins there without them"
    )
    assert told("a", [], free="b", missing=3 * 2**20) == (
        "this notebook is on a; b is free: --on b begins there once 3 MiB are sent, "
        "without the files on a"
    )


class Shown:
    """The states that were shown."""

    def __init__(self) -> None:
        self.details: list[str] = []

    def state(self, state: m.RunState) -> None:
        self.details.append(f"{state.state} {state.detail.get('stays', '')}".strip())


def test_other_hosts_are_looked_at_now_and_then_while_it_waits_and_only_then() -> None:
    now, said, looks, shown = 0.0, "", [], Shown()

    def look(stand: Stand) -> str:
        looks.append(stand)
        return said

    staying = Staying(shown, look, lambda: now)  # type: ignore[arg-type]
    queued = m.RunState(run="0" * 32, epoch=1, state="queued", position=1, wait=40.0)
    staying.tick()
    staying.state(queued)
    staying.tick()
    said = "b is free"
    staying.tick()
    assert (looks, shown.details) == ([Stand(before=1, wait=40.0)], ["queued"])
    now = ROUND
    staying.tick()
    staying.state(queued)
    assert shown.details == ["queued", "queued b is free", "queued b is free"]
    staying.state(m.RunState(run="0" * 32, epoch=1, state="started"))
    now = 2 * ROUND
    staying.tick()
    assert len(looks) == 2
    assert shown.details[-1] == "started"
