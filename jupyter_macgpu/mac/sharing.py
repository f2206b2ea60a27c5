"""One queue for all accounts of this machine, if its administrator has made a folder for it.

Runs on the Mac. Only Python and `wire` may be imported here.

Whatever of this account could begin has a ticket in that folder (`tickets`) and begins when it is
its turn (`turns`). What its own account holds back, or its own notebook's earlier cell, has none:
it waits for these, and nobody waits for it. Without the folder each account has its own queue.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from . import tickets
from .turns import Crowd, Ticket, Turns, crowd_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from . import effects as e
    from .leases import Waiting
    from .supervisor import Supervisor

#: Seconds for which a folder may fail before each account has its own queue again.
PATIENCE = 5.0
#: Seconds between two looks at the folder: while something waits there, and while nothing does.
WAITING, RESTING = 0.1, 1.0


class Sharing:
    """The part that one account has in the machine's queue.

    Parameters
    ----------
    mind
        What decides about the account's own runs.
    now
        The loop's clock.
    path
        The folder; the machine's own if not given.

    Attributes
    ----------
    problem
        Why a folder that is there is not used.
    """

    def __init__(
        self, mind: Supervisor, now: Callable[[], float], path: Path | None = None
    ) -> None:
        self.path = path or tickets.place()
        self.problem = ""
        self._mind, self._now = mind, now
        self._folder: tickets.Folder | None = None
        self._turns = Turns()
        self._names: dict[str, str] = {}
        self._known: tuple[tuple[Waiting, ...], ...] = ()
        self._crowd = Crowd()
        self._due = 0.0
        self._failing: float | None = None

    @property
    def patience(self) -> float:
        """Seconds for which the loop may sleep."""
        return WAITING if self._folder is not None and self._mind.wanting() else RESTING

    def begin(self) -> list[e.Effect]:
        """Let nothing begin before its turn, if there is a folder. Called once, first of all."""
        with contextlib.suppress(OSError):
            if self._is_open():
                return self._mind.share(frozenset(), self._now())
        return []

    def turn(self) -> list[e.Effect]:
        """Keep our tickets as our runs are, and take the slots that are ours to take."""
        now = self._now()
        known = (tuple(self._mind.wanting()), tuple(self._mind.having()))
        if known == self._known and now < self._due:
            return []
        self._due = now + self.patience
        try:
            if not self._is_open():
                self._known, self._failing = known, None
                return self._mind.share(None, now)
            with self._open.turn() as has_it:
                effects = self._act(has_it, *known)
        except OSError as error:
            self._failing = now if self._failing is None else self._failing
            if now - self._failing < PATIENCE:
                return []  # nothing of ours begins before its turn, and it may be mended
            self._lose(f"{self.path}: {error.strerror or error}")
            return self._mind.share(None, now)
        self._failing = None
        self._known = (tuple(self._mind.wanting()), tuple(self._mind.having()))
        return effects

    def said(self) -> dict[str, Any]:
        """Return what clients are told: whether there is one queue, and what others do in it."""
        others = (*self._crowd.held, *self._crowd.waiting)
        return {
            "shared": self._folder is not None,
            "path": str(self.path),
            "problem": self.problem,
            "others": [_told(each, others) for each in others if each.account != os.getuid()],
        }

    def close(self) -> None:
        """Leave the queue; see `tickets.Folder.close`."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    @property
    def _open(self) -> tickets.Folder:
        assert self._folder is not None
        return self._folder

    def _is_open(self) -> bool:
        """Open the folder if there is one and it will do; say whether it is open."""
        if self._folder is not None and self._folder.is_there:
            return True
        self._lose("")
        try:
            self.problem = tickets.flaw(self.path)
        except OSError:
            return False  # most machines have none
        if not self.problem:
            self._folder = tickets.Folder(self.path)
        return self._folder is not None

    def _lose(self, problem: str) -> None:
        self.close()
        self.problem, self._names, self._crowd = problem, {}, Crowd()

    def _act(
        self, has_it: bool, wanting: tuple[Waiting, ...], having: tuple[Waiting, ...]
    ) -> list[e.Effect]:
        now, folder = self._now(), self._open
        wanted = {each.run: each for each in (*wanting, *having)}
        for run in [run for run in self._names if run not in wanted]:
            folder.drop(self._names.pop(run))
        for each in having:
            if each.run not in self._names:
                self._names[each.run] = folder.hold(each)
        for each in wanting:
            if each.run not in self._names:
                self._names[each.run] = folder.take(each)
        seen = self._turns.living(folder.look(), now)
        runs = {name: run for run, name in self._names.items()}
        if has_it:
            for name in self._turns.taken(seen, runs.keys(), self._mind.slots, now):
                self._names[runs[name]] = folder.promote(name)
        self._crowd = crowd_of(seen, runs)
        cleared = {run for run, name in self._names.items() if name.endswith(".held")}
        return self._mind.share(frozenset(cleared), now, self._crowd)


def _told(ticket: Ticket, others: tuple[Ticket, ...]) -> dict[str, Any]:
    waiting = [each for each in others if not each.is_held and each.kind == ticket.kind]
    return {
        "login": ticket.login,
        "kind": ticket.kind,
        "since": round(ticket.age),
        "mem": ticket.mem,
        "priority": ticket.place.priority,
        "place": None if ticket.is_held else waiting.index(ticket),
    }
