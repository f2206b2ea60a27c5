"""A cell that nobody waits for: handed in, and held as a `Run`.

It runs in a worker of its own, so that the notebook's next cells do not wait for it, unless it
reads values that live in another worker alone: then it runs there, between that one's cells.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from . import runs
from .execution import Execution
from .handed import handed
from .home import Home
from .job import Run
from .moments import meant
from .placing import just_found, wish_for
from .session import Session
from .submission import new_run
from .submission import submission as make_submission
from .way import make_ready, read
from .wire.errors import MacGPUError, RunCancelled, RunRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .cell import Cell
    from .execution import Show, Submission
    from .inputs import Inputs
    from .interrupts import Interrupts
    from .options import CellOptions
    from .optionvalues import After
    from .placement import Placement, Wish
    from .wire import messages as m

#: What comes back by itself of a run that nobody waits for: all of it waits on the host anyway.
_ALL = {"value": 1 << 62, "cell": 1 << 62}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a kernel does on the way of a run that it hands in.

    Attributes
    ----------
    record
        Called with the submission and the host before anything is sent.
    placed
        Called with the session, before anything is sent.
    keep
        Seconds for which the result waits to be collected; None leaves it to the host.
    known
        The runs that this kernel handed in, oldest first; the new one is added.
    """

    home: Home
    show: Show
    interrupts: Interrupts
    record: Callable[[m.Submit, str], None]
    placed: Callable[[Session], None]
    keep: float | None = None
    known: list[Run] = field(default_factory=list)


def detach(cell: Cell, options: CellOptions, desk: Desk, *, group: str = "") -> Run:
    """Hand a cell in, and return when a host has it on its disk.

    If it follows runs of other hosts, it returns at once: this kernel waits for them, and hands
    the cell in when they have ended.

    Parameters
    ----------
    group
        Runs of one cell with the same one may be there at once.

    Raises
    ------
    InputError
        If a variable or a file cannot be shipped, or its time is none. Nothing was sent.
    PlacementError
        If no host can take the cell. Nothing was sent.
    RunRefused, RunLost, RunUnknown
        As `Execution.hand_in` says.
    """
    home = desk.home
    job = {
        "at": meant(options.at, time.time()) if options.at else None,
        "detach": True,
        "keep": desk.keep,
        "group": group,
    }
    inputs = read(cell, home.namespace, options)
    own = not inputs.capture.holders
    inputs.mind_retry(options.retry)
    before = [(predecessor(after, desk), after.whatever) for after in options.after]
    wish = wish_for(cell, inputs, beside(options, before), home.pool)
    session, placement = _place(wish, inputs, desk, own=own)
    make_ready(inputs, home.namespace, options, session, desk.show, desk.interrupts)
    here = [(run, whatever) for run, whatever in before if run.host == session.host.name]
    name = new_run()
    submission = make_submission(
        cell,
        inputs,
        options,
        run=name,
        session=session,
        notebook=home.pool.notebook,
        rank=placement.rank(),
        limits=_ALL,
        job={**job, "own": own, "after": follows(here)},
        found=just_found(wish, options),
    )
    kept = handed(name, session, cell, inputs, home.namespace, own=own)
    row = {"options": submission.message.options, "session": session.session}
    run = Run(home, name, session.host, name=options.name or "", handed=kept, row=row)
    elsewhere = [pair for pair in before if pair not in here]
    if elsewhere:
        whole = submission.copied()
        run.errand = Errand(elsewhere, lambda: _send(run, whole, session, desk))
    else:
        _send(run, submission, session, desk)
    desk.known.append(run)
    return run


def follows(before: Iterable[tuple[Run, bool]]) -> list[list[object]]:
    """Return which runs of its own host a run follows, as its host reads it."""
    return [[run.run, whatever] for run, whatever in before]


def predecessor(after: After, desk: Desk) -> Run:
    """Return the run that ``--after`` names.

    Raises
    ------
    RunRefused
        If none or several fit.
    """
    for run in reversed(desk.known):
        if after.run in (run.name, run.run) and after.run != "last":
            return run
    known = runs.find_run(desk.home.pool, after.run)
    name = known.shown()["name"]
    return Run(desk.home, known.run, known.session.host, name=name, row=known.row)


def beside(options: CellOptions, before: Iterable[tuple[Run, bool]]) -> CellOptions:
    """Return options that place a cell where the runs are that it follows, if nothing else is said.

    Then their host minds the order, and nobody has to be awake here.
    """
    hosts = {run.host for run, _ in before}
    return replace(options, on=hosts.pop()) if options.on is None and len(hosts) == 1 else options


def ahead(options: CellOptions, desk: Desk) -> tuple[CellOptions, dict[str, Any]]:
    """Return the options and the job of a cell that is waited for and follows others.

    Runs of one host are waited for there; runs of several are waited for here, before anything
    is sent.

    Raises
    ------
    RunRefused, RunCancelled
        If a run is not known, or did not end well although it was to. Nothing was sent.
    """
    before = [(predecessor(after, desk), after.whatever) for after in options.after]
    placed = beside(options, before)
    if all(run.host == placed.on for run, _ in before):
        return placed, {"after": follows(before)}
    desk.show.notice("waiting here for runs of other hosts")
    wait_for(before, desk.interrupts.take)
    return placed, {}


def wait_for(before: Iterable[tuple[Run, bool]], stopped: Callable[[], object]) -> None:
    """Wait here until runs of other hosts have ended.

    Raises
    ------
    RunCancelled
        If one did not end well although it was to, or `stopped` says so. Nothing was sent.
    """
    for run, whatever in before:
        while not run.wait(0.5):
            if stopped():
                raise _in_vain("it was stopped here while it waited")
        if run.state != "ok" and not whatever:
            raise _in_vain(f"run {run.run[:8]} on {run.host}, which it was to follow, {run.state}")


def _in_vain(why: str) -> RunCancelled:
    return RunCancelled(
        f"The cell was not started: {why}.",
        known="Nothing was sent.",
        kept="The notebook's variables are as they were.",
    )


class Errand:
    """What this kernel waits for before it hands a run in: runs of other hosts.

    Attributes
    ----------
    error
        Why it was not handed in.
    """

    def __init__(self, before: list[tuple[Run, bool]], then: Callable[[], None]) -> None:
        self.error: MacGPUError | None = None
        self._before = before
        self._then = then
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._go, name="macgpu-errand", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it was handed in, or never will be."""
        return not self._thread.is_alive()

    @property
    def reason(self) -> str:
        """What it waits for."""
        waiting = next((run for run, _ in self._before if not run.done()), self._before[-1][0])
        return f"it follows run {waiting.run[:8]} on {waiting.host}; this kernel waits for that"

    def stop(self) -> bool:
        """Wait no more; say whether nothing was sent."""
        self._stopped.set()
        self._thread.join()
        return self.error is not None

    def _go(self) -> None:
        try:
            wait_for(self._before, self._stopped.is_set)
            self._then()
        except MacGPUError as error:
            self.error = error


def _place(wish: Wish, inputs: Inputs, desk: Desk, *, own: bool) -> tuple[Session, Placement]:
    pool = desk.home.pool
    if not own:
        session, placement = pool.lease(wish, desk.show.notice)
        desk.placed(session)
        return pool.owners.owner(inputs.capture.handles, session), placement
    # Where the notebook's own worker is does not matter to it.
    placement = pool.decide(replace(wish, needs=replace(wish.needs, home=None)))
    at_home = pool.session(placement.host)
    at_home.link.connect()
    desk.placed(at_home)
    return replace(at_home, session=secrets.token_hex(16)), placement


def _send(run: Run, submission: Submission, session: Session, desk: Desk) -> None:
    desk.record(submission.message, session.host.name)
    with desk.home.pool.lookouts.of(session.host).link() as link:
        hello = link.connect()
        if "jobs" not in hello.capabilities:
            raise RunRefused(
                f"{session.host.name} runs an older version of jupyter-macgpu, without --detach.",
                next="Run the cell without --detach.",
            )
        name = submission.message.run
        state = Execution(link, name, desk.show, desk.interrupts, submission).hand_in()
    if submission.message.options.get("at") is None:  # else it asks for no slot yet
        desk.home.pool.statuses.sent(session.host)
    run.told({"state": state.state, "position": state.position, "detail": state.detail})
