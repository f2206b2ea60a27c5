"""``--sweep``: one cell handed in once for each combination of values, and the table of them.

Every combination is a run that goes on by itself, with a worker of its own. Where only so many may
run at once, each of the others follows one that was handed in before it, so that hosts alone keep
the order and the notebook may be closed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, overload

from .axes import line_that_sets, read_axes, rows_of
from .detaching import detach
from .lending import lent
from .moments import meant, written
from .optionvalues import After
from .tables import page_table, table
from .wire.errors import InputError, MacGPUError, RunCancelled
from .wire.plain import plain_line
from .wire.states import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from .axes import Combination
    from .cell import Cell
    from .detaching import Desk
    from .execution import Show
    from .job import Run
    from .options import CellOptions
    from .wire import messages as m

    Display = Callable[[dict[str, str], str, bool], None]

#: Combinations above which the user is asked to say so.
WITHOUT_ASKING = 50
#: Seconds between two looks at runs that are shown.
_ROUND = 1.0
#: Columns beside the names that are swept and those of ``-o``.
_STATE, _HOST, _SECONDS, _RUN, _WHY = "state", "host", "seconds", "run", "why"


def sweep(cell: Cell, options: CellOptions, desk: Desk, display: Display | None = None) -> Sweep:
    """Hand a cell in for each combination, and return the table of its runs.

    Parameters
    ----------
    display
        Shows the table under an id, and again in its own place; None shows it once.

    Raises
    ------
    InputError
        If there is no such variable, the cell sets a name itself, or combinations are too many.
        Nothing was sent.
    MacGPUError
        If the first combination cannot be handed in. Of others their row says so.
    RunCancelled
        If it was interrupted meanwhile; what had been handed in was told to stop.
    """
    combinations = _combinations(options, desk.home.namespace)
    _mind(cell, options, combinations)
    each = replace(
        options,
        detach=True,
        at=(written(meant(options.at, time.time())),) if options.at else (),
        sweep=(),
        most=None,
        inputs=tuple(dict.fromkeys((*options.inputs, *combinations[0]))),
    )
    desk = replace(desk, show=_Quiet(desk.show))
    desk.show.notice(f"sweep, {len(combinations)} runs: {_echo(options, combinations)}")
    swept = Sweep(outputs=options.outputs or (), display=display)
    group = secrets.token_hex(8)
    for number, combination in enumerate(combinations):
        if desk.interrupts.take():
            swept.cancel()
            raise RunCancelled(
                f"The sweep was interrupted after {number} of {len(combinations)} runs.",
                known="Those that were handed in were told to stop.",
            )
        before = swept.runs[-options.most] if options.most and number >= options.most else None
        swept.add(combination, *_handed_in(cell, each, desk, combination, group, number, before))
    return swept


def _handed_in(
    cell: Cell,
    options: CellOptions,
    desk: Desk,
    combination: Combination,
    group: str,
    number: int,
    before: Run | None,
) -> tuple[Run | None, str]:
    """Hand in one combination; return its run, or None and why there is none."""
    if options.name is not None:
        options = replace(options, name=f"{options.name}-{number}")
    if before is not None:
        follows = After(run=before.run, whatever=True)
        options = replace(options, after=(*options.after, follows))
    try:
        with lent(desk.home.namespace, combination):
            return detach(cell, options, desk, group=group), ""
    except MacGPUError as error:
        if number == 0:
            raise
        return None, error.what


class _Quiet:
    """Shows of the way to a host only what the user must know: the table has the states."""

    def __init__(self, show: Show) -> None:
        self.output, self.notice, self.ask = show.output, show.notice, show.ask

    def state(self, state: m.RunState) -> None:
        """Show nothing."""


@dataclass(slots=True, kw_only=True)
class _Row:
    """One combination: its run, or why there is none, and what is known once it has ended."""

    combination: Combination
    run: Run | None
    why: str
    ended: dict[str, Any] | None = None


class Sweep(Sequence[dict[str, Any]]):
    """The runs of a sweep, as rows of a table: asked for whenever they are looked at.

    A row has the values that were swept, ``state``, ``host``, ``seconds`` of running, ``run``, the
    scalars that ``-o`` names, and ``why`` it failed. ``pandas.DataFrame(sweep)`` takes it as it is.

    Attributes
    ----------
    runs
        The runs, in the order of the rows; combinations that were not handed in have none.
    """

    def __init__(self, outputs: Sequence[str] = (), display: Display | None = None) -> None:
        self._display = display
        self._outputs = tuple(outputs)
        self._rows: list[_Row] = []
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None

    def add(self, combination: Combination, run: Run | None, why: str = "") -> None:
        """Add a row."""
        self._rows.append(_Row(combination=combination, run=run, why=why))

    @property
    def runs(self) -> list[Run]:
        """The runs that were handed in."""
        return [row.run for row in self._rows if row.run is not None]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        swept = self._rows[0].combination if self._rows else {}
        fixed = (_STATE, _HOST, _SECONDS)
        return (*swept, *fixed, *(name for name in self._outputs if name not in swept), _WHY)

    def rows(self) -> list[dict[str, Any]]:
        """Ask the hosts, and return a row for each combination."""
        with self._lock:
            return [self._row(row) for row in self._rows]

    def frame(self) -> Any:
        """Return the table as a pandas DataFrame.

        Raises
        ------
        ImportError
            If there is no pandas here; `rows` does without.
        """
        return import_module("pandas").DataFrame(self.rows(), columns=[*self.columns, _RUN])

    def done(self) -> bool:
        """Say whether all runs have ended, well or not."""
        return all(run.done() for run in self.runs)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all runs have ended; return whether they have.

        Parameters
        ----------
        timeout
            Seconds to wait at most; None waits for ever.
        """
        until = None if timeout is None else time.monotonic() + timeout

        def left() -> float | None:
            return None if until is None else max(0.0, until - time.monotonic())

        return all(run.wait(left()) for run in self.runs)

    def cancel(self, *, kill: bool = False) -> None:
        """Stop all runs that have not ended, the last ones first: none begins instead."""
        for run in reversed(self.runs):
            try:
                if not run.done():
                    run.cancel(kill=kill)
            except MacGPUError:
                # It has ended meanwhile, or its host is silent: its row says which.
                continue

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Return a row, or several."""
        return self.rows()[index]

    def __len__(self) -> int:
        """Return how many combinations there are."""
        return len(self._rows)

    def __repr__(self) -> str:
        """Return the table as text."""
        return self._bundle()["text/plain"]

    def _repr_html_(self) -> str:
        return self._bundle()["text/html"]

    def _ipython_display_(self) -> None:
        """Show the table, and keep it up to date until all runs have ended."""
        if self._display is None:
            print(self)
            return
        name = secrets.token_hex(8)
        bundle = self._bundle()
        self._display(bundle, name, False)
        if not self._is_over() and (self._watch is None or not self._watch.is_alive()):
            self._watch = threading.Thread(target=self._update, args=(name, bundle), daemon=True)
            self._watch.start()

    def _update(self, name: str, shown: dict[str, str]) -> None:
        assert self._display is not None
        while not self._is_over():
            time.sleep(_ROUND)
            bundle = self._bundle()
            if bundle != shown:
                self._display(bundle, name, True)
                shown = bundle

    def _is_over(self) -> bool:
        return all(row.ended is not None for row in self._rows if row.run is not None)

    def _bundle(self) -> dict[str, str]:
        rows = [_as_shown(row) for row in self.rows()]
        columns = [c for c in self.columns if c != _WHY or any(row[_WHY] for row in rows)]
        text, page = table(rows, columns, "No combinations."), page_table(rows, columns)
        return {"text/plain": text, "text/html": page}

    def _row(self, row: _Row) -> dict[str, Any]:
        names = dict.fromkeys(self._outputs)
        told: dict[str, Any] = {_STATE: "not sent", _HOST: None, _SECONDS: None, **names, _RUN: ""}
        told[_WHY] = row.why
        if row.run is not None:
            told |= row.ended or self._asked(row, row.run)
        return {**told, **row.combination}

    def _asked(self, row: _Row, run: Run) -> dict[str, Any]:
        known = run.shown()
        seconds = known["age"] if known["state"] == "started" else run.ran
        told = {_STATE: known["state"], _HOST: known["host"], _SECONDS: seconds, _RUN: known["run"]}
        if known["state"] not in FINAL:
            return {**told, _WHY: known["starts"]}
        try:
            told |= self._scalars(run) if known["state"] == "ok" else {_WHY: _why(run)}
        except MacGPUError as error:
            # Its host is silent now: it is asked again.
            return {**told, _WHY: plain_line(error.what)}
        row.ended = told
        return told

    def _scalars(self, run: Run) -> dict[str, Any]:
        if not self._outputs:
            return {}
        values = run.values()
        return {name: _scalar(values[name]) for name in self._outputs if name in values}


def _combinations(options: CellOptions, namespace: dict[str, Any]) -> list[Combination]:
    axes = read_axes(options.sweep)
    if not axes.grid:
        return list(axes.combinations())
    if axes.grid not in namespace:
        raise InputError(
            f"The notebook has no variable {axes.grid}.", next="Bind it first, or leave out the @."
        )
    try:
        return rows_of(namespace[axes.grid])
    except ValueError as error:
        raise InputError(
            f"{axes.grid} cannot be swept: {error}.",
            next="It must be a list of dicts with the same names, or a DataFrame.",
        ) from None


def _mind(cell: Cell, options: CellOptions, combinations: list[Combination]) -> None:
    for name in combinations[0]:
        line = line_that_sets(cell.code, name)
        if line is not None:
            raise InputError(
                f"The cell sets {name} itself, on line {line}.",
                next="Delete that line: the sweep gives it its values.",
            )
        if name in (options.outputs or ()):
            raise InputError(f"{name} is swept, and -o names it too.", next="Leave it out of -o.")
    if len(combinations) > WITHOUT_ASKING and not options.yes:
        raise InputError(
            f"These are {len(combinations)} combinations, more than {WITHOUT_ASKING}.",
            next="Add --yes to run them all the same.",
        )


def _echo(options: CellOptions, combinations: list[Combination]) -> str:
    axes = read_axes(options.sweep)
    return axes.text() or f"{', '.join(combinations[0])} of {axes.grid}"


def _why(run: Run) -> str:
    """Return in a line why a run did not end well."""
    try:
        run.result(0.0)
    except MacGPUError as error:
        return plain_line(error.what)
    except Exception as error:  # what the cell raised
        text = str(error).partition("\n")[0]
        return plain_line(f"{type(error).__name__}: {text}")
    return ""


def _scalar(value: Any) -> Any:
    """Return a number, a text or a truth value as Python has it; of all else its type."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return value
    return f"<{type(value).__name__}>"


def _as_shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _rounded(name, value) for name, value in row.items()}


def _rounded(name: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return f"{value:.1f}" if name == _SECONDS else f"{value:.6g}"
