"""Linux hosts: the same telemetry from ``/proc``, ``/sys`` and `nvidia-smi`."""

from __future__ import annotations

import csv
import re

from ..gauges import Gpu, Machine, Memory, Power, System
from ..telemetry import Telemetry
from .scan import arch, count, number, percent

_KIB = re.compile(r"^([\w()]{2,40}):\s+([0-9]{1,15}) kB\s*$", re.MULTILINE)
_STALL = re.compile(r"^(some|full) avg10=([0-9]{1,3}\.[0-9]{1,4})", re.MULTILINE)
#: A line of `nvidia-smi` is shorter, in characters; the reader of CSV refuses what is very long.
_WIDEST = 2000
#: Shares of ten seconds in which work stood still for want of memory, in percent, that count as
#: what macOS calls warn (somebody waited) and critical (everybody did).
WARN, CRITICAL = 10.0, 20.0


def os_release(text: str) -> Telemetry:
    """Read ``/etc/os-release``."""
    said = dict(re.findall(r"^(\w+)=\"?([^\"\n\r]*)\"?\s*$", text, re.MULTILINE))
    version = System(name=said.get("NAME") or None, version=said.get("VERSION_ID") or None)
    return Telemetry(system=version)


def boot_id(text: str) -> Telemetry:
    """Read ``/proc/sys/kernel/random/boot_id``."""
    match = re.fullmatch(r"\s*([0-9a-f-]{36})\s*", text)
    return Telemetry(system=System(boot_id=match[1] if match else None))


def cpuinfo(text: str) -> Telemetry:
    """Read ``/proc/cpuinfo``, or its line of a name with one of the number of processors."""
    name = re.search(r"^(?:model name|Model)\s*: (\S.*?)\s*$", text, re.MULTILINE)
    online = re.search(r"^online: ([0-9]{1,5})\s*$", text, re.MULTILINE)
    listed = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    brand = name[1] if name else None
    return Telemetry(
        machine=Machine(
            chip=brand, arch=arch(brand), cpus=int(online[1]) if online else listed or None
        )
    )


def meminfo(text: str) -> Telemetry:
    """Read ``/proc/meminfo``. "Available" is the kernel's own estimate; "free" is not it."""
    said = {name: int(value) * 1024 for name, value in _KIB.findall(text)}
    total, available = said.get("MemTotal"), said.get("MemAvailable")
    swap, unused = said.get("SwapTotal"), said.get("SwapFree")
    used = None if total is None or available is None else max(0, total - available)
    return Telemetry(
        memory=Memory(
            total_bytes=total,
            available_bytes=available,
            used_bytes=used,
            free_bytes=said.get("MemFree"),
            active_bytes=said.get("Active"),
            inactive_bytes=said.get("Inactive"),
            anonymous_bytes=said.get("AnonPages"),
            swap_total_bytes=swap,
            swap_free_bytes=unused,
            swap_used_bytes=None if swap is None or unused is None else max(0, swap - unused),
        )
    )


def vmstat(text: str) -> Telemetry:
    """Read pages swapped since the boot from ``/proc/vmstat``; the probe adds their size."""
    said = dict(re.findall(r"^(pswpin|pswpout|page_bytes) ([0-9]{1,18})\s*$", text, re.MULTILINE))
    return Telemetry(
        memory=Memory(
            page_bytes=count(said.get("page_bytes")),
            swap_ins=count(said.get("pswpin")),
            swap_outs=count(said.get("pswpout")),
        )
    )


def cgroup(text: str) -> Telemetry:
    """Read what a container may have at most, and what it has now."""
    said = dict(re.findall(r"^(memory\.\w+) ([0-9]{1,19})\s*$", text, re.MULTILINE))
    most, now = count(said.get("memory.max")), count(said.get("memory.current"))
    left = None if most is None or now is None else max(0, most - now)
    return Telemetry(memory=Memory(total_bytes=most, available_bytes=left))


def up(text: str) -> Telemetry:
    """Read ``/proc/uptime``."""
    words = text.split()
    return Telemetry(system=System(uptime_seconds=number(words[0]) if words else None))


def loadavg(text: str) -> Telemetry:
    """Read ``/proc/loadavg``."""
    loads = [number(word) for word in text.split()[:3]]
    load_1, load_5, load_15 = loads if len(loads) == 3 else (None, None, None)
    return Telemetry(system=System(load_1=load_1, load_5=load_5, load_15=load_15))


def pressure(text: str) -> Telemetry:
    """Read ``/proc/pressure/memory`` as one of the three levels that macOS has."""
    said = {kind: float(value) for kind, value in _STALL.findall(text)}
    if "some" not in said:
        return Telemetry()
    critical = said.get("full", 0.0) >= CRITICAL
    level = "critical" if critical else ("warn" if said["some"] >= WARN else "normal")
    return Telemetry(memory=Memory(pressure=level))


def power_supply(text: str) -> Telemetry:
    """Read ``/sys/class/power_supply``: supplies of this machine, not of a mouse."""
    blocks = re.split(r"^supply ", text, flags=re.MULTILINE)
    mains: list[bool] = []
    power = Power()
    for block in blocks[1:]:
        kind, _, rest = block.partition("\n")
        said = dict(re.findall(r"^(\w+) (\S.*?)\s*$", rest, re.MULTILINE))
        if kind.strip() in ("Mains", "USB") and said.get("online") in ("0", "1"):
            mains.append(said["online"] == "1")
        if kind.strip() == "Battery" and said.get("scope") != "Device":
            state = said.get("status", "").lower()
            power = Power(
                battery=True,
                charge=percent(said.get("capacity")),
                battery_state={"full": "charged"}.get(state, state) or None,
            )
    on_battery = (not any(mains)) if mains and power.battery else None
    source = None if on_battery is None else ("battery" if on_battery else "ac")
    known = {name: getattr(power, name) for name in ("battery", "charge", "battery_state")}
    return Telemetry(power=Power(**known, on_battery=on_battery, source=source))


def nvidia_smi(text: str) -> Telemetry:
    """Read ``nvidia-smi --query-gpu=... --format=csv``, with its line of names.

    What a card cannot tell is ``[N/A]``. A host without NVIDIA's driver has no such GPU: known.
    """
    lines = [line[:_WIDEST] for line in text.splitlines() if line.strip()]
    if any(line.strip() == "no driver" for line in lines):
        return Telemetry(gpus=())
    first = next((i for i, line in enumerate(lines) if "memory.total" in line), None)
    if first is None:
        return Telemetry()
    rows = list(csv.reader(lines[first:], skipinitialspace=True))
    names = [name.split(" ")[0].strip() for name in rows[0]]
    gpus = [
        _nvidia(dict(zip(names, row, strict=True))) for row in rows[1:] if len(row) == len(names)
    ]
    return Telemetry(gpus=tuple(gpus) or None)


def _nvidia(said: dict[str, str]) -> Gpu:
    def figure(name: str) -> float | None:
        match = re.match(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\b", said.get(name, ""))
        return float(match[1]) if match else None

    def size(name: str) -> int | None:
        value = figure(name)
        return None if value is None else round(value * 2**20)

    return Gpu(
        name=said.get("name", "").strip() or None,
        vendor="nvidia",
        driver=said.get("driver_version", "").strip() or None,
        utilization=percent(figure("utilization.gpu")),
        memory_bytes=size("memory.total"),
        memory_used_bytes=size("memory.used"),
        watts=figure("power.draw"),
        celsius=figure("temperature.gpu"),
        mhz=figure("clocks.current.sm"),
        max_mhz=figure("clocks.max.sm"),
    )
