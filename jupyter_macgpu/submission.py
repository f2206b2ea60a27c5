"""What is sent for a cell: its description and its inputs, under a new run id."""

from __future__ import annotations

import json
import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .execution import Submission
from .lengths import text_key
from .variables import variables
from .wire import blobs, bundle
from .wire import messages as m
from .wire.values.remote import RemoteValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .cell import Cell
    from .fleet.hosts import Host
    from .inputs import Inputs
    from .options import CellOptions
    from .session import Session


def submission(
    cell: Cell,
    inputs: Inputs,
    options: CellOptions,
    *,
    run: str,
    session: Session,
    notebook: str,
    rank: Mapping[str, Any],
    limits: Mapping[str, int],
    job: Mapping[str, Any] = MappingProxyType({}),
    found: Sequence[blobs.Blob] | None = None,
) -> Submission:
    """Return what is sent for a cell.

    Parameters
    ----------
    run
        Its id, from `new_run`.
    rank
        Why this host was chosen; stored with the run.
    limits
        Bytes that come back by themselves, as ``value`` and ``cell``; empty for the default.
    job
        What a run that goes on by itself asks for beside that; see `mac.jobs`.
    found
        The blobs of the inputs, if they were found just now; None looks for them.

    Raises
    ------
    InputError
        As `variables` says.
    """
    described = _description(cell, inputs, options, session.host, limits)
    described["stdin"] = not (job.get("detach") or job.get("own"))
    described, left, apart = blobs.parted(described, inputs.raw(), found)
    pieces = bundle.pack([json.dumps(described).encode(), *left])
    message = m.Submit(
        run=run,
        epoch=1,
        session=session.session,
        size=bundle.size_of(pieces),
        digest=bundle.digest_of(pieces),
        environment=session.environment,
        origin=origin_of(cell, notebook),
        options=run_options(options) | dict(job),
        rank=dict(rank),
        blobs={name: view.nbytes for name, view in apart.items()},
    )
    return Submission(message=message, pieces=pieces, blobs=apart)


def new_run() -> str:
    """Return an id that no run has."""
    return secrets.token_hex(16)


def origin_of(cell: Cell, notebook: str) -> dict[str, Any]:
    """Return where a cell stands, as `wire.messages.Submit` has it."""
    return {
        "notebook": notebook,
        "cell": cell.cell,
        "kernel": cell.kernel,
        "text": text_key(cell),
    }


def run_options(options: CellOptions) -> dict[str, Any]:
    """Return what a host is told of a cell's options, as `wire.messages.Submit` has it."""
    return {
        "timeout": options.timeout,
        "wait": options.wait,
        "mem": options.mem,
        "cpu": options.cpu,
        "priority": options.priority,
        "again": options.again,
        "name": options.name,
        "retry": options.retry,
    }


def _description(
    cell: Cell, inputs: Inputs, options: CellOptions, host: Host, limits: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "source": cell.source,
        "code": _code(cell),
        "headed": cell.headed,
        "execution_count": cell.count,
        "cell_id": cell.cell,
        "names": list(inputs.capture.names),
        "free": list(inputs.free),
        "narrow": None if options.outputs is None else list(options.outputs),
        "setenv": variables(options),
        "held": RemoteValue.held_on(host.name),
        "limits": dict(limits),
        "host": host.name,
        # Of a host of data only no widget is shown, and its libraries are to know.
        "parent": cell.request if host.trust == "full" else "",
        "cpu": options.cpu,
        "compared": options.verify is not None,
        "fallbacks": options.fallbacks,
        "after": cell.after,
        "program": None if cell.program is None else cell.program.as_json(),
    }


def _code(cell: Cell) -> str | None:
    """Return the cell as plain Python; None where only its host can make that of it."""
    if cell.after is not None:
        return None
    return cell.code.removeprefix("\n") if cell.headed else cell.code
