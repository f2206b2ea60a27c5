"""How fast a chip is before anybody measured it: a prior, from published figures. Pure.

FP32 rate of a GPU is cores x 256 operations x clock; bandwidth is Apple's specification. Training
follows the rate and inference the bandwidth, so the speed is the geometric mean of both, relative
to the M1 with 8 GPU cores.
"""

from __future__ import annotations

import math

from .status import Speed

#: GPU clock in GHz by generation. M1 and M2: measured by the metal-benchmarks project; M3 from
#: the rate published for 80 cores; M4 and M5 from listings of `powermetrics`.
_CLOCKS = {"m1": 1.278, "m2": 1.398, "m3": 1.38, "m4": 1.578, "m5": 1.74}
#: GPU cores and GB/s of each kind of each chip, smaller kinds first.
_KINDS = {
    "m1": ((7, 68), (8, 68)),
    "m1-pro": ((14, 205), (16, 205)),
    "m1-max": ((24, 410), (32, 410)),
    "m1-ultra": ((48, 819), (64, 819)),
    "m2": ((8, 102), (10, 102)),
    "m2-pro": ((16, 205), (19, 205)),
    "m2-max": ((30, 410), (38, 410)),
    "m2-ultra": ((60, 819), (76, 819)),
    "m3": ((8, 102), (10, 102)),
    "m3-pro": ((14, 154), (18, 154)),
    "m3-max": ((30, 307), (40, 410)),
    "m3-ultra": ((60, 819), (80, 819)),
    "m4": ((8, 120), (10, 120)),
    "m4-pro": ((16, 273), (20, 273)),
    "m4-max": ((32, 410), (40, 546)),
    "m5": ((8, 154), (10, 154)),
    "m5-pro": ((16, 307), (20, 307)),
    "m5-max": ((32, 460), (40, 614)),
}
_REFERENCE = 8 * _CLOCKS["m1"] * 68


def prior_speed(chip: str | None, cores: int | None = None) -> Speed | None:
    """Return the speed of a chip such as ``M2 Ultra`` or ``m2-ultra``; None if it is not known.

    Where the number of GPU cores is not known, the smallest kind of the chip is taken; where it
    is none of those that are sold, the one that comes nearest.
    """
    name = "-".join((chip or "").lower().removeprefix("apple").split())
    if name not in _KINDS:
        return None
    kinds = _KINDS[name]
    count, bandwidth = kinds[0] if cores is None else min(kinds, key=lambda k: abs(k[0] - cores))
    clock = _CLOCKS[name.partition("-")[0]]
    return Speed(value=math.sqrt(count * clock * bandwidth / _REFERENCE), source="prior")
