"""IPython shells in this process, and cells in them."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


def new_shell() -> InteractiveShell:
    """Return one more shell. It keeps no history: the home that this would be in may go first."""
    config = Config()
    config.HistoryManager.enabled = False
    return InteractiveShell(config=config)


def run(shell: InteractiveShell, cell: str) -> None:
    """Run a cell as a user would, and raise what it raises."""
    shell.run_cell(cell, store_history=False).raise_error()
