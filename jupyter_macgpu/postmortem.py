"""``%debug`` after a cell that failed elsewhere: the debugger opens where its frames are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .wire.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

_NAME = "debug"


class PostMortem:
    """Stands before IPython's own magic.

    Parameters
    ----------
    shell
        The notebook's shell.
    cell
        Runs a cell elsewhere: the magic's line, and the cell.
    """

    def __init__(self, shell: InteractiveShell, cell: Callable[[str, str], object]) -> None:
        self._shell: Any = shell
        self._cell = cell
        self._own: Any = None
        #: Whether the last error was raised elsewhere.
        self._elsewhere = False

    def load(self) -> None:
        """Begin to listen to the shell."""
        self._own = self._shell.find_line_magic(_NAME)
        self._shell.register_magic_function(self.debug, "line", _NAME)
        self._shell.events.register("post_run_cell", self.ended)

    def unload(self) -> None:
        """Leave the shell as it was."""
        self._shell.events.unregister("post_run_cell", self.ended)
        self._shell.register_magic_function(self._own, "line", _NAME)

    def ended(self, result: Any) -> None:
        """Note a cell's error. Called by IPython after each cell."""
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            self._elsewhere = isinstance(error, RemoteError)

    def debug(self, line: str) -> object:
        """Look into the frames of the last error, where it was raised."""
        if self._elsewhere and not line.strip():
            return self._cell("", f"%{_NAME}\n")
        return self._own(line)
