"""``macgpu run``: a script, a notebook or a command, on a host of the fleet.

It goes the way of a cell, so that placement, queue, limits, interrupts and lost connections are the
same. A script and a command are a process of their own there; the cells of a notebook run in one
worker, and their variables stay in it.
"""

from __future__ import annotations

import getpass
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import detaching, exits
from .bookrun import PLAIN, run_cells
from .cell import Cell
from .detaching import ahead, detach
from .fleet.file import load_fleet
from .folder import Talk
from .gathering import gather
from .getting import get, wrote_line
from .home import Home
from .interrupts import Interrupts, counted
from .ledger import Ledger
from .notebookfile import NotebookFile, output_path
from .options import CellOptions
from .pool import Pool
from .reach import Reach
from .runs import worth_saying
from .terminal import Terminal
from .verdicts import missing_hint
from .way import run_cell
from .wire.errors import InputError, MacGPUError
from .wire.program import Program
from .words import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .execution import Show
    from .fleet.hosts import Host
    from .job import Run
    from .session import Session
    from .verbs import Command
    from .way import Result
    from .wire import messages as m


def main(command: Command) -> int:
    """Run what the command line names; return the exit code, as `exits` has them."""
    what, *arguments = command.arguments
    options = command.cell or CellOptions()
    try:
        if what == "--":
            _refuse_output(command)
            return _run_program(command, Program(argv=tuple(arguments)), options, Path.cwd())
        path = Path(what)
        if path.suffix == ".ipynb":
            return _run_notebook(command, path, arguments, options)
        _refuse_output(command)
        script = _script(path, arguments)
        return _run_program(command, script, options, path.absolute())
    except MacGPUError as error:
        print(worth_saying(error), file=sys.stderr)
        return exits.NOT_BEGUN


class _Desk:
    """One ``macgpu run``: its pool, and what it shows where.

    Attributes
    ----------
    sent
        Whether a run was sent.
    own_files
        The script's file there, which no run of the user's has written, and its bytes.
    asks_for_files
        Whether the user has said what is to be brought.
    """

    def __init__(self, pool: Pool, interrupts: Interrupts) -> None:
        self.pool = pool
        self.own_files: dict[str, int] = {}
        self.asks_for_files = False
        self.interrupts = interrupts
        self.terminal = Terminal(interrupts.count)
        self.sent = False
        self._ledger = Ledger()

    def run(self, cell: Cell, options: CellOptions, show: Show | None = None) -> Result:
        """Run a cell; the errors are those of `run_cell`."""
        try:
            options, job = ahead(options, self._at_desk()) if options.after else (options, {})
            return run_cell(
                cell,
                {},
                options,
                pool=self.pool,
                show=show or self.terminal,
                interrupts=self.interrupts,
                record=self._record,
                placed=self._placed,
                limits={},
                job=job,
            )
        finally:
            self._ledger.close()

    def hand_in(self, cell: Cell, options: CellOptions) -> Run:
        """Hand a program in that nobody waits for; the errors are those of `detach`."""
        try:
            return detach(cell, options, self._at_desk())
        finally:
            self._ledger.close()

    def _at_desk(self) -> detaching.Desk:
        home = Home(pool=self.pool, namespace={}, dialect=PLAIN, notice=self.terminal.notice)
        return detaching.Desk(
            home=home,
            show=self.terminal,
            interrupts=self.interrupts,
            record=self._record,
            placed=self._placed,
        )

    def host(self) -> Host:
        """Return where the cell runs that was placed last."""
        assert self.pool.current is not None
        return self.pool.current.host

    def failed(self, error: MacGPUError) -> int:
        """Say what went wrong on the way; return the exit code."""
        print(worth_saying(error), file=sys.stderr)
        return exits.code_for(error, sent=self.sent)

    def ended(self, result: Result, what: str) -> int:
        """Say what there is to say of a run's end; return the exit code."""
        wrote = result.summary.get("wrote")
        notes = [note for note in result.notes if note not in wrote_line(wrote)]
        for text in (*notes, *self._wrote(wrote, result.host), exits.line_of(result, what)):
            if text:
                self.terminal.notice(text)
        if self.terminal.is_closed:
            return exits.NOBODY_READS
        return exits.code_of(result.state, result.summary)

    def bring(self, patterns: Sequence[str]) -> None:
        """Bring files that a run has written into the working folder.

        Raises
        ------
        FilesError, TransportError
            If they cannot be brought.
        """
        session = self.pool.current
        if patterns and session is not None:
            got = get(Talk(session, self.interrupts.take), patterns)
            self.terminal.notice(got.text(session.host.name, "."))

    def _wrote(self, wrote: Any, host: str) -> list[str]:
        """Return a line about what a run wrote there, where nobody has asked for files."""
        line = wrote_line(wrote, apart=self.own_files)
        if not line or self.asks_for_files:
            return []
        what = line[0].partition(" \N{MIDDLE DOT} ")[0]
        return [f"{what}, on {host}; --get PATH brings files"]

    def _record(self, message: m.Submit, host: str) -> None:
        self._ledger.record(message, host)
        self.sent = True

    def _placed(self, session: Session) -> None:
        self.terminal.placed(session.host)
        if not session.announced and len(self.pool.fleet.hosts) > 1:
            self.terminal.notice(f"runs on {session.host.name}")
        session.announced = True


@contextmanager
def _desk(name: str) -> Iterator[_Desk]:
    fleet = load_fleet()
    if fleet.notice:
        print(fleet.notice, file=sys.stderr)
    pool = Pool(fleet, Reach(getpass.getpass), name)
    try:
        with counted() as interrupts:
            yield _Desk(pool, interrupts)
    finally:
        pool.close()


def _script(path: Path, arguments: Sequence[str]) -> Program:
    """Return a script as a program; it keeps its place below the working folder."""
    if path.suffix != ".py":
        raise InputError(
            f"{shown(str(path))} is neither a .py nor an .ipynb file.",
            next="For a command write two dashes before it: macgpu run -- COMMAND. "
            "--files brings files along.",
        )
    file = next(iter(gather([str(path)]).files.values()))
    text = Path(file.path).read_bytes().decode("utf-8", "surrogateescape")
    return Program(argv=(file.name, *arguments), script=text)


def _refuse_output(command: Command) -> None:
    if command.output is not None:
        raise InputError(
            "--output is for notebooks.", next="Leave it out; a shell redirects with >."
        )


def _alone_by(options: CellOptions) -> str:
    """Return the option by which nobody waits for a run."""
    return "--detach" if options.detach else "--at"


def _run_program(command: Command, program: Program, options: CellOptions, place: Path) -> int:
    """Run a script or a command; the session's folder belongs to the path of it."""
    if options.goes_alone and command.get:
        raise InputError(
            f"{_alone_by(options)} waits for nothing, so --get has nothing to bring.",
            next="Write macgpu attach RUN --get PATH later.",
        )
    program = replace(program, is_coloured=sys.stdout.isatty())
    if program.script is None and not program.argv:
        raise InputError("Two dashes, and no command.", next="Write macgpu run -- COMMAND.")
    cell = Cell(source="", code="", count=1, dialect=PLAIN, program=program)
    with _desk(str(place)) as desk:
        if program.script is not None:
            size = len(program.script.encode("utf-8", "surrogateescape"))
            desk.own_files = {program.argv[0]: size}
        desk.asks_for_files = bool(command.get)
        try:
            if options.goes_alone:
                print(desk.hand_in(cell, options).run)
                return exits.OK
            result = desk.run(cell, options)
            code = desk.ended(result, program.argv[0])
            if code == exits.ERROR:
                beside = place.parent if program.script is not None else place
                _hint(desk, result, beside)
        except MacGPUError as error:
            return desk.failed(error)
        return _brought(desk, command, code)


def _hint(desk: _Desk, result: Result, beside: Path) -> None:
    """Say how what a Python program missed is shipped, if it is here."""
    last = desk.terminal.tail.rstrip().rpartition("\n")[2]
    if hint := missing_hint(re.sub(r"\x1b\[[0-9;:]*m", "", last), beside, result.host):
        desk.terminal.notice(hint)


def bring(pool: Pool, host: Host, notebook: str, patterns: Sequence[str]) -> None:
    """Bring files from the folder on a host that belongs to a notebook or a script.

    Raises
    ------
    FilesError, TransportError
        If they cannot be brought.
    """
    beside = Pool(pool.fleet, pool.reach, notebook)
    try:
        got = get(Talk(beside.session(host)), patterns)
    finally:
        beside.close()
    print(f"macgpu: {got.text(host.name, '.')}", file=sys.stderr)


def _brought(desk: _Desk, command: Command, code: int) -> int:
    try:
        desk.bring(command.get)
    except MacGPUError as error:
        print(worth_saying(error), file=sys.stderr)
        return code or exits.ERROR
    return code


def _run_notebook(
    command: Command, path: Path, arguments: Sequence[str], options: CellOptions
) -> int:
    if arguments:
        raise InputError(
            f"A notebook takes no arguments: {shown(arguments[0])}.",
            next="Options stand before the file.",
        )
    if options.goes_alone:
        raise InputError(
            "A notebook's cells are run one after the other from here: it cannot be detached.",
            next=f"Leave out {_alone_by(options)}, and let this command run in the background.",
        )
    gather([str(path)])  # says what is wrong with a path
    book = NotebookFile(path)
    target = output_path(path, command.output)
    with _desk(str(path.absolute())) as desk:
        desk.asks_for_files = bool(command.get)
        try:
            code = _run_cells(desk, book, target, options)
        except MacGPUError as error:
            code = desk.failed(error)
        desk.terminal.notice(f"what has run is in {shown(str(target))}")
        return _brought(desk, command, code)


def _run_cells(desk: _Desk, book: NotebookFile, target: Path, options: CellOptions) -> int:
    """Run the cells in order until one fails; return the exit code."""
    ended = run_cells(book, target, options, run=desk.run, show=desk.terminal, host=desk.host)
    for count, cell, result in ended:
        code = desk.ended(result, f"cell {count}")
        goes_on = code == exits.OK or (cell.may_fail and result.state == "error")
        if not goes_on:
            return code
    return exits.OK
