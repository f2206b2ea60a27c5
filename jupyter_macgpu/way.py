"""The way of a cell.

1. capture: the variables that the cell reads, pickled (`inputs`).
2. place: one host of the fleet (`placing`; `pool` has them, `placement` advises it).
3. ship: the cell and its inputs (`execution`).
4. execute: on the host (`mac.worker`, under `mac.supervisor`).
5. publish: each output into the notebook as it comes (`outputs`), and what the cell
   bound and changed into its namespace (`wire.values`).

This module knows no IPython and no SSH: `magic` hands it a pool and a place to show things.
"""

from __future__ import annotations

import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from .binding import Result as Result
from .binding import bind
from .devices import check_devices
from .execution import Execution, LetGo, Outcome
from .folder import Talk
from .gathering import gather
from .handed import Detached, handed
from .inputs import Inputs, read_inputs
from .placing import Placing
from .putting import put
from .steps import Steps
from .submission import new_run
from .submission import submission as make_submission
from .variables import variables
from .wire import messages as m
from .wire.errors import TransportError
from .wire.values.capture import INPUT_LIMIT
from .wire.values.imported import imports_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .cell import Cell
    from .execution import Show, Submission
    from .fleet.hosts import Host
    from .handed import Handed
    from .interrupts import Interrupts
    from .link import Link
    from .options import CellOptions
    from .pool import Pool
    from .session import Session


class Second(Protocol):
    """Runs a cell once more when it has ended, and says how that compares."""

    def begin(
        self, outcome: Outcome, inputs: Inputs, session: Session, limits: Mapping[str, int]
    ) -> Callable[[Result], Result]:
        """Run it, before what the first run changed is bound.

        Nothing is raised. What is returned is called with the first run's result, when that is
        bound.
        """


def run_cell(
    cell: Cell,
    namespace: dict[str, Any],
    options: CellOptions,
    *,
    pool: Pool,
    show: Show,
    interrupts: Interrupts,
    record: Callable[[m.Submit, str], None],
    placed: Callable[[Session], None],
    limits: Mapping[str, int],
    job: Mapping[str, Any] = MappingProxyType({}),
    steps: Steps | None = None,
    second: Second | None = None,
) -> Result:
    """Run one cell on a host of the fleet, show what it shows, bind what it binds.

    Parameters
    ----------
    namespace
        The notebook's variables; changed only when the run has ended.
    record
        Called with the submission and the host before anything is sent.
    placed
        Called with the session, before anything is sent.
    limits
        Bytes that come back by themselves, as ``value`` and ``cell``; empty for the default.
    job
        What it asks for of others, such as which runs it follows; see `mac.jobs`.
    steps
        Told how far the run is.
    second
        Runs it once more and compares; None does not.

    Raises
    ------
    InputError
        If a variable or a file cannot be shipped. Nothing was sent.
    FilesError
        If a file of ``--files`` does not arrive. No run was started.
    PlacementError
        If no host can take the cell. Nothing was sent.
    RunRefused, RunLost, RunUnknown, ResultLeft
        As `Execution.drive` says.
    Detached
        If somebody detached the run meanwhile: it goes on.
    """
    inputs = _captured(cell, namespace, options, steps := steps or Steps())  # 1 capture
    wanted = Placing(cell, inputs, options, run := new_run())
    with wanted.on(pool, show, interrupts, steps) as place:
        placed(session := place.session)  # 2 place
        make_ready(inputs, namespace, options, session, show, interrupts)
        submission = make_submission(
            cell,
            inputs,
            place.options,
            run=run,
            session=session,
            notebook=pool.notebook,
            rank=place.placement.rank(),
            limits=limits,
            job=job,
            found=place.blobs,
        )
        record(submission.message, session.host.name)
    with _let_go(lambda run: handed(run, session, cell, inputs, namespace, own=False)):
        execution = Execution(session.link, run, place.show, interrupts, submission, steps=steps)
        outcome = driven(execution, session.link, show, interrupts)  # 3 ship, 4 execute
    judge = second.begin(outcome, inputs, session, limits) if second else None
    result = _bound(outcome, inputs, namespace, session.host, cell)  # 5 publish
    _is_here(result, outcome, submission, session, pool)
    return judge(result) if judge else result


def _captured(cell: Cell, namespace: dict[str, Any], options: CellOptions, steps: Steps) -> Inputs:
    inputs = read(cell, namespace, options)
    inputs.mind_retry(options.retry)
    if options.verify:
        inputs.mind_verify()
    steps.over("capture")
    return inputs


def _bound(
    outcome: Outcome, inputs: Inputs, namespace: dict[str, Any], host: Host, cell: Cell
) -> Result:
    table = inputs.capture.table
    imports = imports_of(cell.code) if host.trust == "data" else None
    return bind(outcome, table, namespace, host.name, cell.dialect, imports=imports)


def _is_here(
    result: Result, outcome: Outcome, sent: Submission, session: Session, pool: Pool
) -> None:
    collected(session.link, outcome)
    learn(result, sent.message, session.host, pool)


@contextlib.contextmanager
def _let_go(keep: Callable[[str], Handed]) -> Iterator[None]:
    try:
        yield
    except LetGo as gone:
        raise Detached(keep(gone.run)) from None


def driven(execution: Execution, link: Link, show: Show, interrupts: Interrupts) -> Outcome:
    """Drive a run to its end, and the runs that try it again."""
    outcome = execution.drive()
    while following := str(outcome.end.summary.get("retried") or ""):
        end = outcome.end
        what = end.summary.get("what", "")
        show.notice(f"run {end.run[:8]} {end.state}: {what}; tried again as {following[:8]}")
        outcome = Execution(link, following, show, interrupts).drive()
    return outcome


def make_ready(
    inputs: Inputs,
    namespace: dict[str, Any],
    options: CellOptions,
    session: Session,
    show: Show,
    interrupts: Interrupts,
) -> None:
    """Refuse inputs that name a device which the host lacks, and put the files there.

    Raises
    ------
    InputError, FilesError, TransportError
        If a device is not there, or as `put_files` says. No run was started.
    """
    devices = session.link.connect().detail.get("devices") or ["cpu"]
    for line in check_devices(inputs.capture.names, namespace, session.host.name, devices):
        show.notice(line)
    put_files(options, session, show, interrupts)


def put_files(options: CellOptions, session: Session, show: Show, interrupts: Interrupts) -> None:
    """Put the files that a cell's line names into the session's folder.

    Raises
    ------
    InputError, FilesError, TransportError
        If they cannot be found, or do not arrive. No run was started.
    """
    if not options.files:
        return
    gathered = gather(options.files, yes=options.yes)
    if gathered.left_out:
        show.notice(gathered.notice())
    sent = put(Talk(session, interrupts.take), list(gathered.files.values()))
    if sent.files:
        show.notice(sent.text(session.host.name))


def read(cell: Cell, namespace: dict[str, Any], options: CellOptions) -> Inputs:
    """Return the cell's inputs, pickled.

    Raises
    ------
    InputError
        If a variable cannot be shipped, or all together are too many bytes.
    """
    variables(options)  # before anything is asked or sent
    return read_inputs(
        cell.code,
        namespace,
        explicit=options.inputs,
        limit=None if options.yes else INPUT_LIMIT,
        flags=cell.dialect.flags,
        transform=cell.dialect.transform,
        number_of=cell.dialect.number_of,
    )


def learn(result: Result, sent: m.Submit, host: Host, pool: Pool) -> None:
    """Remember how long a run took that ended well."""
    ran = (result.summary.get("timings") or {}).get("run")
    told = {"run": result.run, "state": result.state, "ran": ran}
    row = {**told, "origin": sent.origin, "options": sent.options}
    pool.lengths.told(row, pool.statuses.status(host))


def collected(link: Link, outcome: Outcome) -> None:
    """Tell the host that a result is here."""
    # All that was wanted is here: a host that hears nothing of it keeps its copy for longer.
    message = m.Collected(run=outcome.end.run)
    if outcome.end.size <= m.INLINE:
        link.mention(message)
        return
    with contextlib.suppress(TransportError):
        link.say(message)
