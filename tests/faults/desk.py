"""A notebook without a front end: one kernel's way of a cell, and a record of what was shown."""

from __future__ import annotations

import secrets
import sys
import threading
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_macgpu.cell import Cell, Dialect
from jupyter_macgpu.execution import Execution
from jupyter_macgpu.fleet.hosts import THIS_MACHINE, Fleet
from jupyter_macgpu.interrupts import Interrupts
from jupyter_macgpu.options import CellOptions
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.way import Result, run_cell
from jupyter_macgpu.wire.errors import MacGPUError, RunUnknown

if TYPE_CHECKING:
    from jupyter_macgpu.fleet.hosts import Host
    from jupyter_macgpu.transport.base import Transport
    from jupyter_macgpu.wire import messages as m

#: Seconds after which a run that has not ended counts as hanging.
WATCHDOG = 180.0


def _same(source: str) -> str:
    return source


#: Plain Python: what the shell would know is not needed here.
PLAIN = Dialect(
    flags=0,
    transform=_same,
    number_of=lambda _name: None,
    register_source=lambda _name, _source, _number: None,
)


class Record:
    """Keeps what a run shows. Stands where the notebook's publisher stands."""

    def __init__(self) -> None:
        self.outputs: list[m.Output] = []
        self.states: list[str] = []
        self.notices: list[str] = []
        self.moved = threading.Event()

    def output(self, output: m.Output) -> None:
        """Keep one record."""
        self.outputs.append(output)
        self.moved.set()

    def state(self, state: m.RunState) -> None:
        """Keep a state."""
        self.states.append(state.state)
        self.moved.set()

    def notice(self, text: str) -> None:
        """Keep a line."""
        self.notices.append(text)

    def ask(self, prompt: str, password: bool) -> str:
        """Answer with the prompt itself."""
        return f"answer to {prompt}"

    def stream(self, name: str) -> list[bytes]:
        """Return what was written to a stream: one piece more than there are declared gaps."""
        pieces = [bytearray()]
        for output in self.outputs:
            if output.what == "gap":
                pieces.append(bytearray())
            elif output.what == "stream" and output.content["name"] == name:
                for buffer in output.buffers:
                    pieces[-1] += buffer
        return [bytes(piece) for piece in pieces]


@dataclass(slots=True, kw_only=True)
class Told:
    """What became of one cell, as its notebook was told.

    Attributes
    ----------
    state
        The run's final state, ``unsent`` if nothing was sent, or ``unknown``.
    error
        The error that said so, if there was one.
    """

    run: str
    state: str
    record: Record
    result: Result | None = None
    error: MacGPUError | None = None


class _OneWay(Reach):
    """Leads to one place, whatever the host."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(nobody_to_ask)
        self._transport = transport

    def transport(self, host: Host) -> Transport:
        return self._transport


@dataclass(slots=True, kw_only=True)
class Desk:
    """One kernel of one notebook.

    Attributes
    ----------
    namespace
        The notebook's variables.
    host, transport
        Where its cells run, and the way there.
    busy
        Whether a cell runs.
    """

    notebook: str = "desk.ipynb"
    host: Host = THIS_MACHINE
    transport: Transport = field(default_factory=LocalTransport)
    namespace: dict[str, Any] = field(default_factory=lambda: {"notes": []})
    interrupts: Interrupts = field(default_factory=Interrupts)
    record: Record = field(default_factory=Record)
    submitted: str = ""
    busy: bool = False
    count: int = 0
    pool: Pool = field(init=False)

    def __post_init__(self) -> None:
        fleet = Fleet(hosts=(self.host,))
        self.pool = Pool(fleet, _OneWay(self.transport), self.notebook)

    def run(self, source: str, cell: str = "", **options: Any) -> Told:
        """Run one cell and say what became of it; never wait longer than `WATCHDOG`.

        Raises
        ------
        AssertionError
            If it hangs.
        """
        self.interrupts, self.record, self.submitted = Interrupts(), Record(), ""
        told: list[Told | BaseException] = []

        def work() -> None:
            try:
                told.append(self._run(source, cell, CellOptions(**options)))
            except BaseException as error:
                told.append(error)

        thread = threading.Thread(target=work, daemon=True)
        self.busy = True
        thread.start()
        thread.join(WATCHDOG)
        self.busy = False
        assert told, (
            f"run {self.submitted} hangs; it was {self.record.states[-3:]}, "
            f"notices {self.record.notices[-3:]}\n{_stack(thread)}"
        )
        if isinstance(told[0], BaseException):
            raise told[0]
        return told[0]

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return what the supervisor says of all runs, by id."""
        rows = self.pool.runs(self.host, "")
        return {str(row["run"]): dict(row) for row in rows}

    def attach(self, run: str, record: Record) -> m.End:
        """Follow a run to its end, into a record of its own."""
        link = self.pool.session(self.host).link
        return Execution(link, run, record, Interrupts()).drive().end

    def close(self) -> None:
        """End the kernel in order."""
        self.pool.close()

    def _run(self, source: str, cell: str, options: CellOptions) -> Told:
        self.count += 1
        record = self.record
        try:
            result = run_cell(
                Cell(source=source, code=source, count=self.count, cell=cell, dialect=PLAIN),
                self.namespace,
                options,
                pool=self.pool,
                show=record,
                interrupts=self.interrupts,
                record=self._submitted,
                placed=lambda _session: None,
                limits={},
            )
        except MacGPUError as error:
            return Told(run=self.submitted, state=_state_of(error), record=record, error=error)
        return Told(run=result.run, state=result.state, record=record, result=result)

    def _submitted(self, message: m.Submit, host: str) -> None:
        self.submitted = message.run


def _stack(thread: threading.Thread) -> str:
    """Return where a thread is."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame is not None else "It has just ended."


class _Way(Reach):
    """The one way that a desk has."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(nobody_to_ask)
        self._desk = desk

    def transport(self, host: Host) -> Transport:
        return self._desk.transport


def _state_of(error: MacGPUError) -> str:
    if isinstance(error, RunUnknown):
        return "unknown"
    return "lost" if type(error).__name__ == "RunLost" else "unsent"


def token() -> str:
    """Return a word that no other cell has."""
    return secrets.token_hex(6)
