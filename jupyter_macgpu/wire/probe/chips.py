"""How fast a chip is, until the host itself was measured.

TFLOPS (32 bit) are cores times clock times 0.000256 (128 lanes, two operations each). Clocks:
M1 and M2 from philipturner/metal-benchmarks; M3 from the published 28 TFLOPS of 80 cores; M4 from
`powermetrics`; M5 from a third party. M3 to M5 are good to 10 or 15 %. Bandwidths are Apple's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: TFLOPS of one core at one megahertz.
PER_CORE_MHZ = 0.000256

#: By chip: for each number of GPU cores the bandwidth (GB/s) and TFLOPS; then the most memory (GB).
_TABLE: dict[str, tuple[dict[int, tuple[int, float]], int]] = {
    "m1": ({7: (68, 2.29), 8: (68, 2.62)}, 16),
    "m1-pro": ({14: (205, 4.65), 16: (205, 5.31)}, 32),
    "m1-max": ({24: (410, 7.96), 32: (410, 10.6)}, 64),
    "m1-ultra": ({48: (819, 15.9), 64: (819, 21.2)}, 128),
    "m2": ({8: (102, 2.86), 10: (102, 3.58)}, 24),
    "m2-pro": ({16: (205, 5.73), 19: (205, 6.80)}, 32),
    "m2-max": ({30: (410, 10.7), 38: (410, 13.6)}, 96),
    "m2-ultra": ({60: (819, 21.5), 76: (819, 27.2)}, 192),
    "m3": ({8: (102, 2.8), 10: (102, 3.5)}, 24),
    "m3-pro": ({14: (154, 4.9), 18: (154, 6.4)}, 36),
    "m3-max": ({30: (307, 10.6), 40: (410, 14.1)}, 128),
    "m3-ultra": ({60: (819, 21.0), 80: (819, 28.0)}, 512),
    "m4": ({8: (120, 3.2), 10: (120, 4.0)}, 32),
    "m4-pro": ({16: (273, 6.5), 20: (273, 8.1)}, 64),
    "m4-max": ({32: (410, 12.9), 40: (546, 16.2)}, 128),
    "m5": ({8: (154, 3.6), 10: (154, 4.5)}, 32),
    "m5-pro": ({16: (307, 7.0), 20: (307, 9.0)}, 64),
    "m5-max": ({32: (460, 14.0), 40: (614, 18.0)}, 128),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What is believed of a chip; None where nobody knows.

    Attributes
    ----------
    tflops
        Of 32-bit floats.
    gb_per_s
        Bandwidth of memory, in 10^9 bytes a second.
    most_memory_gb
        What it was sold with at most.
    """

    tflops: float | None = None
    gb_per_s: float | None = None
    most_memory_gb: int | None = None


def slug(chip: str | None) -> str | None:
    """Return a chip's name as labels have it: ``m2-ultra`` for ``Apple M2 Ultra``."""
    if chip is None:
        return None
    match = re.search(r"\bApple ([AM][0-9]{1,2})(?: (Pro|Max|Ultra))?\b", f"Apple {chip}")
    return "-".join(part.lower() for part in match.groups() if part) if match else None


def prior(chip: str | None, cores: int | None = None, max_mhz: float | None = None) -> Speed:
    """Return what is believed of `chip`.

    With its number of cores unknown, the slower variant counts. A chip that is not in the table has
    what its cores and clock give, and no known bandwidth.
    """
    variants, memory = _TABLE.get(slug(chip) or "", ({}, None))
    counted = cores if cores in variants else (None if cores else min(variants, default=None))
    if counted is not None:
        bandwidth, tflops = variants[counted]
        return Speed(tflops=tflops, gb_per_s=float(bandwidth), most_memory_gb=memory)
    if cores and max_mhz:
        return Speed(tflops=round(cores * max_mhz * PER_CORE_MHZ, 2), most_memory_gb=memory)
    return Speed(most_memory_gb=memory)
