"""What a benchmark says of processes' memory: real processes, and files that name them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import peaks

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells peaks")
MIB = 2**20
CODE = f"held = b'x' * {60 * MIB}; del held; print('ready', flush=True); input()"


def test_memory_that_was_given_back_counts_and_ended_processes_do_not(tmp_path: Path) -> None:
    store = tmp_path / "machine" / "default"
    (store / "workers" / "w").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        note = json.dumps({"pid": process.pid})
        (store / "version").write_text(note)
        (store / "workers" / "w" / "process").write_text(note)
        assert peaks.supervisors(tmp_path) == peaks.workers(tmp_path) == [process.pid]
        one = peaks.peak([process.pid])
        assert one is not None
        assert 60 < one < 200
        assert peaks.peak([process.pid, process.pid]) == pytest.approx(2 * one, abs=0.2)
        process.communicate(b"\n")
    assert peaks.peak([process.pid]) is None
