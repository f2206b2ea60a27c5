"""What runs use of the host, from the samples of its tools. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.

A reading of the GPU tells of the time since the reading before it. One that began before a run did
says nothing of that run, so that a run shorter than two rounds of the probe has no GPU figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..wire.usage import KEY, Usage, to_json

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..wire.telemetry import Telemetry

#: Thermal states, the coolest first.
_HEATS = ("nominal", "moderate", "heavy", "trapping", "sleeping")


@dataclass(slots=True)
class _Count:
    """What was measured of one run so far; times and durations in seconds."""

    since: float
    measured: float = 0.0
    gpu_seconds: float = 0.0
    gpu_peak: float | None = None
    swap_first: int | None = None
    swap_last: int | None = None
    machine_joules: float | None = None
    gpu_joules: float | None = None
    heat: int = -1
    shared: bool = False


class Meter:
    """Counts what active runs use."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}
        self._last: float | None = None

    def active(self, runs: Collection[str], now: float) -> None:
        """Note which runs hold a worker now. Those that are gone are kept until `ended`."""
        for run in runs:
            self._counts.setdefault(run, _Count(now))
        if len(runs) > 1:
            for run in runs:
                self._counts[run].shared = True

    def sampled(self, sample: Telemetry, now: float) -> None:
        """Take what one round of the probe read at a time."""
        before, self._last = self._last, now
        for count in self._counts.values():
            _take(count, sample)
            if before is not None and count.since <= before < now:
                _integrate(count, sample, now - before)

    def usage(self, run: str, now: float) -> Usage:
        """Return what a run has used so far; nothing but its duration for an unknown one."""
        count = self._counts.get(run)
        if count is None:
            return Usage()
        first, last = count.swap_first, count.swap_last
        measured = count.measured > 0
        return Usage(
            seconds=round(now - count.since, 3),
            gpu_mean=round(count.gpu_seconds / count.measured, 4) if measured else None,
            gpu_peak=count.gpu_peak if measured else None,
            gpu_seconds=round(count.gpu_seconds, 3) if measured else None,
            shared=count.shared or None,
            swap_bytes=None if first is None or last is None else last - first,
            machine_joules=count.machine_joules,
            gpu_joules=count.gpu_joules,
            heat=_HEATS[count.heat] if count.heat >= 0 else None,
        )

    def told(self, run: str, summary: dict[str, Any], now: float) -> dict[str, Any]:
        """Return a run's summary with what it has used, beside what its worker says; forget it."""
        ours, theirs = to_json(self.ended(run, now)), summary.get(KEY)
        usage = ours | (theirs if isinstance(theirs, dict) else {})
        return {**summary, KEY: usage} if usage else summary

    def ended(self, run: str, now: float) -> Usage:
        """Return what a run has used, and forget it."""
        usage = self.usage(run, now)
        self._counts.pop(run, None)
        return usage


def _take(count: _Count, sample: Telemetry) -> None:
    swap = sample.memory.swap_used_bytes
    if swap is not None:
        count.swap_first = swap if count.swap_first is None else count.swap_first
        count.swap_last = swap
    if sample.heat.pressure in _HEATS:
        count.heat = max(count.heat, _HEATS.index(sample.heat.pressure))


def _integrate(count: _Count, sample: Telemetry, span: float) -> None:
    gpu = sample.gpu
    share = None if gpu is None else gpu.utilization
    if share is not None:
        count.measured += span
        count.gpu_seconds += share * span
        count.gpu_peak = max(share, count.gpu_peak or 0.0)
    if sample.power.system_watts is not None:
        count.machine_joules = (count.machine_joules or 0.0) + sample.power.system_watts * span
    if gpu is not None and gpu.watts is not None:
        count.gpu_joules = (count.gpu_joules or 0.0) + gpu.watts * span
