"""What a worker says of a run that is compared, and that such a run sees no GPU if it is to."""

from __future__ import annotations

import random
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

from jupyter_macgpu.mac import hardware
from jupyter_macgpu.mac.worker import checking, device
from jupyter_macgpu.mac.worker.cell import Cell
from jupyter_macgpu.wire.values.changes import Limits


def cell(*, cpu: bool = False, is_compared: bool = True) -> Cell:
    return Cell(
        source="import torch, numpy, mlx",
        code=None,
        headed=True,
        execution_count=1,
        cell_id=None,
        names=(),
        free=frozenset(),
        only=None,
        held=None,
        environ={},
        limits=Limits(),
        can_ask=False,
        parent="",
        host="here",
        program=None,
        cpu=cpu,
        is_compared=is_compared,
        names_fallbacks=False,
        after=None,
        stream=memoryview(b""),
        buffers=(),
    )


def told(run: Any, **kwargs: Any) -> dict[str, Any]:
    check = checking.Check(cell(**kwargs))
    with check.watch():
        run()
    return check.told()


@pytest.mark.parametrize(
    ("draw", "package"),
    [
        (lambda: random.random(), "random"),
        (lambda: np.random.rand(2), "numpy"),
        (lambda: torch.rand(2), "torch"),
        (lambda: torch.manual_seed(random.SystemRandom().getrandbits(32)), "torch"),
        (lambda: mx.eval(mx.random.normal((2,))), "mlx"),
    ],
)
def test_who_draws_random_numbers_is_named(draw, package):
    assert told(draw)["check"]["drew"] == [package]
    assert told(draw, cpu=True)["check"]["drew"] == [package]


@pytest.mark.parametrize(
    ("package", "seed", "draw"),
    [
        ("random", random.seed, lambda: random.random()),
        ("numpy", np.random.seed, lambda: np.random.rand(2)),
        ("torch", torch.manual_seed, lambda: torch.rand(2)),
        ("mlx", mx.random.seed, lambda: mx.eval(mx.random.normal((2,)))),
    ],
)
def test_whether_two_runs_drew_the_same_can_be_told(package, seed, draw):
    def run(number: int) -> str:
        said = told(lambda: (seed(number), draw()))["check"]["stand"]
        return str(said[package])

    # The second one moves nothing: it ends where it begins.
    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert first != other


def test_what_a_gpu_drew_does_not_hide_that_the_rest_is_the_same(a_gpu, monkeypatch):
    states = iter([torch.tensor([0]), torch.tensor([1]), torch.tensor([1]), torch.tensor([2])])
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: next(states))
    runs = [told(lambda: torch.manual_seed(1))["check"] for _ in range(2)]
    assert runs[0]["stand"]["torch"] == runs[1]["stand"]["torch"]
    assert [each["drew"] for each in runs] == [["torch"], ["torch"]]


def test_nothing_is_said_of_what_draws_none_or_is_not_compared():
    assert told(lambda: torch.ones(2) + np.ones(2).sum())["check"]["drew"] == []
    assert told(lambda: torch.rand(2), is_compared=False) == {}


@pytest.fixture
def a_gpu(monkeypatch):
    """Have PyTorch and MLX say that they have a GPU, as on a Mac."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: torch.zeros(1))
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 0)
    monkeypatch.setattr(hardware, "gpu_device", lambda: "mps")
    monkeypatch.setitem(vars(device), "hardware", hardware)


def test_without_a_gpu_none_is_found_and_afterwards_it_is(a_gpu):
    seen = []

    def look() -> None:
        seen.append((torch.backends.mps.is_available(), torch.accelerator.is_available()))
        seen.append(mx.default_device() == mx.Device(mx.cpu, 0))

    before = mx.default_device()
    said = told(look, cpu=True)["check"]
    assert seen == [(False, False), True]
    assert (said["gpu"], said["torch"]) == (False, str(torch.__version__))
    assert torch.backends.mps.is_available()
    assert torch.accelerator.is_available()
    assert mx.default_device() == before


def test_mlx_is_set_to_the_processor_and_back(a_gpu, monkeypatch):
    set_to: list[Any] = []
    monkeypatch.setattr(mx, "set_default_device", set_to.append)
    told(lambda: set_to.append("runs"), cpu=True)
    assert set_to == [mx.cpu, "runs", mx.default_device()]
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu, 0))
    assert told(lambda: None, cpu=True)["check"]["gpu"]


def test_a_run_without_a_gpu_that_takes_one_all_the_same_says_so(a_gpu, monkeypatch):
    def take() -> None:
        monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 4096)

    assert told(take, cpu=True)["check"]["gpu"]


def test_it_is_put_back_when_the_run_fails(a_gpu):
    with pytest.raises(ValueError, match="in the cell"):
        told(lambda: (_ for _ in ()).throw(ValueError("in the cell")), cpu=True)
    assert torch.backends.mps.is_available()


def test_a_gpu_that_was_used_is_told_from_one_that_was_not(a_gpu, monkeypatch):
    monkeypatch.setattr(mx, "get_peak_memory", lambda: 0)
    assert not told(lambda: None)["check"]["gpu"]
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 4096)
    assert told(lambda: None)["check"]["gpu"]
    monkeypatch.setattr(hardware, "gpu_device", lambda: "")
    assert not told(lambda: None)["check"]["gpu"]
