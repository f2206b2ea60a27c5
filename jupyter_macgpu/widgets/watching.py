"""Hosts looked at for widgets: a thread that works as long as somebody views one."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

from ..link import Link
from ..monitor import Monitor
from ..wire.errors import MacGPUError
from .asking import look_inside, worker_of
from .readings import Inside
from .viewers import Viewers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..fleet.hosts import Host
    from ..fleet.seen import Seen
    from ..pool import Pool

#: Seconds between two questions after the cells and values of a host that is shown in full.
_ASK = 3.0


class Watch:
    """Looks at hosts from the first view of a widget to its last one, and again at the next.

    It has a connection of its own to each host, beside that of the notebook's cells and over the
    same login, so that a cell that runs keeps nobody waiting. Methods may be called by any thread.

    Parameters
    ----------
    pool
        Returns the notebook's pool, with its fleet as the file says now.
    hosts
        Says which hosts of the pool are watched.
    inside
        Says which host is shown in full; nothing for none.
    every
        Seconds after which a host tells anew how it is, at least 1.
    pause
        Seconds between two looks at what the hosts have told, at least 1.
    show
        Called by the thread with the pool, what is seen, and what goes on in the host that is
        shown in full.
    is_busy
        Says whether the kernel is in a cell, and cannot hear its views.
    """

    def __init__(
        self,
        pool: Callable[[], Pool],
        *,
        hosts: Callable[[Pool], Sequence[Host]],
        inside: Callable[[], str],
        every: float,
        pause: float,
        show: Callable[[Pool, Sequence[Seen], Inside], None],
        is_busy: Callable[[], bool],
    ) -> None:
        self._pool, self._hosts, self._full = pool, hosts, inside
        self._every, self._pause = every, max(1.0, pause)
        self._show, self._is_busy = show, is_busy
        self._viewers = Viewers()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._news = threading.Event()
        self._closed = False
        self._inside: tuple[str, float, Inside] = ("", 0.0, Inside())
        self._link: tuple[str, Link] | None = None

    @property
    def runs(self) -> bool:
        """Whether hosts are looked at now."""
        return self._thread is not None

    def heard(self, view: str) -> None:
        """Note that a view is there; the looking begins if it does not go on."""
        with self._lock:
            self._viewers.heard(view, time.monotonic())
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._work, name="macgpu-widget", daemon=True
                )
                self._thread.start()

    def left(self, view: str) -> None:
        """Note that a view has ended."""
        with self._lock:
            self._viewers.left(view)
        self._news.set()

    def look(self) -> None:
        """Show at once what is seen: something was changed here."""
        self._inside = ("", 0.0, Inside())
        self._news.set()

    def close(self) -> None:
        """End the looking for good."""
        self._closed = True
        self._news.set()

    def _work(self) -> None:
        monitor: Monitor | None = None
        try:
            while self._goes_on():
                pool = self._pool()
                hosts = self._hosts(pool)
                if monitor is None:
                    monitor = Monitor.of(
                        hosts, pool.reach, every=self._every, statuses=pool.statuses
                    )
                    monitor.start()
                elif [each.host for each in monitor.view()] != list(hosts):
                    monitor.watch(hosts)
                seen = monitor.view()
                self._show(pool, seen, self._look_inside(pool, seen))
                self._news.wait(self._pause)
                self._news.clear()
        except MacGPUError:
            # The fleet file cannot be used, which cells and verbs say; the next view tries again.
            return
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None
            self._hang_up()
            if monitor is not None:
                monitor.stop()

    def _goes_on(self) -> bool:
        """Say whether to look on; where not, the next view begins anew."""
        with self._lock:
            if self._is_busy():  # no view could have been heard until now
                self._viewers.excuse(time.monotonic())
            if self._closed or not self._viewers.there(time.monotonic()):
                self._thread = None
                return False
            return True

    def _look_inside(self, pool: Pool, seen: Sequence[Seen]) -> Inside:
        """Return what goes on in the host that is shown in full, as of a moment ago."""
        name, now = self._full(), time.monotonic()
        known, asked, inside = self._inside
        if known == name and now - asked < _ASK:
            return inside
        before = inside if known == name else Inside()
        found = next((each for each in seen if each.host.name == name), None)
        if found is None or not found.is_connected:
            return before
        try:
            inside = look_inside(self._link_to(pool, found.host), worker_of(pool, found.host))
        except MacGPUError as error:
            inside = Inside(cells=before.cells, values=before.values, note=error.what)
            self._hang_up()
        if inside.values is None and before.values is not None and inside.note:
            inside = Inside(cells=inside.cells, values=before.values, note=inside.note)
        self._inside = (name, now, inside)
        return inside

    def _link_to(self, pool: Pool, host: Host) -> Link:
        if self._link is None or self._link[0] != host.name:
            self._hang_up()
            client = secrets.token_hex(16)
            self._link = host.name, Link(pool.reach.transport(host), client, client)
        return self._link[1]

    def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link[1].drop()
