"""Run a notebook cell on the GPU of an Apple Silicon Mac, natively, with its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .functions import Remote, remote, run, submit
    from .job import Run
    from .mapping import Mapped, map
    from .widgets.device import DeviceWidget
    from .widgets.fleet import FleetWidget

__version__ = "0.1.0"
__all__ = [
    "DeviceWidget",
    "FleetWidget",
    "Mapped",
    "Remote",
    "Run",
    "map",
    "remote",
    "run",
    "submit",
]

#: Where what this package offers is: imported when it is first asked for, and not on a host.
_OFFERED = {
    "DeviceWidget": "widgets.device",
    "FleetWidget": "widgets.fleet",
    "Mapped": "mapping",
    "Remote": "functions",
    "Run": "job",
    "map": "mapping",
    "remote": "functions",
    "run": "functions",
    "submit": "functions",
}


def __getattr__(name: str) -> object:
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_OFFERED[name]}", __name__), name)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the magics. Called by ``%load_ext jupyter_macgpu``."""
    from .magic import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove the magics. Called by ``%unload_ext jupyter_macgpu``."""
    from .magic import unload

    unload(shell)


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """Name the extension of Jupyter's server. Called by it."""
    from .server.app import MacGPUApp

    return [{"module": "jupyter_macgpu", "app": MacGPUApp}]
