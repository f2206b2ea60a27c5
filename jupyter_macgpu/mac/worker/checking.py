"""A run that is compared with another one: what of the machine it used, and a run without a GPU.

Runs on the Mac. Only Python and `wire` may be imported here, and what a cell imports anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import random
import sys
from typing import TYPE_CHECKING, Any

from .. import hardware
from .device import gpu_never_used, torch_used_gpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .cell import Cell

#: Packages that draw random numbers or compute on a GPU, and their module that does.
_PACKAGES = {"numpy": "numpy.random", "torch": "torch", "mlx": "mlx.core"}


class Check:
    """Watches one run.

    What of `_PACKAGES` the cell's text names is imported first, so that what the run does to its
    generators can be told from what the import does.

    Parameters
    ----------
    cell
        The run's cell; nothing is done unless it says that it is compared.
    """

    def __init__(self, cell: Cell) -> None:
        self._is_on = cell.is_compared
        self._without_gpu = cell.is_compared and cell.cpu
        self._cell = cell
        self._told: dict[str, Any] = {}

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Watch what runs in this block, and hide the GPU from it if it is to go without."""
        if not self._is_on:
            yield
            return
        import_named(self._cell, _PACKAGES)
        before = _generators()
        if not self._without_gpu:
            yield
            self._tell(before, gpu=bool(hardware.gpu_device()) and not gpu_never_used())
            return
        with _hidden_gpu():
            yield
            on_gpu = _mlx_is_on_gpu()
        self._tell(before, gpu=torch_used_gpu() or on_gpu)

    def told(self) -> dict[str, Any]:
        """Return what is said of the run in its summary; nothing where it is not compared.

        ``gpu`` is whether this process has used a GPU, ``drew`` the packages whose random numbers
        were drawn or seeded, ``stand`` a digest of where each package's generator on the processor
        stands since, ``torch`` the version of PyTorch if it has MPS here.
        """
        return {"check": self._told} if self._told else {}

    def _tell(self, before: dict[str, list[bytes]], *, gpu: bool) -> None:
        now = _generators()
        drew = sorted(name for name in now if name in before and now[name] != before[name])
        # Of all: where the last cell left it, a seed that is set again moves nothing.
        stand = {name: _digest(states[0]) for name, states in now.items()}
        torch = sys.modules.get("torch")
        has_mps = torch is not None and torch.backends.mps.is_available()
        version = str(torch.__version__) if torch is not None and has_mps else None
        self._told = {"gpu": gpu, "drew": drew, "stand": stand, "torch": version}


def import_named(cell: Cell, packages: Mapping[str, str]) -> None:
    """Import the modules whose packages a cell's text names, if they are here.

    Parameters
    ----------
    packages
        Modules by the names of their packages.
    """
    text = f"{cell.source}\n{cell.code}"
    for package, module in packages.items():
        if package in text and importlib.util.find_spec(package) is not None:
            importlib.import_module(module)


def _generators() -> dict[str, list[bytes]]:
    """Return the states of the generators of this process, by package; those of a GPU come last.

    MLX has one for both.
    """
    states = {"random": [repr(random.getstate()).encode()]}
    numpy, torch, mlx = map(sys.modules.get, ("numpy.random", "torch", "mlx.core"))
    if numpy is not None:
        kind, keys, *rest = numpy.get_state()
        states["numpy"] = [keys.tobytes() + repr((kind, *rest)).encode()]
    if torch is not None:
        states["torch"] = [bytes(state.untyped_storage()) for state in _of_torch(torch)]
    if mlx is not None:
        states["mlx"] = [bytes(memoryview(state)) for state in mlx.random.state]
    return states


def _digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()[:16]


def _of_torch(torch: Any) -> Iterator[Any]:
    yield torch.get_rng_state()
    if torch.backends.mps.is_available():
        yield torch.mps.get_rng_state()
    if torch.cuda.is_initialized():
        yield torch.cuda.get_rng_state()


@contextlib.contextmanager
def _hidden_gpu() -> Iterator[None]:
    """Have PyTorch say that there is no GPU, and MLX compute on the processor.

    A cell that names a GPU all the same gets it, and `Check.told` says so.
    """
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.core")
    with contextlib.ExitStack() as stack:
        if torch is not None:
            for holder in (torch.backends.mps, torch.cuda, torch.accelerator):
                stack.enter_context(_replaced(holder, "is_available", lambda: False))
        if mlx is not None:
            stack.callback(mlx.set_default_device, mlx.default_device())
            mlx.set_default_device(mlx.cpu)
        yield


def _mlx_is_on_gpu() -> bool:
    mlx = sys.modules.get("mlx.core")
    return mlx is not None and mlx.default_device() == mlx.Device(mlx.gpu, 0)


@contextlib.contextmanager
def _replaced(holder: Any, name: str, stand_in: Callable[[], bool]) -> Iterator[None]:
    own = getattr(holder, name)
    setattr(holder, name, stand_in)
    try:
        yield
    finally:
        setattr(holder, name, own)
