"""5 publish: what a run bound and changed, into the notebook's namespace."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .getting import wrote_line
from .wire.errors import RemoteProtocolError
from .wire.usage import KEY
from .wire.values import confined, restore
from .wire.values.paths import reaches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cell import Dialect
    from .conversation import Outcome
    from .wire.values.imported import ImportLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a run ended.

    Attributes
    ----------
    state
        ``ok``, ``error``, ``cancelled``, ``died`` or ``lost``.
    summary
        What the worker says of it: error, notes, timings in seconds.
    value
        The last expression's value in a tuple; empty if there is none to show.
    notes
        What did not come back as it was, a line each.
    updated
        The notebook's objects that the run changed in place.
    """

    run: str
    host: str
    state: str
    summary: Mapping[str, Any]
    value: tuple[object, ...] = ()
    notes: tuple[str, ...] = ()
    updated: tuple[object, ...] = field(default=(), repr=False)


def bind(
    outcome: Outcome,
    table: Any,
    namespace: dict[str, Any],
    host: str,
    dialect: Dialect,
    inputs: Mapping[str, object] = MappingProxyType({}),
    *,
    imports: Mapping[str, ImportLine] | None = None,
) -> Result:
    """Put what a run bound and changed into the notebook's namespace.

    Parameters
    ----------
    inputs
        The run's inputs, where they are not this kernel's own. They are bound, but for those
        that this kernel has a value of and the run did not change.
    imports
        Where the host's trust is ``data``: what the imports in the cell's own text bind. None
        is a trusted host.
    """
    end = outcome.end
    value: tuple[object, ...] = ()
    summary = end.summary
    notes: tuple[str, ...] = ()
    updated: tuple[object, ...] = ()
    if outcome.parts:
        told = _told(outcome.parts[0], trusted=imports is None)
        told.pop(KEY, None)  # the supervisor has put its own part beside it
        summary = {**summary, **told}
        before = {name: namespace[name] for name in inputs if name in namespace}
        namespace.update(inputs)
        applied = _applied(outcome, table, namespace, host, dialect, imports, summary)
        value, notes, updated = applied.result, applied.notes, applied.updated
        changed = {id(obj) for obj in updated}
        for name, own in before.items():
            if namespace.get(name) is inputs[name] and not reaches(inputs[name], changed):
                namespace[name] = own
    notes = (*(summary.get("notes") or ()), *notes, *wrote_line(summary.get("wrote")))
    return Result(
        run=end.run,
        host=host,
        state=end.state,
        summary=summary,
        value=value,
        notes=notes,
        updated=updated,
    )


def _applied(
    outcome: Outcome,
    table: Any,
    namespace: dict[str, Any],
    host: str,
    dialect: Dialect,
    imports: Mapping[str, ImportLine] | None,
    summary: Mapping[str, Any],
) -> restore.Applied:
    whole(outcome.parts, host)
    run, stream, buffers = outcome.end.run, outcome.parts[1], outcome.parts[2:]
    if imports is None:
        return restore.apply(
            stream,
            buffers,
            table,
            namespace,
            run=run,
            host=host,
            register_source=dialect.register_source,
        )
    return confined.apply_data(
        stream,
        buffers,
        table or {},
        namespace,
        run=run,
        host=host,
        announced=summary["bound"],
        imports=imports,
    )


def whole(parts: list[memoryview], host: str) -> None:
    """Refuse a bundle that lacks what every bundle has.

    Raises
    ------
    RemoteProtocolError
        If it does.
    """
    if len(parts) < 2:
        raise RemoteProtocolError(f"{host} sent a bundle without values.")


def _told(part: memoryview, *, trusted: bool) -> dict[str, Any]:
    """Return the summary in a result's bundle; of a host of data only what is what it must be."""
    if trusted:
        told: dict[str, Any] = json.loads(bytes(part))
        return told
    try:
        said: Any = json.loads(bytes(part))
    except (ValueError, RecursionError):
        said = {}
    return confined.summary_of(said)
