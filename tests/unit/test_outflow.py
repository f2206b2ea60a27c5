"""What a kernel may show: never more in three seconds than Jupyter's server lets through."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.outflow import (
    BYTES,
    BYTES_AT_ONCE,
    MESSAGES,
    MESSAGES_AT_ONCE,
    Allowance,
    Outflow,
)

#: jupyter_server's defaults: seconds, bytes and messages a second.
WINDOW, MOST_BYTES, MOST_MESSAGES = 3.0, 1_000_000, 1_000

taken = st.lists(
    st.tuples(st.floats(0, 5, allow_nan=False), st.integers(0, 40_000)), min_size=1, max_size=200
)


@given(taken)
def test_no_window_of_three_seconds_has_too_much(taken: list[tuple[float, int]]) -> None:
    allowance, now, went = Allowance(BYTES, BYTES_AT_ONCE, 0.0), 0.0, []
    for pause, amount in taken:
        now += pause
        now += allowance.take(amount, now)
        went.append((now, amount))
    for start, _ in went:
        within = sum(amount for at, amount in went if start <= at <= start + WINDOW)
        assert within <= 0.81 * MOST_BYTES * WINDOW


def test_what_goes_after_a_pause_and_evenly_is_under_the_servers_limits() -> None:
    assert BYTES_AT_ONCE + WINDOW * BYTES <= 0.8 * WINDOW * MOST_BYTES
    assert MESSAGES_AT_ONCE + WINDOW * MESSAGES <= 0.8 * WINDOW * MOST_MESSAGES


def test_nothing_waits_that_is_slow_enough() -> None:
    allowance = Allowance(8.0, 5.0, 0.0)
    assert [allowance.take(1.0, now / 8) for now in range(100)] == [0.0] * 100
    assert [allowance.take(1.0, 99 / 8) for _ in range(4)] == [0.0] * 4
    assert allowance.take(1.0, 99 / 8) == 1 / 8


@given(st.text(max_size=50), st.integers(0, 2_000))
def test_pieces_are_the_text(text: str, times: int) -> None:
    assert "".join(Outflow().pieces(text * times)) == text * times


def test_surrogates_are_passed_on() -> None:
    assert list(Outflow().pieces("\ud800")) == ["\ud800"]
