"""Failing system calls and kills at chosen ones, by ``strace``; and disks that are small."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Seconds that strace may take to attach and to let go.
PATIENCE = 60.0


def usable() -> str:
    """Return why calls cannot be made to fail here, or ``""``."""
    if shutil.which("strace") is None:
        return "there is no strace"
    probe = ["strace", "-qq", "-o", os.devnull, "-e", "inject=fsync:error=EIO", "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"strace cannot trace here: {done.stderr.strip()}"


@contextmanager
def injected(pid: int, calls: str, what: str) -> Iterator[None]:
    """Have a process's system calls fail, or kill it, while the block runs.

    Parameters
    ----------
    calls
        Their names, as strace has them.
    what
        As strace's ``inject`` has it: ``error=ENOSPC:when=3``, ``signal=KILL:when=3+``.
    """
    words = ["strace", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-p", str(pid)]
    tracer = subprocess.Popen([*words, "-e", f"inject={calls}:{what}"], stderr=subprocess.PIPE)
    try:
        _wait_until(lambda: _traced(pid) or tracer.poll() is not None)
        assert tracer.poll() is None, tracer.stderr and tracer.stderr.read()
        yield
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=PATIENCE)
    # A process that was traced goes on only when its tracer is gone.
    _wait_until(lambda: not _traced(pid))


def _traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "TracerPid:\t0\n" not in status


def _wait_until(so: object) -> None:
    assert callable(so)
    deadline = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < deadline, "strace does not attach, or does not let go"
        time.sleep(0.005)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Make a folder a disk of so many bytes while the block runs; skip where that needs rights."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "macgpu-test", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk of its own can be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        # Lazily: what a failed test left may have files open there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """Write a file that leaves so many bytes of its disk; return it."""
    path = folder / "ballast"
    info = os.statvfs(folder)
    rest = max(0, info.f_bavail * info.f_frsize - left)
    with path.open("wb") as file:
        while rest > 0:
            rest -= file.write(bytes(min(rest, 1 << 16)))
    return path
