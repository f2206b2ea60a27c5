"""Whether a host is too hot, with hysteresis, so that it does not come and go. Pure."""

from __future__ import annotations

from enum import StrEnum


class Heat(StrEnum):
    """What is thought of a host's heat."""

    COOL = "cool"
    WARM = "warm"
    HOT = "hot"


#: macOS counts thermal pressure from 0 (nominal) over moderate, heavy and trapping to 4 (sleeping).
WARM_FROM, HOT_FROM = 2, 3
#: A host stays hot until its level is this low, and warm until it is that low.
HOT_UNTIL, WARM_UNTIL = 1, 0


def heat_after(before: Heat, level: int | None) -> Heat:
    """Return what to think of a host at a level, given what was thought before.

    A hot host has to cool down to `HOT_UNTIL`, not just below `HOT_FROM`, before it gets work
    again, and is taken for warm then; a warm one to `WARM_UNTIL`. Without this a Mac without a fan
    would be given a cell, throttle, lose the next one, cool for a minute, and so on. An unknown
    level changes nothing.
    """
    if level is None:
        return before
    if level >= HOT_FROM or (before is Heat.HOT and level > HOT_UNTIL):
        return Heat.HOT
    if level >= WARM_FROM or (before is not Heat.COOL and level > WARM_UNTIL):
        return Heat.WARM
    return Heat.COOL
