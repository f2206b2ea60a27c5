"""`macmon pipe`: an optional extra where its owner has it; needs no root.

Its fields were renamed in version 0.8 and may be again: each is optional, others are ignored.
It prints 0.0 where it could not read a sensor.
"""

from __future__ import annotations

import json

from ..gauges import Gpu, Heat, Memory, Power
from ..telemetry import Telemetry
from .scan import count, number


def pipe(text: str) -> Telemetry:
    """Read one object, or lines of one each, of which the last whole one counts."""
    data = _last_object(text)
    if data is None:
        return Telemetry()
    temperatures, memory = _table(data.get("temp")), _table(data.get("memory"))
    old = data.get("gpu_usage")
    megahertz, busy = old if isinstance(old, list) and len(old) == 2 else (None, None)
    gpu = Gpu(
        vendor="apple",
        utilization=_fraction(data.get("gpu_active_ratio", busy)),
        mhz=number(data.get("gpu_freq_mhz", megahertz)),
        watts=number(data.get("gpu_power")),
        celsius=number(temperatures.get("gpu_temp_avg")) or None,
    )
    fans = data.get("fans")
    speeds = [number(_table(fan).get("rpm")) for fan in fans] if isinstance(fans, list) else []
    return Telemetry(
        gpus=(gpu,) if gpu != Gpu(vendor="apple") else None,
        memory=Memory(
            total_bytes=count(memory.get("ram_total")) or None,
            used_bytes=count(memory.get("ram_usage")) or None,
            swap_total_bytes=count(memory.get("swap_total")),
            swap_used_bytes=count(memory.get("swap_usage")),
        ),
        power=Power(
            system_watts=number(data.get("sys_power")) or None,
            cpu_watts=number(data.get("cpu_power")),
        ),
        heat=Heat(
            cpu_celsius=number(temperatures.get("cpu_temp_avg")) or None,
            fan_rpm=tuple(speed for speed in speeds if speed is not None) or None,
        ),
    )


def _last_object(text: str) -> dict[str, object] | None:
    decoder = json.JSONDecoder()
    latest: dict[str, object] | None = None
    at = text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        latest = found if isinstance(found, dict) else latest
        at = text.find("{", end)
    return latest


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _fraction(value: object) -> float | None:
    ratio = number(value)
    return None if ratio is None or ratio < 0 else min(ratio, 1.0)
