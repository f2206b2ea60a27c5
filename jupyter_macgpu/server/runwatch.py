"""The runs of hosts that are watched: each host says them, and then what is another."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..parting import await_all
from ..wire import messages as m
from ..wire.errors import MacGPUError
from .followers import next_message
from .rows import run_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..fleet.hosts import Host
    from ..lookout import Lookouts
    from .board import Board, News
    from .rows import Row

#: Seconds between two tries to watch the runs of a host that is connected.
AGAIN = 2.0
#: Seconds between two questions to a supervisor of a version that does not say what is another.
POLL = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """A host whose runs are watched, since when, and by which thread."""

    host: Host
    stopped: threading.Event
    since: float
    thread: threading.Thread


class RunWatch:
    """Watches the runs of many hosts, with a thread and a channel for each.

    Parameters
    ----------
    board
        Where rows go.
    lookouts
        The ways to the hosts.
    tell
        Called with what is news, by the threads.
    root
        Folder that the browser's paths begin in.
    """

    def __init__(
        self,
        board: Board,
        lookouts: Callable[[], Lookouts],
        tell: Callable[[News], None],
        root: str,
    ) -> None:
        self._board, self._lookouts, self._tell, self._root = board, lookouts, tell, root
        self._watched: dict[str, _Watched] = {}
        #: Of hosts that are not watched any more: they end when they have heard of it.
        self._ending: list[threading.Thread] = []

    def keep(self, hosts: Iterable[Host]) -> None:
        """Watch these hosts, and no others. For one thread."""
        wanted = {host.name: host for host in hosts}
        self._ending = [thread for thread in self._ending if thread.is_alive()]
        for name, watched in list(self._watched.items()):
            if wanted.get(name) != watched.host:
                watched.stopped.set()
                self._ending.append(watched.thread)
                del self._watched[name]
        for name, host in wanted.items():
            known = self._watched.get(name)
            now = time.monotonic()
            if known is None or (known.stopped.is_set() and now - known.since > AGAIN):
                self._begin(host, now)

    def close(self, patience: float) -> None:
        """Watch nothing any more; wait at most `patience` seconds for the last word of hosts."""
        self.keep(())
        await_all(self._ending, patience)

    def _begin(self, host: Host, now: float) -> None:
        stopped, name = threading.Event(), f"macgpu-runs-{host.name}"
        thread = threading.Thread(target=self._go, args=(host, stopped), name=name, daemon=True)
        self._watched[host.name] = _Watched(host=host, stopped=stopped, since=now, thread=thread)
        thread.start()

    def _go(self, host: Host, stopped: threading.Event) -> None:
        try:
            with self._lookouts().of(host).link() as link:
                news = "run-news" in link.connect().capabilities
                link.say(m.ListRuns(watch=True))
                while not stopped.is_set():
                    message = next_message(link, 1.0 if news else POLL)
                    if stopped.is_set():
                        return
                    self._take(host, message)
                    if message is None and not news:
                        link.say(m.ListRuns())
        except (MacGPUError, ValueError, KeyError, IndexError):
            pass  # how the host is, the monitor says; what is no list is no news
        finally:
            stopped.set()

    def _take(self, host: Host, message: m.Message | None) -> None:
        news = None
        if isinstance(message, m.Runs):
            news = self._board.set_runs(host.name, self._rows(host, message))
        elif isinstance(message, m.RunNews):
            news = self._board.add_runs(host.name, self._rows(host, message), message.gone)
        if news is not None:
            self._tell(news)

    def _rows(self, host: Host, message: m.Message) -> list[Row]:
        now, said = time.monotonic(), json.loads(bytes(message.buffers[0]))
        return [run_row(row, host.name, now, self._root) for row in said]
