"""Lengths of time and sizes, as people write them."""

from __future__ import annotations

import re

from .grammar import Unreadable

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_BYTES = {
    "b": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([KMGT]i?B|B)", re.IGNORECASE | re.ASCII)
#: The same two as regular expressions that JSON Schema takes.
DURATION_PATTERN = r"^([0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d))+$"
SIZE_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,6})? ?([KkMmGgTt][Ii]?[Bb]|[Bb])$"


def read_duration(text: str) -> float:
    """Return the seconds that a text such as ``10s``, ``1.5h`` or ``1h30m`` stands for.

    Raises
    ------
    Unreadable
        If it is no length of time, or none at all.
    """
    remedy = "Write a number and its unit: 10s, 5m, 2h."
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        problem = "this is no length of time"
        if re.fullmatch(r"[0-9]{1,9}", text):
            problem, remedy = "the unit is missing", f"Write {text}s, {text}m or {text}h."
        raise Unreadable(problem, remedy)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise Unreadable("a limit of nothing would stop every cell", remedy)
    return seconds


def read_size(text: str) -> int:
    """Return the bytes that a text such as ``24GB`` or ``512MiB`` stands for.

    A GB is 10**9 bytes, a GiB 2**30.

    Raises
    ------
    Unreadable
        If it is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        problem, remedy = "this is not a size", "Write a number and a unit: 24GB, 512MiB."
        if re.fullmatch(r"[0-9]{1,6}", text):
            problem, remedy = "the unit is missing", f"Write {text}GB or {text}MB."
        elif short := re.fullmatch(r"([0-9.]+)([KMGT])i?", text, re.IGNORECASE | re.ASCII):
            problem = "the unit is cut short"
            remedy = f"Write {short[1]}{short[2].upper()}B or {short[1]}{short[2].upper()}iB."
        raise Unreadable(problem, remedy)
    return int(float(match[1]) * _BYTES[match[2].lower()])


def read_whole(text: str) -> int:
    """Return a whole number, 0 or more.

    Raises
    ------
    Unreadable
        If it is none.
    """
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise Unreadable("not a whole number", "Write digits alone: 3.")
    return int(text)
