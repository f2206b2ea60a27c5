"""Output without measure: bounded memory on all sides, a visible cut, and readers that stop.

``MACGPU_OUTPUT=200`` sets how many MB one line has.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.transport.local import LocalTransport

from . import invariants, processes
from .cells import Flood
from .desk import Desk, Record, token
from .relay import DOWN, Relay

SIZE = int(os.environ.get("MACGPU_OUTPUT", "40")) * 10**6
MIB = 2**20
QUOTA = 8 * MIB
#: What may be under way in a process that only passes output on, in bytes.
ROOM = 24 * MIB


@pytest.fixture
def desk(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("MACGPU_OUTPUT_QUOTA", str(QUOTA))
    desk = Desk()
    desk.run("import os, time\npass")
    yield desk
    desk.close()


class Sizes(threading.Thread):
    """Watches how large processes get."""

    def __init__(self, *watched: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.grown = dict.fromkeys(watched, 0)
        self._first = {process: process.memory_info().rss for process in watched}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            for process, first in self._first.items():
                grown = process.memory_info().rss - first
                self.grown[process] = max(self.grown[process], grown)

    def stop(self) -> dict[psutil.Process, int]:
        self._over.set()
        self.join()
        return self.grown


CELLS = {
    # Beside what it passes on, the worker has the line itself, as text and as bytes.
    "one line": (f"print('a' * {SIZE - 11} + 'the-end-z')", 4 * SIZE),
    "many lines": (
        f"for number in range({SIZE // 40}):\n    print(f'{{number:039d}}')\nprint('the-end-z')",
        0,
    ),
    "bytes from C": (
        "data = bytes(range(256)) * 4096\n"
        f"for _ in range({SIZE} // len(data)):\n    os.write(1, data)\n"
        "os.write(1, b'the-end-z\\n')\ndel data",
        2 * MIB,
    ),
}


@pytest.mark.parametrize(("cell", "more"), CELLS.values(), ids=CELLS)
def test_f31_output_past_the_quota_is_cut_and_its_end_shown(
    desk: Desk, state: Path, cell: str, more: int
) -> None:
    (supervisor,), (worker,) = (
        [each.process for each in processes.found(state, role)] for role in ("supervisor", "worker")
    )
    sizes = Sizes(supervisor, worker)
    sizes.start()
    told = desk.run(cell)
    grown = sizes.stop()
    assert told.state == "ok", told.error
    assert grown[supervisor] < ROOM
    assert grown[worker] < ROOM + more
    notices = [o.content["text"] for o in told.record.outputs if o.what == "notice"]
    assert "8 MiB" in notices[0]
    found = re.search(r"([\d,]+) bytes of output are left out .* last ([\d,]+) follow", notices[1])
    assert found is not None
    left_out, kept = (int(number.replace(",", "")) for number in found.groups())
    (shown,) = told.record.stream("stdout")
    assert len(shown) + left_out == len(whole(cell))
    assert shown == whole(cell)[: len(shown) - kept] + whole(cell)[-kept:]
    assert shown.rstrip().endswith(b"the-end-z")
    again = Record()
    desk.attach(told.run, again)
    assert again.stream("stdout") == [shown]
    invariants.ended_once(told, desk.rows()[told.run])
    assert desk.run("1").state == "ok"


def whole(cell: str) -> bytes:
    """Return all that a cell writes."""
    if cell == CELLS["one line"][0]:
        return b"a" * (SIZE - 11) + b"the-end-z\n"
    if cell == CELLS["many lines"][0]:
        return b"".join(b"%039d\n" % number for number in range(SIZE // 40)) + b"the-end-z\n"
    data = bytes(range(256)) * 4096
    return data * (SIZE // len(data)) + b"the-end-z\n"


def test_f32_a_reader_that_stops_holds_up_nobody(state: Path, tmp_path: Path) -> None:
    """Nothing arrives for some seconds: the cell goes on, and the journal has all of it."""
    relay = Relay(LocalTransport())
    desk = Desk(transport=relay)
    desk.run("pass")
    (supervisor,) = [each.process for each in processes.found(state, "supervisor")]
    cell = Flood(token=token(), side=tmp_path / "executions", lines=60_000, every=600, pause=0.002)
    done = tmp_path / "done"
    thread = threading.Thread(
        target=desk.run, args=(f"{cell.source}\nopen({str(done)!r}, 'w').close()\n",)
    )
    sizes = Sizes(supervisor)
    sizes.start()
    thread.start()
    while len(desk.record.outputs) < 5:
        time.sleep(0.01)
    relay.toxics.silent = DOWN
    deadline = time.monotonic() + 100.0
    while not done.exists():
        assert time.monotonic() < deadline, "the cell waits for its reader"
        time.sleep(0.05)
    assert thread.is_alive()
    relay.toxics.silent = ""
    thread.join(60.0)
    assert sizes.stop()[supervisor] < ROOM
    invariants.nothing_lost(cell, desk.record, whole=True)
    assert cell.executions() == 1
    invariants.nothing_left(state, desk)
