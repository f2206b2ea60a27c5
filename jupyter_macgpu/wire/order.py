"""Who goes first: one order for a host's own queue and for the tickets of several accounts. Pure.

First come, first served. Each level of priority counts like `STEP` seconds of waiting, so that
nobody starves: whoever comes more than `STEP` seconds for each level between them later goes
behind, whatever the two ask for. As both wait equally long from then on, who is before whom never
changes, and no clock is needed to tell.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The lowest and the highest priority; what says nothing has 0.
LEAST, MOST = -5, 5
#: Seconds of waiting that outweigh one level of priority.
STEP = 300.0
#: Seconds after which whoever comes goes behind, whatever the priorities.
LONGEST = (MOST - LEAST) * STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a queue.

    Attributes
    ----------
    since
        When it was taken, in seconds of a clock that all places of the queue share.
    priority
        What is beyond `LEAST` or `MOST` counts as these.
    number, name
        Decide between those that came at the same time; no two places have both in common.
    """

    since: float
    priority: int = 0
    number: int = 0
    name: str = ""

    @property
    def order(self) -> tuple[float, int, str]:
        """What places are sorted by; the smallest one goes first."""
        counts = min(max(self.priority, LEAST), MOST)
        return (self.since - STEP * counts, self.number, self.name)
