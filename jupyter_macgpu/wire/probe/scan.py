"""Numbers and names as tools print them. What is not one is None; nothing here raises."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"\s*(-?[0-9]{1,20})\s*", re.ASCII)
_NUMBER = re.compile(r"\s*(-?[0-9]{1,20}(?:[.,][0-9]{1,20})?|[.,][0-9]{1,20})\s*", re.ASCII)
_SIZE = re.compile(r"\s*([0-9]{1,15}(?:[.,][0-9]{1,6})?)\s*([KMGTP]?)i?B?\b", re.ASCII)
_UNITS = {unit: 1024**power for power, unit in enumerate(" KMGTP")} | {"": 1}
#: Apple's virtual machines say so in the name of the chip.
VIRTUAL = "(Virtual)"


def whole(text: object) -> int | None:
    """Return an integer that stands alone."""
    if isinstance(text, bool):
        return None
    if isinstance(text, int):
        return text
    match = _WHOLE.fullmatch(text) if isinstance(text, str) else None
    return int(match[1]) if match else None


def count(text: object) -> int | None:
    """Return an integer that is not negative."""
    value = whole(text)
    return value if value is not None and value >= 0 else None


def number(text: object) -> float | None:
    """Return a number; a decimal comma is read too, since not every tool heeds ``LC_ALL``."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text) if abs(text) < 2**64 else None
    match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    return float(match[1].replace(",", ".")) if match else None


def percent(text: object) -> float | None:
    """Return a percentage as a fraction.

    Intel's drivers have said more than 100; what is negative is no percentage.
    """
    value = number(text)
    return None if value is None or value < 0 else round(min(value, 100.0) / 100, 6)


def size(text: object) -> int | None:
    """Return the bytes of ``16 GB``, ``852.56M`` or ``1,5 TB``; units are powers of 1024."""
    match = _SIZE.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    unit: int = _UNITS[match[2]]
    return round(float(match[1].replace(",", ".")) * unit)


def seconds(text: str) -> float | None:
    """Return the seconds of ``7:26``, hours and minutes."""
    hours, colon, minutes = text.partition(":")
    if not colon or (h := count(hours)) is None or (m := count(minutes)) is None:
        return None
    return float(h * 3600 + m * 60)


def chip(text: object) -> tuple[str | None, bool | None]:
    """Return a chip's plain name, and True where the name says that it is a virtual one."""
    if not isinstance(text, str):
        return None, None
    name = " ".join(text.replace(VIRTUAL, " ").split())
    virtual = True if VIRTUAL in text else None
    return (None, virtual) if name.lower() in ("", "unknown") else (name, virtual)


def arch(chip_name: str | None) -> str | None:
    """Return the architecture that the name of a chip tells."""
    if chip_name is None:
        return None
    if chip_name.startswith("Apple "):
        return "arm64"
    return "x86_64" if "Intel" in chip_name or "AMD" in chip_name else None


def virtual_model(model: str | None) -> bool | None:
    """Return True for a model that exists as a virtual machine alone."""
    makers = ("VirtualMac", "VMware", "Parallels", "VirtualBox", "QEMU")
    return True if model is not None and model.startswith(makers) else None


def portable(model: str | None) -> bool | None:
    """Return whether a name or an old identifier is a laptop's.

    Identifiers since 2022 (``Mac14,7``) say nothing.
    """
    if model is None:
        return None
    if model.startswith("MacBook"):
        return True
    desktops = ("Macmini", "Mac mini", "iMac", "MacPro", "Mac Pro", "Mac Studio", "Xserve")
    return False if model.startswith(desktops) else None
