"""A run that waits, taken from one host to another while nothing of it has started.

1. Its inputs are fetched from the host that has it, which keeps it.
2. It is handed in at the other host, parked: on the disk there, and not to begin.
3. The first host withdraws it, if it has not begun meanwhile, and writes down where it went.
4. The other host lets it proceed.

Whoever dies in between, it is whole on one host or the other, and the same command finishes what
was begun. It begins once at most: the second host may start it only when the first one never will.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .execution import Execution, Submission
from .fetching import fetch
from .interrupts import Interrupts
from .options import CellOptions
from .placement import wish_of
from .recorder import Recorder
from .wire import bundle
from .wire import messages as m
from .wire.errors import PlacementError, RunRefused, TransportError
from .wire.states import FINAL

if TYPE_CHECKING:
    from .fleet.hosts import Host
    from .pool import Pool
    from .runs import KnownRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Where a run is now, and its id there."""

    run: str
    host: str


def move(pool: Pool, known: KnownRun, to: str | None) -> Moved:
    """Move a run to another host, or finish a move that was begun.

    Parameters
    ----------
    to
        Name of the host; None takes the one that suits it best.

    Raises
    ------
    RunRefused
        If it has started, or is bound to its host. It stays where it is.
    PlacementError
        If no other host can take it. It stays where it is.
    TransportError
        If a host cannot be reached. The run is on one of the two, and the same again finishes it.
    """
    goal = (known.row.get("detail") or {}).get("moved") or {}
    if goal:
        there = _host(pool, str(goal.get("host")))
        return _proceed(pool, Moved(run=str(goal.get("run")), host=there.name), there)
    detail = known.row.get("detail") or {}
    source = (known.row.get("options") or {}).get("moved_from")
    if source and known.live and not detail.get("proceeds"):
        first, there = _host(pool, str(source.get("host"))), known.session.host
        moved = Moved(run=known.run, host=there.name)
        return _take_over(pool, str(source.get("run")), first, there, moved)
    _refuse_what_is_bound(known)
    there = _goal(pool, known, to)
    moved = Moved(run=_id_there(known.run, there), host=there.name)
    _park(pool, known, there, moved)
    return _take_over(pool, known.run, known.session.host, there, moved)


def _take_over(pool: Pool, run: str, here: Host, there: Host, moved: Moved) -> Moved:
    to = {"host": moved.host, "run": moved.run}
    try:
        pool.lookouts.of(here).tell(m.Withdraw(run=run, to=to), m.Withdrawn)
    except RunRefused as refused:
        # It stays, so its copy must never begin.
        pool.lookouts.of(there).say(m.Cancel(run=moved.run, epoch=1, how="interrupt"))
        raise RunRefused(
            f"Run {run[:8]} stays on {here.name}: {refused.what}",
            known="It was not moved, and is not on two hosts.",
            next=f"%macgpu attach {run[:8]} shows it.",
        ) from None
    except TransportError as error:
        error.known = f"Run {run[:8]} is on {here.name}, or parked on {there.name}; not on both."
        error.next = f"%macgpu move {run[:8]} {there.name} finishes it."
        raise
    return _proceed(pool, moved, there)


def _proceed(pool: Pool, moved: Moved, there: Host) -> Moved:
    try:
        pool.lookouts.of(there).tell(m.Proceed(run=moved.run), m.RunState)
    except TransportError as error:
        error.known = f"Run {moved.run[:8]} is parked on {there.name} and does not begin yet."
        error.next = f"%macgpu move {moved.run[:8]} finishes it when {there.name} is back."
        raise
    return moved


def _refuse_what_is_bound(known: KnownRun) -> None:
    options, run = known.row.get("options") or {}, known.run[:8]
    why = ""
    if known.row["state"] in FINAL:
        why = f"it has ended: {known.row['state']}"
    elif known.row["state"] == "started":
        why = "it has started, and what has begun is not moved"
    elif not options.get("detach"):
        why = "a notebook waits for it; %macgpu detach lets it go"
    elif not options.get("own"):
        why = "it reads values that live in a worker there"
    elif options.get("after"):
        why = "it follows runs of that host"
    if why:
        raise RunRefused(
            f"Run {run} stays on {known.session.host.name}: {why}.",
            known="Nothing was done.",
            next="Only a detached run that waits can be moved.",
        )


def _goal(pool: Pool, known: KnownRun, to: str | None) -> Host:
    here, options = known.session.host, known.row.get("options") or {}
    if to is not None and to == here.name:
        raise RunRefused(f"Run {known.run[:8]} is on {to} already.", known="Nothing was done.")
    mem = options.get("mem")
    wanted = CellOptions(on=to, cpu=bool(options.get("cpu")), mem=mem)
    wish = wish_of(wanted, pool.fleet, past=pool.lengths.of(known.row.get("origin") or {}))
    if to is not None:
        return pool.decide(wish).host
    pool.ask(pool.fleet.hosts)
    others = [one.host for one in pool.ranking(wish).feasible if one.host != here.name]
    if not others:
        raise PlacementError(
            f"No other host than {here.name} can take run {known.run[:8]} now.",
            known="It waits where it is.",
            next="%macgpu where shows what the hosts lack.",
        )
    return _host(pool, others[0])


def _park(pool: Pool, known: KnownRun, there: Host, moved: Moved) -> None:
    here = known.session.host
    with pool.lookouts.of(here).link() as link:
        link.connect()
        parts = bundle.unpack(fetch(link, known.run, "inputs", 0, ""))
    description = {**json.loads(bytes(parts[0])), "host": there.name, "held": []}
    pieces = bundle.pack([json.dumps(description).encode(), *parts[1:]])
    row, session = known.row, pool.session(there)
    source = {"host": here.name, "run": known.run}
    message = m.Submit(
        run=moved.run,
        epoch=1,
        session=secrets.token_hex(16),
        size=bundle.size_of(pieces),
        digest=bundle.digest_of(pieces),
        environment=session.environment,
        origin=row.get("origin") or {},
        options={**(row.get("options") or {}), "parked": True, "again": True, "moved_from": source},
        rank={"host": there.name, "reason": f"it was moved there from {here.name}"},
    )
    with pool.lookouts.of(there).link() as link:
        recorder = Recorder(there.name, there.trust)
        submission = Submission(message=message, pieces=pieces)
        state = Execution(link, moved.run, recorder, Interrupts(), submission).hand_in()
    if state.state in FINAL:
        raise RunRefused(
            f"Run {known.run[:8]} was to be moved to {there.name} before, and was stopped there.",
            known=f"It waits on {here.name}.",
            next="Name another host.",
        )


def _id_there(run: str, there: Host) -> str:
    """Return the id that a run has on another host: the same whoever moves it, so it is one run."""
    return hashlib.sha256(f"{run}:moved:{there.name}".encode()).hexdigest()[:32]


def _host(pool: Pool, name: str) -> Host:
    for host in pool.fleet.hosts:
        if host.name == name:
            return host
    raise RunRefused(
        f"The run belongs on {name}, which is no host of the fleet any more.",
        known="Nothing was done.",
        next=f"Bring {name} back into the fleet file, then move it again.",
    )
