"""Several notebooks on several busy hosts: who waits where, who is next, what is left behind."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_macgpu import placement, swaps
from jupyter_macgpu.runs import find_run
from jupyter_macgpu.wire.errors import RunCancelled
from tests.faults import processes
from tests.faults.crowd import Notebook, hosts_in, sections
from tests.faults.desk import Desk
from tests.faults.kernels import Kernel

#: Notebooks that race for three hosts.
RACERS = int(os.environ.get("MACGPU_RACERS", "20"))

Desks = Callable[[int, int], list[Notebook]]


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    """Return a function that opens so many notebooks on so many hosts."""
    opened: list[Notebook] = []

    def open_them(count: int, width: int) -> list[Notebook]:
        hosts = hosts_in(tmp_path, width)
        opened.extend(Notebook(f"nb{number:02}", tmp_path, hosts) for number in range(count))
        return opened

    yield open_them
    for notebook in opened:
        notebook.interrupts.count()
    for notebook in opened:
        notebook.close()
    for folder in tmp_path.iterdir():
        processes.end_all(folder)


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_notebooks_that_race_for_three_hosts_are_all_served_in_order(desks: Desks) -> None:
    notebooks = desks(RACERS, 3)
    gate = notebooks[0].folder / "all are there"
    for notebook in notebooks:
        notebook.section(0.3, gate=str(gate))
        # The next one comes when this one has its place in all queues.
        assert notebook.record.waits.wait(60)
    gate.touch()
    for notebook in notebooks:
        notebook.join()
        assert notebook.error is None
        assert notebook.result is not None
        assert notebook.result.state == "ok", notebook.result.summary
    served = sections(notebooks[0].folder, notebooks[0].hosts)
    assert sorted(itertools.chain(*served.values())) == [notebook.name for notebook in notebooks]
    for name, order in served.items():
        assert order == sorted(order), f"{name} was not first come, first served"
        assert order, f"nobody was on {name}"
    # Whoever waited did so on all three.
    late = notebooks[-1].record.lines
    assert any(line.get("where", "").count(",") == 2 for line in late), late


def test_a_cell_that_waits_goes_where_it_has_become_better(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may wait on one host alone here, and another one is free before that."""
    monkeypatch.setattr(placement, "AT_ONCE", 1)
    monkeypatch.setattr(swaps, "AT_ONCE", 1)
    long, short, waits = desks(3, 2)
    long.section(600.0, on="host-1")
    assert long.record.waits.wait(60)
    until(lambda: sections(long.folder, long.hosts)["host-1"])
    short.section(600.0, on="host-2")
    until(lambda: sections(long.folder, long.hosts)["host-2"])
    waits.pool.ask(waits.hosts)
    # So that it is the second one, whatever else this machine does; the next look mends it.
    waits.pool.statuses.slow(waits.hosts[1], 1.0)
    waits.section(0.1)
    until(lambda: any(line.get("where") == "host-1" for line in waits.record.lines))
    short.interrupts.count()
    waits.join(60.0)
    assert waits.error is None
    assert waits.result is not None
    assert (waits.result.host, waits.result.state) == ("host-2", "ok")
    assert {line.get("where") for line in waits.record.lines} >= {"host-1"}, waits.record.lines
    long.interrupts.count()
    long.join()
    runs = waits.pool.runs(waits.hosts[0], "")
    assert len(runs) == 1, "what was given up left something"


def test_an_interrupt_leaves_all_queues_at_once(desks: Desks) -> None:
    first, second, third, fourth = desks(4, 2)
    for notebook in (first, second):
        notebook.section(600.0)
        assert notebook.record.waits.wait(60)
    third.section()
    until(lambda: third.record.lines and "," in third.record.lines[-1]["where"])
    third.interrupts.count()
    third.join(60.0)
    assert isinstance(third.error, RunCancelled)
    assert "interrupted" in str(third.error)
    assert "nothing was sent" in str(third.error)
    fourth.section()
    until(lambda: fourth.record.lines and "," in fourth.record.lines[-1]["where"])
    assert fourth.record.lines[-1]["position"] == 0
    first.interrupts.count()
    fourth.join()
    assert fourth.host == first.host


def test_a_wait_that_is_too_long_ends_with_nothing_sent(desks: Desks) -> None:
    first, second, third = desks(3, 2)
    for notebook in (first, second):
        notebook.section(600.0)
        assert notebook.record.waits.wait(60)
    third.section(wait=1.0)
    third.join(60.0)
    assert isinstance(third.error, RunCancelled)
    assert "waited longer than 1 s" in str(third.error)


def test_a_notebook_stays_where_its_state_is_however_long_the_queue_there(desks: Desks) -> None:
    first, second, _ = desks(3, 2)
    first.begin("kept = object()")
    first.join()
    home = first.host
    second.section(2.0, on=home)
    until(lambda: second.name in sections(second.folder, second.hosts)[home])
    first.begin("assert kept")
    first.join()
    assert first.host == home
    assert first.result is not None
    assert first.result.state == "ok"


def test_two_names_of_one_machine_are_one_queue(desks: Desks, tmp_path: Path) -> None:
    first, second = desks(2, 2)
    (tmp_path / "host-2").rmdir()
    (tmp_path / "host-2").symlink_to("host-1")
    first.section(600.0)
    until(lambda: any(sections(tmp_path, first.hosts).values()))
    second.section()
    until(lambda: second.record.lines and second.pool.session(second.hosts[1]).link.open)
    assert second.record.lines[-1]["position"] == 0
    assert "," not in second.record.lines[-1]["where"]
    first.interrupts.count()
    second.join()
    assert second.result is not None, second.error
    assert second.result.state == "ok"


def test_the_last_run_is_the_newest_whatever_host_it_is_on(desks: Desks) -> None:
    (notebook,) = desks(1, 2)
    for place in ("host-2", "host-1", "host-2"):
        notebook.begin("import time; time.sleep(0.5)", on=place, name="same")
        notebook.join()
        assert notebook.result is not None, notebook.error
        for wanted in ("last", "same"):
            known = find_run(notebook.pool, wanted)
            assert (known.session.host.name, known.run) == (place, notebook.result.run)


def test_a_waiting_cell_shows_one_line_that_is_updated(state: Path) -> None:
    first, second, looks = (Desk(notebook=name) for name in ("first", "second", "looks"))
    try:
        for desk in (first, second):
            assert desk.run("1").state == "ok"
        holding = threading.Thread(target=first.run, args=("import time; time.sleep(150)",))
        holding.start()
        until(lambda: "started" in first.record.states)
        behind = threading.Thread(target=second.run, args=("2",))
        behind.start()
        until(lambda: "queued" in second.record.states)
        with Kernel("third.ipynb") as kernel:
            request = kernel.begin("%%macgpu\n3")
            until(lambda: kernel.listen(request, 60) or "slot" in str(kernel.reply.texts))
            rows = [row for row in looks.rows().values() if row["state"] == "queued"]
            assert [row["position"] for row in rows] == [0, 1]
            assert all(row["wait"] for row in rows)
            second.interrupts.count()
            until(lambda: kernel.listen(request, 60) or kernel.reply.updates)
            first.interrupts.count()
            until(lambda: kernel.listen(request, 60))
            (line,) = [text for text in kernel.reply.texts if "slot" in text]
            updates = kernel.reply.updates
        assert line.startswith("macgpu: waiting for a free slot, 1 before this one, starts in")
        assert any(text.startswith("macgpu: waiting for a free slot, next") for text in updates)
        assert re.fullmatch("macgpu: waited [0-9]+ s for a free slot", updates[-1])
    finally:
        first.interrupts.count()
        second.interrupts.count()
        for thread in (holding, behind):
            thread.join()
        for desk in (first, second, looks):
            desk.close()


VANISHING = """
import sys
from pathlib import Path
from tests.faults.crowd import Notebook
from jupyter_macgpu.fleet.hosts import Host
folder, names = Path(sys.argv[1]), sys.argv[2:]
hosts = tuple(Host(name=name, hostname="localhost", transport="local") for name in names)
notebook = Notebook("vanishing", folder, hosts)
notebook.section()
while not (notebook.record.lines and "," in notebook.record.lines[-1]["where"]):
    notebook.record.moved.wait(0.02)
print("waiting", flush=True)
notebook.join()
"""


def test_the_place_of_a_notebook_that_was_killed_goes_to_the_next(desks: Desks) -> None:
    first, second, third = desks(3, 2)
    for notebook in (first, second):
        notebook.section(600.0)
        assert notebook.record.waits.wait(60)
    names = [host.name for host in first.hosts]
    words = [sys.executable, "-c", VANISHING, str(first.folder), *names]
    root = Path(__file__).parents[2]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=root) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"waiting\n"
            third.section()
            until(lambda: third.record.lines and third.record.lines[-1]["position"] == 1)
        finally:
            child.send_signal(signal.SIGKILL)
    # Its connections end with it: no heartbeat has to be missed.
    until(lambda: third.record.lines[-1]["position"] == 0)
    first.interrupts.count()
    third.join()
    assert "vanishing" not in itertools.chain(*sections(first.folder, first.hosts).values())
