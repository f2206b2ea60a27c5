"""How much memory processes take, and how the system is off for it, as the system says.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import struct
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from . import stragglers
from .pressure import Size

if TYPE_CHECKING:
    from . import store

#: What ``kern.memorystatus_vm_pressure_level`` is when macOS begins to kill.
_CRITICAL = 4
#: ``proc_pid_rusage``: the flavour, and where in its answer stand the footprint and its maximum.
_FLAVOUR, _SIZE = 4, 512
_NOW, _PEAK = 16 + 8 * 7, 16 + 8 * 28


def critical() -> bool | None:
    """Return whether macOS finds the memory pressure critical; None where it does not say."""
    return _critical_darwin() if sys.platform == "darwin" else None


def sizes(place: store.Store) -> dict[str, Size]:
    """Return the memory of each session's worker and of all that it started."""
    now: dict[str, int] = defaultdict(int)
    peak: dict[str, int] = defaultdict(int)
    for each in stragglers.found(place.root / "workers"):
        size = footprint(each.pid)
        now[each.session] += size.now
        peak[each.session] = max(peak[each.session], size.peak)
    return {name: Size(now=now[name], peak=max(peak[name], now[name])) for name in now}


def footprint(pid: int) -> Size:
    """Return the memory of one process, 0 where that is not known.

    On macOS this is the physical footprint, which holds what the process keeps on the GPU; on
    Linux the resident size.
    """
    if sys.platform == "darwin":
        return _footprint_darwin(pid)
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return Size(now=0, peak=0)
    known = dict(line.split(":", 1) for line in lines if line.startswith("Vm"))
    now, peak = (int(known.get(name, "0").split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return Size(now=now, peak=peak)


def _critical_darwin() -> bool | None:
    import ctypes

    level = ctypes.c_int(0)
    size = ctypes.c_size_t(ctypes.sizeof(level))
    name = b"kern.memorystatus_vm_pressure_level"
    if ctypes.CDLL(None).sysctlbyname(name, ctypes.byref(level), ctypes.byref(size), None, 0):
        return None
    return level.value >= _CRITICAL


def _footprint_darwin(pid: int) -> Size:
    import ctypes

    answer = ctypes.create_string_buffer(_SIZE)
    if ctypes.CDLL(None).proc_pid_rusage(pid, _FLAVOUR, answer):
        return Size(now=0, peak=0)
    (now,), (peak,) = (struct.unpack_from("=Q", answer, at) for at in (_NOW, _PEAK))
    return Size(now=now, peak=peak)
