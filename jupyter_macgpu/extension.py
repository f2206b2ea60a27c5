"""What one kernel holds: its pool, how it shows things, and the cell magic's work."""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from .cell import Cell, Dialect
from .comms import Comms
from .detaching import Desk, ahead, detach
from .fleetpool import FleetPool
from .handed import Detached, Handed
from .home import Home
from .homecoming import attach
from .interrupts import Interrupts, counted
from .job import Run
from .lastruns import LastRuns
from .ledger import Ledger
from .notebook import (
    RunningCell,
    asked_by_front_end,
    is_typed_bare,
    kernel_id,
    notebook_name,
    request_id,
)
from .options import CellOptions, parse_cell
from .outflow import outflow_of_this_kernel
from .outputs import Publisher, Rendering, updating
from .report import Report, report_of
from .screening import screen_for
from .session import fetch_value
from .settings import Settings
from .statusline import StatusLine
from .steps import Steps
from .sticky import Sticky, refuse_own_lines
from .sweeping import sweep
from .truth import second_for
from .typed import plain_code
from .verdicts import add_hint, error_of
from .way import Result, run_cell
from .wire.errors import MacGPUError, ShownError
from .wire.plain import plain
from .wire.values.remote import RemoteValue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from IPython.core.interactiveshell import InteractiveShell

    from .fleet.hosts import Host
    from .pool import Pool
    from .session import Session
    from .wire.messages import Submit


class Extension:
    """The extension in one shell.

    Parameters
    ----------
    shell
        The notebook's shell.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.running = RunningCell()
        self.rendering = Rendering(shell)
        self.settings = Settings()
        self.sticky = Sticky(lambda: asked_by_front_end(shell))
        #: Options that every cell of this notebook takes, as typed.
        self.defaults = ""
        self.comms = Comms(shell, self.notice) if kernel_id(shell) else None
        #: What the last run cost.
        self.report: Report | None = None
        self._ledger = Ledger()
        self._pool = FleetPool(lambda: notebook_name(shell))
        self._publisher: Publisher | None = None
        self._outflow = outflow_of_this_kernel()
        #: The runs that this kernel handed in and did not wait for, oldest first.
        self.handed_in: list[Run] = []
        self._last_runs: LastRuns | None = None

    @property
    def home(self) -> Home:
        """Where the variables of runs come home to."""
        return Home(
            pool=self.pool, namespace=self.shell.user_ns, dialect=self.dialect, notice=self.notice
        )

    @property
    def last_runs(self) -> LastRuns:
        """The runs that earlier kernels of this notebook began."""
        if self._last_runs is None:
            self._last_runs = LastRuns(self.pool)
        return self._last_runs

    @property
    def dialect(self) -> Dialect:
        """What the shell knows of its cells' texts."""
        names = self.shell.compile._filename_map

        def register(filename: str, _source: str, number: int | None) -> None:
            if number is not None:
                names[filename] = number

        return Dialect(
            flags=self.shell.compile.flags,
            transform=self.sticky.aside(self.shell.transform_cell),
            number_of=names.get,
            register_source=register,
        )

    @property
    def pool(self) -> Pool:
        """The pool, made when it is first needed: a broken fleet file must not break loading.

        Raises
        ------
        FleetFileError
            If the fleet file never could be used. Nothing was sent.
        """
        return self._pool.now()

    def tell_of_fleet(self) -> None:
        """Say what an edit of the fleet file changed, or why it counts for nothing."""
        with contextlib.suppress(MacGPUError):
            self._pool.now()
        if notice := self._pool.notice():
            self.notice(notice)

    def load(self) -> None:
        """Begin to listen to the shell."""
        self.shell.events.register("pre_run_cell", self.running.began)
        self.shell.events.register("post_execute", self.release)
        self.shell.input_transformers_cleanup.append(self.sticky)
        self.shell.events.register("pre_execute", self.sticky.began)
        self.shell.events.register("post_execute", self.sticky.ended)
        self.shell.set_custom_exc((ShownError,), _show_nothing)
        RemoteValue.resolver = self.fetch
        atexit.register(self.close)
        threading.Thread(target=self._warm, name="macgpu-warm", daemon=True).start()

    def unload(self) -> None:
        """Leave the shell as it was."""
        self.shell.events.unregister("pre_run_cell", self.running.began)
        self.shell.events.unregister("post_execute", self.release)
        self.shell.input_transformers_cleanup.remove(self.sticky)
        self.shell.events.unregister("pre_execute", self.sticky.began)
        self.shell.events.unregister("post_execute", self.sticky.ended)
        self.rendering.restore()
        atexit.unregister(self.close)
        self.close()

    def close(self) -> None:
        """End this kernel's sessions."""
        self._ledger.close()
        if self.comms is not None:
            self.comms.close()
        self._pool.close()

    def release(self) -> None:
        """Show what was held for after the result. Called by IPython after each cell."""
        if (publisher := self._publisher) is not None and publisher.is_of_this_thread():
            self._publisher = None
            self.rendering.forget()
            publisher.release()

    def cell(self, line: str, body: str) -> object:
        """Run a cell elsewhere; return the value of its last expression.

        Raises
        ------
        MacGPUError
            What went wrong on the way, in four parts.
        RemoteError
            What the cell itself raised.
        """
        options = parse_cell(line, self.defaults)
        if self.sticky.on:
            refuse_own_lines(body)
        self.tell_of_fleet()
        headed = not (self.sticky.took(body) or is_typed_bare(self.shell))
        cell = Cell(
            source=body,
            code=plain_code(self.shell, body, self.dialect.transform, "\n" * headed),
            count=self.shell.displayhook.prompt_count,
            cell=self.running.cell,
            kernel=kernel_id(self.shell),
            headed=headed,
            request=request_id(self.shell),
            dialect=self.dialect,
        )
        if options.dry_run:
            from .preview import preview

            self.notice(preview(cell, self.shell.user_ns, options, self.pool))
            return None
        return self.drive(cell, options)

    def attach(self, run: str, session: Session) -> object:
        """Take up a run and bind what it brings."""
        publisher = self.publisher()
        self._show_as_of(session)
        with counted() as interrupts:
            result = attach(
                run,
                session.link,
                self.shell.user_ns,
                show=publisher,
                interrupts=interrupts,
                dialect=self.dialect,
                trust=session.host.trust,
            )
        self._ledger.over(run)
        return self._conclude(result, publisher)

    def fetch(self, value: RemoteValue) -> object:
        """Bring a value that stayed on its host. Called by `RemoteValue.fetch`."""
        return fetch_value(value, self.pool.sessions(), self.shell.user_ns, self.dialect)

    def notice(self, text: str) -> None:
        """Show a line of ours."""
        self.shell.display_pub.publish({"text/plain": plain(text)})

    def drive(self, cell: Cell, options: CellOptions) -> object:
        """Run a cell and show it; return the value of its last expression, raise its error."""
        publisher = self.publisher()
        steps = Steps(publisher.line)
        with counted() as interrupts:
            desk = self._desk(publisher, interrupts)
            if not options.again:
                self.last_runs.refuse_twice(cell.cell, self.handed_in)
            if options.sweep or options.goes_alone:
                handed = (
                    sweep(cell, options, desk, updating(self.shell))
                    if options.sweep
                    else detach(cell, options, desk)
                )
                publisher.line.dropped()
                return handed
            options, job = ahead(options, desk) if options.after else (options, {})
            try:
                result = run_cell(
                    cell,
                    self.shell.user_ns,
                    options,
                    pool=self.pool,
                    show=publisher,
                    interrupts=interrupts,
                    record=self.record,
                    placed=self._placed,
                    limits=self.settings.limits(),
                    job=job,
                    steps=steps,
                    second=second_for(cell, options, desk),
                )
            except Detached as gone:
                return self._let_go(gone.handed)
        self._ledger.over(result.run)
        steps.over("bind")
        publisher.line.ended(self._report(result, steps))
        return self._conclude(result, publisher)

    def _let_go(self, kept: Handed) -> Run:
        """Return the run that was waited for until somebody detached it."""
        kept.session.link.close()  # its output still comes over it
        run = Run(self.home, kept.run, kept.session.host, handed=kept, row={"state": "started"})
        self.handed_in.append(run)
        self.notice(f"macgpu: run {run.run[:8]} was detached and goes on by itself")
        return run

    def _desk(self, publisher: Publisher, interrupts: Interrupts) -> Desk:
        return Desk(
            home=self.home,
            show=publisher,
            interrupts=interrupts,
            record=self.record,
            placed=self._placed,
            keep=self.settings.keep(),
            known=self.handed_in,
        )

    def _report(self, result: Result, steps: Steps) -> Report:
        labels = self.pool.labels_of(result.host)
        self.report = report_of(
            result.run,
            result.host,
            result.state,
            result.summary,
            chip=labels.get("chip"),
            simulated=labels.get("simulated") == "true",
            **steps.sizes(),
            steps=steps.took,
        )
        return self.report

    def publisher(self, host: Host | None = None) -> Publisher:
        """Return a fresh place to show a run, of a host if it is known already."""
        self.release()
        line = StatusLine(
            self.shell, self.notice, self.settings.values["progress"], self.settings.keeps_line
        )
        self._publisher = Publisher(self.shell, self.notice, line)
        self._publisher.outflow = self._outflow if self.settings.is_paced else None
        if host is not None:
            line.placed(host.name)
            self._publisher.screen = screen_for(host.name, host.trust)
        return self._publisher

    def _show_as_of(self, session: Session) -> None:
        """Screen what comes from now on as its host's, and have its widgets live."""
        if self._publisher is not None:
            self._publisher.line.placed(session.host.name)
            self._publisher.screen = screen_for(session.host.name, session.host.trust)
            if self.comms is not None:
                self._publisher.comm = partial(self.comms.take, session.link)

    def _conclude(self, result: Result, publisher: Publisher) -> object:
        publisher.finish()
        for note in result.notes:
            self.notice(f"macgpu: {note}")
        self._act_on(result.summary.get("payload") or (), publisher)
        error = error_of(result, publisher.error)
        if error is not None:
            self._show_value(result, publisher)
            self.release()
            add_hint(error, self.shell.user_ns, result)
            raise error from None
        publisher.settle()
        if publisher.result is None or not result.value:
            return None
        self.rendering.expect(result.value[0], publisher.result)
        return result.value[0]

    def _act_on(self, payloads: Iterable[Any], publisher: Publisher) -> None:
        """Have the front end do what the cell asked for: the next cell's text, a page of help."""
        manager: Any = self.shell.payload_manager
        for payload in payloads:
            if publisher.screen is None:
                manager.write_payload(payload)
            else:
                source = payload.get("source") if isinstance(payload, dict) else ""
                publisher.leave_out(f"a request to the front end ({source})")

    def _show_value(self, result: Result, publisher: Publisher) -> None:
        """Show the value of a cell that failed while it was shown: no magic returns it."""
        if publisher.result is not None and result.value:
            self.rendering.expect(result.value[0], publisher.result)
            sys.displayhook(result.value[0])

    def _warm(self) -> None:
        """Connect while the user reads or types. What is wrong, the first cell says."""
        with contextlib.suppress(MacGPUError):
            self.pool.warm()

    def record(self, message: Submit, host: str) -> None:
        """Write down that a run is about to be sent; raises as `Ledger.record` does."""
        self._ledger.record(message, host)

    def _placed(self, session: Session) -> None:
        self._show_as_of(session)
        if session.announced:
            return
        session.announced = True
        if self.pool.fleet.notice:
            self.notice(self.pool.fleet.notice)
        ours = {name for run in self.handed_in for name in run.runs}
        for line in self.last_runs.lines(session.host, ours):
            self.notice(f"macgpu: {line}")


def _show_nothing(*_: object, **__: object) -> None:
    """Stand in for a traceback that the run has shown. Called by IPython."""
