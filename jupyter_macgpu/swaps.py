"""2 place, while a cell waits on busy hosts: which others it would rather wait on.

Pure: it reads what it is handed and asks no host anything. A place in a queue that is given up is
lost, and a host that is joined has the cell as its last; so only what is clearly better counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .placement import AT_ONCE, among, to_ask
from .scheduling import weights

if TYPE_CHECKING:
    from collections.abc import Collection

    from .scheduling.rank import Ranking
    from .scheduling.status import HostStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How a cell stands in one host's queue; what the host has not told is None.

    Attributes
    ----------
    before
        How many are before it.
    wait
        In how many seconds it is expected to begin.
    """

    before: int | None = None
    wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a cell that waits on several hosts does better: where it waits too, and no more.

    Attributes
    ----------
    join
        Hosts to wait on from now on, the best one first.
    leave
        Hosts whose queue it leaves for them.
    connect
        Hosts that would be better, and that nobody is connected to.
    """

    join: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()


def waited_on(status: HostStatus, stand: Stand | None) -> HostStatus:
    """Return a host as it is for a cell that waits there: what stands behind it does not count."""
    if stand is None:
        return status
    gpu, cpu = (
        replace(lane, running=lane.slots, queued=stand.before, wait=stand.wait)
        for lane in (status.gpu, status.cpu)
    )
    return replace(status, gpu=gpu, cpu=cpu, sent_since=0)


def change_for(
    ranking: Ranking, waits: Collection[str], ready: Collection[str], unheard: Collection[str]
) -> Change:
    """Return which hosts a cell should wait on beside, or instead of, those that it waits on.

    As long as it waits on fewer than `AT_ONCE`, those that come close to the best are added. Then
    one that is better than all of them by `weights.GAIN` takes the place of the worst.

    Parameters
    ----------
    ranking
        All hosts, those that it waits on as `waited_on` has them.
    waits
        The hosts that it waits on.
    ready
        The hosts that are connected.
    unheard
        As `to_ask` has them.
    """
    here = [one for one in ranking.feasible if one.host in waits]
    others = [one for one in ranking.feasible if one.host not in waits]
    there = [one for one in others if one.host in ready]
    room = AT_ONCE - len(waits)
    if room > 0:
        near = among(ranking, ready)
        return Change(
            join=tuple(name for name in near if name not in waits)[:room],
            connect=to_ask(ranking, {*waits, *ready}, unheard),
        )
    least = (here[0].score or 0.0) + weights.GAIN if here else math.inf
    better = [one.host for one in others if (one.score or 0.0) > least]
    absent = tuple(name for name in better if name not in ready)[:1]
    if not there or there[0].host not in better:
        return Change(connect=absent)
    return Change(join=(there[0].host,), leave=(here[-1].host,), connect=absent)
