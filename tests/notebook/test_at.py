"""`%%macgpu --at`: a cell that starts at its time by itself, with a real supervisor."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.link import Link
from jupyter_macgpu.moments import meant, shown
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.errors import InputError, RunCancelled, RunRefused
from tests.inputs.shell import Notebook, notebook, refused


@pytest.fixture(scope="module")
def book(own_state: Path) -> Iterator[Notebook]:
    with notebook() as opened:
        yield opened


def supervisor(book: Notebook) -> int:
    """Return the process of the supervisor that there is now, asked over a new connection."""
    pool = book.shell.magics_manager.registry["MacGPUMagics"].extension.pool
    (host,) = pool.fleet.hosts
    with pool.lookouts.of(host).link() as link:
        return int(link.connect().detail["pid"])


def at(book: Notebook, when: str, cell: str = "import time\ntime.time()", line: str = "") -> Any:
    """Hand a cell in that starts at a time; return its run."""
    book.run(f"%%macgpu --at {when} {line}\n{cell}").error_is(None)
    return book.names["_"]


def test_a_cell_starts_at_its_time_and_not_before(book: Notebook) -> None:
    book.run("factor = 2").error_is(None)
    run = at(book, "in 4s", "import time\n(time.time(), factor)")
    book.run("factor = 3").error_is(None)
    due = run.shown()["at"]
    began, factor = run.result(60)
    assert began >= due
    assert factor == 2
    assert "starts" not in repr(run)


def test_it_says_when_it_starts_wherever_it_is_shown(book: Notebook) -> None:
    run = at(book, "in 2h", line="--as evening")
    due = run.shown()["at"]
    starts = f"starts at {shown(due, time.time())}"
    assert f"{starts}, or at the next contact if its host is asleep or off then" in repr(run)
    assert starts in run._repr_html_()
    (line,) = [each for each in book.run("%macgpu runs").text.splitlines() if "evening" in each]
    assert f" {starts.removeprefix('starts ')} " in line
    rows = json.loads(book.run("%macgpu runs --json").text)
    assert [row["at"] for row in rows if row["name"] == "evening"] == [due]
    assert starts in book.run("%macgpu why evening").text
    run.cancel()
    assert run.wait(30)
    assert "starts" not in repr(run)


def test_who_attaches_is_told_and_an_interrupt_cancels_it(book: Notebook) -> None:
    run = at(book, "in 2h")
    starts = f"starts at {shown(run.shown()['at'], time.time())}"
    # It is interrupted as soon as it has said what it waits for.
    publisher = book.shell.display_pub.publish
    pressed: list[str] = []

    def publish(data: dict[str, str], *args: Any, **more: Any) -> None:
        publisher(data, *args, **more)
        if starts in data.get("text/plain", "") and not pressed:
            pressed.append(starts)
            os.kill(os.getpid(), signal.SIGINT)

    book.shell.display_pub.publish = publish
    try:
        ran = book.run(f"%macgpu attach {run.run}").error_is(RunCancelled)
    finally:
        del book.shell.display_pub.publish
    assert starts in ran.text
    assert pressed
    assert run.wait(30)
    assert run.state == "cancelled"


def test_it_is_cancelled_before_its_time_and_forgotten(book: Notebook) -> None:
    run = at(book, "in 2h", line="--as never")
    book.run("%macgpu cancel never").error_is(None)
    assert run.wait(30)
    assert (run.state, run.ran) == ("cancelled", None)
    book.run("%macgpu rm never").error_is(None)
    assert "never" not in book.run("%macgpu runs").text


def test_other_cells_run_meanwhile(book: Notebook) -> None:
    run = at(book, "in 2h", line="--priority 5 --mem 1MB")
    assert book.run("%%macgpu\nprint('meanwhile')").error_is(None).text.endswith("meanwhile\n")
    run.cancel()


def test_it_follows_a_run_too_and_both_must_be(book: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"import time, os\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"
    first = at(book, "+1s", f"{code}time.time()", "--cpu")
    second = at(book, "+2s", line=f"--cpu --after {first.run}")
    third = at(book, "in 2h", line=f"--cpu --after {first.run}")
    assert "it follows run" in repr(third)
    assert "starts at" in repr(third)
    while time.time() < second.shown()["at"] + 1.0:
        assert second.state == "queued"
        time.sleep(0.1)
    gate.touch()
    assert second.result(60) >= first.result(60)
    assert third.shown()["reason"] == "its time has not come"
    third.cancel()


def test_each_run_of_a_sweep_starts_at_the_time(book: Notebook) -> None:
    later = at(book, "in 2h", "1", "--sweep k=1,2")
    whys = [row["why"] for row in later]
    assert all(why.startswith("starts at ") for why in whys), whys
    later.cancel()
    swept = at(book, "+4s", "import time\nbegan = time.time()", "--sweep k=1,2,3 -o began --cpu")
    (due,) = {run.shown()["at"] for run in swept.runs}
    assert swept.wait(60)
    assert [row["k"] for row in swept] == [1, 2, 3]
    assert all(row["began"] >= due for row in swept)


def test_one_whose_worker_dies_is_tried_again_at_once(book: Notebook, tmp_path: Path) -> None:
    side = tmp_path / "side"
    run = at(
        book,
        "+1s",
        f"import os\nif not os.path.exists({str(side)!r}):\n"
        f"    open({str(side)!r}, 'w').close()\n    os.kill(os.getpid(), 9)\n'again'",
        "--retry 1",
    )
    assert run.result(60) == "again"


def test_its_supervisor_may_be_killed_meanwhile(book: Notebook) -> None:
    run = at(book, "+5s")
    later = at(book, "in 2h")
    due = run.shown()["at"]
    os.kill(supervisor(book), signal.SIGKILL)
    assert run.result(60) >= due
    assert later.state == "queued"
    assert "starts at" in repr(later)
    later.cancel()


def test_its_supervisor_may_stand_still_at_its_time(book: Notebook) -> None:
    run = at(book, "+3s")
    due, process = run.shown()["at"], supervisor(book)
    os.kill(process, signal.SIGSTOP)
    try:
        time.sleep(max(0.0, due + 0.5 - time.time()))
    finally:
        os.kill(process, signal.SIGCONT)
    assert run.result(60) >= due


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
def test_a_clock_that_is_wrong_here_makes_it_neither_late_nor_early(
    book: Notebook, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    run = at(book, "+3s")
    due = run.shown()["at"]
    monkeypatch.undo()
    # The cell tells what its host's clock shows, which is right.
    assert run.result(60) >= due - ahead


WRONG = {
    "18:61": "no such day or time of day",
    "next week": "this is no time",
    "2020-01-01 18:30": "that is past",
    "2999-01-01 18:30": "more than a year ahead",
}


@pytest.mark.parametrize("when", WRONG)
def test_what_is_no_time_is_said_before_anything_is_sent(book: Notebook, when: str) -> None:
    refused(book, f"%%macgpu --at {when}\n1", f"--at {when}: ", WRONG[when])


def test_a_bill_says_the_time(book: Notebook) -> None:
    now = time.time()
    said = book.run("%%macgpu --at tomorrow 7:00 --dry-run\n1").error_is(None).text
    assert f"would start at {shown(meant(('tomorrow', '7:00'), now), now)}" in said


def test_a_comparison_waits_and_a_time_does_not(book: Notebook) -> None:
    refused(book, "%%macgpu --at 18:30 --verify cpu\n1", "with --at nobody waits for it")


def test_a_host_that_knows_no_times_does_not_get_it(
    book: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeting = Link._greeting

    def older(link: Link) -> m.Hello:
        known = greeting(link)
        return replace(known, capabilities=[each for each in known.capabilities if each != "times"])

    monkeypatch.setattr(Link, "_greeting", older)
    refused(book, "%%macgpu --at +1s\n1", "older version", "without --at")


def test_a_call_that_is_waited_for_has_no_time(book: Notebook) -> None:
    book.run("import jupyter_macgpu as macgpu\nfrom datetime import datetime, timedelta")
    book.run("macgpu.run(abs, -1, at='+1s')").error_is(InputError)
    book.run("macgpu.map(abs, [-1], at='+1s')").error_is(InputError)
    book.run("handed = macgpu.submit(abs, -1, at=datetime.now() + timedelta(seconds=2))")
    run = book.names["handed"]
    assert run.result(60) == 1
    assert run.shown()["at"] is not None


def test_a_time_that_is_past_by_less_than_a_minute_is_now(book: Notebook) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - 5))
    assert at(book, now).result(60)


def test_the_line_of_a_time_may_be_anywhere_among_the_options(book: Notebook) -> None:
    run = at(book, "tomorrow 7:00", line="--cpu --as morning")
    assert run.name == "morning"
    book.run("%macgpu cancel morning").error_is(None)
    refused(book, "%%macgpu --at\n1", "--at has no value")
    with pytest.raises(RunRefused):
        run.cancel()
