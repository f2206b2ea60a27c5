"""The way of a cell.

1. capture: the variables that the cell reads, pickled (`inputs`).
2. place: one host of the fleet (`pool`; `placement` advises it).
3. ship: the cell and its inputs (`execution`).
4. execute: on the host (`mac.worker`, under `mac.supervisor`).
5. publish: each output into the notebook as it comes (`outputs`), and what the cell
   bound and changed into its namespace (`wire.values`).

This module knows no IPython and no SSH: `magic` hands it a pool and a place to show things.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .execution import Execution, Outcome, Submission, fetch
from .inputs import INPUT_LIMIT, Inputs, read_inputs
from .placement import Needs
from .wire import bundle
from .wire import messages as m
from .wire.values import restore
from .wire.values.remote import RemoteValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .execution import Show
    from .interrupts import Interrupts
    from .link import Link
    from .options import CellOptions
    from .pool import Pool
    from .session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell as the notebook has it.

    Attributes
    ----------
    source
        The body as typed, without the magic's own line.
    code
        The same as plain Python, all magics transformed.
    count
        Its execution count.
    cell
        Its id in the notebook; ``""`` where the front end gives none.
    kernel
        The kernel's id, with `cell` and the notebook's name the run's origin.
    """

    source: str
    code: str
    count: int
    cell: str = ""
    kernel: str = ""
    dialect: Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the notebook's shell knows of its cells' texts.

    Attributes
    ----------
    flags
        Its compiler flags: the ``from __future__`` imports so far.
    transform
        Its way from a cell as typed to plain Python.
    number_of
        Execution count of the cell whose code has a file name.
    register_source
        Takes a cell's file name, source and execution count, for tracebacks.
    """

    flags: int
    transform: Callable[[str], str]
    number_of: Callable[[str], int | None]
    register_source: Callable[[str, str, int | None], None]


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
    seconds
        Time of each step of the way here.
    """

    run: str
    host: str
    state: str
    summary: Mapping[str, Any]
    value: tuple[object, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def run_cell(
    cell: Cell,
    namespace: dict[str, Any],
    options: CellOptions,
    *,
    pool: Pool,
    show: Show,
    interrupts: Interrupts,
    record: Callable[[m.Submit, str], None],
    placed: Callable[[Session, str], None],
    limits: Mapping[str, int],
) -> Result:
    """Run one cell on a host of the fleet, show what it shows, bind what it binds.

    Parameters
    ----------
    namespace
        The notebook's variables; changed only when the run has ended.
    record
        Called with the submission and the host before anything is sent.
    placed
        Called with the session and the reason for it, before anything is sent.
    limits
        Bytes that come back by themselves, as ``value`` and ``cell``; empty for the default.

    Raises
    ------
    InputError
        If a variable cannot be shipped. Nothing was sent.
    PlacementError
        If no host can take the cell. Nothing was sent.
    RunRefused, RunLost, RunUnknown
        As `Execution.drive` says.
    """
    started = time.perf_counter()
    inputs = read_inputs(  # 1 capture
        cell.code,
        namespace,
        explicit=options.inputs,
        limit=None if options.yes else INPUT_LIMIT,
        flags=cell.dialect.flags,
        transform=cell.dialect.transform,
        number_of=cell.dialect.number_of,
    )
    needs = Needs(
        on=options.on,
        holders=inputs.capture.holders,
        affinity=pool.pinned or (pool.current.host.name if pool.current else None),
        cpu=options.cpu,
    )
    session, placement = pool.lease(needs)  # 2 place
    placed(session, placement.reason)
    described = time.perf_counter()
    submission = submit(cell, inputs, options, session, pool.notebook, placement.reason, limits)
    record(submission.message, session.host.name)
    run = submission.message.run
    execution = Execution(session.link, run, show, interrupts, submission)
    outcome = execution.drive()  # 3 ship, 4 execute, and the outputs of 5 publish
    ran = time.perf_counter()
    result = bind(outcome, inputs.capture.table, namespace, session.host.name, cell.dialect)  # the rest of 5
    session.link.say(m.Collected(run=run))
    seconds = {
        "capture": described - started,
        "run": ran - described,
        "bind": time.perf_counter() - ran,
    }
    return replace(result, seconds=seconds)


def attach(
    run: str,
    link: Link,
    namespace: dict[str, Any],
    *,
    show: Show,
    interrupts: Interrupts,
    dialect: Dialect,
) -> Result:
    """Take up a run that another kernel started: all its output, then its variables.

    The inputs are brought back too: they are what the result's changes refer to.

    Raises
    ------
    RunRefused, RunLost, RunUnknown
        As `Execution.drive` says.
    """
    outcome = Execution(link, run, show, interrupts).drive()
    table: Any = None
    if outcome.parts:
        parts = bundle.unpack(fetch(link, run, "inputs", 0, ""))
        table = restore.table_from(parts[1], parts[2:], namespace)
    result = bind(outcome, table, namespace, link.host, dialect)
    link.say(m.Collected(run=run))
    return result


def submit(
    cell: Cell,
    inputs: Inputs,
    options: CellOptions,
    session: Session,
    notebook: str,
    reason: str,
    limits: Mapping[str, int],
) -> Submission:
    """Return what is sent for a cell: its description and inputs, under a new run id."""
    capture = inputs.capture
    raw = [buffer.raw() for buffer in capture.buffers]
    description = {
        "source": cell.source,
        "execution_count": cell.count,
        "cell_id": cell.cell,
        "names": list(capture.names),
        "free": list(inputs.free),
        "bring": list(options.outputs or ()),
        "narrow": None if options.outputs is None else list(options.outputs),
        "setenv": {name: os.environ[name] for name in options.setenv},
        "held": RemoteValue.held_on(session.host.name),
        "limits": dict(limits),
        "host": session.host.name,
    }
    pieces = bundle.pack([json.dumps(description).encode(), capture.stream, *raw])
    message = m.Submit(
        run=secrets.token_hex(16),
        epoch=1,
        session=session.session,
        size=bundle.size_of(pieces),
        digest=bundle.digest_of(pieces),
        environment=session.environment,
        origin={"notebook": notebook, "cell": cell.cell, "kernel": cell.kernel},
        options={
            "timeout": options.timeout,
            "wait": options.wait,
            "cpu": options.cpu,
            "again": options.again,
            "name": options.name,
        },
        rank={"reason": reason},
    )
    return Submission(message=message, pieces=pieces)


def bind(
    outcome: Outcome, table: Any, namespace: dict[str, Any], host: str, dialect: Dialect
) -> Result:
    """Put what a run bound and changed into the notebook's namespace."""
    end = outcome.end
    value: tuple[object, ...] = ()
    summary = end.summary
    notes: tuple[str, ...] = ()
    if outcome.parts:
        summary = {**summary, **json.loads(bytes(outcome.parts[0]))}
        applied = restore.apply(
            outcome.parts[1],
            outcome.parts[2:],
            table,
            namespace,
            run=end.run,
            host=host,
            register_source=dialect.register_source,
        )
        value, notes = applied.result, applied.notes
    notes = (*(summary.get("notes") or ()), *notes)
    return Result(run=end.run, host=host, state=end.state, summary=summary, value=value, notes=notes)
