"""All that the server does, without Jupyter: what its handlers call, and what its tests test."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..fleet.watching import FleetFile
from ..parting import at_once
from ..pool import Pool
from ..reach import Reach, nobody_to_ask
from .actions import Actions
from .board import Board, News
from .followers import Followers
from .holdings import Holdings
from .once import Once
from .refusals import Unknown
from .rows import aged, run_row
from .runwatch import RunWatch
from .schedules import Schedules
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..fleet.hosts import Host
    from .rows import Row
    from .timetable import Awaited

#: Version of the interface: it grows with each change that an older browser half cannot follow.
API = 1
#: Seconds that hosts have to take leave when the server ends.
PATIENCE = 2.0


class Service:
    """The fleet, for whoever shows it. All methods may be called by any thread.

    SSH begins with the first subscriber, or with the first question that only a host can answer.

    Parameters
    ----------
    sample_period
        Seconds after which a host tells anew how it is, while somebody looks.
    root
        Folder that the browser's paths begin in.
    """

    def __init__(self, *, sample_period: float = 5.0, root: str = "") -> None:
        self.board = Board(time.monotonic)
        self._root = root
        self._reach = Reach(nobody_to_ask)
        self._listeners: list[Callable[[News], None]] = []
        self._runs = RunWatch(self.board, lambda: self._pool().lookouts, self._tell, root)
        self._watch = Watch(
            self.board,
            FleetFile(),
            self._reach,
            self._tell,
            every=sample_period,
            seen=lambda seen: self._runs.keep(each.host for each in seen if each.is_connected),
        )
        self.actions = Actions(
            fleet=self._watch.refresh, reach=self._reach, board=self.board, row=self._row
        )
        self._once = Once()
        self.schedules = Schedules(
            root,
            self.actions.pool,
            self._plans_changed,
            find=self.actions.where,
            look=self._look_after,
        )
        self._holdings = Holdings(board=self.board, lookouts=lambda: self._pool().lookouts)
        self.followers = Followers(lambda: self._pool().lookouts, self._tell, self._run_ended)
        self._made: Pool | None = None
        self._lock = threading.Lock()

    def subscribe(self, listener: Callable[[News], None]) -> Callable[[], None]:
        """Have all news told, by any thread, from now on; return what ends that."""
        with self._lock:
            self._listeners.append(listener)
        self.want(True)

        def leave() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return leave

    def want(self, is_wanted: bool) -> None:
        """Say whether anybody looks: only then hosts are watched."""
        self._watch.want(is_wanted)

    def begin(self) -> None:
        """Take up what is planned; no host is asked before something is due."""
        self.schedules.begin()
        self.board.set_schedules(self.schedules.rows())

    def close(self, patience: float = PATIENCE) -> list[str]:
        """End all that goes on here. Runs go on, on their hosts.

        Parameters
        ----------
        patience
            Seconds that all hosts together have to take leave.

        Returns
        -------
        list[str]
            Names of threads that had not ended by then, since a host does not answer. They and
            their connections end with the process, at the latest.
        """
        self.schedules.close()
        acts = [self.followers.close, self._stop_looking]
        at_once([partial(act, patience) for act in acts], 3 * patience)
        if self._made is not None:
            self._made.close(patience)
        mine = threading.current_thread()
        names = [each.name for each in threading.enumerate() if each is not mine]
        return sorted(name for name in names if name.startswith("macgpu-"))

    def _stop_looking(self, patience: float) -> None:
        # In this order: the watch says whose runs are watched.
        self._watch.stop(patience)
        self._runs.close(patience)

    def state(self, user: str) -> Row:
        """Return everything that is known now; no host is asked."""
        self._watch.refresh()
        if not self.board.revision:
            self._watch.look()
        return {**self.board.whole(), "version": __version__, "user": user}

    def describe(self, name: str) -> Row:
        """Return all that a host says of itself.

        Raises
        ------
        Unknown
            If the fleet has no such host.
        """
        return self.actions.describe(self._host(name))

    def ask(self, name: str) -> Row:
        """Look at a host at once, one that refused us too; raises as `describe` does."""
        host = self._host(name)
        self._watch.ask(host.name)
        return self._row_of(host)

    def drain(self, name: str, *, is_drained: bool) -> Row:
        """Let a host take nothing new for anybody, or again; raises as `Actions.drain` does."""
        host = self._host(name)
        self.actions.drain(host, is_drained=is_drained)
        self._watch.ask(host.name)
        return self._row_of(host)

    def follow(self, run: str, host: str | None = None) -> None:
        """Have the output of a run told as news, for one more.

        Parameters
        ----------
        host
            Where it is, if the board does not know that yet.

        Raises
        ------
        Unknown
            If no host is known to have it, or too many runs are followed.
        """
        row = self.board.run(run)
        name = host if row is None else row["host"]
        if name is None:
            raise Unknown
        if not self.followers.follow(run, self._host(name)):
            raise Unknown("Too many runs are followed at the same time.")

    def unfollow(self, run: str) -> None:
        """Have it told for one less."""
        self.followers.leave(run)

    def values(self, path: str) -> Row:
        """Return what lives on hosts for a notebook alone; see `Holdings.of`."""
        whole = str(Path(self._root, path))
        return self._holdings.of(path, whole, self._watch.refresh().hosts)

    def submit(self, wanted: Mapping[str, Any]) -> Row:
        """Hand in a cell without a kernel; the same request again is the same run.

        Raises as `submitting.hand_in` does, and `RunRefused` if the request's key was used before.
        """
        notebook = str(Path(self._root, wanted["notebook"]))
        row: Row = self._once.do(wanted, lambda: self.actions.submit(wanted, notebook))
        return row

    def _row_of(self, host: Host) -> Row:
        if self.board.host(host.name) is None:
            self._watch.look()
        return self.board.host(host.name) or {"name": host.name}

    def _row(self, said: dict[str, Any], host: str) -> Row:
        now = time.monotonic()
        return aged(run_row(said, host, now, self._root), now)

    def _run_ended(self, run: str, host: Host) -> None:
        """Have the end of a followed run on the board, though nobody watches its host."""
        row = self._pool().lookouts.of(host).rows([run]).get(run)
        if row is not None:
            rows = [run_row(row, host.name, time.monotonic(), self._root)]
            self.board.add_runs(host.name, rows, ())
            # Known or not: who looked away when it became known was not told.
            self._tell(News(kind="runs", keys=(run,)))

    def _look_after(self, awaited: Awaited) -> Row | None:
        lookout = self._pool().lookouts.of(self._host(awaited.host))
        row = lookout.rows([awaited.run]).get(awaited.run)
        return None if row is None else self._row(row, awaited.host)

    def _plans_changed(self, rows: list[Row]) -> None:
        news = self.board.set_schedules(rows)
        if news is not None:
            self._tell(news)

    def _host(self, name: str) -> Host:
        for host in self._watch.refresh().hosts:
            if host.name == name:
                return host
        raise Unknown

    def _pool(self) -> Pool:
        """Return the connections over which hosts are asked for one thing or another."""
        fleet = self._watch.refresh()
        with self._lock:
            if self._made is None:
                self._made = Pool(fleet, self._reach, "")
            self._made.fleet = fleet
            return self._made

    def _tell(self, news: News) -> None:
        for listener in list(self._listeners):
            listener(news)
