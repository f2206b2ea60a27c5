"""Whether this machine's GPU computes, and how fast: each in a process of its own, with a limit.

Runs on the Mac, in the cells' interpreter. Only the standard library and a package of tensors.

The figures are of one package: of torch where it is installed, else of MLX. Each is the best of
three rounds of a quarter of a second, since whatever else a machine does makes it slower only.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from .. import hardware
from .metal import PROBES

if TYPE_CHECKING:
    from collections.abc import Callable

#: What the answer's line begins with; a package may print anything before it.
MARK = "macgpu-gauge "
#: Width of the matrices, and numbers in the arrays that are copied: on a GPU, on a processor.
_WIDTH, _LENGTH = {True: 2048, False: 256}, {True: 2**26, False: 2**23}
#: Seconds that a round lasts at least, and rounds.
_ROUND, _ROUNDS = 0.25, 3
#: A first round that takes longer, in seconds, is the only one.
_TOO_SLOW = 2.0


class Kit(Protocol):
    """A package of tensors, as far as it is measured."""

    package: str
    device: str

    def multiply(self, width: int, half: bool) -> Callable[[int], None]:
        """Return what multiplies two square matrices so many times, to the end."""

    def copy(self, length: int) -> Callable[[int], None]:
        """Return what reads and writes so many 32-bit numbers so many times, to the end."""


class Torch:
    """PyTorch on its best device."""

    package = "torch"

    def __init__(self) -> None:
        import torch

        self._torch = torch
        best = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = "mps" if torch.backends.mps.is_available() else best

    def multiply(self, width: int, half: bool) -> Callable[[int], None]:
        """See `Kit`."""
        torch = self._torch
        kind = torch.float16 if half else torch.float32
        left = torch.full((width, width), 0.5, device=self.device, dtype=kind)
        right, out = left.clone(), left.clone()

        def work(times: int) -> None:
            for _ in range(times):
                torch.mm(left, right, out=out)
            self._wait()

        return work

    def copy(self, length: int) -> Callable[[int], None]:
        """See `Kit`."""
        torch = self._torch
        source = torch.ones(length, device=self.device)
        target = torch.zeros_like(source)

        def work(times: int) -> None:
            for _ in range(times):
                torch.add(source, 1.0, out=target)
            self._wait()

        return work

    def _wait(self) -> None:
        if self.device == "mps":
            self._torch.mps.synchronize()
        elif self.device == "cuda":
            self._torch.cuda.synchronize()


class Mlx:
    """MLX on its default device."""

    package = "mlx"

    def __init__(self) -> None:
        import mlx.core as mx

        self._mx: Any = mx
        self.device = "mps" if mx.metal.is_available() else "cpu"

    def multiply(self, width: int, half: bool) -> Callable[[int], None]:
        """See `Kit`."""
        mx = self._mx
        left = mx.full((width, width), 0.5, dtype=mx.float16 if half else mx.float32)
        right = mx.full((width, width), 0.25, dtype=left.dtype)
        mx.eval(left, right)

        def work(times: int) -> None:
            mx.eval([left @ right for _ in range(times)])

        return work

    def copy(self, length: int) -> Callable[[int], None]:
        """See `Kit`."""
        mx = self._mx
        source = mx.ones((length,))
        mx.eval(source)

        def work(times: int) -> None:
            for _ in range(times):
                mx.eval(source + 1.0)

        return work


#: By the module to look for.
KITS: dict[str, Callable[[], Kit]] = {"torch": Torch, "mlx.core": Mlx}


def test() -> dict[str, Any]:
    """Compute with each package that is here; return whether the GPU can be used, and how.

    ``state`` is ``ok`` where one package computes on the GPU; ``failed`` where packages are here
    and none does; ``unknown`` where there is none.
    """
    wanted = hardware.gpu_device() or "cpu"
    said: list[str] = []
    is_well = False
    for name, probe in PROBES.items():
        if not _installed(name):
            continue
        try:
            line = probe()
            if wanted != "cpu" and " on cpu" in line:
                raise RuntimeError(f"it computes on the processor alone, and there is {wanted}")
            said, is_well = [*said, line], True
        except Exception as error:  # whatever a broken GPU makes them raise
            said.append(f"{name.partition('.')[0]}: {type(error).__name__}: {str(error)[:200]}")
    state = "ok" if is_well else "failed" if said else "unknown"
    line = "; ".join(said) or "neither torch nor mlx is installed for the cells' Python"
    found = {"state": state, "line": " ".join(line.split()), "device": wanted}
    return {**found, **_package(), "limit": _limit(wanted)}


def measure() -> dict[str, Any]:
    """Return how fast matrices are multiplied and memory is copied, with the first package here.

    Raises
    ------
    RuntimeError
        If there is none.
    """
    kit = next((make() for name, make in KITS.items() if _installed(name)), None)
    if kit is None:
        raise RuntimeError("neither torch nor mlx is installed")
    is_gpu = kit.device != "cpu"
    width, length = _WIDTH[is_gpu], _LENGTH[is_gpu]
    began = time.monotonic()
    full, half = (2 * width**3 * _rate(kit.multiply(width, half)) for half in (False, True))
    copied = 2 * 4 * length * _rate(kit.copy(length))
    return {
        "device": kit.device,
        **_package(),
        "tflops": float(f"{full / 1e12:.4g}"),
        "half_tflops": float(f"{half / 1e12:.4g}"),
        "gb_per_s": float(f"{copied / 1e9:.4g}"),
        "seconds": round(time.monotonic() - began, 2),
    }


def _rate(work: Callable[[int], None]) -> float:
    """Return how often in a second `work` is done."""
    began = time.perf_counter()
    work(1)
    first = time.perf_counter() - began
    if first > _TOO_SLOW:
        return 1 / first
    times, best = 1, 0.0
    rounds = 0
    while rounds < _ROUNDS:
        began = time.perf_counter()
        work(times)
        spent = time.perf_counter() - began
        if spent >= _ROUND:
            best, rounds = max(best, times / spent), rounds + 1
        else:
            # Once more with what should be long enough; a clock that stands does not end this.
            times = min(times * 1024, max(times * 2, int(times * 1.2 * _ROUND / max(spent, 1e-9))))
            if times > 2**40:
                raise RuntimeError("the clock does not go on")
    return best


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None


def _package() -> dict[str, str]:
    """Return the package that `measure` takes, and its version."""
    for name in ("torch", "mlx"):
        if _installed(name):
            try:
                return {"package": name, "version": metadata.version(name)}
            except metadata.PackageNotFoundError:
                return {"package": name, "version": "unknown"}
    return {}


def _limit(device: str) -> int | None:
    """Return how many bytes the GPU is to have at most, where that can be told."""
    torch: Any = sys.modules.get("torch")
    if device != "mps" or torch is None or not torch.backends.mps.is_available():
        return None
    return int(torch.mps.recommended_max_memory())


def main() -> None:
    """Do what the command line says, ``test`` or ``measure``, and print what came of it."""
    found = {"test": test, "measure": measure}[sys.argv[1]]()
    print(f"\n{MARK}{json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
