"""Transitions of runs and hosts, for the server's event log: announcements, never the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board, News
    from .rows import Row

#: The forms of what is announced, and their names.
SCHEMAS = tuple(sorted(Path(__file__).with_name("events").glob("*.yaml")))
_NAME = "https://events.jupyter.org/jupyter_macgpu/{kind}/v1"


class Announcer:
    """Announces what has become another. For one thread.

    Parameters
    ----------
    board
        Says how things are.
    emit
        Called with the name of a form and what is to be said in it.
    """

    def __init__(self, board: Board, emit: Callable[[str, Row], None]) -> None:
        self._board, self._emit = board, emit
        self._states: dict[tuple[str, str], str] = {}

    def begin(self) -> None:
        """Take things as they are: what was so before is no transition."""
        whole = self._board.whole()
        self._states = {("host", row["name"]): row["state"] for row in whole["hosts"]}
        self._states |= {("run", row["run"]): row["state"] for row in whole["runs"]}

    def take(self, news: News) -> None:
        """Announce what of some news is a transition."""
        if news.kind == "hosts":
            for name in news.keys:
                self._host(name)
        elif news.kind == "runs":
            for run in news.keys:
                self._run(run)

    def _host(self, name: str) -> None:
        row = self._board.host(name)
        state = None if row is None else row["state"]
        before = self._became(("host", name), state)
        # Before it was first heard of there is nothing to announce.
        if state != before and before not in (None, "unknown"):
            reason = "" if row is None else row["reason"]
            said = {"host": name, "state": state, "before": before, "reason": reason}
            self._emit(_NAME.format(kind="host"), said)

    def _run(self, run: str) -> None:
        row = self._board.run(run)
        before = self._became(("run", run), None if row is None else row["state"])
        # A host that was just heard of tells of runs that ended long ago.
        is_old = before is None and row is not None and row["final"]
        if row is None or row["state"] == before or is_old:
            return
        said = {name: row[name] for name in ("run", "host", "state", "notebook", "cell")}
        self._emit(_NAME.format(kind="run"), {**said, "before": before})

    def _became(self, key: tuple[str, str], state: Any) -> str | None:
        before = self._states.pop(key, None)
        if state is not None:
            self._states[key] = state
        return before
