"""What a run used of its host: measured there, said with its end. What is unknown is None.

The worker knows its own memory and what PyTorch and MLX took; the supervisor knows the host's
tools. Each adds its part to the summary of `messages.End` under `KEY`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

#: Where it stands in a run's summary, and in the detail of a running run's state.
KEY = "usage"
#: As many operations that fell back to the processor are named.
MOST = 50
#: An operation's name is cut here.
LONGEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run used.

    Attributes
    ----------
    seconds
        How long it has run, in seconds, as the host measured it.
    gpu_mean, gpu_peak
        Busy share of the GPU while it ran, 0 to 1, in readings that lie within the run whole.
    gpu_seconds
        The share by the time that was measured.
    shared
        Whether other runs of this account ran at the same time: then the GPU's figures are of all.
    memory_peak_bytes
        Largest size of the worker's process during the run.
    driver_bytes
        What the GPU's driver held for PyTorch at the end. PyTorch gives nothing back by itself, so
        it is the largest so far in this worker.
    mlx_peak_bytes, cuda_peak_bytes
        Largest sizes during the run, as MLX and PyTorch count them.
    swap_bytes
        Growth of the host's swap.
    machine_joules, gpu_joules
        Energy that the whole machine or its GPU took, where they tell it.
    heat
        The hottest thermal state: ``nominal``, ``moderate``, ``heavy``, ``trapping``.
    fallbacks
        Operations that PyTorch ran on the processor since Metal lacks them. By itself it names one
        alone in a worker's life, the first; with ``--fallbacks`` all of a run.
    """

    seconds: float | None = None
    gpu_mean: float | None = None
    gpu_peak: float | None = None
    gpu_seconds: float | None = None
    shared: bool | None = None
    memory_peak_bytes: int | None = None
    driver_bytes: int | None = None
    mlx_peak_bytes: int | None = None
    cuda_peak_bytes: int | None = None
    swap_bytes: int | None = None
    machine_joules: float | None = None
    gpu_joules: float | None = None
    heat: str | None = None
    fallbacks: tuple[str, ...] = ()

    @property
    def gpu_peak_bytes(self) -> int | None:
        """The largest of what GPU libraries said they held."""
        said = (self.driver_bytes, self.mlx_peak_bytes, self.cuda_peak_bytes)
        return max((each for each in said if each), default=None)


def to_json(usage: Usage) -> dict[str, Any]:
    """Return what is known, as JSON has it."""
    plain = {item.name: getattr(usage, item.name) for item in fields(usage)}
    plain["fallbacks"] = list(usage.fallbacks) or None
    return {name: value for name, value in plain.items() if value is not None}


def from_json(data: object) -> Usage:
    """Read what `to_json` made. What is not as it should be is unknown; nothing is raised."""
    if not isinstance(data, dict):
        return Usage()
    read = {item.name: _read(item.name, data.get(item.name)) for item in fields(Usage)}
    return replace(Usage(), **{name: value for name, value in read.items() if value is not None})


def _read(name: str, value: object) -> Any:
    if name == "fallbacks":
        listed = value if isinstance(value, (list, tuple)) else ()
        return tuple(text[:LONGEST] for text in listed[:MOST] if isinstance(text, str))
    if name == "heat":
        return value[:LONGEST] if isinstance(value, str) else None
    if name == "shared":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return int(value) if name.endswith("_bytes") else float(value)
