"""Two pipes and the events between them, merged into one order."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.mac.merge import PIPES, Merger, Written
from jupyter_macgpu.wire.messages import Event

NONCE = "f00d"


def mark(number: int, flag: str = "s") -> bytes:
    return f"\x1b]macgpu;{NONCE};{number};{flag}\x07".encode()


def event(number: int) -> Event:
    return Event(run="r", mark=number, what="display_data")


def plain(items: Any) -> list[Any]:
    """Return items as (pipe, bytes) and numbers, neighbours of one pipe as one."""
    found: list[Any] = []
    for item in items:
        if isinstance(item, Event):
            found.append(item.mark)
        elif found and not isinstance(found[-1], int) and found[-1][0] == item.name:
            found[-1] = (item.name, found[-1][1] + item.data)
        else:
            found.append((item.name, item.data))
    return found


def symbols(items: Any) -> list[Any]:
    """Return items byte by byte."""
    return [
        symbol
        for item in plain(items)
        for symbol in ([item] if isinstance(item, int) else [(item[0], byte) for byte in item[1]])
    ]


class Writer:
    """Writes as a worker does, and remembers in which order."""

    def __init__(self) -> None:
        self.bytes = dict.fromkeys(PIPES, b"")
        self.events: list[Event] = []
        self.order: list[Any] = []
        self._number = 0

    def mark(self, flag: str) -> None:
        self._number += 1
        for name in PIPES:
            self.bytes[name] += mark(self._number, flag)

    def write(self, name: str, data: bytes) -> None:
        last = next((item for item in reversed(self.order)), None)
        if isinstance(last, Written) and last.name != name:
            self.mark("s")
        self.bytes[name] += data
        self.order.append(Written(name, data))

    def show(self) -> None:
        self.mark("e")
        self.events.append(event(self._number))
        self.order.append(self.events[-1])


def test_without_marks_output_passes_at_once() -> None:
    merger = Merger(NONCE)
    merger.feed("stdout", b"one")
    assert plain(merger.take()) == [("stdout", b"one")]


@pytest.mark.parametrize("first", PIPES)
def test_what_stands_behind_a_mark_waits_for_the_other_pipe(first: str) -> None:
    (second,) = set(PIPES) - {first}
    merger = Merger(NONCE)
    merger.feed(first, b"a" + mark(1) + b"c")
    assert plain(merger.take()) == [(first, b"a")]
    merger.feed(second, b"b" + mark(1))
    assert plain(merger.take()) == [(second, b"b"), (first, b"c")]


def test_an_event_waits_for_its_mark_and_the_mark_for_its_event() -> None:
    merger = Merger(NONCE)
    merger.event(event(1))
    assert plain(merger.take()) == []
    for name in PIPES:
        merger.feed(name, mark(1, "e") + mark(2, "e") + b"after")
    assert plain(merger.take()) == [1]
    merger.event(event(2))
    assert plain(merger.take()) == [2, ("stdout", b"after"), ("stderr", b"after")]


def test_a_mark_may_be_cut_anywhere() -> None:
    data = b"before" + mark(1) + b"after"
    for cut in range(len(data) + 1):
        merger = Merger(NONCE)
        merger.feed("stderr", mark(1))
        found = []
        for part in (data[:cut], data[cut:]):
            merger.feed("stdout", part)
            found += list(merger.take())
        assert plain(found) == [("stdout", b"beforeafter")]


@pytest.mark.parametrize(
    "text",
    [
        b"\x1b[31mred\x1b[0m",
        b"\x1b]macgpu;other;1;e\x07",
        b"\x1b]macgpu;f00",
        b"\x1b" * 40,
        mark(1)[1:],
        b"\x1b]macgpu;f00d;one;e\x07",
        b"\x1b]macgpu;f00d;\x07",
    ],
)
def test_what_only_looks_like_a_mark_is_output(text: bytes) -> None:
    merger = Merger(NONCE)
    merger.feed("stdout", text)
    assert plain([*merger.take(), *merger.drain()]) == [("stdout", text)]


actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(PIPES), st.binary(min_size=1, max_size=8)), st.just("show")
    ),
    max_size=12,
)


@given(actions, st.randoms(use_true_random=False), st.booleans())
def test_any_interleaving_of_reads_gives_the_order_of_writing(
    script: list[Any], chance: random.Random, drained: bool
) -> None:
    writer = Writer()
    for action in script:
        if action == "show":
            writer.show()
        else:
            writer.write(*action)
    merger, found = Merger(NONCE), []
    left: dict[str, bytes] = dict(writer.bytes)
    events = list(writer.events)
    while any(left.values()) or events:
        source = chance.choice([*(name for name in PIPES if left[name]), *["event"] * bool(events)])
        if source == "event":
            merger.event(events.pop(0))
        else:
            size = chance.randint(1, len(left[source]))
            merger.feed(source, left[source][:size])
            left[source] = left[source][size:]
        if not drained:
            found += list(merger.take())
    found += list(merger.drain())
    assert plain(found) == plain(writer.order)


@given(st.integers(0, 60), st.integers(0, 60))
def test_after_a_supervisor_died_the_rest_still_passes_in_order(one: int, two: int) -> None:
    writer = Writer()
    for name, data in [("stdout", b"aaaa"), ("stderr", b"bbbb"), ("stdout", b"cccc")]:
        writer.write(name, data)
    writer.show()
    writer.write("stderr", b"dddd")
    # What the dead supervisor had read of each pipe is gone, and marks with it.
    merger = Merger(NONCE, salvage=writer.events[-1].mark)
    for name, read in zip(PIPES, (one, two), strict=True):
        whole = writer.bytes[name]
        ends = [0] + [at + 1 for at, byte in enumerate(whole) if byte == 7]
        merger.feed(name, whole[max(end for end in ends if end <= read) :])
    merger.event(writer.events[0])
    found, order = symbols(merger.take()), symbols(writer.order)
    assert found == [item for item in order if item in found]
    assert found[-5:] == [writer.events[0].mark, *[("stderr", ord("d"))] * 4]


def test_a_mark_that_a_dead_supervisor_read_half_of_is_not_shown() -> None:
    for cut in range(1, len(mark(12))):
        merger = Merger(NONCE, salvage=12)
        merger.feed("stdout", mark(12)[cut:] + b"text" + mark(13, "e"))
        merger.feed("stderr", mark(13, "e"))
        merger.event(event(13))
        assert plain(merger.take()) == [("stdout", b"text"), 13]


def test_a_worker_that_died_leaves_what_it_wrote_and_told() -> None:
    merger = Merger(NONCE)
    merger.feed("stdout", b"out" + mark(1, "e") + b"half\x1b]mac")
    merger.event(event(1))
    assert plain(merger.drain()) == [("stdout", b"out"), 1, ("stdout", b"half\x1b]mac")]


def test_an_event_whose_mark_never_came_is_not_lost() -> None:
    merger = Merger(NONCE)
    merger.event(event(3))
    assert plain(merger.drain()) == [3]


@pytest.mark.parametrize("salvage", [0, 4])
def test_a_pipe_that_waits_for_the_other_one_is_not_to_be_read(salvage: int) -> None:
    """Also after an adoption, at the first mark that the dead supervisor cannot have seen."""
    merger, first = Merger(NONCE, salvage), salvage + 1
    if salvage:
        merger.feed("stdout", mark(salvage))
        assert plain(merger.take()) == []
    assert not any(merger.waits(name) for name in PIPES)
    merger.feed("stdout", b"before" + mark(first) + b"behind")
    assert plain(merger.take()) == [("stdout", b"before")]
    assert merger.waits("stdout")
    assert not merger.waits("stderr")
    merger.feed("stderr", mark(first))
    assert plain(merger.take()) == [("stdout", b"behind")]
    assert not any(merger.waits(name) for name in PIPES)
