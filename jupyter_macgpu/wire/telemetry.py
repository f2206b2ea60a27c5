"""How a host is, as one sample. What nobody could read is None, never 0.

An absent utilisation that became 0 would make a host look free and win every placement, so
that "unknown" is a value of every field. The groups and their units are in `gauges`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .gauges import Disk, Gpu, Heat, Machine, Memory, People, Power, Setup, System

#: A text that a host says about itself is cut here; no field needs more.
LONGEST = 200
#: So many entries of a list are believed.
MOST = 1000
#: No number is larger.
LARGEST = 2**63 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One sample of one host.

    Attributes
    ----------
    gpus
        The one to compute on first; empty: known to have none; None: nobody knows.
    complete
        Whether the probe came to its end; False: what is here is all that came.
    stopped
        Tools that did not answer in time, so that what they say is unknown.
    """

    machine: Machine = field(default_factory=Machine)
    system: System = field(default_factory=System)
    gpus: tuple[Gpu, ...] | None = None
    memory: Memory = field(default_factory=Memory)
    power: Power = field(default_factory=Power)
    heat: Heat = field(default_factory=Heat)
    people: People = field(default_factory=People)
    disk: Disk = field(default_factory=Disk)
    setup: Setup = field(default_factory=Setup)
    complete: bool | None = None
    stopped: tuple[str, ...] | None = None

    @property
    def gpu(self) -> Gpu | None:
        """The GPU to compute on, if one is known."""
        return self.gpus[0] if self.gpus else None

    @property
    def watts(self) -> float | None:
        """What is drawn: by the whole machine where that is known, else by its GPU."""
        whole = self.power.system_watts
        return whole if whole is not None else None if self.gpu is None else self.gpu.watts


def gpu_limit(memory: Memory) -> int | None:
    """Return how many bytes the GPU may use: two thirds of memory, above 36 GiB three quarters.

    A prior, until torch or mlx on the host says what it really is; a limit that the owner set
    is exact.
    """
    if memory.wired_limit_bytes:
        return memory.wired_limit_bytes
    return None if memory.total_bytes is None else gpu_share(memory.total_bytes)


def gpu_share(total: int) -> int:
    """Return what macOS lets the GPU have of `total` bytes, unless its owner says otherwise."""
    return total * 2 // 3 if total <= 36 * 2**30 else total * 3 // 4


def merge(first: Telemetry, second: Telemetry) -> Telemetry:
    """Return all that either knows; where both know, what `first` says."""
    return _merged(first, second)


def _merged(first: T, second: T) -> T:
    if first is None or second is None:
        return second if first is None else first
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        names = [item.name for item in dataclasses.fields(first)]
        pairs = {name: _merged(getattr(first, name), getattr(second, name)) for name in names}
        return type(first)(**pairs)
    if isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second):
        return typing.cast("T", tuple(map(_merged, first, second)))
    return first


def to_json(telemetry: Telemetry, *, unknown: bool = False) -> dict[str, Any]:
    """Return `telemetry` as what JSON can hold.

    Parameters
    ----------
    unknown
        Name what is unknown as null, in every group of which anything is known; else only what
        is known is there.
    """
    plain = _plain(telemetry, unknown)
    return {key: value for key, value in plain.items() if value is not None and value != {}}


def _plain(value: Any, unknown: bool) -> Any:
    if isinstance(value, tuple):
        return [_plain(entry, unknown) for entry in value]
    if not dataclasses.is_dataclass(value):
        return value
    pairs = {f.name: _plain(getattr(value, f.name), unknown) for f in dataclasses.fields(value)}
    known = {key: entry for key, entry in pairs.items() if entry is not None}
    return pairs if unknown and known else known


def from_json(data: object) -> Telemetry:
    """Read what `to_json` made. What is not as it should be is unknown; nothing is raised."""
    return _group(Telemetry, data if isinstance(data, dict) else {})


def _group(cls: type[T], data: dict[str, object]) -> T:
    hints = _hints(typing.cast("Hashable", cls))
    values = {name: _read(hint, data.get(name)) for name, hint in hints.items()}
    return cls(**{name: value for name, value in values.items() if value is not None})


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _read(hint: Any, value: object) -> Any:
    """Return `value` as `hint` wants it, None if it is something else."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return _entries(typing.get_args(hint)[0], value)
    if dataclasses.is_dataclass(hint):
        return _group(typing.cast("type", hint), value) if isinstance(value, dict) else None
    if hint is str:
        return value[:LONGEST] if isinstance(value, str) else None
    if hint is bool or isinstance(value, bool):
        return value if hint is bool and isinstance(value, bool) else None
    if hint is float and isinstance(value, (int, float)) and abs(value) <= LARGEST:
        return float(value) if math.isfinite(value) else None
    whole = hint is int and isinstance(value, int)
    return value if whole and abs(typing.cast("int", value)) <= LARGEST else None


def _entries(hint: Any, value: object) -> tuple[Any, ...] | None:
    if not isinstance(value, list):
        return None
    read = [_read(hint, entry) for entry in value[:MOST]]
    return tuple(entry for entry in read if entry is not None)
