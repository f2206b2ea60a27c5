"""What ``probe.sh`` would print on a simulated Mac: recordings, with today's values put in. Pure.

Only values are changed that the weather is about, or that a recording lacks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .macs import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from .macs import Mac
    from .weather import Weather

_PAGE = 16384
#: Seconds between the probe's two looks at the clock.
_BETWEEN = 0.95
#: What the script lets through of a node; the same patterns as there.
_OF_GPU = "PerformanceStatistics|model|gpu-core-count|IOClass|AGCInfo|IONameMatched|vendor-id"
_OF_BATTERY = "PowerTelemetryData|Amperage|Voltage|ExternalConnected|BatteryInstalled|CycleCount"
#: Seconds that a Mac without a crash has been up when its simulation begins.
_UP_BEFORE = 3 * 86400.0


def output(mac: Mac, weather: Weather, nonce: str, now: float) -> str:
    """Return the probe's whole output.

    Parameters
    ----------
    nonce
        What marks the sections.
    now
        Seconds since 1970, on the simulated Mac's clock.
    """
    return "".join(f"\n{nonce} {name}\n{text}\n" for name, text in _sections(mac, weather, now))


def _sections(mac: Mac, weather: Weather, now: float) -> list[tuple[str, str]]:
    gpu = ("ioreg-accel", _gpu(mac, weather))
    clients = ("ioreg-clients", "")
    return [
        ("begin", ""),
        ("uname", _uname(mac)),
        ("sw_vers", recording(mac.system).rstrip()),
        ("sysctl", _sysctl(mac, weather, now)),
        ("time", f"{now:.3f}"),
        ("vm_stat", _pages(mac, weather, 0.0)),
        clients,
        gpu,
        gpu,
        ("ioreg-hidsystem", _idle(weather)),
        ("ioreg-root-console", _console(weather)),
        ("pmset-batt", _supply(mac, weather)),
        (
            "pmset",
            # It was recorded where nothing sleeps; simulated Macs do.
            re.sub(
                r"^( *sleep +)0$",
                r"\g<1>10",
                _lines("pmset-custom__m4mini-26.3.txt", r"SleepDisabled|powermode|womp|^ *sleep"),
                flags=re.MULTILINE,
            ),
        ),
        ("notifyutil", f"com.apple.system.thermalpressurelevel {weather.heat}"),
        ("pmset-therm", recording("pmset-therm__m1pro-macos12.1.txt").rstrip()),
        ("ioreg-battery", _battery(weather) if mac.laptop else ""),
        ("ioreg-pmgr", ""),
        gpu,
        clients,
        ("vm_stat", _pages(mac, weather, _BETWEEN)),
        ("time", f"{now + _BETWEEN:.3f}"),
        ("setup", _setup(now + _BETWEEN)),
        ("df", _df()),
        ("stopped", ""),
        ("end", ""),
    ]


def _lines(name: str, pattern: str) -> str:
    return "\n".join(line for line in recording(name).splitlines() if re.search(pattern, line))


def _node(name: str, properties: str) -> str:
    """Return of a recorded node what the script lets through."""
    return _lines(name, rf'^(\+-o |[ |]*"({properties})" = )')


def _put(text: str, key: str, number: int) -> str:
    """Return the table in `text` with another number, where it has that key."""
    return re.sub(rf'"{re.escape(key)}"=\d+', f'"{key}"={number}', text)


def _gpu(mac: Mac, weather: Weather) -> str:
    text = _node(mac.accelerator, _OF_GPU)
    busy = round(weather.gpu * 100)
    for unit, share in (("Device", 1.0), ("Renderer", 0.3), ("Tiler", 0.2)):
        text = _put(text, f"{unit} Utilization %", round(busy * share))
    text = _put(text, "In use system memory", round(weather.gpu * weather.used * mac.gib * 2**29))
    text = _put(text, "Alloc system memory", round(weather.used * mac.gib * 2**29))
    for key, value in (("model", f'"{mac.chip}"'), ("gpu-core-count", str(mac.gpu_cores))):
        line = f'      "{key}" = {value}'
        text, found = re.subn(rf'^ *"{key}" = .*$', line, text, flags=re.MULTILINE)
        text += "" if found else f"\n{line}"
    if mac.driver:
        # The number of the chip is the recorded one's too.
        text = re.sub(r'^ *"(IONameMatched|IOClass)" = .*\n?', "", text, flags=re.MULTILINE)
        text = re.sub(r"\bAGXAccelerator\w+", mac.driver, text)
    return text


def _uname(mac: Mac) -> str:
    version = re.search(r"ProductVersion:\s*([0-9]+)", recording(mac.system))
    # Since macOS 26 both count from the same year, the system one ahead of its kernel by one.
    darwin = {"26": "25"}.get(version[1] if version else "", "27")
    text = recording("uname__m4-27.0.txt").rstrip().replace(" 27.0.0", f" {darwin}.0.0")
    return re.sub(r"RELEASE_ARM64_\w+", "RELEASE_ARM64", re.sub(r"^(Darwin) \S+", r"\1", text))


def _sysctl(mac: Mac, weather: Weather, now: float) -> str:
    cores = sum(number for _, number in mac.levels)
    loads = " ".join(f"{weather.load * cores * share:.2f}" for share in (1.0, 0.9, 0.8))
    swapped = 2048 if weather.swapping else 0
    values = {
        "hw.model": mac.model,
        "hw.memsize": mac.gib * 2**30,
        "hw.pagesize": _PAGE,
        "hw.ncpu": cores,
        "hw.nperflevels": len(mac.levels),
    }
    for level, (kind, number) in enumerate(mac.levels):
        values[f"hw.perflevel{level}.name"] = kind
        values[f"hw.perflevel{level}.physicalcpu"] = number
    values |= {
        "hw.optional.arm64": 1,
        "hw.cputype": 16777228,
        "machdep.cpu.brand_string": mac.chip,
        "kern.hv_vmm_present": 0,
        "sysctl.proc_translated": 0,
        "iogpu.wired_limit_mb": 0,
        "kern.memorystatus_vm_pressure_level": weather.pressure,
        "kern.memorystatus_level": max(1, round(100 * (1 - weather.used))),
        "vm.loadavg": f"{{ {loads} }}",
        "vm.swapusage": f"total = {swapped}.00M  used = {swapped // 2}.00M  "
        f"free = {swapped - swapped // 2}.00M  (encrypted)",
        "kern.boottime": f"{{ sec = {_boot(weather, now)}, usec = 0 }}",
    }
    versions = dict(re.findall(r"^(\w+):\s*(\S+)", recording(mac.system), re.MULTILINE))
    values |= {
        "kern.osproductversion": versions["ProductVersion"],
        "kern.osversion": versions["BuildVersion"],
    }
    return "\n".join(f"{name}: {value}" for name, value in values.items())


def _boot(weather: Weather, now: float) -> int:
    return round(now - (weather.age + _UP_BEFORE if weather.up is None else weather.up))


def _pages(mac: Mac, weather: Weather, later: float) -> str:
    """Return the recorded counts for this Mac's memory, of which the weather's share is used."""
    total = mac.gib * 2**30 // _PAGE
    wired, compressor = round(total * 0.06), round(total * (0.1 if weather.swapping else 0.01))
    purgeable = round(total * 0.01)
    used = round(total * weather.used)
    counts = {
        "Pages wired down": wired,
        "Pages occupied by compressor": compressor,
        "Pages purgeable": purgeable,
        "Anonymous pages": used - wired - compressor + purgeable,
        "Pages active": round(used * 0.55),
        "Pages inactive": round(used * 0.35),
        "Pages speculative": round((total - used) * 0.01),
        "Pages stored in compressor": 3 * compressor,
        "Pages free": max(4000, round((total - used) * 0.05)),
        "File-backed pages": round((total - used) * 0.9),
        "Swapouts": 100_000 + round(weather.swapping * later),
    }

    def counted(name: str) -> Callable[[re.Match[str]], str]:
        # The recorded column is kept as wide as it was.
        return lambda found: f"{counts[name]}.".rjust(len(found[0]))

    text = recording(mac.pages).rstrip()
    for name in counts:
        text = re.sub(rf"(?<=^{name}:)\s+\d+\.", counted(name), text, flags=re.MULTILINE)
    return text


def _idle(weather: Weather) -> str:
    text = _node("ioreg-hidsystem__a.txt", "HIDIdleTime")
    return re.sub(r"(?<=\"HIDIdleTime\" = )\d+", str(round(weather.idle * 1e9)), text)


def _console(weather: Weather) -> str:
    there = weather.idle < 600
    name = "unlocked" if there else "nobody"
    return _lines(f"ioreg-root-console__{name}.txt", r'"IOConsole(Users|Locked)" = ')


def _supply(mac: Mac, weather: Weather) -> str:
    if not mac.laptop:
        return recording("pmset-batt__macbook-a-charged.txt").splitlines()[0]
    if not weather.on_battery:
        return recording("pmset-batt__macbook-a-charged.txt").rstrip()
    text = recording("pmset-batt__macbook-a-discharging.txt").rstrip()
    hours, minutes = divmod(round(weather.charge * 600), 60)
    text = re.sub(r"\d+%", f"{round(weather.charge * 100)}%", text)
    return re.sub(r"\d+:\d\d(?= remaining)", f"{hours}:{minutes:02}", text)


def _battery(weather: Weather) -> str:
    text = _node("ioreg-battery__m1max-mbp-onbattery.txt", _OF_BATTERY)
    plugged = "No" if weather.on_battery else "Yes"
    return re.sub(r'(?<="ExternalConnected" = )\w+', plugged, text)


def _setup(now: float) -> str:
    limits = "open_files 256\nopen_files_most 10240"
    return f"uid 501\nclock {now:.0f}\n{limits}\nlaunchd Background"


def _df() -> str:
    return (
        "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
        "/dev/disk3s5 971350180 402653184 568696996 42% /System/Volumes/Data"
    )
