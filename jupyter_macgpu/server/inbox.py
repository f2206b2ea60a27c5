"""What one browser has not been told yet. Pure.

Only names are kept, and the rows are read when they are sent: so a slow browser is told less often,
never something old, and what waits for it is bounded by the size of the fleet.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from .tail import Had
from .words import said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .board import News
    from .rows import Row
    from .words import Words

#: Lines about troubles that wait for a browser at most.
_TROUBLES = 20


class Outputs(Protocol):
    """What followed runs have shown."""

    def since(self, run: str, first: int, had: Had) -> tuple[Row, Had] | None:
        """Return what a browser lacks of a run, and what it has then; see `tail.Tail.since`."""


class Inbox:
    """One browser: what it looks at, and what there is to tell it.

    Attributes
    ----------
    is_visible
        Whether somebody looks at the panel. If not, only runs that it follows are told.
    follows
        The runs whose outputs it is told.
    """

    def __init__(self) -> None:
        self.is_visible = True
        self.follows: dict[str, Had] = {}
        self._whole = True
        self._hosts: dict[str, None] = {}
        self._runs: dict[str, None] = {}
        self._schedules = False
        self._metrics: News | None = None
        self._outputs: dict[str, int] = {}
        self._troubles: deque[News] = deque(maxlen=_TROUBLES)

    def take(self, news: News) -> None:
        """Note that something is another now."""
        if news.kind == "outputs":
            for run in (run for run in news.keys if run in self.follows):
                self._outputs[run] = min(news.first, self._outputs.get(run, news.first))
        elif news.kind == "problem" and news.keys:
            self._troubles += [news] * any(run in self.follows for run in news.keys)
        elif not self.is_visible:
            if news.kind == "runs":
                self._runs |= dict.fromkeys(run for run in news.keys if run in self.follows)
        elif news.kind == "metrics":
            self._metrics = news
        elif news.kind == "problem":
            self._troubles.append(news)
        elif not self._whole:
            self._note(news)

    def show(self, is_visible: bool) -> None:
        """Note whether somebody looks; who looks again is told everything."""
        if is_visible and not self.is_visible:
            self._whole = True
        self.is_visible = is_visible
        if not is_visible:
            self._whole, self._metrics, self._schedules = False, None, False
            self._hosts.clear()
            self._runs = {run: None for run in self._runs if run in self.follows}

    def follow(self, run: str) -> None:
        """Have the outputs of a run told, from the first one on."""
        self.follows[run] = Had()
        self._outputs[run] = 0

    def unfollow(self, run: str) -> None:
        """Have no more of them told."""
        self.follows.pop(run, None)
        self._outputs.pop(run, None)

    def messages(self, words: Words, outputs: Outputs, user: str) -> Iterator[str]:
        """Return what there is to say, and count it as said."""
        if self._whole:
            self._whole = False
            self._hosts.clear()
            self._runs.clear()
            self._schedules = False
            yield words.whole(user)
        if self._hosts:
            names, self._hosts = self._hosts, {}
            yield words.part("hosts", names)
        if self._runs:
            names, self._runs = self._runs, {}
            yield words.part("runs", names)
        if self._schedules:
            self._schedules = False
            yield words.schedules()
        if self._metrics is not None:
            metrics, self._metrics = self._metrics, None
            yield words.metrics(metrics)
        while self._troubles:
            yield said("problem", dict(self._troubles.popleft().content))
        for run in list(self._outputs):
            told = outputs.since(run, self._outputs.pop(run), self.follows[run])
            if told is not None:
                lacks, self.follows[run] = told
                yield said("outputs", lacks)

    def _note(self, news: News) -> None:
        if news.kind == "hosts":
            self._hosts |= dict.fromkeys(news.keys)
        elif news.kind == "runs":
            self._runs |= dict.fromkeys(news.keys)
        elif news.kind == "schedules":
            self._schedules = True
