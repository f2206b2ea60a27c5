"""A long cell that leaves the GPU idle is told so, by a real worker that believes it has one."""

from __future__ import annotations

import sys

import pytest

from tests.unit.worker_driver import Driver

#: A worker's program, but that this machine has a GPU and that a run of 0.2 s is a long one.
PROGRAM = """
import sys
from jupyter_macgpu.mac import hardware
from jupyter_macgpu.mac.worker import execute
from jupyter_macgpu.mac.worker.process import main
hardware.gpu_device = lambda: "mps"
execute._LONG = 0.2
sys.exit(main())
"""
LONG = "import time; time.sleep(0.4)"
#: What PyTorch would say after a tensor was on the GPU.
USES_IT = """
import torch
torch.backends.mps.is_available = lambda: True
torch.mps.driver_allocated_memory = lambda: 4096
"""
NOTE = "the GPU was not used"


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    program = (sys.executable, "-P", "-c", PROGRAM)
    with Driver(tmp_path_factory.mktemp("worker"), program=program) as driver:
        yield driver


def test_a_long_cell_that_never_used_the_gpu_says_so(worker):
    assert NOTE in worker.run(LONG).finished["notes"]


def test_a_short_cell_and_one_that_wants_no_gpu_say_nothing(worker):
    assert worker.run("1 + 1").finished["notes"] == []
    assert worker.run(LONG, cpu=True).finished["notes"] == []


def test_a_long_cell_that_used_it_says_nothing(worker):
    worker.run(USES_IT)
    assert worker.run(LONG).finished["notes"] == []
