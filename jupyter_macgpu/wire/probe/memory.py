"""Memory of a Mac: `vm_stat` and `memory_pressure`.

The size of a page is never assumed: 16 KiB on Apple silicon, 4 KiB on Intel. "Pages free" is near
nothing on a healthy Mac and says nothing about what could be had.
"""

from __future__ import annotations

import re

from ..gauges import Memory
from ..telemetry import Telemetry
from .scan import percent

_COUNT = re.compile(r"[\s|>]*\"?([A-Za-z][^:\"]{2,60})\"?:\s{0,80}([0-9]{1,18})\.?\s*$")
_PAGE = re.compile(r"page size of ([0-9]{4,6})\b")
_TOTAL = re.compile(r"The system has ([0-9]{1,18})\b")
_FREE = re.compile(r"free percentage:\s*([0-9]{1,3})\s*%")


def vm_stat(text: str, page_bytes: int | None = None) -> Telemetry:
    """Read `vm_stat`; `page_bytes` is taken where its first line is missing."""
    return Telemetry(memory=_pages(text, page_bytes))


def memory_pressure(text: str) -> Telemetry:
    """Read `memory_pressure` and `memory_pressure -Q`."""
    return vm_stat(text)


def _pages(text: str, page_bytes: int | None) -> Memory:
    header = _PAGE.search(text)
    page = int(header[1]) if header else page_bytes
    total = _TOTAL.search(text)
    free = _FREE.search(text)
    matches = [match for line in text.splitlines() if (match := _COUNT.match(line))]
    counts = {match[1].strip(): int(match[2]) for match in matches}

    def size(*names: str) -> int | None:
        pages = next((counts[name] for name in names if name in counts), None)
        return None if pages is None or page is None else pages * page

    anonymous, purgeable = size("Anonymous pages"), size("Pages purgeable")
    wired = size("Pages wired down")
    compressor = size("Pages occupied by compressor", "Pages used by compressor")
    return Memory(
        total_bytes=int(total[1]) if total else None,
        used_bytes=_used(anonymous, purgeable, wired, compressor),
        page_bytes=page,
        free_bytes=size("Pages free"),
        active_bytes=size("Pages active"),
        inactive_bytes=size("Pages inactive"),
        speculative_bytes=size("Pages speculative"),
        wired_bytes=wired,
        purgeable_bytes=purgeable,
        file_backed_bytes=size("File-backed pages"),
        anonymous_bytes=anonymous,
        compressor_bytes=compressor,
        compressed_bytes=size("Pages stored in compressor"),
        free_fraction=percent(free[1]) if free else None,
        swap_ins=counts.get("Swapins"),
        swap_outs=counts.get("Swapouts"),
    )


def _used(
    anonymous: int | None, purgeable: int | None, wired: int | None, compressor: int | None
) -> int | None:
    """Return what Activity Monitor calls used; with a part unknown it is unknown."""
    if anonymous is None or purgeable is None or wired is None or compressor is None:
        return None
    return max(0, anonymous - purgeable) + wired + compressor
