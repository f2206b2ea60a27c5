"""A panel that stays open for a day, over a Mac that comes and goes all the time."""

from __future__ import annotations

import tracemalloc
from typing import Any

from jupyter_macgpu.server.announcing import Announcer
from jupyter_macgpu.server.board import Board, News
from jupyter_macgpu.server.inbox import Inbox
from jupyter_macgpu.server.words import Words

from .test_words import Nothing

HOUR, DAY = 3600, 24 * 3600
#: Seconds after which the Mac is another, and after which readings are told.
FLAPS, READ = 5, 2


class Front:
    """A server's thread and one browser: second by second."""

    def __init__(self) -> None:
        self.told = 0
        self.announced = 0
        self._board = Board(lambda: 0.0)
        self._words = Words(self._board)
        self._inbox = Inbox()
        self._announcer = Announcer(self._board, self._announce)
        self._board.set_hosts([_row(0)])
        self._announcer.begin()

    def pass_time(self, begin: int, end: int) -> None:
        for now in range(begin, end):
            if now % FLAPS == 0:
                self._take(self._board.set_hosts([_row(now // FLAPS)]))
            if now % READ == 0:
                self._take(self._board.metrics(float(now)))
            self.told += len(list(self._inbox.messages(self._words, Nothing(), "me")))

    def _take(self, news: News | None) -> None:
        if news is not None:
            self._inbox.take(news)
            self._announcer.take(news)

    def _announce(self, _form: str, _said: dict[str, Any]) -> None:
        self.announced += 1


def _row(turn: int) -> dict[str, Any]:
    state = "ready" if turn % 2 else "unreachable"
    lane = {"running": 0, "queued": 0}
    numbers = {"gpu": 0.5, "memory": {"free": 1, "total": 2}, "watts": None}
    return {"name": "studio", "state": state, "reason": "", "lanes": {"gpu": lane}, **numbers}


def test_a_browser_is_told_no_more_than_what_changes_and_nothing_piles_up() -> None:
    front = Front()
    front.pass_time(0, HOUR)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        front.pass_time(HOUR, DAY)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 64 * 1024
    assert front.told <= 1 + DAY / FLAPS + DAY / READ
    assert front.announced == DAY // FLAPS - 1
