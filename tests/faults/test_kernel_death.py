"""The notebook's kernel is killed in mid-run: the run goes on, and a new kernel takes it up."""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from . import processes
from .kernels import Kernel

SEED = int(os.environ.get("MACGPU_SEED", "0")) or secrets.randbelow(10**6)
#: How often a kernel is killed; ``MACGPU_KERNEL_DEATHS=500`` sets more.
DEATHS = int(os.environ.get("MACGPU_KERNEL_DEATHS", "4"))
NOTEBOOK = "/home/me/study.ipynb"
LINES = 300
CELL = f"""%%macgpu
import os, time, numpy as np
with open({{side!r}}, "a") as file:
    file.write("executed\\n")
for number in range({LINES}):
    print(f"line {{{{number:04d}}}}")
    time.sleep(0.01)
while not os.path.exists({{gate!r}}):
    time.sleep(0.02)
weights = np.arange(2000)
history.append("trained")
"""
#: A gate that is open.
OPEN = os.sep
PRINTED = "".join(f"line {number:04d}\n" for number in range(LINES))


def macgpu(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell would."""
    return subprocess.run(
        [sys.executable, "-m", "jupyter_macgpu.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("turn", range(DEATHS))
def test_a_new_kernel_takes_up_the_run_of_a_killed_one(
    state: Path, tmp_path: Path, turn: int
) -> None:
    chance = random.Random(SEED + turn)
    print(f"seed {SEED}")
    side = tmp_path / "executed"
    cell = CELL.format(side=str(side), gate=OPEN)
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("history = ['before']")
        request = kernel.begin(cell, "cell-1")
        began = time.monotonic()
        while "line" not in kernel.reply.stdout:
            kernel.listen(request, 60.0)
        kernel.listen_until(request, time.monotonic() + chance.uniform(0.0, 3.5))
        kernel.kill()
        shown = kernel.reply.stdout
    assert PRINTED.startswith(shown)
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("history = ['before']; same = history")
        listed = kernel.run("%macgpu runs")
        assert "study.ipynb" in listed.texts[-1]
        reply = kernel.run("%macgpu attach last")
        assert reply.error == ""
        assert reply.stdout == PRINTED
        assert kernel.value("history") == ["before", "trained"]
        assert kernel.value("(int(weights.sum()), type(weights).__name__)") == (1999000, "ndarray")
        assert time.monotonic() - began < 200
    assert side.read_text() == "executed\n"


def test_the_first_use_names_the_run_that_lives(state: Path, tmp_path: Path) -> None:
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("history = []")
        cell = CELL.format(side=str(tmp_path / "side"), gate=str(tmp_path / "gate"))
        request = kernel.begin(cell, "cell-1")
        while "line" not in kernel.reply.stdout:
            kernel.listen(request, 60.0)
        kernel.kill()
    with Kernel(NOTEBOOK) as kernel:
        reply = kernel.run("%%macgpu --cpu\n1 + 1")
        (notice,) = [text for text in reply.texts if "attach" in text]
        (row,) = [row for row in json.loads(macgpu("runs", "--json").stdout) if row["cell"]]
        assert f"%macgpu attach {row['run'][:8]}" in notice
        assert row["state"] == "started"


def test_the_same_cell_does_not_run_beside_itself(state: Path, tmp_path: Path) -> None:
    side, gate = tmp_path / "side", tmp_path / "gate"
    cell = CELL.format(side=str(side), gate=str(gate))
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("history = []")
        request = kernel.begin(cell, "cell-1")
        while "line" not in kernel.reply.stdout:
            kernel.listen(request, 60.0)
        kernel.kill()
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("history = []")
        refused = kernel.run(cell, "cell-1")
        assert refused.error.startswith("RunRefused")
        for way in ("%macgpu attach", "%macgpu cancel", "--again"):
            assert way in refused.error
        assert side.read_text() == "executed\n"
        gate.touch()
        again = kernel.run(cell.replace("%%macgpu", "%%macgpu --cpu --again"), "cell-1")
        assert again.error == ""
        assert again.stdout == PRINTED
    assert side.read_text() == "executed\n" * 2


def test_another_kernel_and_the_command_see_and_stop_a_run(state: Path, tmp_path: Path) -> None:
    with Kernel(NOTEBOOK) as kernel, Kernel("other.ipynb") as other:
        kernel.run("history = []")
        cell = CELL.format(side=str(tmp_path / "side"), gate=str(tmp_path / "gate"))
        request = kernel.begin(cell, "cell-1")
        while "line" not in kernel.reply.stdout:
            kernel.listen(request, 60.0)
        (row,) = json.loads(macgpu("runs", "--json").stdout)
        assert (row["state"], row["notebook"], row["cell"]) == ("started", NOTEBOOK, "cell-1")
        logs = macgpu("logs", row["run"][:8])
        assert logs.returncode == 0, logs.stderr
        assert logs.stdout
        assert PRINTED.startswith(logs.stdout)
        stopped = other.run(f"%macgpu cancel {row['run'][:8]}")
        assert stopped.error == ""
        while not kernel.listen(request, 60.0):
            pass
        assert kernel.reply.error.startswith("KeyboardInterrupt")
        (row,) = json.loads(macgpu("runs", "--json").stdout)
        assert row["state"] == "cancelled"
        assert macgpu("cancel", row["run"]).returncode == 1
        assert macgpu("attach", row["run"]).returncode == 3


def test_a_kernel_that_ends_in_order_takes_its_worker_with_it(state: Path) -> None:
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("%%macgpu\n1 + 1")
        assert processes.found(state, "worker")
        kernel.run("exit")
        assert not processes.wait_for_none(state, {"kernel", "worker"}, 60.0)
