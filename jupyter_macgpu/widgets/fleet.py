"""All hosts of the fleet, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fleet.hosts import select
from . import pages, readings
from .asking import device_of, last_seen
from .live import LiveWidget, read_parts
from .readings import Inside
from .recent import Recent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..fleet.hosts import Host
    from ..fleet.seen import Seen
    from ..pool import Pool

#: Points of the line beside each host.
_DRAWN = 30


class FleetWidget(LiveWidget):
    """All hosts of the fleet: sorted and filtered, chosen for this notebook, drained, opened.

    What is shown at first is what this account last saw. Hosts are connected to only while a view
    of it is open, over one connection each.

    Raises
    ------
    FleetFileError
        If the fleet file never could be used.
    InputError
        On a host: there is no notebook to show it in.
    """

    _esm = read_parts("shared.js", "device.js", "fleet.js")
    _css = read_parts("widgets.css")
    every = 5.0
    pause = 2.0

    def __init__(self) -> None:
        super().__init__()
        pool = self._desk.pool
        self._recent = Recent()
        self._opened = ""
        self._show(pool, last_seen(pool, pool.fleet.hosts), Inside())

    def __repr__(self) -> str:
        """Return how it is made."""
        return "FleetWidget()"

    def _instead(self) -> tuple[str, str]:
        rows = self.snapshot["hosts"]
        return pages.fleet_page(rows), pages.fleet_text(rows)

    def _watched(self, pool: Pool) -> Sequence[Host]:
        return pool.fleet.hosts

    def _in_full(self) -> str:
        return self._opened

    def _show(self, pool: Pool, seen: Sequence[Seen], inside: Inside) -> None:
        known = pool.statuses.known
        rows = [
            readings.row(each, known(each.host).heard.telemetry, chosen=pool.uses == each.host.name)
            for each in seen
        ]
        opened = next((each for each in seen if each.host.name == self._opened), None)
        snapshot = {
            "hosts": rows,
            "uses": readings.cut(pool.uses or ""),
            "device": None if opened is None else device_of(pool, opened, inside),
        }
        lines = self._recent.after(pool, seen)
        # Of a host that is one line among many, one short line is drawn.
        history = {host: {"gpu": of.get("gpu", [])[-_DRAWN:]} for host, of in lines.items()}
        if opened is not None:
            history[opened.host.name] = lines.get(opened.host.name, {})
        self._fill(snapshot, history)

    def _open(self, name: str) -> str:
        pool = self._desk.pool
        self._opened = select(pool.fleet.hosts, name, pool.fleet.notice).name if name else ""
        return ""
