"""`sysctl`: names with values, or (`-n`) values alone, of which some tell what they are."""

from __future__ import annotations

import re

from ..gauges import CpuLevel, Machine, Memory, System
from ..telemetry import Telemetry
from .scan import arch, chip, count, number, percent, portable, size, virtual_model, whole

_LINE = re.compile(r"[\s|>]*([a-z]\w{1,30}\.[\w.]{1,80})\s*(?::|=)\s*(.*)")
_SWAP = {
    name: re.compile(rf"\b{name}\s*=\s*([0-9.,]{{1,16}}[KMGTP]?)")
    for name in ("total", "used", "free")
}
_MODEL = re.compile(r"[A-Z][A-Za-z]{2,20}[0-9]{1,3},[0-9]{1,3}")
_RESPONSE = re.compile(r"[0-9]{2}[A-Z][0-9]{6}[a-z]")
_PRESSURE = {1: "normal", 2: "warn", 4: "critical"}
#: Values of ``hw.cputype``; the high byte says 64 bits.
_CPU_TYPES = {12: "arm64", 7: "x86_64"}
_COUNTS = ("physical", "logical")
#: Fewer levels exist than this.
_LEVELS = 8

#: All count logical processors, the last one cores, which is the same on Apple silicon.
_CPUS = ("hw.ncpu", "hw.logicalcpu", "machdep.cpu.thread_count", "machdep.cpu.core_count")
#: What a translated process is told instead of the chip's name.
_TRANSLATED = "VirtualApple"

BRAND = "machdep.cpu.brand_string"
KNOWN = (
    "hw.memsize hw.pagesize hw.ncpu hw.model hw.cputype hw.optional.arm64 vm.swapusage vm.loadavg "
    "kern.osproductversion kern.osversion kern.hv_vmm_present kern.boottime "
    "kern.memorystatus_level kern.memorystatus_vm_pressure_level sysctl.proc_translated "
    "iogpu.wired_limit_mb machdep.cpu.brand_string"
).split()


def named(text: str) -> Telemetry:
    """Read ``sysctl NAME...``, ``-a`` or ``-i``: lines of a name and a value."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        if (match := _LINE.match(line)) is not None:
            values.setdefault(match[1], match[2].strip())
    return _telemetry(values)


def bare(text: str, hint: str = "") -> Telemetry:
    """Read ``sysctl -n``, which prints no names; `hint` may be the end of one.

    A value counts where its form leaves no doubt. A small number is the count of processors
    only behind a size of memory or page; any other could be anything.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(_LINE.match(line) for line in lines):
        return named(text)
    values: dict[str, str] = {}
    asked = [name for name in KNOWN if hint and name.rpartition(".")[2] == hint]
    if asked and len(lines) == 1:
        values[asked[0]] = lines[0]
    for line in lines:
        name = _guess(line, values)
        if name is not None:
            values.setdefault(name, line)
    return _telemetry(values)


def _guess(line: str, before: dict[str, str]) -> str | None:
    value = whole(line)
    if value is not None:
        if value >= 2**29:
            return "hw.memsize"
        if value in (4096, 16384):
            return "hw.pagesize"
        sized = "hw.memsize" in before or "hw.pagesize" in before
        return "hw.ncpu" if sized and 1 < value <= 256 and "hw.ncpu" not in before else None
    forms = {
        "vm.swapusage": r"total = .*used = .*",
        "vm.loadavg": r"\{ ?[0-9].*\}",
        "kern.boottime": r"\{ ?sec = .*",
        "kern.osproductversion": r"[0-9]{2}\.[0-9.]{1,8}",
        "kern.osversion": r"[0-9]{2}[A-Z][0-9]{1,5}[a-z]?",
        "hw.model": _MODEL.pattern,
        BRAND: r"(?:Apple|Intel|AMD|VirtualApple)\b.*",
    }
    return next((name for name, form in forms.items() if re.fullmatch(form, line)), None)


def _telemetry(values: dict[str, str]) -> Telemetry:
    get = values.get
    loads = [number(part) for part in re.findall(r"[0-9.,]{1,12}", get("vm.loadavg", ""))[:3]]
    load_1, load_5, load_15 = loads if len(loads) == 3 else (None, None, None)
    boot = re.search(r"\bsec = ([0-9]{1,12})", get("kern.boottime", ""))
    build, release = get("kern.osversion") or None, get("kern.osrelease")
    return Telemetry(
        machine=_machine(values),
        system=System(
            name="macOS" if "kern.osproductversion" in values else None,
            version=get("kern.osproductversion") or None,
            kernel=f"Darwin {release}" if release else None,
            build=build,
            beta=is_beta(build),
            boot_time=float(boot[1]) if boot else None,
            load_1=load_1,
            load_5=load_5,
            load_15=load_15,
        ),
        memory=_memory(values),
    )


def is_beta(build: str | None) -> bool | None:
    """Return whether a build is a test version: these end in a small letter.

    So do security responses such as ``22E772610a``, which have one digit more.
    """
    if build is None:
        return None
    return build[-1:].islower() and _RESPONSE.fullmatch(build) is None


def _memory(values: dict[str, str]) -> Memory:
    swap = {}
    for name, form in _SWAP.items():
        match = form.search(values.get("vm.swapusage", ""))
        swap[name] = size(match[1]) if match else None
    limit = count(values.get("iogpu.wired_limit_mb"))
    level = count(values.get("kern.memorystatus_vm_pressure_level"))
    return Memory(
        total_bytes=count(values.get("hw.memsize")) or None,
        page_bytes=count(values.get("hw.pagesize", values.get("vm.pagesize"))) or None,
        pressure=None if level is None else _PRESSURE.get(level),
        free_fraction=percent(values.get("kern.memorystatus_level")),
        swap_total_bytes=swap["total"],
        swap_used_bytes=swap["used"],
        swap_free_bytes=swap["free"],
        wired_limit_bytes=None if limit is None else limit * 2**20,
    )


def _machine(values: dict[str, str]) -> Machine:
    brand, named_virtual = chip(values.get(BRAND))
    model = values.get("hw.model") or None
    guest = _flag(values.get("kern.hv_vmm_present"))
    translated = brand is not None and brand.startswith(_TRANSLATED)
    cpus = [count(values.get(name)) for name in _CPUS]
    return Machine(
        model=model,
        chip=None if translated else brand,
        arch="arm64" if translated else _arch(values, brand),
        virtual=True if named_virtual or virtual_model(model) else guest,
        rosetta=True if translated else _flag(values.get("sysctl.proc_translated")),
        portable=portable(model),
        cpus=next((value for value in cpus if value), None),
        cpu_levels=_levels(values),
    )


def _flag(text: str | None) -> bool | None:
    value = count(text)
    return bool(value) if value in (0, 1) else None


def _arch(values: dict[str, str], brand: str | None) -> str | None:
    if _flag(values.get("hw.optional.arm64")) or _flag(values.get("sysctl.proc_translated")):
        return "arm64"
    kind = count(values.get("hw.cputype"))
    machine = values.get("hw.machine")
    if machine in _CPU_TYPES.values():
        return machine
    return arch(brand) or (None if kind is None else _CPU_TYPES.get(kind & 0xFFFFFF))


def _levels(values: dict[str, str]) -> tuple[CpuLevel, ...] | None:
    """Return the kinds of cores; their names differ between chips, and old systems give none."""
    found = []
    for level in range(_LEVELS):
        name = values.get(f"hw.perflevel{level}.name") or None
        counts = [count(values.get(f"hw.perflevel{level}.{kind}cpu")) for kind in _COUNTS]
        cores = next((value for value in counts if value), None)
        if name is not None or cores is not None:
            found.append(CpuLevel(name=name, cores=cores))
    return tuple(found) or None
