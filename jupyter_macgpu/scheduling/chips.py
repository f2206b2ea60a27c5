"""How fast a chip is before anybody measured it, as one figure. Pure.

Training follows the rate of the GPU and inference the bandwidth of memory, so the speed is the
geometric mean of both, relative to the M1 with 8 GPU cores. The figures are the probe's table.
"""

from __future__ import annotations

import math

from ..wire.probe.chips import prior
from .status import Speed

_REFERENCE = 2.62 * 68
#: Share of the table's figures that a measurement reaches: what products of matrices get of the
#: arithmetic units, and copies of the bandwidth. It brings both to one scale.
REACHED = 0.8
#: A measurement that is off the table by this factor is worth a word.
WILD = 3.0


def measured_speed(
    tflops: float | None, gb_per_s: float | None, prior: Speed | None = None
) -> Speed | None:
    """Return the speed of a machine on which both figures were measured; None without them.

    One that is far off what the table says is believed all the same, and says so: the table may
    be wrong, or the machine may have been throttled.
    """
    if not tflops or not gb_per_s or tflops <= 0 or gb_per_s <= 0:
        return None
    value = math.sqrt(tflops * gb_per_s / _REFERENCE) / REACHED
    note = ""
    if prior is not None and not 1 / WILD <= value / prior.value <= WILD:
        note = f"{value / prior.value:.2g} times what the table of chips says"
    return Speed(value=value, source="calibrated", note=note)


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
