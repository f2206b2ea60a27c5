"""2 place: decide which host takes a cell.

Rule 1: everything here is pure. It reads what it is handed and asks no host anything.

Rule 2: a placement is advice, not a claim. The host grants the lease, queues the run or
refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .fleet.hosts import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .fleet.hosts import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a cell asks of the host it runs on.

    Attributes
    ----------
    on
        Name of the host that it must be; None leaves it open.
    holders
        Hosts on which values that the cell reads live, and nowhere else.
    affinity
        Name of the host that the notebook uses.
    cpu
        Whether it goes without a GPU.
    """

    on: str | None = None
    holders: frozenset[str] = frozenset()
    affinity: str | None = None
    cpu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A host and why it is that one."""

    host: Host
    reason: str


def place(hosts: Sequence[Host], needs: Needs) -> Placement:
    """Choose the host of a cell.

    A host that is named wins; then the one on which values of this cell live; then the
    notebook's own, since its worker is warm; then the first of the fleet file.

    Raises
    ------
    PlacementError
        If there is no host of that name. Nothing was sent.
    """
    if needs.on is not None:
        return Placement(host=select(hosts, needs.on), reason="named with --on")
    if needs.holders:
        name = min(needs.holders)
        return Placement(host=select(hosts, name), reason="values of this cell live there")
    for host in hosts:
        if host.name == needs.affinity:
            return Placement(host=host, reason="this notebook's host")
    return Placement(host=hosts[0], reason="first of the fleet")
