"""When a host is looked at again: soon if it is well, ever later if not, never if it refuses us.

Pure: times are seconds on one clock of the caller's, and chance comes in as a number from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..scheduling.status import State

#: Seconds from the first failure to the next try. Each further one doubles it, up to `LONGEST`.
FIRST, LONGEST = 5.0, 300.0
#: Seconds between two tries of a Mac that sleeps: they may wake it.
ASLEEP = 60.0
#: Refused logins after which nobody knocks any more: a server counts them against our address.
REFUSALS = 2
#: Waits are longer or shorter by up to this share, so that not all hosts come at once.
JITTER = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How one host is being looked at.

    Attributes
    ----------
    due
        When it is to be connected to next; infinite: not before something changes.
    failures
        Failures since it was last well.
    refusals
        Refused logins since it was last well, or since something changed.
    """

    due: float = 0.0
    failures: int = 0
    refusals: int = 0

    @property
    def has_stopped(self) -> bool:
        """Whether it has refused us so often that it is left alone."""
        return self.refusals >= REFUSALS

    def well(self) -> Pace:
        """Return how to go on with a host that answers."""
        return Pace(due=self.due)

    def failed(self, state: State, now: float, chance: float) -> Pace:
        """Return how to go on after a look that failed.

        Parameters
        ----------
        state
            What the failure says of the host.
        """
        failures = self.failures + 1
        refusals = self.refusals + (state is State.REFUSED)
        wait = min(LONGEST, FIRST * 2 ** min(failures - 1, 16))
        if state is State.ASLEEP:
            wait = max(wait, ASLEEP)
        due = now + wait * (1 + JITTER * (2 * chance - 1))
        pace = Pace(due=due, failures=failures, refusals=refusals)
        return replace(pace, due=math.inf) if pace.has_stopped else pace

    def again(self, now: float) -> Pace:
        """Return how to go on when somebody asks, or what was refused has changed: at once."""
        return Pace(due=now)
