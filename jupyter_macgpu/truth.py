"""``--verify``: a cell's results are computed again on the CPU, and both are compared.

The second run begins with copies of what the first one was sent, in a worker of its own, before
anything that the first run changed is bound here: so it sees neither the first one's variables nor
what earlier cells left in the worker. Its results are copies, which are dropped when they have been
compared; the notebook's variables are those of the first run, whatever is found.
"""

from __future__ import annotations

import secrets
import types
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .binding import Result, bind
from .comparing import Comparison
from .execution import Execution, LetGo
from .mpserrors import line_of
from .placing import wish_for
from .report import lasting
from .submission import new_run
from .submission import submission as make_submission
from .way import collected, driven, put_files
from .wire.errors import MacGPUError
from .wire.plain import plain_line
from .wire.values import receive
from .wire.values.imported import imports_of
from .wire.values.paths import reaches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .cell import Cell
    from .comparing import Difference
    from .detaching import Desk
    from .execution import Outcome, Show
    from .fleet.hosts import Host
    from .inputs import Inputs
    from .options import CellOptions
    from .session import Session
    from .wire import messages as m

#: Values of names that are imported or defined, and not computed.
_CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)
#: Differences, and values that could not be compared, that are named.
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the second run brought: its variables, and how it ended."""

    host: str
    result: Result
    names: Mapping[str, object]


class TruthCheck:
    """Computes one cell again on the CPU; see `way.Second`.

    Parameters
    ----------
    options
        The first run's.
    desk
        Whose pool, namespace and place to show things are used.
    """

    def __init__(self, cell: Cell, options: CellOptions, desk: Desk) -> None:
        self._cell = replace(cell, request="")  # no widget of it is shown
        self._options = replace(options, cpu=True, name=None, retry=0, after=(), again=True)
        self._desk = desk
        self._allowed = None if options.verify is None else options.verify.tolerance

    def begin(
        self, outcome: Outcome, inputs: Inputs, session: Session, limits: Mapping[str, int]
    ) -> Callable[[Result], Result]:
        """Run the cell a second time; return what puts the comparison into the first's result."""
        if outcome.end.state != "ok":
            return lambda result: result
        try:
            reference = self._reference(inputs, session, limits)
        except MacGPUError as error:
            why = error.what
        except LetGo as gone:
            why = f"run {gone.run[:8]} was detached and goes on by itself"
        except Exception as error:  # whatever a value's own code raises
            why = f"its results cannot be rebuilt here: {type(error).__name__}: {error}"
        else:
            return lambda result: self._judged(result, inputs, reference)
        line = plain_line(f"not compared with the CPU: {why}")
        return lambda result: replace(result, notes=(*result.notes, line))

    def _reference(self, inputs: Inputs, session: Session, limits: Mapping[str, int]) -> Reference:
        at, rank = self._place(inputs, session)
        desk = self._desk
        put_files(self._options, at, desk.show, desk.interrupts)
        desk.show.notice(
            f"the cell runs a second time, on the CPU of {at.host.name}; what it does elsewhere, "
            "such as in files, is done twice"
        )
        run = new_run()
        submission = make_submission(
            self._cell,
            inputs,
            self._options,
            run=run,
            session=replace(at, session=secrets.token_hex(16)),
            notebook=desk.home.pool.notebook,
            rank=rank,
            limits=limits,
            job={"own": True},
        )
        quiet = _Quiet(desk.show, at.host.name)
        execution = Execution(at.link, run, quiet, desk.interrupts, submission)
        outcome = driven(execution, at.link, quiet, desk.interrupts)
        collected(at.link, outcome)
        if outcome.end.state != "ok":
            raise MacGPUError(_ended(outcome))
        return self._rebuilt(outcome, inputs, at.host)

    def _place(self, inputs: Inputs, session: Session) -> tuple[Session, dict[str, Any]]:
        """Return where the second run goes: the first one's host, if that can take it."""
        pool = self._desk.home.pool
        wish = wish_for(self._cell, inputs, self._options, pool)
        needs = replace(wish.needs, home=session.host.name)
        placement = pool.decide(replace(wish, needs=needs, stays=True))
        at = pool.session(placement.host)
        at.link.connect()
        return at, placement.rank()

    def _rebuilt(self, outcome: Outcome, inputs: Inputs, host: Host) -> Reference:
        captured, dialect = inputs.capture, self._cell.dialect
        scratch: dict[str, Any] = {}
        table, values = receive.table_from(
            captured.stream,
            [bytearray(buffer.raw()) for buffer in captured.buffers],
            scratch,
            register_source=dialect.register_source,
        )
        imports = imports_of(self._cell.code) if host.trust == "data" else None
        result = bind(outcome, table, scratch, host.name, dialect, values, imports=imports)
        return Reference(host=host.name, result=result, names=scratch)

    def _judged(self, result: Result, inputs: Inputs, reference: Reference) -> Result:
        comparison = Comparison(self._allowed)
        both = self._desk.home.namespace, reference.names
        try:
            for name in _names(result, inputs, reference, *both):
                comparison.add(name, both[0].get(name), both[1].get(name))
            if result.value or reference.result.value:
                comparison.add("last value", _value(result), _value(reference.result))
        except Exception as error:  # whatever a value's own code raises
            lines = [f"not compared with the CPU: {type(error).__name__}: {error}"]
        else:
            lines = list(verdict(comparison, result, reference))
        notes = (plain_line(line) for line in lines)
        return replace(result, notes=(*result.notes, *notes))


def second_for(cell: Cell, options: CellOptions, desk: Desk) -> TruthCheck | None:
    """Return what computes a cell a second time, if its options ask for that."""
    return TruthCheck(cell, options, desk) if options.verify is not None else None


def verdict(comparison: Comparison, result: Result, reference: Reference) -> Iterator[str]:
    """Return what came of it, a line each: the judgement, what to do, and what it is worth."""
    first, second = checked(result.summary), checked(reference.result.summary)
    took = (reference.result.summary.get("timings") or {}).get("run")
    where = f"the CPU of {reference.host}"
    where += f" ({lasting(took)})" if isinstance(took, float) else ""
    worst, beyond = comparison.worst, comparison.beyond
    count = f"{comparison.compared} value{'' if comparison.compared == 1 else 's'}"
    if not comparison.compared:
        yield f"nothing was compared with {where}: the cell leaves no numbers and no texts"
    elif worst is None:
        yield f"verified: {count} equal to {where}"
    elif not beyond:
        yield f"verified: {count} as on {where}; the largest difference: {_said(worst)}"
    else:
        more = [each.path for each in beyond[1 : 1 + _NAMED]]
        others = f"; {len(beyond)} values differ, also {', '.join(more)}" if more else ""
        yield f"warning: not as on {where}: {_said(beyond[0])}{others}"
        drew = {*first["drew"], *second["drew"]}
        apart = {name for name in drew if first["stand"].get(name) != second["stand"].get(name)}
        yield _advice(drew, apart)
    if comparison.left_out:
        rest = len(comparison.left_out) - _NAMED
        named = ", ".join(comparison.left_out[:_NAMED])
        yield f"not compared: {named}{f' and {rest} more' if rest > 0 else ''}"
    if not second["told"] or second["gpu"]:
        yield (
            "the second run used the GPU too, so that this says little: let the cell read the "
            "name device, and not name a GPU itself"
        )
    elif not first["gpu"]:
        yield f"no GPU was used on {result.host} either, so that this says little"
    if first["torch"] and (line := line_of(first["torch"])):
        yield line


def checked(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a worker said of a run that is compared, with every part what it must be."""
    said = summary.get("check")
    told: dict[str, Any] = said if isinstance(said, dict) else {}
    drew, stand = told.get("drew"), told.get("stand")
    torch = told.get("torch")
    return {
        "told": bool(told),
        "gpu": told.get("gpu") is True,
        "drew": [str(name)[:20] for name in drew[:10]] if isinstance(drew, list) else [],
        "stand": stand if isinstance(stand, dict) else {},
        "torch": torch[:40] if isinstance(torch, str) else None,
    }


def _names(
    result: Result,
    inputs: Inputs,
    reference: Reference,
    ours: Mapping[str, object],
    others: Mapping[str, object],
) -> list[str]:
    """Return the names that one of the two runs bound, or whose values it changed in place."""
    bound = [*(result.summary.get("bound") or ()), *(reference.result.summary.get("bound") or ())]
    changed = {id(each) for each in (*result.updated, *reference.result.updated)}
    inside = [
        name
        for name in inputs.capture.names
        if changed and (reaches(ours.get(name), changed) or reaches(others.get(name), changed))
    ]
    names = dict.fromkeys(str(name) for name in [*bound, *inside])
    return [name for name in names if not isinstance(ours.get(name, others.get(name)), _CODE)]


def _value(result: Result) -> object:
    return result.value[0] if result.value else None


def _said(difference: Difference) -> str:
    relative = 0 < difference.amount < float("inf")
    size = f", {difference.amount:.1e} of its scale" if relative else ""
    allowed = f" ({difference.allowed:.0e} is allowed)" if relative else ""
    return f"{difference.path}: {difference.text}{size}{allowed}"


def _advice(drew: set[str], apart: set[str]) -> str:
    keep = "the variables here are those of the first run. "
    if apart:
        return keep + (
            f"The cell uses random numbers ({', '.join(sorted(apart))}), and these differ by "
            "device and by process: set a seed in the cell, draw on the CPU, and compare again"
        )
    if drew:
        return keep + (
            "Random numbers that were drawn on the CPU were the same in both runs, unless the cell "
            "sets a seed behind them. If it draws some on the GPU or measures times, that may be "
            "all. Else take the CPU's: --cpu"
        )
    return keep + (
        "If the cell draws random numbers or measures times, that may be all: set a seed in it "
        "and draw on the CPU, or compare some names alone with -o. Else take the CPU's: --cpu"
    )


def _ended(outcome: Outcome) -> str:
    error = outcome.end.summary.get("error") or {}
    why = f": {error.get('ename')}: {error.get('evalue')}" if error else ""
    return f"the run there ended as {outcome.end.state}{why}"


class _Quiet:
    """Shows of the second run only that it waits: its output is the first one's again."""

    def __init__(self, show: Show, host: str) -> None:
        self._show = show
        self._host = host
        self._told = False

    def output(self, output: m.Output) -> None:
        """Show nothing."""

    def state(self, state: m.RunState) -> None:
        """Say once that it waits."""
        if state.state == "queued" and not self._told:
            self._told = True
            self._show.notice(f"the second run waits for a CPU slot of {self._host}")

    def notice(self, text: str) -> None:
        """Show nothing."""

    def ask(self, prompt: str, password: bool) -> str:
        """Answer nothing: the run is told that nobody does."""
        raise EOFError(f"nobody answers {prompt!r} {password}")
