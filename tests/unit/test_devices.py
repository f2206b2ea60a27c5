"""Inputs that name a device the host lacks are refused; a wasted GPU is remarked on."""

from __future__ import annotations

import pytest
import torch

from jupyter_macgpu.devices import check_devices, named_device
from jupyter_macgpu.mac import hardware
from jupyter_macgpu.mac.worker import device as worker_device
from jupyter_macgpu.wire.errors import InputError


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("mps", "mps"),
        ("cuda:1", "cuda"),
        (torch.device("cpu"), "cpu"),
        (torch.device("mps"), "mps"),
        ("mps is fine", ""),
        (b"cuda", ""),
        (7, ""),
    ],
)
def test_what_names_a_device(value, kind):
    assert named_device(value) == kind


def test_devices_that_the_host_lacks_are_all_named():
    namespace = {"device": "cuda:0", "other": torch.device("mps"), "fine": "cpu", "n": 1}
    with pytest.raises(InputError) as caught:
        check_devices(namespace, namespace, "studio", ["cpu"])
    text = str(caught.value)
    assert "device is 'cuda'" in text
    assert "other is 'mps'" in text
    assert "fine" not in text


def test_a_cpu_on_a_host_with_a_gpu_gets_one_line():
    lines = check_devices(["device"], {"device": "cpu"}, "studio", ["mps", "cpu"])
    assert lines == ["device is 'cpu', and studio has mps"]
    assert check_devices(["device"], {"device": "cpu"}, "studio", ["cpu"]) == []


def test_the_best_device_comes_first_and_cpu_last():
    assert hardware.devices()[-1] == "cpu"
    assert len(hardware.devices()) <= 2


def test_a_gpu_that_nothing_used_is_noticed_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(hardware, "gpu_device", lambda: "")
    assert not worker_device.gpu_never_used()
    monkeypatch.setattr(hardware, "gpu_device", lambda: "mps")
    monkeypatch.delitem(worker_device.sys.modules, "mlx.core", raising=False)
    assert worker_device.gpu_never_used()
