"""The probe's whole output: each section read on its own, then joined.

One section that is missing or broken takes nothing else with it.
"""

from __future__ import annotations

import functools
import statistics
from dataclasses import replace

from ..gauges import Gpu, GpuClient
from ..telemetry import Telemetry, merge
from . import account, gpu, hardware, linux, memory, people, power, sysctl
from .kinds import plain
from .scan import number
from .sections import Sections, split

#: Two readings that are closer say nothing about a rate, in seconds; those further apart did
#: not come from one probe.
SHORTEST, LONGEST = 0.4, 60.0

#: Where two sections know the same thing, the first one here is believed.
_SINGLE = {
    "sysctl": sysctl.named,
    "uname": hardware.uname,
    "sw_vers": hardware.sw_vers,
    "ioreg-hidsystem": people.idle,
    "ioreg-root-console": people.console,
    "pmset-batt": power.pmset,
    "pmset": power.pmset,
    "pmset-therm": power.pmset,
    "notifyutil": power.thermal_pressure,
    "ioreg-battery": power.smart_battery,
    "os-release": linux.os_release,
    "boot_id": linux.boot_id,
    "cpuinfo": linux.cpuinfo,
    "meminfo": linux.meminfo,
    "proc-uptime": linux.up,
    "loadavg": linux.loadavg,
    "psi-memory": linux.pressure,
    "power_supply": linux.power_supply,
    "nvidia-smi": linux.nvidia_smi,
    "setup": account.setup,
    "df": account.df,
}


def read_probe(output: str | bytes, nonce: str | None = None) -> Telemetry:
    """Read what ``probe.sh`` printed. No output raises.

    Parameters
    ----------
    output
        All of it, or as much as came.
    nonce
        What was put in place of ``@NONCE@``; None for a recorded output.
    """
    sections = split(plain(output), nonce)
    parts = [read(text) for name, read in _SINGLE.items() for text in sections.all(name)]
    elapsed = _elapsed(sections)
    sample = functools.reduce(merge, parts, Telemetry())
    sample = merge(sample, _gpus(sections, elapsed))
    sample = merge(sample, _memory(sections, sample.memory.page_bytes, elapsed))
    stopped = sections.all("stopped")
    return replace(
        _finished(sample, sections),
        complete=sections.complete,
        stopped=tuple(stopped[0].split()[:50]) if stopped else None,
    )


def _elapsed(sections: Sections) -> float | None:
    """Return the seconds between the probe's first and last look at the clock."""
    words = [text.split() for text in sections.all("time")]
    times = [time for word in words if word and (time := number(word[0])) is not None]
    between = times[-1] - times[0] if len(times) > 1 else 0.0
    return between if SHORTEST <= between <= LONGEST else None


def _gpus(sections: Sections, elapsed: float | None) -> Telemetry:
    """Return the GPUs of the last reading with the median utilisation of all readings."""
    readings = [gpu.accelerators(text) for text in sections.all("ioreg-accel")]
    latest = functools.reduce(merge, reversed(readings), Telemetry())
    if latest.gpu is None:
        return latest
    busy = [r.gpu.utilization for r in readings if r.gpu and r.gpu.utilization is not None]
    first = replace(
        latest.gpu,
        utilization=statistics.median(busy) if busy else None,
        clients=_shares(sections, elapsed),
    )
    for text in sections.all("ioreg-pmgr"):
        first = replace(first, max_mhz=_of_apple(gpu.clock(text)).max_mhz)
    return replace(latest, gpus=(first, *(latest.gpus or ())[1:]))


def _of_apple(sample: Telemetry) -> Gpu:
    return sample.gpu or Gpu()


def _shares(sections: Sections, elapsed: float | None) -> tuple[GpuClient, ...] | None:
    """Return who uses the GPU: what each process used between two readings.

    A process that came in between has no share yet; a client that was closed makes the
    difference negative, and counts nothing.
    """
    readings = [_of_apple(gpu.clients(text)).clients for text in sections.all("ioreg-clients")]
    if not readings or readings[-1] is None:
        return None
    before = {client.pid: client.seconds for client in readings[0] or ()} if readings[1:] else {}

    def share(client: GpuClient) -> float | None:
        start = before.get(client.pid)
        if elapsed is None or start is None or client.seconds is None:
            return None
        return round(min(1.0, max(0.0, client.seconds - start) / elapsed), 4)

    return tuple(replace(client, share=share(client)) for client in readings[-1])


def _memory(sections: Sections, page_bytes: int | None, elapsed: float | None) -> Telemetry:
    """Return the last reading of memory with the rate between the first and the last."""
    readings = [memory.vm_stat(text, page_bytes) for text in sections.all("vm_stat")]
    readings += [linux.vmstat(text) for text in sections.all("proc-vmstat")]
    if not readings:
        return Telemetry()
    first, latest = readings[0].memory, readings[-1].memory
    page, before, now = latest.page_bytes, first.swap_outs, latest.swap_outs
    rate = None
    if len(readings) > 1 and elapsed and page and before is not None and now is not None:
        rate = max(0, now - before) * page / elapsed
    return Telemetry(memory=replace(latest, swap_out_bytes_per_second=rate))


def _finished(sample: Telemetry, sections: Sections) -> Telemetry:
    """Add what follows from several sections together."""
    memory_now = _within(sample, sections)
    total, used = memory_now.memory.total_bytes, memory_now.memory.used_bytes
    available = memory_now.memory.available_bytes
    if available is None and total is not None and used is not None:
        available = max(0, total - used)
    portable = sample.machine.portable
    if portable is None and not sample.machine.virtual:
        portable = sample.power.battery
    return replace(
        memory_now,
        memory=replace(memory_now.memory, available_bytes=available),
        machine=replace(sample.machine, portable=portable),
    )


def _within(sample: Telemetry, sections: Sections) -> Telemetry:
    """Return `sample` with no more memory than a container has."""
    limits = [linux.cgroup(text).memory for text in sections.all("cgroup")]
    if not limits or limits[0].total_bytes is None:
        return sample
    now, limit = sample.memory, limits[0]
    totals = [value for value in (now.total_bytes, limit.total_bytes) if value is not None]
    free = [value for value in (now.available_bytes, limit.available_bytes) if value is not None]
    total, available = min(totals), min(free, default=None)
    used = None if available is None else max(0, total - available)
    return replace(
        sample,
        memory=replace(now, total_bytes=total, available_bytes=available, used_bytes=used),
    )
