"""Power, battery, sleep and heat: `pmset`, `AppleSmartBattery`, `notifyutil`.

`pmset` mixes free text with values, so that each value has its own pattern and none depends on
the place of another. What it does not say stays unknown: "no thermal warning has been recorded" is
said by a hot Apple chip too.
"""

from __future__ import annotations

import re

from ..gauges import Heat, Power
from ..telemetry import Telemetry
from . import ioreg
from .scan import count, percent, seconds

_SOURCE = re.compile(r"(?:Now drawing from|Currently drawing from) '(AC|Battery|UPS) Power'")
_BATTERY = re.compile(r"-\s?InternalBattery[^\n]*")
_CHARGE = re.compile(r"\b([0-9]{1,3})%")
_STATES = ("not charging", "finishing charge", "discharging", "charging", "charged")
_LEFT = re.compile(r"\b([0-9]{1,3}:[0-9]{2}) remaining")
_SETTING = re.compile(
    r"^[ \t|>]*(\w[\w ]{0,60}?)[ \t]+(-?[0-9]{1,6})(?=[ \t\r]|$)(.*)$", re.MULTILINE
)
_HELD = re.compile(r"^\s*pid [0-9]+\(.*?\): \[0x[0-9a-fA-F]+\] [0-9:]+ (\w+)", re.MULTILINE)
#: Kinds of assertions that keep a Mac from idle sleep; a lit display does too.
_AWAKE = {
    "PreventUserIdleSystemSleep",
    "PreventSystemSleep",
    "PreventUserIdleDisplaySleep",
    "NoIdleSleepAssertion",
    "NoDisplaySleepAssertion",
    "InternalPreventSleep",
}
_PRESSURES = ("nominal", "moderate", "heavy", "trapping", "sleeping")
#: `AppleSmartBattery` means unknown by it.
_NO_TIME = 65535


def pmset(text: str) -> Telemetry:
    """Read any of ``pmset -g``, ``-g batt``, ``-g therm``, ``-g custom``, ``-g assertions``."""
    return Telemetry(power=_power(text), heat=_heat(text))


def _power(text: str) -> Power:
    source = _SOURCE.search(text)
    supply = source[1].lower() if source else None
    battery = _BATTERY.search(text)
    line = battery[0] if battery else ""
    settings = _settings(text)
    charge, state = _CHARGE.search(line), next((s for s in _STATES if s in line), None)
    kinds, prevented = _assertions(text, settings)
    sleep = count(settings.get("sleep", ("", ""))[0])
    return Power(
        source=supply,
        on_battery=None if supply is None else supply != "ac",
        # A desktop's whole answer is the line that names the source.
        battery=True if battery else (False if source else None),
        charge=percent(charge[1]) if charge else None,
        battery_state=state,
        remaining_seconds=_remaining(line) if state in ("charging", "discharging") else None,
        low_power_mode=_low_power(settings),
        never_sleeps=None if sleep is None else sleep == 0,
        sleep_after_seconds=sleep * 60.0 if sleep else None,
        sleep_disabled=_switch(settings, "SleepDisabled"),
        sleep_prevented=prevented,
        assertions=kinds,
        wake_on_network=_switch(settings, "womp"),
    )


def _remaining(line: str) -> float | None:
    """Return the time that is told; 0:00 stands there too while it is not yet known."""
    left = _LEFT.search(line)
    return (seconds(left[1]) or None) if left else None


def _settings(text: str) -> dict[str, tuple[str, str]]:
    """Return settings with what follows their value; of several sources those of the mains."""
    parts = re.split(r"^(\w+ Power):[ \t\r]*$", text, flags=re.MULTILINE)
    by_source = dict(zip(parts[1::2], parts[2::2], strict=False))
    chosen = by_source.get("AC Power", next(iter(by_source.values()), ""))
    found: dict[str, tuple[str, str]] = {}
    for match in _SETTING.finditer(chosen + "\n" + parts[0]):
        found.setdefault(match[1], (match[2], match[3]))
    return found


def _switch(settings: dict[str, tuple[str, str]], name: str) -> bool | None:
    value = count(settings.get(name, ("", ""))[0])
    return None if value is None else value != 0


def _low_power(settings: dict[str, tuple[str, str]]) -> bool | None:
    """Return whether the mode that saves power is on; newer models number the modes."""
    mode = count(settings.get("powermode", ("", ""))[0])
    return _switch(settings, "lowpowermode") if mode is None else mode == 1


def _assertions(
    text: str, settings: dict[str, tuple[str, str]]
) -> tuple[tuple[str, ...] | None, bool | None]:
    held = set(_HELD.findall(text))
    summary = {name: value for name in _AWAKE if (value := _switch(settings, name)) is not None}
    held |= {name for name, on in summary.items() if on}
    kinds = tuple(sorted(held)) if held or summary else None
    if "sleep prevented by" in settings.get("sleep", ("", ""))[1] or held & _AWAKE:
        return kinds, True
    return kinds, False if summary else None


def _heat(text: str) -> Heat:
    def level(pattern: str) -> int | None:
        match = re.search(pattern + r"\s*=?\s*([0-9]{1,4})\s*$", text, re.MULTILINE)
        return int(match[1]) if match else None

    return Heat(
        thermal_warning=level(r"Thermal Warning Level"),
        performance_warning=level(r"Performance Warning Level"),
        cpu_speed_limit=percent(level(r"CPU_Speed_Limit")),
        cpu_scheduler_limit=percent(level(r"CPU_Scheduler_Limit")),
    )


def thermal_pressure(text: str) -> Telemetry:
    """Read ``notifyutil -g com.apple.system.thermalpressurelevel``; a failure is unknown."""
    match = re.search(r"thermalpressurelevel ([0-9])\s*$", text, re.MULTILINE)
    level = int(match[1]) if match else None
    if level is None or level >= len(_PRESSURES):
        return Telemetry()
    return Telemetry(heat=Heat(level=level, pressure=_PRESSURES[level]))


_BATTERY_KEYS = frozenset(
    {
        "Amperage",
        "BatteryInstalled",
        "CurrentCapacity",
        "CycleCount",
        "ExternalConnected",
        "FullyCharged",
        "InstantAmperage",
        "IsCharging",
        "MaxCapacity",
        "PowerTelemetryData",
        "Temperature",
        "TimeRemaining",
        "Voltage",
    }
)


def smart_battery(text: str) -> Telemetry:
    """Read ``ioreg -c AppleSmartBattery``; it is brought up to date every 30 to 60 seconds."""
    for node in ioreg.nodes(text, _BATTERY_KEYS):
        if len(node.properties) > 0:
            return Telemetry(power=_smart_battery(node))
    return Telemetry()


def _smart_battery(node: ioreg.Node) -> Power:
    get = node.properties.get
    plugged = get("ExternalConnected")
    installed = get("BatteryInstalled")
    left = count(get("TimeRemaining"))
    temperature = count(get("Temperature"))
    full, now = count(get("MaxCapacity")), count(get("CurrentCapacity"))
    state = _battery_state(get("IsCharging"), get("FullyCharged"), plugged)
    return Power(
        source=None if not isinstance(plugged, bool) else ("ac" if plugged else "battery"),
        on_battery=not plugged if isinstance(plugged, bool) else None,
        battery=installed if isinstance(installed, bool) else None,
        charge=min(1.0, round(now / full, 4)) if now is not None and full else None,
        battery_state=state,
        remaining_seconds=left * 60.0 if left and left != _NO_TIME else None,
        battery_cycles=count(get("CycleCount")),
        battery_celsius=temperature / 100 if temperature else None,
        system_watts=_watts(node, plugged),
    )


def _battery_state(charging: object, full: object, plugged: object) -> str | None:
    if plugged is False:
        return "discharging"
    if charging is True:
        return "charging"
    if full is True:
        return "charged"
    return "not charging" if plugged is True and charging is False else None


def _watts(node: ioreg.Node, plugged: object) -> float | None:
    """Return what the machine draws: its own figure (mW), else current by voltage of a battery.

    That current is the machine's only while the battery alone feeds it.
    """
    load = count(ioreg.table(node, "PowerTelemetryData").get("SystemLoad"))
    if load:
        return load / 1000
    amperes, volts = node.properties.get("Amperage"), count(node.properties.get("Voltage"))
    if plugged is not False or not isinstance(amperes, int) or amperes >= 0 or not volts:
        return None
    return round(-amperes * volts / 1e6, 3)
