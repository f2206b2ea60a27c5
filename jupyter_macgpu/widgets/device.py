"""One host, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import pages
from .asking import chosen_host, device_of, last_seen
from .live import LiveWidget, read_parts
from .readings import Inside, gone
from .recent import Recent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..fleet.hosts import Host
    from ..fleet.seen import Seen
    from ..pool import Pool


class DeviceWidget(LiveWidget):
    """One host: its GPU, memory, power, heat, owner, queue, and what this account does there.

    It is connected to that host alone, and only while a view of it is open.

    Parameters
    ----------
    host
        Its name in the fleet. Without one: the host in use, else the one that suits a cell best.

    Raises
    ------
    PlacementError
        If the fleet has no such host.
    InputError
        On a host: there is no notebook to show it in.
    """

    _esm = read_parts("shared.js", "device.js", "only-device.js")
    _css = read_parts("widgets.css")

    def __init__(self, host: str = "") -> None:
        super().__init__()
        pool = self._desk.pool
        self._recent = Recent()
        self.host = chosen_host(pool, host).name
        self._show(pool, last_seen(pool, self._watched(pool)), Inside())

    def __repr__(self) -> str:
        """Return how it is made."""
        return f"DeviceWidget({self.host!r})"

    def _instead(self) -> tuple[str, str]:
        return pages.device_page(self.snapshot), pages.device_text(self.snapshot)

    def _watched(self, pool: Pool) -> Sequence[Host]:
        return [host for host in pool.fleet.hosts if host.name == self.host]

    def _in_full(self) -> str:
        return self.host

    def _show(self, pool: Pool, seen: Sequence[Seen], inside: Inside) -> None:
        if not seen:
            self._fill(gone(self.snapshot), self.history)
        for each in seen:
            snapshot = device_of(pool, each, inside)
            self._fill(snapshot, self._recent.after(pool, seen).get(self.host, {}))

    def _open(self, name: str) -> str:
        return name  # it is open
