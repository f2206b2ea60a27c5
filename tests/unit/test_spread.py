"""One stream over several channels: nothing is lost, whatever channel is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.wire import bulk, spread

TOTAL = 1000


@given(st.lists(st.tuples(st.integers(0, TOTAL), st.integers(0, 300)), max_size=40))
def test_bytes_are_new_once_whatever_order_they_come_in(pieces: list[tuple[int, int]]) -> None:
    arrivals, here = spread.Arrivals(TOTAL), set[int]()
    for offset, length in pieces:
        size = min(length, TOTAL - offset)
        fresh = {at for start, end in arrivals.add(offset, size) for at in range(start, end)}
        assert fresh == set(range(offset, offset + size)) - here
        here |= fresh
        assert arrivals.whole == next(at for at in range(TOTAL + 1) if at not in here)
    assert arrivals.done == (len(here) == TOTAL)


@pytest.mark.parametrize(
    ("offset", "size"), [(-1, 1), (0, -1), (TOTAL, 1), (0, TOTAL + 1), (2**63, 1), (10, TOTAL)]
)
def test_bytes_outside_the_stream_are_refused(offset: int, size: int) -> None:
    arrivals = spread.Arrivals(TOTAL)
    with pytest.raises(ValueError, match="of 1000"):
        arrivals.add(offset, size)
    assert arrivals.add(0, TOTAL) == [(0, TOTAL)]


def test_a_stream_in_ever_so_many_places_is_refused() -> None:
    arrivals = spread.Arrivals(10**6)
    for number in range(4096):
        arrivals.add(1 + 2 * number, 1)
    with pytest.raises(ValueError, match="too many pieces"):
        arrivals.add(10**5, 1)


@given(st.data())
def test_whatever_is_lost_is_sent_by_another(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 200_000))
    ledger, arrivals = spread.Ledger(total), spread.Arrivals(total)
    lanes = [spread.Lane(ledger) for _ in range(3)]
    taken = [0, 0, 0]
    now = 0.0
    for _ in range(3000):
        if ledger.done:
            break
        now += 0.01
        which = data.draw(st.integers(0, 2)) if now < 0.3 else 0
        lane = lanes[which]
        if which and data.draw(st.integers(0, 9)) == 0:
            lane.lose()
        for _ in range(data.draw(st.integers(0, 3)) if now < 0.3 else 4):
            piece = lane.take(now)
            if piece is not None:
                arrivals.add(*piece)
                taken[which] += piece[1]
        lane.credit(taken[which], now)
        if now > 0.3:
            for other in lanes[1:]:
                other.lose()
    assert ledger.done
    assert arrivals.done


def test_a_lane_that_stands_still_does_not_let_the_others_run_away() -> None:
    ledger = spread.Ledger(10 * spread.AHEAD)
    still, quick = spread.Lane(ledger), spread.Lane(ledger)
    assert still.take(0.0) == (0, bulk.FIRST_PART)
    now, sent = 0.0, 0
    while (piece := quick.take(now)) is not None:
        sent += piece[1]
        now += 0.001
        quick.credit(sent, now)
    assert sent <= spread.AHEAD
    still.lose()
    assert quick.take(now) == (0, bulk.FIRST_PART)


def test_a_credit_for_more_than_was_sent_is_worth_nothing() -> None:
    ledger = spread.Ledger(TOTAL)
    lane = spread.Lane(ledger)
    assert lane.take(0.0) == (0, TOTAL)
    lane.credit(TOTAL + 1, 1.0)
    lane.credit(-1, 1.0)
    assert not ledger.done
    lane.credit(TOTAL, 1.0)
    assert ledger.done
