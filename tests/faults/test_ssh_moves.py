"""Two hosts behind SSH servers: a run that waits is moved, and one follows a run of the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.wire.errors import RunCancelled
from tests.inputs.jobs import blocked, job
from tests.inputs.shell import Notebook, notebook
from tests.ssh_home import Home
from tests.sshd import Servers


@pytest.fixture
def book(servers: Servers, home: Home, tmp_path: Path) -> Iterator[Notebook]:
    """Open a notebook that has two hosts, each with a server and a state folder of its own."""
    both = {name: servers.start(state=tmp_path / name) for name in ("a", "b")}
    for server in both.values():
        home.know(server)
    home.write_fleet(both)
    with notebook() as opened:
        yield opened


def test_a_run_that_waits_is_moved_by_another_process_and_runs_once(
    book: Notebook, tmp_path: Path
) -> None:
    gate, side = tmp_path / "gate", tmp_path / "side"
    book.run("data = [1, 2]").error_is(None)
    blocked(book, gate)
    run = job(book, f"open({str(side)!r}, 'a').write('x')\nsum(data)", "--on a --as goes")
    assert run.state == "queued"
    command = [sys.executable, "-m", "jupyter_macgpu.cli", "move", run.run[:12], "b", "--json"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stderr) == (0, ""), said.stderr
    assert json.loads(said.stdout)["host"] == "b"
    assert run.result(60) == 3
    assert run.host == "b"
    gate.touch()
    assert side.read_text() == "x"


def test_a_run_follows_one_of_another_host(book: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    blocked(book, gate)
    after = job(book, "7", "--on b --after blocker")
    assert not after.done()
    gate.touch()
    assert after.result(60) == 7
    job(book, "1 / 0", "--on a --as fails")
    vain = job(book, "7", "--on b --after fails")
    with pytest.raises(RunCancelled, match="which it was to follow"):
        vain.result(60)
