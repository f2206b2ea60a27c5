"""When a host is looked at again, for any order of failures."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.fleet.pacing import ASLEEP, FIRST, JITTER, LONGEST, REFUSALS, Pace
from jupyter_macgpu.scheduling.status import State

FAILURES = st.sampled_from(
    [State.UNREACHABLE, State.SLOW, State.ASLEEP, State.UNUSABLE, State.REFUSED]
)


@given(st.lists(st.tuples(FAILURES, st.floats(0, 1)), max_size=30))
def test_each_failure_is_waited_for_longer_within_bounds(
    failures: list[tuple[State, float]],
) -> None:
    pace, now, refused = Pace(), 1000.0, 0
    for number, (state, chance) in enumerate(failures):
        pace = pace.failed(state, now, chance)
        refused += state is State.REFUSED
        if refused >= REFUSALS:
            assert pace.has_stopped
            assert pace.due == math.inf
            continue
        assert not pace.has_stopped
        wait = min(LONGEST, FIRST * 2**number)
        if state is State.ASLEEP:
            wait = max(wait, ASLEEP)
        least, most = wait * (1 - JITTER), wait * (1 + JITTER)
        assert least - 1e-6 <= pace.due - now <= most + 1e-6
        now = pace.due
    assert pace.again(now) == Pace(due=now)


def test_what_is_well_again_begins_anew() -> None:
    pace = Pace().failed(State.SLOW, 0, 0.5).failed(State.REFUSED, 10, 0.5).well()
    assert (pace.failures, pace.refusals) == (0, 0)
    assert pace.failed(State.SLOW, 100, 0.5).due == 100 + FIRST
