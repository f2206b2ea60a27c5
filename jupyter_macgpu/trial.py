"""A short cell of our own on a host, for the checks that nothing but a cell can make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cell import Cell, Dialect
from .interrupts import Interrupts
from .options import CellOptions
from .way import run_cell
from .wire.errors import WorkerError
from .wire.plain import plain_line

if TYPE_CHECKING:
    from .binding import Result
    from .fleet.hosts import Host
    from .pool import Pool
    from .wire import messages as m


def value_of(
    pool: Pool,
    host: Host,
    source: str,
    *,
    cpu: bool = False,
    timeout: float | None = None,
    wait: float | None = None,
) -> Any:
    """Run a cell and return the value of its last expression.

    Parameters
    ----------
    timeout, wait
        Seconds that it may run, and wait for its slot; None: as long as it takes.

    Raises
    ------
    MacGPUError
        If it could not run, or ended without a value.
    """
    plain = Dialect(
        flags=0,
        transform=lambda text: text,
        number_of=lambda _name: None,
        register_source=lambda *_: None,
    )
    result = run_cell(
        Cell(source=source, code=source, count=1, dialect=plain),
        {},
        CellOptions(on=host.name, cpu=cpu, timeout=timeout, wait=wait),
        pool=pool,
        show=_Silent(),
        interrupts=Interrupts(),
        record=lambda _message, _host: None,
        placed=lambda _session: None,
        limits={},
    )
    if not result.value or result.summary.get("stopping") == "timeout":
        raise _failed(result, host.name, timeout)
    return result.value[0]


def _failed(result: Result, host: str, timeout: float | None) -> WorkerError:
    summary = result.summary
    if summary.get("stopping") == "timeout":
        return WorkerError(
            f"{host}: the cell was not done within {timeout:g} s, and was ended.",
            next="There: `macgpu selftest` shows more. A GPU that hangs needs a restart: `sudo "
            "shutdown -r now`.",
        )
    if summary.get("phase") == "start":
        said = f"{summary.get('what')} {summary.get('log') or ''}"
        return WorkerError(
            f"{host}: the worker did not start: {plain_line(said)}",
            next="Mend what it names; the interpreter of the cells is python: in the fleet file.",
        )
    why = str((summary.get("error") or {}).get("evalue", result.state))
    return WorkerError(
        f"{host}: the cell failed: {why}.", next="Try the same in a Python of that host."
    )


class _Silent:
    """Shows nothing of the run."""

    def output(self, output: m.Output) -> None:
        """Show nothing."""

    def state(self, state: m.RunState) -> None:
        """Show nothing."""

    def notice(self, text: str) -> None:
        """Show nothing."""

    def ask(self, prompt: str, password: bool) -> str:
        """Answer nothing: the cell does not ask."""
        raise EOFError(f"nobody answers {prompt!r} {password}")
