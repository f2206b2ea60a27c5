"""How much of a host's unified memory a cell can have. Pure.

CPU and GPU share one memory, so two limits hold together: what is free of it now, whoever holds the
rest, and what the GPU may have in all.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..wire.telemetry import gpu_share
from . import weights
from .status import HostStatus, Lane, Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a cell can have on a host.

    Attributes
    ----------
    now
        Bytes that it can have when its turn comes; None is unknown.
    ever
        Bytes that it could have if nobody else were there; None is unknown.
    """

    now: int | None
    ever: int | None


def room(status: HostStatus, now: float, *, is_cpu: bool) -> Room:
    """Return what a cell can have.

    What was promised to running cells and is not taken yet is not there for another one; nor is
    what an owner at the keyboard is left. If the cell has to wait, one of the running cells will
    have ended before, and its part is counted as given back. A reading that is too old is not
    believed, and the limit alone holds then.
    """
    memory = status.memory
    ceiling = memory.total if is_cpu or status.has_gpu is False else gpu_limit(memory)
    lane = status.cpu if is_cpu else status.gpu
    asked, held = _left(memory.asked, lane, status), _left(memory.held, lane, status)
    known = [] if ceiling is None else [ceiling - max(asked, held)]
    if memory.free is not None and is_fresh(status, now):
        given_back = (memory.held or 0) - held
        promised = max(0, asked - held)
        known.append(memory.free + given_back - promised - _kept_for_owner(status, now))
    return Room(now=max(0, min(known)) if known else None, ever=ceiling)


def gpu_limit(memory: Memory) -> int | None:
    """Return what the GPU may have at most; where the host did not say, by the memory's size."""
    if memory.limit is not None or memory.total is None:
        return memory.limit
    return gpu_share(memory.total)


def is_fresh(status: HostStatus, now: float) -> bool:
    """Say whether readings of a status can be believed."""
    age = status.age(now)
    return age is not None and age <= weights.STALE_AFTER


def owner_is_active(status: HostStatus, now: float) -> bool:
    """Say whether somebody used keyboard or pointer a short while ago.

    Owners come first, so a reading is believed for as long as they would count as active.
    """
    age = status.age(now)
    return (
        status.owner_idle is not None
        and status.owner_idle < weights.OWNER_AWAY
        and age is not None
        and age <= weights.OWNER_AWAY
    )


def ahead(lane: Lane, sent_since: int) -> int:
    """Return how many cells have to end before one that comes now can start."""
    return max(0, (lane.running or 0) + (lane.queued or 0) + sent_since - lane.slots + 1)


def _left(amount: int | None, lane: Lane, status: HostStatus) -> int:
    """Return what running cells have of an amount when the next one starts."""
    if not amount:
        return 0
    if not ahead(lane, status.sent_since):
        return amount
    running = max(1, lane.running or lane.slots)
    return amount - amount // running


def _kept_for_owner(status: HostStatus, now: float) -> int:
    if not owner_is_active(status, now):
        return 0
    share = int((status.memory.total or 0) * weights.OWNER_SHARE)
    return max(weights.OWNER_BYTES, share)
