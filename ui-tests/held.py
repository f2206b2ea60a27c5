"""Cells that compute until a test lets them go, so that no test depends on how fast anything is."""

from __future__ import annotations

from pathlib import Path

_SOURCE = """{magic}import os, time
print("begun", flush=True)
while not os.path.exists({go!r}):
    time.sleep(0.05)
{then}"""


class Held:
    """A cell that prints ``begun``, and goes on once `let_go` was called.

    It looks for a file, so it has to run on this machine, in a kernel or on a simulated Mac.

    Parameters
    ----------
    folder
        Where the file will be; one folder holds one cell for each name.
    magic
        The cell's first line, if it has one of its own.
    then
        What the cell does afterwards.
    """

    def __init__(self, folder: Path, *, magic: str = "", then: str = "", name: str = "go") -> None:
        self._go = folder / name
        first = f"{magic}\n" if magic else ""
        self.source = _SOURCE.format(magic=first, go=str(self._go), then=then)

    def let_go(self) -> None:
        """Let the cell go on."""
        self._go.touch()
