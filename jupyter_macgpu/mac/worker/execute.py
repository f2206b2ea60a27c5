"""One run: inputs in, the cell, changes out."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...wire import content as wire_content
from ...wire.usage import KEY
from ...wire.values.receive import InputNotLoadable, Received, nothing_received, receive
from .cell import Cell, open_cell
from .checking import Check
from .device import default_device, gpu_never_used
from .display import ResultHook, as_json
from .keeping import lent
from .measure import Measure
from .program import run_program
from .trouble import (
    Trouble,
    input_not_loaded,
    names_are_gone,
    not_returned,
    not_started,
    not_stored,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from IPython.core.interactiveshell import ExecutionResult

    from ...wire.messages import Execute
    from ...wire.program import Program
    from ...wire.values.changes import Changes
    from .asking import Asking
    from .comms import Comms
    from .gate import Gate
    from .holdings import Holdings
    from .outlet import Outlet
    from .results import Results
    from .shell import ZMQInteractiveShell
    from .vigil import Vigil

#: Characters of an error's text that go with the message; all of it is in the bundle.
_SHORT = 1000
#: What a cell says that looks into the frames of the last error: their globals come back for it.
_DEBUG = "run_line_magic('debug'"
#: Seconds of running after which a GPU that nothing has used is worth a line.
_LONG = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Runs cells. On the main thread, one at a time.

    Attributes
    ----------
    results
        Where results are put.
    vigil
        Looks before each run whether Metal is still there.
    measure
        Measures what a run uses.
    """

    shell: ZMQInteractiveShell
    gate: Gate
    outlet: Outlet
    asking: Asking
    comms: Comms
    holdings: Holdings
    results: Results
    vigil: Vigil
    measure: Measure = field(default_factory=Measure)

    async def run(self, message: Execute) -> None:
        """Run a cell and tell how it ended. Nothing that goes wrong is raised."""
        times = [time.perf_counter()]
        self.measure.begin()
        self.gate.begin(message.run)
        try:
            self.vigil.check()
            cell = open_cell(message)
            self.comms.begin(cell.parent)
            left = dict(self.shell.user_ns) if _DEBUG in (cell.code or "") else {}
            received = self._load(cell)
        except Exception as error:  # whatever an input's own code raises
            self.gate.end()
            self._fail(_why_not_started(error), times)
            return
        times.append(time.perf_counter())
        if cell.program is not None:
            self._run_program(cell, cell.program, times)
            return
        check = Check(cell)
        with (
            _environment(cell.environ),
            self._device(cell),
            lent(self.shell.user_ns, left),
            check.watch(),
            self.measure.naming_all(cell),
        ):
            self.asking.allow(cell.can_ask)
            outcome = await self.shell.run_user_cell(
                cell.source, cell.code, cell.execution_count, cell.cell_id, headed=cell.headed
            )
        self.gate.end()
        self._leave_if_forked()
        self.shell.last_run = message.run
        times.append(time.perf_counter())
        self._return(message.run, cell, received, outcome, times, check.told())

    def _run_program(self, cell: Cell, program: Program, times: list[float]) -> None:
        try:
            with _environment(cell.environ):
                ended = run_program(program, self.gate)
        except OSError as problem:
            self._fail(not_started(problem), times)
            return
        finally:
            self.gate.end()
        times.append(time.perf_counter())
        summary = self._summary(ended.error(), times) | ended.told()
        self.outlet.event("finished", _for_head(summary, json.dumps(summary)))

    def _load(self, cell: Cell) -> Received:
        self.holdings.settle(cell.held)
        if cell.after is not None:
            if cell.after and cell.after != self.shell.last_run:
                raise names_are_gone()
            return nothing_received(self.number_of)
        try:
            received = receive(
                cell.stream,
                cell.buffers,
                self.shell.user_ns,
                live=self.holdings.all(),
                to_devices=not cell.cpu,
                register_source=self._register_source,
                number_of=self.number_of,
            )
        except InputNotLoadable as error:
            raise input_not_loaded(cell.names, error) from None
        self.holdings.forget_recent()
        return received

    def _leave_if_forked(self) -> None:
        # The cell forked, and the child came back as if it were the worker.
        if self.outlet.forked:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def _return(
        self,
        run: str,
        cell: Cell,
        received: Received,
        outcome: ExecutionResult,
        times: list[float],
        told: dict[str, Any],
    ) -> None:
        value: object = outcome.result
        error = self._error(outcome)
        try:
            changes = received.changes(
                self.shell.user_ns,
                run=run,
                host=cell.host,
                result=() if value is None or cell.after is not None else (value,),
                only=cell.only,
                limits=cell.limits,
            )
        except Exception as problem:  # whatever a value's own code raises
            self._fail(not_returned(problem), times)
            return
        finally:
            self._hook().end() if cell.after is None else self._hook().keep(value)
            # These hold the cell's error, and with it every variable of its frames.
            outcome.result = outcome.error_in_exec = outcome.error_before_exec = None
        self.holdings.add(changes)
        times.append(time.perf_counter())
        summary = self._summary(error, times) | told | _summary_of(changes)
        if times[2] - times[1] > _LONG and not cell.cpu and gpu_never_used():
            summary["notes"].append("the GPU was not used")
        try:
            self._finish(run, summary, changes)
        except OSError as problem:
            self._fail(not_stored(problem), times)

    def _error(self, outcome: ExecutionResult) -> dict[str, str] | None:
        error = outcome.error_before_exec or outcome.error_in_exec
        if error is not None:
            named = {"ename": type(error).__name__, "evalue": str(error)}
            return named | _missing_file(error)
        if self.shell.failed_to_show and self.shell.last_error:
            ename, evalue = self.shell.last_error
            return {"ename": ename, "evalue": evalue}
        return None

    def _summary(self, error: dict[str, str] | None, times: list[float]) -> dict[str, Any]:
        # Microseconds: a clock's last digits take longer to read and write than all else here.
        spans = [round(after - before, 6) for before, after in pairwise(times)]
        return {
            "status": "ok" if error is None else "error",
            "error": error,
            "timings": dict(zip(("load", "run", "dump"), spans, strict=False)),
            "payload": _plain(self.shell.take_payloads()),
            "live": self.holdings.count,
            KEY: self.measure.end(),
        }

    def _finish(self, run: str, summary: dict[str, Any], changes: Changes) -> None:
        text = json.dumps(summary)
        packed = self.results.pack(run, text, changes)
        self.outlet.event(
            "finished",
            _for_head(summary, text),
            buffers=packed.buffers,
            path=packed.path,
            size=packed.size,
            result=packed.digest,
        )

    def _fail(self, trouble: Trouble, times: list[float]) -> None:
        """End a run that has no result, and say why."""
        self.shell.announcer.tell("error", trouble.shown())
        times.append(time.perf_counter())
        summary = self._summary(trouble.named(), times)
        self.outlet.event("finished", _for_head(summary, json.dumps(summary)))

    def _hook(self) -> ResultHook:
        hook = self.shell.displayhook
        assert isinstance(hook, ResultHook)
        return hook

    def _register_source(self, filename: str, _source: str, number: int | None) -> None:
        if number is not None:
            self.shell.compile._filename_map[filename] = number

    def number_of(self, filename: str) -> int | None:
        """Return the execution count of the cell whose code has this file name."""
        number = self.shell.compile._filename_map.get(filename)
        return number if isinstance(number, int) else None

    @contextmanager
    def _device(self, cell: Cell) -> Iterator[None]:
        """Bind `device` for the run, if the cell reads it and the notebook has none."""
        namespace = self.shell.user_ns
        if "device" not in cell.free or "device" in namespace:
            yield
            return
        # A text of its own: a cell's own `device = "cpu"` is another object.
        device = bytes("cpu" if cell.cpu else default_device(), "ascii").decode()
        namespace["device"] = device
        yield
        if namespace.get("device") is device:
            del namespace["device"]


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables, and put back what they were."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _why_not_started(error: Exception) -> Trouble:
    return error if isinstance(error, Trouble) else not_started(error)


def _missing_file(error: BaseException) -> dict[str, str]:
    """Return the path that was not found, if that is the error: the notebook may have it."""
    name = getattr(error, "filename", None)
    if isinstance(error, FileNotFoundError) and isinstance(name, (str, bytes, os.PathLike)):
        return {"filename": os.fsdecode(name)}
    return {}


def _summary_of(changes: Changes) -> dict[str, Any]:
    return {
        "bound": list(changes.bound),
        "deleted": list(changes.deleted),
        "remote": _plain([asdict(info) for info in changes.remote]),
        "notes": list(changes.notes),
    }


def _plain(value: list[dict[str, Any]]) -> Any:
    """Return what libraries and users filled in as plain JSON values; all else is ours."""
    return json.loads(as_json(value)) if value else []


def _for_head(summary: dict[str, Any], text: str) -> dict[str, Any]:
    """Return as much of a summary as a message's head takes; the bundle has all of it."""
    if len(text) <= wire_content.IN_HEAD:
        return summary
    short = {key: summary[key] for key in ("status", "error", "timings", "live", KEY)}
    if short["error"]:
        short["error"] = {key: value[:_SHORT] for key, value in short["error"].items()}
    return short | {"shortened": True}
