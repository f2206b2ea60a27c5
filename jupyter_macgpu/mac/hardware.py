"""Which devices a host has for tensors, from what the system itself shows.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

#: One of these exists where NVIDIA's driver is loaded.
_NVIDIA = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg")


def devices() -> list[str]:
    """Return torch's names of the kinds of device here, the best first; ``cpu`` is last."""
    gpu = gpu_device()
    return [gpu, "cpu"] if gpu else ["cpu"]


def gpu_device() -> str:
    """Return ``mps`` on Apple silicon, ``cuda`` with NVIDIA's driver, else the empty text."""
    if sys.platform == "darwin":
        return "mps" if platform.machine() == "arm64" else ""
    return "cuda" if any(Path(path).exists() for path in _NVIDIA) else ""
