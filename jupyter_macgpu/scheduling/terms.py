"""What speaks for and against a host that can take a cell, in points. Pure.

The terms about time add up: speed, share, heat, pressure and link give how long the cell runs
there, and each further one how much longer it takes until its end with that too. So their sum is
the logarithm of the expected time, and still each term can be shown alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from . import weights
from .affinity import MAX_SCORE
from .fit import heat_now
from .heat import Heat
from .memory import ahead, is_fresh, owner_is_active
from .needs import Needs
from .status import HostStatus, Lane, State

#: What was known of a host; None is unknown.
Value = bool | float | str | None
#: Points of one term, and what was known. A plain tuple, since a ranking has many: it costs
#: nothing to make, and the garbage collector stops looking at it.
Part = tuple[float, Value]

#: The terms, in the order in which `parts_of` returns them.
NAMES = (
    *("speed", "share", "heat", "pressure", "link"),
    *("news", "queue", "data", "build"),
    *("prefer", "taints"),
    *("home", "spare", "owner", "no-gpu", "live"),
)

_WARM, _SLOW = math.log2(weights.WARM_PACE), math.log2(weights.SLOW_LINK_PACE)
_PRESSED, _SWAPPING = math.log2(weights.PRESSED_PACE), math.log2(weights.SWAPPING_PACE)
#: Seconds that stand for any longer time.
_ENDLESS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One part of a score.

    Attributes
    ----------
    name
        As in the table of `weights`.
    points
        What it adds; always finite.
    value
        What was known of the host, in the term's own unit.
    """

    name: str
    points: float
    value: Value


def named(parts: Sequence[Part]) -> tuple[Term, ...]:
    """Return the terms that `parts_of` found, each with its name."""
    return tuple(
        Term(name=name, points=points, value=value)
        for name, (points, value) in zip(NAMES, parts, strict=True)
    )


def parts_of(
    status: HostStatus, needs: Needs, now: float, *, preferred: int, avoided: int
) -> tuple[Part, ...]:
    """Return points and values of all terms of a host, in the order of `NAMES`.

    `preferred` and `avoided` are its scores from 0 to 100 among all hosts that can take the cell:
    how many preferences it meets, and how few taints it has that are to be avoided.
    """
    age, lane = status.age(now), status.cpu if needs.is_cpu else status.gpu
    told = status.cpu_speed if needs.is_cpu else status.gpu_speed
    speed = _speed(None if told is None else told.value)
    pace = (
        speed,
        _share(status, needs, lane, age),
        _heat(status, now),
        _pressure(status) if is_fresh(status, now) else (0.0, None),
        (_SLOW, "slow") if status.state is State.SLOW else (0.0, None),
    )
    seconds = _length(needs) / 2 ** sum([points for points, _ in pace])
    return (
        *pace,
        _news(age),
        *_waits(status, needs, lane, speed=2 ** speed[0], seconds=seconds),
        (weights.PREFERRED * preferred / MAX_SCORE, preferred),
        (weights.AVOIDED * (1 - avoided / MAX_SCORE), avoided),
        *_belonging(status, needs, now),
    )


def _speed(told: float | None) -> Part:
    value = _known(told)
    lowest, highest = weights.SPEED_LIMITS
    factor = weights.NEUTRAL_SPEED if value is None else min(highest, max(lowest, value))
    return math.log2(factor), value


def _share(status: HostStatus, needs: Needs, lane: Lane, age: float | None) -> Part:
    """Say what is left of the processor: by others' use of it, and by cells at the same time.

    An old reading is drawn towards the neutral value.
    """
    taken = _known(status.cpu_taken if needs.is_cpu else status.gpu_taken)
    left = weights.NEUTRAL_SHARE
    if taken is not None and age is not None:
        trust = math.exp(-age / weights.FADES_IN)
        left = trust * (1 - min(1.0, max(0.0, taken))) + (1 - trust) * left
    beside = min((lane.running or 0) + status.sent_since, lane.slots - 1)
    return math.log2(max(weights.LEAST_SHARE, left / (beside + 1))), taken


def _heat(status: HostStatus, now: float) -> Part:
    heat = heat_now(status, now)
    return (_WARM if heat is Heat.WARM else 0.0), heat.value


def _pressure(status: HostStatus) -> Part:
    is_pressed = (status.pressure or 0) >= weights.PRESSURE_WARNING
    if is_pressed and status.is_swapping:
        return _PRESSED + _SWAPPING, "memory pressure, swapping"
    if is_pressed:
        return _PRESSED, "memory pressure"
    if status.is_swapping:
        return _SWAPPING, "swapping"
    return 0.0, None if status.pressure is None else "normal"


def _news(age: float | None) -> Part:
    doubt = 1.0 if age is None else 1 - math.exp(-age / weights.FADES_IN)
    return weights.OLD_NEWS * doubt, age


def _waits(
    status: HostStatus, needs: Needs, lane: Lane, *, speed: float, seconds: float
) -> tuple[Part, Part, Part]:
    """Say how much longer it takes with each wait, one after the other.

    `seconds` is how long the cell runs there; `speed` is the host's, for the cells before it.
    """
    before = ahead(lane, status.sent_since)
    turn = weights.TURN * weights.TYPICAL_SECONDS / speed / lane.slots
    told = _known(lane.wait)
    wait = before * turn if told is None else max(0.0, told) + status.sent_since * turn
    missing = max(0, needs.input_bytes - (status.inputs_there or 0))
    link = _known(status.link)
    rate = link if link is not None and link >= 1 else weights.NEUTRAL_LINK
    sending = weights.SENDING * missing / rate
    building = weights.BUILD_SECONDS if status.environment == "buildable" else 0.0
    with_wait = seconds + min(wait, _ENDLESS)
    with_data = with_wait + min(sending, _ENDLESS)
    return (
        (max(weights.LEAST_QUEUE, math.log2(seconds / with_wait)), before),
        (max(weights.LEAST_DATA, math.log2(with_wait / with_data)), missing),
        (
            max(weights.LEAST_BUILD, math.log2(with_data / (with_data + building))),
            status.environment,
        ),
    )


def _belonging(status: HostStatus, needs: Needs, now: float) -> tuple[Part, ...]:
    """Say whether the host is the right one for the work, the notebook and its owner."""
    is_home, has_gpu = status.name == needs.home, status.gpu_is_there
    spare = weights.SPARE_UNKNOWN if has_gpu is None else weights.SPARE_GPU if has_gpu else 0.0
    is_missed = has_gpu is False and not needs.is_cpu
    live = status.live_values
    return (
        (weights.HOME if is_home else 0.0, is_home),
        (spare if needs.is_cpu else 0.0, has_gpu),
        (weights.OWNER if owner_is_active(status, now) else 0.0, _known(status.owner_idle)),
        (weights.NO_GPU if is_missed else 0.0, has_gpu),
        (weights.LIVE if live > 0 else 0.0, live),
    )


def _length(needs: Needs) -> float:
    """Return how many seconds the cell takes on a machine of speed 1."""
    known = _known(needs.seconds)
    return weights.TYPICAL_SECONDS if known is None else min(1e7, max(1e-3, known))


def _known(number: float | None) -> float | None:
    """Return a number that can be reckoned with; what is none is unknown."""
    return number if number is not None and math.isfinite(number) else None
