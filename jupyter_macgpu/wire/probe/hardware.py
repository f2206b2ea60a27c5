"""What was built: `system_profiler` (JSON and text), `sw_vers`, `uname`.

Never read from here: ``number_processors`` has had four orders of its fields, and the text form
is partly in the owner's language.
"""

from __future__ import annotations

import itertools
import json
import re
import textwrap

from ..gauges import Gpu, Heat, Machine, Memory, Power, System
from ..telemetry import Telemetry
from . import plist
from .people import duration
from .scan import arch, chip, count, percent, portable, size, virtual_model
from .sysctl import is_beta

_PAIR = re.compile(r'"([\w ]{1,80})"\s*:\s*(?:"([^"\n]*)"|([0-9]{1,18})\b)')
_OPENING = re.compile(r"^\s*[\[{]", re.MULTILINE)
_TOKEN = re.compile(r"kHW_Apple(M[0-9]+|A[0-9]+)(Pro|Max|Ultra)?Item")
_VENDORS = {"apple": "apple", "0x106b": "apple", "amd": "amd", "0x1002": "amd"} | {
    "ati": "amd",
    "intel": "intel",
    "0x8086": "intel",
    "nvidia": "nvidia",
    "0x10de": "nvidia",
}
_ORDER = ("apple", "nvidia", None, "amd", "intel")
_DEEPEST = 32
#: Kernels of families with one chip; the others (T6000...) serve three chips each.
_KERNELS = {
    "T8103": "Apple M1",
    "T8112": "Apple M2",
    "T8122": "Apple M3",
    "T8132": "Apple M4",
    "T8142": "Apple M5",
}


def profiler(text: str) -> Telemetry:
    """Read `system_profiler`, ``-json``, ``-xml`` or text, whichever data types are in it."""
    entries = _entries(text)
    if not entries:
        return _from_text(textwrap.dedent(text))
    hardware = next((entry for entry in entries if entry.keys() & _HARDWARE), None)
    gpus = [gpu for entry in entries if (gpu := _json_gpu(entry)) is not None]
    lists = [entry.get("spdisplays_ndrvs") for entry in entries]
    displays = [sum(map(_is_display, found)) for found in lists if isinstance(found, list)]
    software = next((entry for entry in entries if "os_version" in entry), {})
    machine, memory = _json_hardware(hardware) if hardware else (Machine(), Memory())
    return _sample(machine, memory, _version(str(software.get("os_version", ""))), gpus, displays)


def _is_display(entry: object) -> bool:
    """Return whether an entry is a display, and not a socket without one."""
    if not isinstance(entry, dict):
        return False
    return entry.get("spdisplays_status") != "spdisplays_not_connected"


_VRAM = ("spdisplays_vram", "_spdisplays_vram", "spdisplays_vram_shared")
_HARDWARE = {"machine_model", "machine_name", "chip_type", "cpu_type", "physical_memory"}


def _entries(text: str) -> list[dict[str, object]]:
    """Return all JSON objects in `text`; of a broken document its pairs, as one."""
    if plist.is_plist(text):
        return _objects(plist.roots(text), 0)
    start = _OPENING.search(text)
    if start is not None:
        try:
            found = _objects(json.JSONDecoder().raw_decode(text, start.end() - 1)[0], 0)
        except (ValueError, RecursionError):
            found = []
        if found:
            return found
    pairs: dict[str, object] = {}
    for key, said, figure in _PAIR.findall(text):
        pairs.setdefault(key, said or count(figure))
    return [pairs] if pairs else []


def _objects(value: object, depth: int) -> list[dict[str, object]]:
    if depth > _DEEPEST:
        return []
    if isinstance(value, list):
        return [found for entry in value for found in _objects(entry, depth + 1)]
    if not isinstance(value, dict):
        return []
    return [value, *(f for entry in value.values() for f in _objects(entry, depth + 1))]


def _json_hardware(entry: dict[str, object]) -> tuple[Machine, Memory]:
    def said(key: str) -> str | None:
        value = entry.get(key)
        return value if isinstance(value, str) and value else None

    return _hardware(
        model=said("machine_model"),
        name=said("machine_name"),
        chip_name=said("chip_type") or said("cpu_type"),
        memory=said("physical_memory"),
    )


def _hardware(
    *, model: str | None, name: str | None, chip_name: str | None, memory: str | None
) -> tuple[Machine, Memory]:
    plain, virtual = chip(chip_name)
    laptop = portable(name)
    machine = Machine(
        model=model,
        name=name,
        chip=plain,
        arch=arch(plain),
        virtual=True if virtual or virtual_model(model) else None,
        portable=portable(model) if laptop is None else laptop,
    )
    return machine, Memory(total_bytes=size(memory))


def _json_gpu(entry: dict[str, object]) -> Gpu | None:
    token = entry.get("sppci_model", entry.get("_name"))
    named = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    name, virtual = chip(" ".join(filter(None, ("Apple", *named.groups()))) if named else token)
    if not any(key.startswith("sppci_") for key in entry):
        return None
    family = str(
        entry.get("spdisplays_mtlgpufamilysupport", entry.get("spdisplays_metalfamily", ""))
    )
    match = re.search(r"(metal[0-9]*|apple[0-9]+|mac[0-9]+)$", family)
    sizes = [entry.get(key) for key in _VRAM]
    return Gpu(
        name=name,
        vendor=_vendor(entry.get("spdisplays_vendor"), name),
        virtual=virtual,
        cores=count(entry.get("sppci_cores")),
        metal=match[1] if match else None,
        memory_bytes=next((found for said in sizes if (found := size(said)) is not None), None),
    )


def _vendor(said: object, name: str | None) -> str | None:
    """Return the maker, from what the entry says or else from the name of the GPU."""
    for text in (said, name):
        words = re.findall(r"[a-z0-9]+", text.lower()) if isinstance(text, str) else []
        if (
            found := next((_VENDORS[word] for word in words if word in _VENDORS), None)
        ) is not None:
            return found
    return None


def _sample(
    machine: Machine, memory: Memory, system: System, gpus: list[Gpu], displays: list[int]
) -> Telemetry:
    # A Mac without a display lists none, and so does a report that somebody cut: not 0.
    values = {f: getattr(machine, f) for f in Machine.__dataclass_fields__}
    apple = next((gpu for gpu in gpus if gpu.vendor == "apple"), None)
    if apple is not None:
        values["chip"] = machine.chip or apple.name
        values["arch"] = machine.arch or arch(apple.name)
        values["virtual"] = machine.virtual or apple.virtual
    return Telemetry(
        machine=Machine(**{**values, "displays": sum(displays) if displays else None}),
        system=system,
        gpus=tuple(sorted(gpus, key=lambda gpu: _ORDER.index(gpu.vendor))) or None,
        memory=memory,
    )


def _version(text: str) -> System:
    """Read ``macOS 11.2.3 (20D91)``."""
    match = re.search(
        r"(macOS|Mac OS X|OS X)\D{0,20}([0-9][0-9.]{1,12})(?:\s*\((\w{1,12})\))?", text
    )
    if match is None:
        return System()
    return System(name=match[1], version=match[2], build=match[3], beta=is_beta(match[3]))


def _from_text(text: str) -> Telemetry:
    hardware = _pairs(_part(text, "Hardware") or text)
    machine, memory = _hardware(
        model=hardware.get("Model Identifier"),
        name=hardware.get("Model Name"),
        chip_name=hardware.get("Chip") or hardware.get("Processor Name"),
        memory=hardware.get("Memory"),
    )
    software = _pairs(_part(text, "Software") or text)
    version = _version(software.get("System Version", ""))
    kernel = software.get("Kernel Version")
    system = System(
        name=version.name,
        version=version.version,
        build=version.build,
        beta=version.beta,
        kernel=kernel,
        uptime_seconds=duration(software.get("Time since boot", "")),
    )
    gpus, displays = _text_gpus(_part(text, "Graphics/Displays") or text)
    sample = _sample(machine, memory, system, gpus, displays)
    return Telemetry(
        machine=sample.machine,
        system=sample.system,
        gpus=sample.gpus,
        memory=sample.memory,
        power=_text_power(_part(text, "Power") or ""),
        heat=Heat(),
    )


def _part(text: str, name: str) -> str | None:
    """Return a data type's part of the text: from its heading to the next one."""
    match = re.search(
        rf"^[ \t]{{0,3}}{re.escape(name)}:[ \t]*$(.*?)(?=^\S[^\n]*:[ \t]*$|\Z)",
        text,
        re.MULTILINE | re.DOTALL,
    )
    return match[1] if match else None


def _pairs(text: str) -> dict[str, str]:
    """Return the first value of each key."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.strip().partition(": ")
        if colon and value.strip():
            found.setdefault(key, value.strip())
    return found


def _text_gpus(text: str) -> tuple[list[Gpu], list[int]]:
    starts = [match.start() for match in re.finditer(r"^[ \t]*Chipset Model:", text, re.MULTILINE)]
    gpus, displays = [], []
    for start, end in itertools.pairwise([*starts, len(text)]):
        block = text[start:end]
        own, listed, screens = block.partition("Displays:")
        said = _pairs(own)
        name, virtual = chip(said.get("Chipset Model"))
        family = re.search(r"(Metal [0-9]+|Apple [0-9]+|Mac [0-9]+)$", _metal(said))
        vram = next((value for key, value in said.items() if key.startswith("VRAM")), None)
        gpus.append(
            Gpu(
                name=name,
                vendor=_vendor(said.get("Vendor"), name),
                virtual=virtual,
                cores=count(said.get("Total Number of Cores")),
                metal=family[1].lower().replace(" ", "") if family else None,
                memory_bytes=size(vram),
            )
        )
        if listed:
            displays.append(len(re.findall(r"^[ \t]*Resolution:", screens, re.MULTILINE)))
    return gpus, displays


def _metal(said: dict[str, str]) -> str:
    return said.get("Metal Support") or said.get("Metal Family") or said.get("Metal") or ""


def _text_power(text: str) -> Power:
    said = _pairs(text)
    if not said:
        return Power()
    charge = percent(said.get("State of Charge (%)"))
    plugged = re.search(r"AC Charger Information:\s+Connected: (Yes|No)\b", text)
    on_ac = None if plugged is None else plugged[1] == "Yes"
    state = None
    if charge is not None:
        full, charging = said.get("Fully Charged"), said.get("Charging")
        idle = None if on_ac is None else ("not charging" if on_ac else "discharging")
        state = "charged" if full == "Yes" else ("charging" if charging == "Yes" else idle)
    return Power(
        source=None if on_ac is None else ("ac" if on_ac else "battery"),
        on_battery=None if on_ac is None else not on_ac,
        battery=True if charge is not None else None,
        charge=charge,
        battery_state=state,
        battery_cycles=count(said.get("Cycle Count")),
    )


def sw_vers(text: str) -> Telemetry:
    """Read `sw_vers`: name, version and build of the system."""
    said = dict(
        re.findall(r"^[ \t|>]*(Product\w+|BuildVersion):?\s+(\S.*?)\s*$", text, re.MULTILINE)
    )
    build = said.get("BuildVersion")
    version = System(
        name=said.get("ProductName"),
        version=said.get("ProductVersion"),
        build=build,
        beta=is_beta(build),
    )
    return Telemetry(system=version)


def uname(text: str) -> Telemetry:
    """Read ``uname -a`` and shorter forms.

    The name of a kernel tells the chip where only one has it. A translated process says
    ``x86_64`` on a kernel of ARM64.
    """
    words = text.split()
    if not words or words[0] not in ("Darwin", "Linux"):
        return Telemetry()
    built = re.search(r"RELEASE_(ARM64|X86_64)(?:_(\w+))?", text)
    told = next((word for word in reversed(words) if word in _ARCHS), None)
    real = _ARCHS.get(built[1].lower() if built else told or "")
    soc = built[2] if built else None
    version = re.search(r"\b[0-9]+\.[0-9]+\.[0-9]+\S*", text)
    return Telemetry(
        machine=Machine(
            chip=_KERNELS.get(soc or ""),
            soc=soc.lower() if soc and re.fullmatch(r"T[0-9]{4}", soc) else None,
            arch=real,
            virtual=True if soc == "VMAPPLE" else None,
            rosetta=told == "x86_64" if built and real == "arm64" and told else None,
        ),
        system=System(kernel=f"{words[0]} {version[0]}" if version else None),
    )


_ARCHS = {"arm64": "arm64", "aarch64": "arm64", "arm64e": "arm64", "x86_64": "x86_64"}
