"""What a run brings, for those who did not wait for it: its variables here, or copies of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .binding import Result, bind, whole
from .execution import Execution, Outcome
from .fetching import bring, fetch
from .way import collected, driven
from .wire import bundle
from .wire import messages as m
from .wire.errors import RunRefused, TransportError
from .wire.values import confined, receive
from .wire.values.capture import fingerprint
from .wire.values.imported import imports_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cell import Dialect
    from .execution import Show
    from .handed import Handed
    from .interrupts import Interrupts
    from .link import Link
    from .recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What a run brings, without the notebook: nothing here is an object of its own.

    Attributes
    ----------
    value
        The last expression's value, or None.
    values
        What the run bound or changed, by name.
    """

    result: Result
    value: object = None
    values: dict[str, object] = field(default_factory=dict)


def attach(
    run: str,
    link: Link,
    namespace: dict[str, Any],
    *,
    show: Show,
    interrupts: Interrupts,
    dialect: Dialect,
    trust: str = "full",
) -> Result:
    """Take up a run that another kernel started: all its output, then its variables.

    The inputs are brought back too: they are what the result's changes refer to.

    Parameters
    ----------
    trust
        The host's. Under ``data`` the inputs too are what the host says they were.

    Raises
    ------
    RunRefused, RunLost, RunUnknown
        As `Execution.drive` says.
    """
    outcome = driven(Execution(link, run, show, interrupts), link, show, interrupts)
    result = come_home(outcome, link, namespace, dialect, trust, stop=interrupts.take)
    collected(link, outcome)
    return result


def come_home(
    outcome: Outcome,
    link: Link,
    namespace: dict[str, Any],
    dialect: Dialect,
    trust: str,
    handed: Handed | None = None,
    stop: Callable[[], object] = lambda: False,
) -> Result:
    """Bind what a run brings.

    Parameters
    ----------
    outcome
        Its end; parts that are not here are fetched.
    handed
        What this kernel kept of it; None if another one handed it in: then its inputs come back
        with it.
    """
    outcome = _whole(outcome, link, stop)
    if handed is not None:
        imports = imports_of(handed.cell.code) if trust == "data" else None
        table = handed.table
        return bind(outcome, table, namespace, link.host, dialect, imports=imports)
    inputs = _Inputs(outcome, link, namespace, dialect, trust, stop)
    own = {name: fingerprint(name, namespace) for name in inputs.values if name in namespace}
    lost = {name: fingerprint(name, inputs.values) for name in own}
    result = bind(
        outcome,
        inputs.table,
        namespace,
        link.host,
        dialect,
        inputs.values,
        imports={} if trust == "data" else None,
    )
    changed = [
        name
        for name in own
        if own[name] != lost[name]
        and namespace.get(name) is not None
        and fingerprint(name, namespace) != own[name]
    ]
    notes = (*confined.inputs_left(inputs.left, link.host), *result.notes)
    if changed:
        notes = (f"{', '.join(changed)} had other values here; they are the run's now", *notes)
    return replace(result, notes=notes)


def copies(outcome: Outcome, link: Link, dialect: Dialect, trust: str, imports: Any) -> Copies:
    """Return what a run brings as copies; the notebook's variables stay as they are.

    Parameters
    ----------
    imports
        What the imports in the cell's text bind, where it is known; only for a host of data.
    """
    outcome = _whole(outcome, link, lambda: False)
    scratch: dict[str, Any] = {}
    inputs = _Inputs(outcome, link, scratch, dialect, trust, lambda: False)
    result = bind(
        outcome,
        inputs.table,
        scratch,
        link.host,
        dialect,
        inputs.values,
        imports=imports if trust == "data" else None,
    )
    names = result.summary.get("bound") or ()
    values = {str(name): scratch[name] for name in names if name in scratch}
    return Copies(result=result, value=result.value[0] if result.value else None, values=values)


def catch_up(link: Link, run: str, recorder: Recorder, *, live: bool) -> None:
    """Read what a run has shown since the last time into a recorder.

    Parameters
    ----------
    live
        Whether it had not ended a moment ago.

    Raises
    ------
    RunRefused
        If the host does not have its output.
    TransportError
        If the connection is lost; what came before is kept.
    """
    link.connect()
    link.say(m.Attach(run=run, offset=recorder.offset, watch=True))
    end: int | None = None
    while end is None or recorder.offset < end or not live:
        message = link.await_message(
            lambda said: getattr(said, "run", "") == run or isinstance(said, m.Refused)
        )
        if isinstance(message, m.Refused):
            raise RunRefused(f"{link.host}: {message.text}.", known="Nothing was done.")
        if isinstance(message, m.RunState) and message.offset is not None:
            end = int(message.detail.get("end", 0))
            recorder.offset = message.offset
        elif isinstance(message, m.Output):
            recorder.output(message)
            link.say(m.Ack(run=run, offset=message.end))
        elif isinstance(message, m.End):
            return


class _Inputs:
    """A run's inputs, brought back from its host: by number, by name, and what stays there."""

    def __init__(
        self,
        outcome: Outcome,
        link: Link,
        namespace: dict[str, Any],
        dialect: Dialect,
        trust: str,
        stop: Callable[[], object],
    ) -> None:
        self.table: Any = None
        self.values: dict[str, object] = {}
        self.left: tuple[str, ...] = ()
        if not outcome.parts:
            return
        parts = bundle.unpack(fetch(link, outcome.end.run, "inputs", 0, "", stop))
        if trust == "data":
            whole(parts, link.host)
            loaded = confined.inputs_from(parts[1], parts[2:], host=link.host)
            self.table, self.values, self.left = loaded
        else:
            self.table, self.values = receive.table_from(
                parts[1],
                parts[2:],
                namespace,
                host=link.host,
                register_source=dialect.register_source,
            )


def _whole(outcome: Outcome, link: Link, stop: Callable[[], object]) -> Outcome:
    if outcome.parts or not outcome.end.size:
        return outcome
    try:
        return Outcome(end=outcome.end, parts=bring(link, outcome.end, outcome.end.run, stop))
    except TransportError as error:
        error.known = f"Run {outcome.end.run[:8]} has ended; its result is on {link.host}."
        error.next = "Try again when the host is back."
        raise
