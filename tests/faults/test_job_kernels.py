"""Runs that nobody waits for, and kernels that come and go: nothing is lost, nothing runs twice."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from .kernels import Kernel
from .test_kernel_death import macgpu

NOTEBOOK = "/home/me/jobs.ipynb"
#: Kernels that are killed while a detached run goes on.
TURNS = int(os.environ.get("MACGPU_JOB_KERNELS", "5"))
CELL = """%%macgpu --detach --as night
import time
with open({side!r}, "a") as file:
    file.write("executed\\n")
for number in range(40):
    print(f"line {{number:04d}}")
    time.sleep(0.01)
weights = list(range(100))
history.append("trained")
"""
PRINTED = "".join(f"line {number:04d}\n" for number in range(40))


def rows() -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(macgpu("runs", "--json").stdout)
    return listed


@pytest.mark.parametrize("turn", range(TURNS))
def test_a_detached_run_outlives_its_kernel_and_comes_home_to_another(
    state: Path, tmp_path: Path, turn: int
) -> None:
    side = tmp_path / "executed"
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("history = ['before']")
        assert kernel.run(CELL.format(side=str(side)), "cell-1").error == ""
        time.sleep(0.1 * (turn % 10))  # the run takes half a second
        kernel.kill()
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("history = ['before']")
        (line,) = [
            text for text in kernel.run("%%macgpu --cpu\n1 + 1").texts if "of this notebook" in text
        ]
        assert "(night)" in line
        assert "%macgpu attach" in line
        for _again in range(2):
            kernel.run("history[:] = ['before']")
            reply = kernel.run("%macgpu attach night")
            assert reply.error == ""
            assert reply.stdout == PRINTED
            assert kernel.value("len(weights)") == 100
            assert kernel.value("history") == ["before", "trained"]
    assert side.read_text() == "executed\n"


def test_a_cell_is_not_begun_again_while_its_detached_run_lives(
    state: Path, tmp_path: Path
) -> None:
    side = tmp_path / "side"
    cell = f"%%macgpu --detach\nopen({str(side)!r}, 'a').write('x')\nimport time; time.sleep(30)"
    with Kernel(NOTEBOOK) as kernel:
        assert kernel.run(cell, "cell-1").error == ""
        for line in ("%%macgpu --detach", "%%macgpu"):
            refused = kernel.run(cell.replace("%%macgpu --detach", line), "cell-1").error
            assert refused.startswith("RunRefused")
            for way in ("%macgpu attach", "%macgpu cancel", "--again"):
                assert way in refused
        kernel.kill()
    with Kernel(NOTEBOOK) as kernel:
        assert kernel.run(cell, "cell-1").error.startswith("RunRefused")
        assert kernel.run(cell, "cell-2").error == ""
        assert macgpu("cancel", str(rows()[0]["run"])).returncode == 0
        deadline = time.monotonic() + 60.0
        while rows()[0]["state"] != "cancelled" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert kernel.run(cell.replace("30", "0"), "cell-1").error == ""


def test_a_cell_that_is_waited_for_is_let_go_from_a_shell(state: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Kernel(NOTEBOOK) as kernel:
        kernel.run("done = []")
        request = kernel.begin(
            f"%%macgpu\nimport os, time\nprint('on')\nwhile not os.path.exists({str(gate)!r}):\n"
            "    time.sleep(0.02)\ndone.append(1)\n'end'",
            "cell-1",
        )
        while "on" not in kernel.reply.stdout:
            kernel.listen(request, 60.0)
        (row,) = rows()
        detached = macgpu("detach", str(row["run"]))
        assert detached.returncode == 0, detached.stderr
        while not kernel.listen(request, 60.0):
            pass
        assert kernel.reply.error == ""
        assert any("goes on by itself" in text for text in kernel.reply.texts)
        assert kernel.value("done") == []
        gate.touch()
        kernel.run("run = _")
        assert kernel.value("run.result(30)") == "end"
        kernel.run("run.bind()")
        assert kernel.value("done") == [1]
        assert macgpu("detach", str(row["run"])).returncode == 1


def test_what_nobody_came_for_is_deleted_with_notice(state: Path) -> None:
    with Kernel(NOTEBOOK) as kernel, Kernel(NOTEBOOK) as later:
        kernel.run("%macgpu config keep=20s")
        assert kernel.run("%%macgpu --detach --as old\n6 * 7", "cell-1").error == ""
        deadline = time.monotonic() + 60.0
        while not rows()[0]["purged"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert rows()[0]["state"] == "ok"
        # The notice itself is kept for as long again.
        kernel.kill()
        refused = later.run("%macgpu attach old").error
        assert "deleted the output and the result" in refused
        assert "deleted the output" in macgpu("logs", "old").stderr
