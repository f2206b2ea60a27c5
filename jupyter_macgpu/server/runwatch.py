"""The runs of hosts that are watched: each host says them, and then what is another."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

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
        self._watched: dict[str, tuple[Host, threading.Event, float]] = {}

    def keep(self, hosts: Iterable[Host]) -> None:
        """Watch these hosts, and no others. For one thread."""
        wanted = {host.name: host for host in hosts}
        for name, (host, stopped, _) in list(self._watched.items()):
            if wanted.get(name) != host:
                stopped.set()
                del self._watched[name]
        for name, host in wanted.items():
            known = self._watched.get(name)
            if known is None or (known[1].is_set() and time.monotonic() - known[2] > AGAIN):
                self._begin(host)

    def _begin(self, host: Host) -> None:
        stopped = threading.Event()
        self._watched[host.name] = (host, stopped, time.monotonic())
        name = f"macgpu-runs-{host.name}"
        threading.Thread(target=self._go, args=(host, stopped), name=name, daemon=True).start()

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
