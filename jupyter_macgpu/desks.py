"""Where a call from Python comes from: a notebook's kernel, or a plain process of Python.

Both have a pool, a namespace and a place to show things, so that `calls` need not know which it is.
"""

from __future__ import annotations

import atexit
import linecache
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from . import detaching
from .cell import Dialect
from .detaching import ahead, detach
from .fleetpool import FleetPool
from .home import Home
from .interrupts import Interrupts, counted
from .ledger import Ledger
from .notebook import running_shell
from .session import fetch_value
from .terminal import Terminal, fitting
from .verdicts import error_of
from .way import run_cell
from .wire.errors import InputError, RemoteError
from .wire.values.remote import RemoteValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cell import Cell
    from .extension import Extension
    from .fleet.hosts import Host
    from .job import Run
    from .options import CellOptions
    from .pool import Pool
    from .way import Result
    from .wire import messages as m


class Shown(Protocol):
    """Where one run is shown; see `execution.Show`."""

    error: RemoteError | None

    def output(self, output: m.Output) -> None:
        """Show one record."""

    def state(self, state: m.RunState) -> None:
        """Show where the run is now."""

    def notice(self, text: str) -> None:
        """Show a line of ours."""

    def ask(self, prompt: str, password: bool) -> str:
        """Ask the user."""

    def finish(self) -> None:
        """Show what is still owed."""


class Desk(Protocol):
    """Where calls come from."""

    @property
    def pool(self) -> Pool:
        """The hosts, and this process's sessions on them."""

    @property
    def namespace(self) -> dict[str, Any]:
        """The module ``__main__``: what functions that were made there read."""

    @property
    def dialect(self) -> Dialect:
        """What is known of the texts that functions come from."""

    @property
    def limits(self) -> Mapping[str, int]:
        """Bytes that come back by themselves."""

    def drive(self, cell: Cell, options: CellOptions) -> object:
        """Run a cell, show it, bind what it binds; raise what it raised.

        With ``detach`` it is handed in only, and its `job.Run` returned.
        """

    def shown(self, host: Host) -> Shown:
        """Return a place to show a run on a host."""

    def record(self, message: m.Submit, host: str) -> None:
        """Write down that a run is about to be sent."""


class NotebookDesk:
    """Calls from a notebook run in the session of its cells, and are shown as these are."""

    def __init__(self, extension: Extension) -> None:
        self._extension = extension

    @property
    def pool(self) -> Pool:
        """The notebook's own."""
        return self._extension.pool

    @property
    def namespace(self) -> dict[str, Any]:
        """The notebook's variables."""
        names: dict[str, Any] = self._extension.shell.user_ns
        return names

    @property
    def dialect(self) -> Dialect:
        """What the notebook's shell knows."""
        return self._extension.dialect

    @property
    def limits(self) -> Mapping[str, int]:
        """What the notebook's settings say."""
        return self._extension.settings.limits()

    def drive(self, cell: Cell, options: CellOptions) -> object:
        """Run a cell as if it were the notebook's."""
        self._extension.tell_of_fleet()
        return self._extension.drive(cell, options)

    def shown(self, host: Host) -> Shown:
        """Return a place in the output of the cell that runs."""
        return self._extension.publisher(host)

    def record(self, message: m.Submit, host: str) -> None:
        """Write down that a run is about to be sent."""
        self._extension.record(message, host)


class PlainDesk:
    """Calls from plain Python: one session a host, as long as the process lives."""

    limits: Mapping[str, int] = {}

    def __init__(self) -> None:
        main = sys.modules["__main__"]
        self.namespace = vars(main)
        self.dialect = Dialect(
            flags=0,
            transform=lambda text: text,
            number_of=lambda _name: None,
            register_source=lambda *_: None,
        )
        self._ledger = Ledger()
        self._pool = FleetPool(lambda: getattr(sys.modules["__main__"], "__file__", ""))
        self._lock = threading.RLock()
        self._handed_in: list[Run] = []
        _know_source(getattr(main, "__file__", None))
        RemoteValue.resolver = self._fetch
        atexit.register(self._close)

    @property
    def pool(self) -> Pool:
        """The pool; its fleet is what the files say now.

        Raises
        ------
        FleetFileError
            If the fleet file never could be used. Nothing was sent.
        """
        return self._pool.now()

    def drive(self, cell: Cell, options: CellOptions) -> object:
        """Run a cell; calls of several threads take turns."""
        with self._lock, counted() as interrupts:
            shown = _Console()
            desk = self._desk(shown, interrupts)
            if options.goes_alone:
                return detach(cell, options, desk)
            options, job = ahead(options, desk) if options.after else (options, {})
            result = run_cell(
                cell,
                self.namespace,
                options,
                pool=self.pool,
                show=shown,
                interrupts=interrupts,
                record=self.record,
                placed=desk.placed,
                limits=self.limits,
                job=job,
            )
        for note in result.notes:
            shown.notice(note)
        raise_error_of(result, shown)
        return None

    def _desk(self, shown: _Console, interrupts: Interrupts) -> detaching.Desk:
        home = Home(
            pool=self.pool, namespace=self.namespace, dialect=self.dialect, notice=shown.notice
        )
        return detaching.Desk(
            home=home,
            show=shown,
            interrupts=interrupts,
            record=self.record,
            placed=lambda session: shown.placed(session.host),
            known=self._handed_in,
        )

    def shown(self, host: Host) -> Shown:
        """Return a place on standard output and error."""
        shown = _Console()
        shown.placed(host)
        return shown

    def record(self, message: m.Submit, host: str) -> None:
        """Write down that a run is about to be sent.

        Raises
        ------
        InputError
            If that cannot be done. Nothing was sent.
        """
        self._ledger.record(message, host)

    def _fetch(self, value: RemoteValue) -> object:
        with self._lock:
            return fetch_value(value, self.pool.sessions(), self.namespace, self.dialect)

    def _close(self) -> None:
        self._ledger.close()
        self._pool.close()


class _Console(Terminal):
    """Shows a call in a plain process; its error is raised, and not shown."""

    def __init__(self) -> None:
        super().__init__(closed=_nobody_reads)
        self.error: RemoteError | None = None

    def finish(self) -> None:
        """Owe nothing: bytes are shown as they are."""

    def _record(self, what: str, content: dict[str, Any]) -> None:
        if what != "error":
            super()._record(what, content)
            return
        lines = [self._screened(str(line)) for line in content.get("traceback") or ()]
        named = (str(content.get("ename", "")), str(content.get("evalue", "")))
        self.error = RemoteError.rebuilt(*named, lines)
        # Python shows notes below its own traceback, which ends in our code.
        self.error.add_note("Raised there:\n" + fitting("\n".join(lines), sys.stderr))


def raise_error_of(result: Result, shown: Shown) -> None:
    """Raise what a run's end means, if it did not end well."""
    shown.finish()
    error = error_of(result, shown.error)
    if error is not None:
        raise error from None


#: What only a worker has imported.
_WORKER = "jupyter_macgpu.mac.worker.process"
_plain: list[PlainDesk] = []
_making = threading.Lock()


def desk() -> Desk:
    """Return where calls come from in this process.

    In a notebook the extension is loaded if it is not yet.

    Raises
    ------
    InputError
        In a worker: it would wait for the slot that it has itself.
    """
    if _WORKER in sys.modules:
        raise InputError(
            "This code runs on a host already, and cannot send calls from there.",
            next="Call the function itself, as a function made by remote does by itself.",
        )
    shell = running_shell()
    if shell is not None:
        return NotebookDesk(_extension_of(shell))
    with _making:
        if not _plain:
            _plain.append(PlainDesk())
        return _plain[0]


def _extension_of(shell: Any) -> Extension:
    registry = shell.magics_manager.registry
    if "MacGPUMagics" not in registry:
        shell.extension_manager.load_extension("jupyter_macgpu")
    extension: Extension = registry["MacGPUMagics"].extension
    return extension


def _know_source(path: str | None) -> None:
    """Let functions of the main script travel as its source, where Python would read it anew.

    Code that is not what the file says by now travels as bytecode all the same: it is compared.
    """
    try:
        text = Path(path or "").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))


def _nobody_reads() -> None:
    raise BrokenPipeError("nobody reads the output any more")
