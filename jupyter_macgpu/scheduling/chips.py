"""How fast a chip is before anybody measured it, as one figure. Pure.

Training follows the rate of the GPU and inference the bandwidth of memory, so the speed is the
geometric mean of both, relative to the M1 with 8 GPU cores. The figures are the probe's table.
"""

from __future__ import annotations

import math

from ..wire.probe.chips import prior
from .status import Speed

_REFERENCE = 2.62 * 68


def prior_speed(chip: str | None, cores: int | None = None) -> Speed | None:
    """Return the speed of a chip such as ``M2 Ultra`` or ``m2-ultra``; None if it is not known.

    Where the number of GPU cores is not known, or none of those that are sold, the smallest kind
    of the chip is taken.
    """
    name = " ".join((chip or "").replace("-", " ").split()).title()
    known = prior(name, cores)
    if known.tflops is None:
        known = prior(name)
    if known.tflops is None or known.gb_per_s is None:
        return None
    return Speed(value=math.sqrt(known.tflops * known.gb_per_s / _REFERENCE), source="prior")
