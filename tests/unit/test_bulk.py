"""Bulk: a window that follows the rate, so that small messages overtake it."""

from __future__ import annotations

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.wire import bulk

KIB = 1024


def upload(rate: float, total: int, delay: float, burst: int = 1) -> tuple[int, float]:
    """Send `total` bytes over a link of `rate` bytes a second, and `delay` seconds each way.

    Credits come back `burst` at a time. Returns the most bytes that were ever unacknowledged
    after the first second, and how many seconds it took.
    """
    window = bulk.Window(total)
    now, free_at, worst = 0.0, 0.0, 0
    arrivals: deque[tuple[float, int]] = deque()
    held: list[int] = []
    while not window.done:
        while size := window.room():
            window.add(size, now)
            free_at = max(free_at, now) + size / rate
            arrivals.append((free_at + 2 * delay, window.sent))
        if now > 1:
            worst = max(worst, window.sent - window.acknowledged)
        now, offset = arrivals.popleft()
        held.append(offset)
        if len(held) >= burst or not arrivals:
            for offset in held:
                window.credit(offset, now)
            held.clear()
    return worst, now


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("rate", [128 * KIB, 1024 * KIB, 8 * 1024 * KIB])
def test_what_is_under_way_is_a_quarter_of_a_second(rate: int, burst: int, delay: float) -> None:
    worst, _ = upload(rate, 10 * rate, delay, burst)
    seconds = max(bulk.SECONDS, 2 * delay + bulk.QUEUE)
    # A cancel waits behind what is under way. Credits that come together blur the measure a bit.
    assert worst <= max(bulk.FIRST_WINDOW, rate * seconds) * 1.5


@pytest.mark.parametrize("round_trip", [0.0, 0.02, 0.08, 0.3, 0.6])
@pytest.mark.parametrize("rate", [8 * KIB, 128 * KIB, 1024 * KIB, 25 * 1024 * KIB])
def test_a_long_round_trip_does_not_starve_a_link(rate: int, round_trip: float) -> None:
    _, seconds = upload(rate, 20 * rate, delay=round_trip / 2)
    # A window that doubles with each round trip needs so long to become as large as the link.
    doublings = max(0.0, math.log2(max(1.0, rate * round_trip / bulk.FIRST_WINDOW)))
    assert seconds <= 20 * 1.05 + (doublings + 4) * round_trip * 1.5


@pytest.mark.parametrize("round_trip", [0.08, 0.3])
def test_credits_that_are_held_back_do_not_starve_it_either(round_trip: float) -> None:
    rate = 1024 * KIB
    _, seconds = upload(rate, 20 * rate, delay=round_trip / 2, burst=3)
    assert seconds <= 20 * 2


def test_a_slow_link_is_not_flooded_while_it_is_measured() -> None:
    worst, _ = upload(8 * KIB, 80 * KIB, delay=0.02)
    assert worst <= bulk.FIRST_WINDOW


def test_a_slow_link_is_still_filled() -> None:
    rate = 128 * KIB
    _, seconds = upload(rate, 10 * rate, delay=0.02)
    assert seconds < 10 * 1.3


def test_a_fast_link_gets_a_large_window_soon() -> None:
    rate = 200 * 1024 * KIB
    _, seconds = upload(rate, rate, delay=0.001)
    assert seconds < 1.5


def test_credits_that_waited_together_are_no_fast_link() -> None:
    window = bulk.Window(10**9)
    for step in range(200):
        window.add(1024, step * 0.01)
        window.credit(window.sent, step * 0.01)
    while size := window.room():
        window.add(size, 2.0)
    for offset in range(window.acknowledged + 1024, window.sent + 1, 1024):
        window.credit(offset, 2.0)
    assert window.room() <= bulk.FIRST_WINDOW * 2


def test_parts_are_never_longer_than_a_part_and_the_whole_is_sent() -> None:
    window = bulk.Window(3 * bulk.PART + 5)
    sizes = []
    while size := window.room():
        sizes.append(size)
        window.add(size, 0.0)
        window.credit(window.sent, 1.0)
    assert sum(sizes) == 3 * bulk.PART + 5
    assert max(sizes) <= bulk.PART
    assert window.done


@pytest.mark.parametrize("offset", [-1, 0, 10, 101, 10**12])
def test_a_wrong_credit_changes_nothing(offset: int) -> None:
    window = bulk.Window(1000, start=10)
    window.add(90, 0.0)
    before = window.room()
    window.credit(offset, 1.0)
    assert (window.acknowledged, window.room()) == (10, before)


@given(st.lists(st.tuples(st.integers(0, 2**20), st.floats(0, 2)), max_size=30))
def test_no_order_of_credits_breaks_a_window(steps: list[tuple[int, float]]) -> None:
    window, now = bulk.Window(2**20), 0.0
    for offset, seconds in steps:
        now += seconds
        window.add(window.room(), now)
        window.credit(offset, now)
        assert 0 <= window.acknowledged <= window.sent <= window.total
        assert window.sent - window.acknowledged <= bulk.MAX_WINDOW
