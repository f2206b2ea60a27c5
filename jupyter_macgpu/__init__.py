"""Run a notebook cell on the GPU of an Apple Silicon Mac, natively, with its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the magics. Called by ``%load_ext jupyter_macgpu``."""
    from .magic import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove the magics. Called by ``%unload_ext jupyter_macgpu``."""
    from .magic import unload

    unload(shell)
