"""All that placement weighs, in one place. Pure.

A score is a sum of points, and one point is a factor of two in the time until the cell's end: a
host with one point more is expected to be done in half the time. Terms that are not about time
have points of their own. Each term has a neutral value for what is unknown, between a good value
and a bad one.

========== ============================================================== ===================
term       points                                                         unknown counts as
========== ============================================================== ===================
speed      log2 of the speed, the M1 being 1; from -5 to 5                speed 1: 0
share      log2 of the share of the GPU (CPU) that is left; from -4 to 0  three quarters: -0.4
heat       warm: -1 (half the clock); hot hosts are filtered              as before, at first 0
pressure   warning: -1.3; swapping: -0.7; critical is filtered            0
link       slow connection: -1                                            0
news       up to -1 the older the status is; never seen: -1               -1
queue      log2 of how much longer it takes with the wait; from -20       0 cells there
data       log2 of how much longer with what has to be sent (threefold)     nothing is there
build      log2 of how much longer with building the environment; -10     there already
prefer     0 to 4: preferred affinity, spread over the hosts              (labels are known)
taints     -6 to 0: PreferNoSchedule taints not tolerated, spread         (taints are known)
home       1 where the notebook's worker is warm                          0
spare      --cpu on a host with a GPU: -8                                 -4
owner      somebody at the keyboard: -100, only if nothing else fits      0
no-gpu     GPU work where no GPU is: -200, below all others               0
live       values of the notebook's session live there: 400               0
========== ============================================================== ===================

All terms down to ``spare`` together stay within 100 points, so the last three decide before all
else, in the order live, no-gpu, owner.
"""

from __future__ import annotations

#: Speed, in M1s: limits, and what an unknown chip counts as.
SPEED_LIMITS, NEUTRAL_SPEED = (1 / 32, 32.0), 1.0
#: Share of the processor that is left: least, and what an unknown one counts as.
LEAST_SHARE, NEUTRAL_SHARE = 1 / 16, 0.75
#: Factors on the pace of a host.
WARM_PACE, PRESSED_PACE, SWAPPING_PACE, SLOW_LINK_PACE = 0.5, 0.4, 0.6, 0.5

#: Seconds that a cell takes on a machine of speed 1 where nothing is known of it.
TYPICAL_SECONDS = 45.0
#: Turns of typical length that a cell which runs now is expected to last still. More than one
#: half of one: lengths are heavy-tailed, so what is running is likelier to be a long one.
TURN = 1.5
#: Bytes in a second to a host where it was not measured.
NEUTRAL_LINK = 50e6
#: How often each second of sending counts: a slot that was waited for stands empty meanwhile, so
#: that others wait for it too.
SENDING = 3.0
#: Seconds that it takes to build an environment.
BUILD_SECONDS = 60.0
#: Lowest points of the terms about waiting.
LEAST_QUEUE, LEAST_DATA, LEAST_BUILD = -20.0, -20.0, -10.0

#: Seconds in which a reading of load loses two thirds of its weight against the neutral value.
FADES_IN = 60.0
#: Seconds after which readings of owner, heat, pressure and free memory count as unknown.
STALE_AFTER = 90.0
#: Points for a status that is so old, or for a host that never answered.
OLD_NEWS = -1.0

#: As in Kubernetes' own scheduler, taints that are to be avoided weigh more than preferences.
PREFERRED, AVOIDED = 4.0, -6.0
HOME = 1.0
SPARE_GPU, SPARE_UNKNOWN = -8.0, -4.0

#: Points by which a host may be worse than the best one and still be asked for a slot beside it.
REACH = 3.0

#: Points by which a host must be better than all that a cell waits on to be waited on instead.
GAIN = 0.2

OWNER, NO_GPU, LIVE = -100.0, -200.0, 400.0

#: Seconds without a key or a pointer after which the owner counts as away.
OWNER_AWAY = 300.0
#: What stays free for an owner at the keyboard: bytes, and share of the memory.
OWNER_BYTES, OWNER_SHARE = 8 * 2**30, 0.25
#: The system's words on memory.
PRESSURE_WARNING, PRESSURE_CRITICAL = 2, 4
