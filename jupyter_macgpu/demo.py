"""``macgpu demo``: run the quickstart notebook and say where its cells ran and what came back."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fleet.hosts import THIS_MACHINE, Fleet
from .pool import Pool
from .reach import Reach, nobody_to_ask
from .runs import known_runs
from .wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME = "quickstart.ipynb"
#: Seconds that one cell may take.
_CELL = 600


def main() -> int:
    """Run the demo on this machine; return the exit code of the command.

    Raises
    ------
    MacGPUError
        If the packages that it needs are missing, or a cell failed.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError as error:
        raise MacGPUError(
            f"The demo needs a package that is not here: {error.name}.",
            known="Nothing was run.",
            next='Install them with: pip install "jupyter-macgpu[demo]"',
        ) from error
    read: Any = nbformat.read
    notebook = read(_find(), as_version=4)
    print(f"Running {NAME}, {len(notebook.cells)} cells, on this machine.\n", flush=True)
    started = time.time()
    client = NotebookClient(notebook, timeout=_CELL, on_cell_executed=_report)
    try:
        with _embedded_default():
            client.execute()
    except CellExecutionError as error:
        raise MacGPUError(
            f"A cell of the demo failed: {error.ename}: {error.evalue}",
            known="The cells before it ran.",
            next="macgpu runs lists the runs; macgpu logs last shows the last one's output.",
        ) from error
    _conclude(started)
    return 0


@contextlib.contextmanager
def _embedded_default() -> Iterator[None]:
    """Let the notebook's kernel see this machine alone, whatever fleet the user has."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "macgpu.yaml"
        file.touch(mode=0o600)  # A file that a group may write is refused.
        file.write_text(f"version: 1\nhosts: {{{THIS_MACHINE.name}: {{transport: local}}}}\n")
        os.environ["MACGPU_FLEET"] = str(file)
        yield


def _find() -> Path:
    here = Path(__file__).parent
    for folder in (here / "notebooks", here.parent / "notebooks"):
        if (folder / NAME).exists():
            return folder / NAME
    raise MacGPUError(f"{NAME} is not beside this package.", known="Nothing was run.")


def _report(cell: Any, **_reply: Any) -> None:
    """Print a cell and what it showed. Called by nbclient after each one."""
    source = cell.source.strip()
    where = "worker" if source.startswith("%%macgpu") else "notebook"
    first = next((line for line in source.splitlines() if not line.startswith("%%")), source)
    print(f"[{where:8}] {textwrap.shorten(first, 78)}")
    for line in _shown(cell.outputs):
        print(f"            {line}")
    sys.stdout.flush()


def _shown(outputs: Iterable[Any]) -> list[str]:
    lines: list[str] = []
    for output in outputs:
        if output.output_type == "stream":
            lines += str(output.text).rstrip().splitlines()
            continue
        data = output.get("data", {})
        picture = data.get("image/png")
        if picture:
            lines.append(f"[figure, {len(picture) * 3 // 4 // 1000} kB]")
        elif "text/plain" in data:
            lines += str(data["text/plain"]).splitlines()
    return lines if len(lines) <= 12 else [*lines[:6], "...", *lines[-5:]]


def _conclude(started: float) -> None:
    pool = Pool(Fleet(hosts=(THIS_MACHINE,)), Reach(nobody_to_ask), "")
    age = time.time() - started
    try:
        rows = [known.shown() for known in known_runs(pool)]
    finally:
        pool.close()
    runs = [row for row in rows if float(row["age"] or 0) <= age + 1]
    ended = sorted({row["state"] for row in runs})
    hosts = sorted({row["host"] for row in runs})
    print(
        f"\n{len(runs)} cells ran in a worker on {', '.join(hosts)}: {', '.join(ended)}, "
        f"in {age:.0f} s.\nOpen {NAME} with: make lab"
    )
