"""Which device a cell's free name `device` means here."""

from __future__ import annotations

import importlib.util
import platform
import sys


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
    is_apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return "mps" if is_apple else "cpu"
