"""Which process this is: a process id alone may be somebody else's by now."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path


def started_at(pid: int) -> str:
    """Return when a process started, as a text that no later process of that id shares.

    On Linux it is in clock ticks since the boot, on macOS in microseconds since 1970.
    Empty if there is no such process.
    """
    if sys.platform == "darwin":
        return _started_at_darwin(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    # The second field is the name, which may hold blanks and brackets: count behind it.
    return text.rpartition(b")")[2].split()[19].decode()


def _started_at_darwin(pid: int) -> str:
    control_kernel, kernel_process, by_pid = 1, 14, 1
    query = (ctypes.c_int * 4)(control_kernel, kernel_process, by_pid, pid)
    answer = ctypes.create_string_buffer(1024)
    size = ctypes.c_size_t(len(answer))
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.sysctl(query, 4, answer, ctypes.byref(size), None, ctypes.c_size_t(0))
    if failed or not size.value:
        return ""
    # struct kinfo_proc begins with the start time: struct timeval, 64 and 32 bits.
    seconds, microseconds = struct.unpack_from("=qi", answer)
    return str(seconds * 1_000_000 + microseconds)


def facts() -> dict[str, object]:
    """Return what a supervisor notes about this process."""
    return {"pid": os.getpid(), "start": started_at(os.getpid()), "python": sys.version}
