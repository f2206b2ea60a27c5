"""Messages as text: what many browsers are told at the same moment is put into words once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from .. import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from .board import Board, News
    from .rows import Row

#: Seconds for which a text with ages in it is said to others too.
KEPT = 0.1


class Words:
    """What a board says, as text. For one thread.

    Parameters
    ----------
    board
        What is said is read from it at the moment of saying.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._made: dict[Hashable, str] = {}
        self._of: tuple[int, float] = (-1, 0.0)

    def whole(self, user: str) -> str:
        """Say everything."""
        more = {"version": __version__, "user": user}
        key = ("snapshot", (user, self._board.problems))  # the latter are not counted as changes
        return self._same(key, lambda: {**self._board.whole(), **more})

    def part(self, kind: Any, names: Iterable[str]) -> str:
        """Say some hosts or runs."""
        keys = tuple(names)
        return self._same((kind, keys), lambda: self._board.part(kind, keys))

    def schedules(self) -> str:
        """Say all schedules."""
        return self._same(("schedules", ""), self._board.schedules)

    def metrics(self, news: News) -> str:
        """Say what is drawn over time."""
        return self._same(("metrics", news.content["at"]), lambda: dict(news.content))

    def _same(self, key: tuple[str, Hashable], make: Callable[[], Row]) -> str:
        revision, now = self._board.revision, time.monotonic()
        if revision != self._of[0] or now - self._of[1] > KEPT:
            self._made, self._of = {}, (revision, now)
        text = self._made.get(key)
        if text is None:
            text = self._made[key] = said(key[0], make())
        return text


def said(kind: str, content: Row) -> str:
    """Return one message as text."""
    return json.dumps({"type": kind, **content})
