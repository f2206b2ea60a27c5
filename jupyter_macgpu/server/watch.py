"""The fleet, watched for as long as somebody looks: fleet files, hosts, what is drawn over time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ..fleet.hosts import Fleet
from ..fleet.problems import FleetFileError
from ..monitor import Monitor
from .rows import same_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..fleet.seen import Seen
    from ..fleet.watching import FleetFile
    from ..reach import Reach
    from .board import Board, News
    from .rows import Row

#: Seconds between two messages of what is drawn over time, two looks at the fleet files, and the
#: least between two looks at the hosts.
METRICS, FILES, LOOK = 1.0, 2.0, 0.2
#: Seconds without anybody who looks after which hosts are asked nothing more: a page that is loaded
#: anew is back by then.
PARTING = 5.0


class Watch:
    """Keeps a board up to date in a thread of its own, which rests while nobody looks.

    Parameters
    ----------
    board
        Where rows go.
    files
        The fleet files.
    reach
        The way to each host.
    tell
        Called with what is news, by the thread.
    every
        Seconds after which a host tells anew how it is.
    seen
        Called after each look with all hosts, and with none when nobody looks any more; by the
        thread.
    """

    def __init__(
        self,
        board: Board,
        files: FleetFile,
        reach: Reach,
        tell: Callable[[News], None],
        *,
        every: float,
        seen: Callable[[tuple[Seen, ...]], None],
    ) -> None:
        self.fleet = Fleet(hosts=())
        self._board, self._files, self._reach, self._tell = board, files, reach, tell
        self._every, self._seen = every, seen
        self._monitor: Monitor | None = None
        self._thread: threading.Thread | None = None
        self._news = threading.Condition()
        self._wanted = False
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[Seen, Row]] = {}

    def want(self, is_wanted: bool) -> None:
        """Begin to look, or rest `PARTING` seconds later.

        What rests asks and hears nothing; connections are closed a minute after the last look.
        """
        with self._news:
            self._wanted = is_wanted
            if is_wanted and self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._go, name="macgpu-watch", daemon=True)
                self._thread.start()
            self._news.notify_all()

    def ask(self, name: str) -> None:
        """Look at a host at once, one that refused us too."""
        monitor = self._monitor
        if monitor is not None:
            monitor.ask((name,))

    def refresh(self) -> Fleet:
        """Read the fleet files if they have changed, and return the fleet; empty if it has none."""
        with self._lock:
            try:
                fleet = self._files.fleet()
            except FleetFileError:
                fleet = Fleet(hosts=())
            problem = self._files.problem
            if fleet is not self.fleet:
                self.fleet = fleet
                if self._monitor is not None:
                    self._monitor.watch(fleet.hosts)
                self._say(self._board.keep_hosts({host.name for host in fleet.hosts}))
        self._say(self._board.set_problems([problem] if problem else []))
        return fleet

    def stop(self, patience: float) -> None:
        """End the thread and close all connections, each within `patience` seconds."""
        self._stopped.set()
        with self._news:
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(patience)
        if self._monitor is not None:
            self._monitor.stop(patience / 2)

    def look(self) -> tuple[Seen, ...]:
        """Put on the board how all hosts are, as far as is known; nobody is asked."""
        if self._monitor is None:
            self._monitor = Monitor.of(self.refresh().hosts, self._reach, every=self._every)
        seen = self._monitor.view()
        rows = [same_row(self._rows.get(each.host.name), each) for each in seen]
        self._rows = {each.host.name: (each, row) for each, row in zip(seen, rows, strict=True)}
        self._say(self._board.set_hosts(rows))
        return seen

    def _go(self) -> None:
        self.look()
        assert self._monitor is not None
        self._monitor.start()
        version, drawn, read, heard = -1, 0.0, time.monotonic(), -1
        while self._rests_until_wanted():
            monitor = self._monitor
            version = monitor.wait(version, METRICS)
            now = time.monotonic()
            if now - read >= FILES:
                read = now
                self.refresh()
            self._seen(self.look())
            if now - drawn >= METRICS and version != heard:
                drawn, heard = now, version
                self._tell(self._board.metrics(time.time()))
            self._stopped.wait(LOOK)

    def _rests_until_wanted(self) -> bool:
        """Wait while nobody looks; say whether there is more to do."""
        with self._news:
            if not self._news.wait_for(self._is_due, PARTING):
                self._seen(())
                if self._monitor is not None:
                    self._monitor.hush()
                self._news.wait_for(self._is_due)
        return not self._stopped.is_set()

    def _is_due(self) -> bool:
        return self._wanted or self._stopped.is_set()

    def _say(self, news: News | None) -> None:
        if news is not None:
            self._tell(news)
