"""What people do with hosts and runs, each over connections of its own: none waits for another.

A run that a browser names is looked for where it was seen last, else on all hosts that answer.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import closing, moving, overview, runs
from ..options import CellOptions
from ..optionvalues import read_after
from ..pool import Pool
from ..runs import KnownRun
from ..wire import messages as m
from ..wire.errors import PlacementError, RunRefused
from ..wire.plain import plain_values
from .followers import read_whole
from .refusals import Unknown
from .submitting import hand_in
from .tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..fleet.hosts import Fleet, Host
    from ..reach import Reach
    from .board import Board
    from .rows import Row

#: Moves of one run that are followed.
_MOVES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Does what the browser asks for. All methods may be called by any thread.

    Each raises `Unknown` if there is no such host or run, `RunRefused` if the host will not do it,
    `TransportError` if it cannot be reached. What was asked is not done then.

    Attributes
    ----------
    fleet
        Returns the fleet as it is now.
    board
        Says where a run was seen last.
    row
        Makes a run's row of what its host says.
    """

    fleet: Callable[[], Fleet]
    reach: Reach
    board: Board
    row: Callable[[dict[str, Any], str], Row]

    @contextlib.contextmanager
    def pool(self, notebook: str = "") -> Iterator[Pool]:
        """Lend connections for one thing; they are closed behind it."""
        pool = Pool(self.fleet(), self.reach, notebook)
        try:
            yield pool
        finally:
            pool.close()

    def describe(self, host: Host) -> Row:
        """Return all that a host says of itself."""
        with self.pool() as pool:
            said: Row = overview.describe(pool, host.name)
            return said

    def drain(self, host: Host, *, is_drained: bool) -> None:
        """Let a host take nothing new for anybody, or again.

        Raises
        ------
        ConfigError
            If whoever logs in there may not lay that down. It is as it was.
        """
        with self.pool() as pool:
            closing.drain(pool, host, is_drained=is_drained)

    def run(self, run: str) -> Row:
        """Return a run as its host has it now, with all that is known of it."""
        with self._known(run) as (_, known):
            row = self.row(known.row, known.session.host.name)
            more = {key: plain_values(known.row.get(key) or {}) for key in ("detail", "origin")}
            return {**row, **more}

    def outputs(self, run: str) -> Row:
        """Return all that a run has shown by now, as nbformat has it."""
        with self._known(run) as (pool, known):
            host = known.session.host
            tail = Tail(run, host.name, host.trust)
            with pool.lookouts.of(host).link() as link:
                read_whole(link, tail, is_live=known.live)
            return tail.whole()

    def report(self, run: str) -> Row:
        """Return what a run has cost; refused before its end."""
        with self._known(run) as (_, known):
            return runs.report(known).to_json()

    def cancel(self, run: str, *, kill: bool) -> Row:
        """Stop a run: an interrupt in its cell, or with `kill` the end of its worker."""
        with self._known(run) as (pool, known):
            lookout = pool.lookouts.of(known.session.host)
            lookout.cancel(known.row, kill=kill, ended="Its outputs are kept on its host.")
            return self._again(pool, known)

    def prioritise(self, run: str, priority: int) -> Row:
        """Give a run that waits another priority; it keeps the time since which it waits."""
        with self._known(run) as (pool, known):
            host = known.session.host
            if "prioritise" not in known.session.link.connect().capabilities:
                raise RunRefused(
                    f"{host.name} runs an older version, which changes no priorities.",
                    known="Nothing was done.",
                    next="It is replaced when no run needs it any more.",
                )
            pool.lookouts.of(host).tell(m.Prioritise(run=run, priority=priority), m.RunState)
            return self._again(pool, known)

    def move(self, run: str, to: str | None) -> Row:
        """Take a run that waits to another host, or to the one that suits it best."""
        with self._known(run) as (pool, known):
            before = known.session.host.name
            moved = moving.move(pool, known, to)
            return {"from": before, "to": moved.host, "run": moved.run}

    def remove(self, run: str) -> None:
        """Have the host forget an ended run and what it left."""
        with self._known(run) as (_, known):
            runs.remove(known)

    def submit(self, wanted: Mapping[str, Any], notebook: str) -> Row:
        """Hand in a cell that no kernel has anything to do with; return its run.

        Parameters
        ----------
        notebook
            The notebook's whole path: what kernels call it too.
        """
        with self.pool(notebook) as pool:
            on = wanted.get("on")
            after = [read_after(each)[0] for each in wanted.get("after") or ()]
            options = CellOptions(
                on=None if on == "auto" else on,
                priority=wanted.get("priority") or None,
                after=tuple(after),
                at=tuple((wanted.get("at") or "").split()),
            )
            before = [self.found(pool, each.run) for each in after]
            run = hand_in(pool, wanted["code"], cell=wanted["cell"], options=options, before=before)
            host = next(host for host in pool.fleet.hosts if host.name == run.host)
            row = pool.lookouts.of(host).rows([run.run])[run.run]
            return self.row(row, host.name)

    def found(self, pool: Pool, run: str) -> KnownRun:
        """Return a run; if it was moved or tried again, as what it goes on."""
        for _ in range(_MOVES):
            known = self._find(pool, run)
            moved = self.row(known.row, known.session.host.name)["moved"]
            if not moved:
                break
            run = str(moved["run"])
        return known

    def where(self, run: str) -> Row:
        """Return the row of a run, or of what it goes on as after moves."""
        with self.pool() as pool:
            known = self.found(pool, run)
            return self.row(known.row, known.session.host.name)

    def _again(self, pool: Pool, known: KnownRun) -> Row:
        """Return a run's row as it is after something was done with it."""
        host = known.session.host
        row = pool.lookouts.of(host).rows([known.run]).get(known.run, known.row)
        return self.row(row, host.name)

    @contextlib.contextmanager
    def _known(self, run: str) -> Iterator[tuple[Pool, KnownRun]]:
        """Find a run; its host is asked."""
        with self.pool() as pool:
            yield pool, self._find(pool, run)

    def _find(self, pool: Pool, run: str) -> KnownRun:
        seen = self.board.run(run)
        for host in pool.fleet.hosts:
            if seen is not None and host.name == seen["host"]:
                row = pool.lookouts.of(host).rows([run]).get(run)
                if row is not None:
                    return KnownRun(session=pool.session(host), row=row)
        try:
            found = [known for known in runs.known_runs(pool) if known.run == run]
        except PlacementError:
            found = []
        if not found:
            raise Unknown
        return found[0]
