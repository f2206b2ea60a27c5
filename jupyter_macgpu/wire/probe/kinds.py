"""What can be read, by its kind: a kind is called as its tool is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from ..telemetry import Telemetry
from . import account, gpu, hardware, linux, macmon, memory, people, power, sysctl

#: More than any output that anybody reports, in characters.
LONGEST = 8 * 1024 * 1024

_READERS: dict[str, Callable[[str], Telemetry]] = {
    "ioreg-accel": gpu.accelerators,
    "ioreg-grep-perfstats": gpu.accelerators,
    "ioreg-classtree": gpu.class_tree,
    "ioreg-clients": gpu.clients,
    "ioreg-pmgr": gpu.clock,
    "ioreg-battery": power.smart_battery,
    "ioreg-hidsystem": people.idle,
    "ioreg-root-console": people.console,
    "vm_stat": memory.vm_stat,
    "memory_pressure": memory.memory_pressure,
    "sysctl": sysctl.named,
    "sysctl-n": sysctl.bare,
    "pmset": power.pmset,
    "notifyutil": power.thermal_pressure,
    "powermetrics": gpu.powermetrics,
    "macmon": macmon.pipe,
    "sp": hardware.profiler,
    "sw_vers": hardware.sw_vers,
    "uname": hardware.uname,
    "uptime": people.uptime,
    "w": people.w,
    "who": people.who,
    "last": people.last,
    "df": account.df,
    "setup": account.setup,
    "os-release": linux.os_release,
    "boot_id": linux.boot_id,
    "cpuinfo": linux.cpuinfo,
    "meminfo": linux.meminfo,
    "cgroup": linux.cgroup,
    "proc-vmstat": linux.vmstat,
    "proc-uptime": linux.up,
    "loadavg": linux.loadavg,
    "psi-memory": linux.pressure,
    "power_supply": linux.power_supply,
    "nvidia-smi": linux.nvidia_smi,
}
_STRANGE = re.compile(r"[^\S\n\t ]")
_WIDE = re.compile(r"[ \t]{200,}")
_EMPTY = re.compile(r"\n[ \t\n]*\n")
#: Marks by which an output tells its kind, the surest first.
_SIGNS = (
    ("vm_stat", r"Mach Virtual Memory Statistics"),
    ("memory_pressure", r"System-wide memory free percentage|^The system has [0-9]+ \("),
    ("ioreg-battery", r"AppleSmartBattery|PowerTelemetryData"),
    ("ioreg-hidsystem", r"HIDIdleTime"),
    ("ioreg-root-console", r"IOConsole(?:Users|Locked)"),
    ("ioreg-clients", r"IOUserClientCreator"),
    ("ioreg-pmgr", r"voltage-states9"),
    ("ioreg-accel", r"PerformanceStatistics|AGXAccelerator|AppleParavirtGPU"),
    ("sp", r"SP\w+DataType|Hardware Overview:|Chipset Model:|\"(?:machine_model|sppci_model)\""),
    ("pmset", r"Now drawing from|(?:thermal|performance) warning level|CPU_Speed_Limit"),
    ("pmset", r"displaysleep|SleepDisabled|Prevent\w+Sleep"),
    ("notifyutil", r"thermalpressurelevel"),
    ("macmon", r"\"(?:gpu_active_ratio|gpu_usage|gpu_power)\""),
    ("powermetrics", r"GPU (?:HW )?active residency|GPU Power:"),
    ("sw_vers", r"^\s*ProductVersion"),
    ("uname", r"^Darwin |^Linux \S+ [0-9]"),
    ("w", r"load averages?:[^\n]{0,80}\n\s*USER"),
    ("uptime", r"load averages?:"),
    ("last", r"^wtmp begins|still logged in| - [0-9:]{5} +\([0-9+:]+\)"),
    ("nvidia-smi", r"memory\.total \[MiB\]"),
    ("meminfo", r"^MemTotal:"),
    ("sysctl", r"^[ \t|>]*(?:hw|kern|machdep|vm|iogpu|sysctl)\.[\w.]+ ?[:=]"),
    ("sysctl-n", r"^total = [0-9.]+M +used"),
    ("who", r"^\S+ +(?:console|tty\w+|pts/[0-9]+) +"),
)


class UnknownKind(ValueError):
    """No reader goes by that name. Nothing was read."""


def names() -> list[str]:
    """Return the kinds that can be read."""
    return sorted(_READERS)


def known(kind: str) -> str | None:
    """Return the kind that `kind` is one of: itself, or what is left of its ``-`` endings.

    ``ioreg-accel-plist`` is read as ``ioreg-accel``: a reader knows the forms of its tool.
    """
    while kind not in _READERS:
        kind, dash, _ = kind.rpartition("-")
        if not dash:
            return None
    return kind


def read(kind: str, output: str | bytes) -> Telemetry:
    """Read what one tool printed. What is not in it is None; no output raises.

    Parameters
    ----------
    kind
        The tool, as `names` lists them; endings after ``-`` may say more.
    output
        Whole, cut, filtered or indented; of bytes those that are no UTF-8 are replaced.

    Raises
    ------
    UnknownKind
        If nothing reads that kind.
    """
    base = known(kind)
    if base is None:
        near = difflib.get_close_matches(kind, _READERS, n=1)
        hint = f"; nearest: {near[0]}" if near else ""
        raise UnknownKind(f"no reader for {kind[:60]!r}{hint}; there are: {', '.join(names())}")
    text = plain(output)
    if base == "sysctl-n":
        return sysctl.bare(text, hint=kind.removeprefix("sysctl-n").strip("-"))
    return _READERS[base](text)


def plain(output: str | bytes) -> str:
    """Return an output as text with plain line ends, cut to `LONGEST`.

    Long runs of blanks become short ones: a pattern may try each place in a run.
    """
    text = output[:LONGEST].decode(errors="replace") if isinstance(output, bytes) else output
    text = text[:LONGEST].removeprefix("\ufeff").replace("\0", "")
    text = _STRANGE.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _EMPTY.sub("\n\n", _WIDE.sub(" " * 200, text))


def guess(output: str | bytes) -> str | None:
    """Return the kind that an output looks like."""
    text = plain(output)
    return next((kind for kind, sign in _SIGNS if re.search(sign, text, re.MULTILINE)), None)
