"""Runs the oracle's cells the product's whole way: supervisor, worker, its IPython shell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jupyter_macgpu.cell import Cell, Dialect
from jupyter_macgpu.fleet.hosts import Fleet, Host
from jupyter_macgpu.interrupts import Interrupts
from jupyter_macgpu.options import CellOptions
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.way import run_cell
from jupyter_macgpu.wire import messages as m

from .runner import Notebook, Outcome

_DIALECT = Dialect(
    flags=0,
    transform=lambda text: text,
    number_of=lambda filename: None,
    register_source=lambda filename, source, number: None,
)


class Heard:
    """Keeps what a run printed and how it failed."""

    def __init__(self) -> None:
        self.stdout = b""

    def output(self, output: m.Output) -> None:
        """Keep what went to stdout."""
        if output.what == "stream" and output.content.get("name") == "stdout":
            self.stdout += b"".join(output.buffers)

    def state(self, state: m.RunState) -> None:
        """States are not compared."""

    def notice(self, text: str) -> None:
        """Nothing of ours is expected here."""
        raise AssertionError(text)

    def ask(self, prompt: str, password: bool) -> str:
        """No program asks."""
        raise AssertionError(prompt)


class RealRunner:
    """Runs cells on one host of a pool."""

    def __init__(self, pool: Pool, host: str) -> None:
        self._pool = pool
        self._host = host
        self._count = 0

    def run(self, source: str, notebook: Notebook) -> Outcome:
        """Run a cell on the host; if its first line is empty it stands for the magic's own."""
        self._count += 1
        body = source.removeprefix("\n")
        heard = Heard()
        result = run_cell(
            Cell(source=body, code="\n" + body, count=self._count, dialect=_DIALECT),
            notebook.names,
            CellOptions(on=self._host),
            pool=self._pool,
            show=heard,
            interrupts=Interrupts(),
            record=lambda message, host: None,
            placed=lambda session: None,
            limits={},
        )
        error = result.summary.get("error")
        text = ""
        if error:
            text = f"{error['ename']}: {error['evalue']}\n" if error["evalue"] else error["ename"]
        return Outcome(
            stdout=heard.stdout.decode(),
            error=text if not text or text.endswith("\n") else text + "\n",
            result=result.value,
            notes=result.notes,
        )


@contextmanager
def two_workers() -> Iterator[tuple[RealRunner, RealRunner]]:
    """Start two workers on this machine, and end them."""
    with workers_on([Host(name=name, transport="local") for name in ("first", "second")]) as both:
        yield both


@contextmanager
def workers_on(hosts: Sequence[Host]) -> Iterator[tuple[RealRunner, RealRunner]]:
    """Start a worker on each of two hosts, and end them."""
    first, second = hosts
    pool = Pool(Fleet(hosts=(first, second)), Reach(nobody_to_ask), "")
    try:
        yield RealRunner(pool, first.name), RealRunner(pool, second.name)
    finally:
        pool.close()
