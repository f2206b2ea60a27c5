"""GPUs as `ioreg` shows them: which there are, how busy, who uses them.

Decoys. On Intel Macs other keys contain ``Device Utilization %``. Before ``In use system
memory`` stands a key that only begins like it. A compatibility shim pretends to be an
accelerator. ``IOReportLegend`` repeats the names of all statistics. So whole keys are looked up
in parsed tables, and nothing is searched for.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..gauges import Gpu, GpuClient, Heat, Machine, Power
from ..telemetry import Telemetry, merge
from . import ioreg
from .scan import chip, count, percent

_WANTED = frozenset(
    {
        "AGCInfo",
        "CFBundleIdentifier",
        "IOClass",
        "IONameMatched",
        "PerformanceStatistics",
        "gpu-core-count",
        "model",
        "vendor-id",
        # A table that somebody spread over lines leaves these as properties.
        "Alloc system memory",
        "Device Utilization %",
        "GPU Activity(%)",
        "In use system memory",
        "Renderer Utilization %",
        "Tiler Utilization %",
        "recoveryCount",
    }
)
#: By the class of the driver, over all generations. Paravirtual: a virtual machine's.
_DRIVERS = {
    re.compile(r"AGXAccelerator\w*"): ("apple", None),
    re.compile(r"AppleParavirtGPU\w*"): ("apple", True),
    re.compile(r"(?:NV|GeForce|Tesla)\w*Accelerator\w*|NVDA\w*"): ("nvidia", None),
    re.compile(r"(?:AMD|ATI)\w*Accelerator\w*"): ("amd", None),
    re.compile(r"(?:Apple)?Intel\w*Accelerator\w*"): ("intel", None),
}
#: PCI's numbers, as the first two bytes of ``vendor-id``.
_MAKERS = {0x106B: "apple", 0x1002: "amd", 0x8086: "intel", 0x10DE: "nvidia"}
#: Where no class is left, these say that a table is that of a GPU.
_MARKS = {"Device Utilization %", "In use system memory", "Alloc system memory"}
_SHIM = "com.unknown.bundle"
_ORDER = {"apple": 0, "nvidia": 1, None: 2, "amd": 3, "intel": 4}


def accelerators(text: str) -> Telemetry:
    """Read ``ioreg -c IOAccelerator`` or ``-c AGXAccelerator``, text or property list."""
    found: list[tuple[str | None, Gpu]] = []
    machine = Machine()
    for node in ioreg.nodes(text, _WANTED):
        if (gpu := _gpu(node)) is None:
            continue
        machine = merge(Telemetry(machine=machine), Telemetry(machine=_machine(node, gpu))).machine
        found.append((_identity(node, gpu), gpu))
    gpus = _distinct(found)
    return Telemetry(machine=machine, gpus=gpus or None)


def class_tree(text: str) -> Telemetry:
    """Read a tree of classes: which driver there is says what GPU there is, and no more."""
    return accelerators(text)


def _gpu(node: ioreg.Node) -> Gpu | None:
    properties = node.properties
    stats = ioreg.table(node, "PerformanceStatistics")
    driver = _driver(node.cls)
    known = driver is not None or "IOAccelerator" in node.classes[:-1]
    if "Compatibility" in node.cls or properties.get("CFBundleIdentifier") == _SHIM:
        return None
    if not known and not (_MARKS & (stats.keys() | properties.keys())):
        return None
    name, virtual = chip(properties.get("model"))
    vendor, paravirtual = driver or (_maker(properties.get("vendor-id")), None)
    if vendor is None and name is not None and name.startswith("Apple "):
        vendor = "apple"
    usage = stats if stats else properties
    return Gpu(
        name=name,
        vendor=vendor,
        virtual=paravirtual or virtual,
        driver=node.cls or None,
        cores=count(properties.get("gpu-core-count")),
        utilization=percent(usage.get("Device Utilization %", _activity(vendor, usage))),
        renderer=percent(usage.get("Renderer Utilization %")),
        tiler=percent(usage.get("Tiler Utilization %")),
        in_use_bytes=count(usage.get("In use system memory")),
        allocated_bytes=count(usage.get("Alloc system memory")),
        restarts=count(usage.get("recoveryCount")),
        last_pid=count(ioreg.table(node, "AGCInfo").get("fLastSubmissionPID")) or None,
    )


def _activity(vendor: str | None, usage: dict[str, object]) -> object:
    """Return what AMD's and Intel's drivers call utilisation where they lack Apple's name."""
    return usage.get("GPU Activity(%)") if vendor in ("amd", "intel") else None


def _driver(name: str) -> tuple[str, bool | None] | None:
    return next((what for form, what in _DRIVERS.items() if form.fullmatch(name)), None)


def _maker(vendor_id: object) -> str | None:
    if not isinstance(vendor_id, bytes) or len(vendor_id) < 2:
        return None
    return _MAKERS.get(int.from_bytes(vendor_id[:2], "little"))


def _machine(node: ioreg.Node, gpu: Gpu) -> Machine:
    """Return what Apple's GPU tells about the machine, which is one chip with it."""
    if gpu.vendor != "apple":
        return Machine()
    matched = node.properties.get("IONameMatched")
    soc = re.fullmatch(r"gpu,(t[0-9]{4})", matched) if isinstance(matched, str) else None
    physical = gpu.driver is not None and gpu.driver.startswith("AGX")
    return Machine(
        chip=gpu.name,
        soc=soc[1] if soc else None,
        arch="arm64" if physical or gpu.name else None,
        virtual=gpu.virtual,
    )


def _identity(node: ioreg.Node, gpu: Gpu) -> str | None:
    """Return what two records of one GPU have in common, None if that is unknown.

    Whether a chip of two dies shows two nodes is not known: they would be one GPU.
    """
    if gpu.vendor == "apple" and not gpu.virtual:
        return "apple"
    return node.id


def _distinct(found: list[tuple[str | None, Gpu]]) -> tuple[Gpu, ...]:
    gpus: list[Gpu] = []
    known: dict[str, int] = {}
    for identity, gpu in found:
        if identity is None or identity not in known:
            if identity is not None:
                known[identity] = len(gpus)
            gpus.append(gpu)
        else:
            gpus[known[identity]] = _busier(gpus[known[identity]], gpu)
    return tuple(sorted(gpus, key=lambda gpu: (_ORDER[gpu.vendor], gpu.virtual is True)))


def _busier(first: Gpu, second: Gpu) -> Gpu:
    both = merge(Telemetry(gpus=(first,)), Telemetry(gpus=(second,))).gpus or (first,)
    busy = [gpu.utilization for gpu in (first, second) if gpu.utilization is not None]
    return replace(both[0], utilization=max(busy, default=None))


def clients(text: str) -> Telemetry:
    """Read ``ioreg -c AGXDeviceUserClient``: GPU time of each process since it opened the GPU.

    A process may have many clients, and each many entries; the sum counts.
    """
    spent: dict[int, float] = {}
    windows: set[int] = set()
    for node in ioreg.nodes(text, frozenset({"AppUsage", "IOUserClientCreator"})):
        creator = node.properties.get("IOUserClientCreator")
        match = (
            re.match(r"pid ([0-9]{1,9})(?:, (.*))?", creator) if isinstance(creator, str) else None
        )
        if match is None:
            continue
        pid = int(match[1])
        usage = node.properties.get("AppUsage")
        entries = (
            [entry for entry in usage if ioreg.is_table(entry)] if isinstance(usage, list) else []
        )
        times = [count(entry.get("accumulatedGPUTime")) or 0 for entry in entries]
        spent[pid] = spent.get(pid, 0.0) + sum(times) / 1e9
        if match[2] == "WindowServer":
            windows.add(pid)
    found = [GpuClient(pid=pid, seconds=s, system=pid in windows) for pid, s in spent.items()]
    return Telemetry(gpus=(Gpu(vendor="apple", clients=tuple(found)),) if found else None)


def clock(text: str) -> Telemetry:
    """Read ``voltage-states9`` of ``pmgr``: pairs of hertz and millivolts, the last the highest."""
    for node in ioreg.nodes(text, frozenset({"voltage-states9"})):
        states = node.properties.get("voltage-states9")
        if isinstance(states, bytes) and len(states) >= 8:
            hertz = int.from_bytes(states[len(states) // 8 * 8 - 8 :][:4], "little")
            if 10**8 <= hertz <= 10**10:
                return Telemetry(gpus=(Gpu(vendor="apple", max_mhz=hertz / 1e6),))
    return Telemetry()


def powermetrics(text: str) -> Telemetry:
    """Read lines of `powermetrics`, which needs root and is only ever replayed."""
    lines = dict(re.findall(r"^\s*([A-Z][\w +()]{2,60}): +(.{1,80}?)\s*$", text, re.MULTILINE))

    def figure(*names: str) -> float | None:
        said = next((lines[name] for name in names if name in lines), "")
        match = re.match(r"[0-9]{1,9}(?:[.,][0-9]{1,6})?|\.[0-9]{1,6}", said)
        return float(match[0].replace(",", ".")) if match else None

    watts = figure("GPU Power")
    cpu = figure("CPU Power")
    gpu = Gpu(
        vendor="apple",
        utilization=percent(figure("GPU HW active residency", "GPU active residency")),
        mhz=figure("GPU HW active frequency", "GPU active frequency"),
        watts=None if watts is None else watts / 1000,
    )
    level = re.fullmatch(r"(\w{1,20})", lines.get("Current pressure level", "").lower())
    return Telemetry(
        gpus=(gpu,) if gpu != Gpu(vendor="apple") else None,
        power=Power(cpu_watts=None if cpu is None else cpu / 1000),
        heat=Heat(pressure=level[1] if level else None),
    )
