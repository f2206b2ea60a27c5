"""What a run takes of memory, and which of its operations Metal lacks.

Runs on the Mac. Only Python and `wire` may be imported here, and what a cell has imported already.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...wire.usage import MOST, Usage, to_json
from .checking import import_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cell import Cell

#: PyTorch's warning, worded so since its version 1.13 (``MPSFallback.mm``).
_FALLBACK = re.compile(r"The operator '([^']+)' is not currently supported on the MPS backend")
#: ``rusage_info_v4`` of macOS' ``sys/resource.h``: its number, its length in 8-byte words, and the
#: word of ``ri_interval_max_phys_footprint``.
_RUSAGE_V4, _WORDS, _INTERVAL_PEAK = 4, 37, 35


class Measure:
    """Measures one run after the other in this process."""

    def __init__(self) -> None:
        self._fallbacks: list[str] = []
        self._listen()

    def begin(self) -> None:
        """Let the largest sizes begin anew."""
        self._fallbacks.clear()
        with contextlib.suppress(OSError, AttributeError):
            _reset_peak()
        mlx = sys.modules.get("mlx.core")
        if mlx is not None:
            mlx.reset_peak_memory()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()

    @contextlib.contextmanager
    def naming_all(self, cell: Cell) -> Iterator[None]:
        """Have PyTorch name every operation that falls back in this block, if the cell asks for it.

        It warns from one place for all of them, and only once in a process (``TORCH_WARN_ONCE``),
        unless it is told to warn always: then at each call, of which the user sees the first.
        """
        if cell.names_fallbacks:
            import_named(cell, {"torch": "torch"})
        torch = sys.modules.get("torch")
        if torch is None or not cell.names_fallbacks:
            yield
            return
        always = torch.is_warn_always_enabled()
        torch.set_warn_always(True)
        try:
            with warnings.catch_warnings():
                # Python shows a text once for each place: a later run is to name it again.
                warnings.filterwarnings("always", message=_FALLBACK.pattern)
                yield
        finally:
            torch.set_warn_always(always)

    def end(self) -> dict[str, Any]:
        """Return what the run used, as `usage.to_json` has it."""
        torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.core")
        driver = cuda = None
        with contextlib.suppress(AttributeError, RuntimeError):
            if torch is not None and torch.backends.mps.is_available():
                driver = torch.mps.driver_allocated_memory()
            if torch is not None and torch.cuda.is_initialized():
                cuda = torch.cuda.max_memory_allocated()
        return to_json(
            Usage(
                memory_peak_bytes=peak(),
                driver_bytes=driver,
                mlx_peak_bytes=None if mlx is None else mlx.get_peak_memory(),
                cuda_peak_bytes=cuda,
                fallbacks=tuple(self._fallbacks),
            )
        )

    def _listen(self) -> None:
        """Read the warnings that pass by; they are shown, an operation once in a run."""
        show = warnings.showwarning

        def showwarning(message: Any, *rest: Any, **named: Any) -> None:
            found = _FALLBACK.search(str(message))
            if found and found[1] in self._fallbacks:
                return
            if found and len(self._fallbacks) < MOST:
                self._fallbacks.append(found[1])
            show(message, *rest, **named)

        warnings.showwarning = showwarning


def peak() -> int | None:
    """Return the largest size of this process since `_reset_peak`, in bytes; None is unknown."""
    if sys.platform == "darwin":
        return _footprint()
    try:
        status = Path("/proc/self/status").read_bytes()
        return int(status.partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _reset_peak() -> None:
    if sys.platform == "darwin":
        ctypes.CDLL(None).proc_reset_footprint_interval(os.getpid())
    else:
        # 5: the mark of the largest size alone, see proc(5), /proc/pid/clear_refs.
        with open("/proc/self/clear_refs", "wb", buffering=0) as file:  # noqa: PTH123 (each run)
            file.write(b"5")


def _footprint() -> int | None:
    words = (ctypes.c_uint64 * (_WORDS + 8))()
    with contextlib.suppress(OSError, AttributeError):
        if ctypes.CDLL(None).proc_pid_rusage(os.getpid(), _RUSAGE_V4, ctypes.byref(words)) == 0:
            return int(words[_INTERVAL_PEAK]) or None
    return None
