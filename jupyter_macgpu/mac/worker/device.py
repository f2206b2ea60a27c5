"""Which device a cell's free name `device` means here."""

from __future__ import annotations

import importlib.util
import sys

from .. import hardware


def default_device() -> str:
    """Return ``mps``, ``cuda`` or ``cpu``: the best that this process can compute on.

    Torch decides where it is installed: the name is for its use. It is imported for that, since
    a cell that reads `device` is about to import it anyway.
    """
    if "torch" in sys.modules or importlib.util.find_spec("torch") is not None:
        import torch

        if torch.backends.mps.is_available():
            return "mps"
        return "cuda" if torch.cuda.is_available() else "cpu"
    return hardware.gpu_device() or "cpu"


def gpu_never_used() -> bool:
    """Say whether this machine has a GPU and nothing in this process has computed on it."""
    if not hardware.gpu_device():
        return False
    mlx = sys.modules.get("mlx.core")
    return not torch_used_gpu() and (mlx is None or mlx.get_peak_memory() == 0)


def torch_used_gpu() -> bool:
    """Say whether PyTorch has computed on a GPU in this process."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if torch.backends.mps.is_available() and torch.mps.driver_allocated_memory() > 0:
        return True
    return bool(torch.cuda.is_initialized() and torch.cuda.max_memory_allocated() > 0)
