"""Messages: every kind comes back as it was, and wrong fields are named."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any

import pytest

from jupyter_macgpu.wire import codec, frames
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.content import IN_BUFFERS, IN_HEAD, LONGEST, PIECE, Joiner, cut
from jupyter_macgpu.wire.errors import RemoteProtocolError

SAMPLES: dict[Any, Any] = {
    str: "text",
    int: 7,
    list: ["a"],
    dict: {"a": [1, {"b": None}]},
    types.UnionType: 1.5,
}


def sample(cls: type[m.Message]) -> m.Message:
    """Return a message of a kind with every field set."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name != "buffers":
            hint = hints[field.name]
            plain = next(iter(typing.get_args(hint)), hint) if hint == (int | None) else hint
            values[field.name] = (
                True if plain is bool else SAMPLES[typing.get_origin(plain) or plain]
            )
    return cls(buffers=(b"one", b""), **values)


def travel(message: m.Message) -> m.Message:
    reader = frames.FrameReader()
    reader.feed(codec.encode(message))
    frame = reader.next()
    assert frame is not None
    arrived = codec.decode(*frame)
    return dataclasses.replace(arrived, buffers=tuple(bytes(b) for b in arrived.buffers))


@pytest.mark.parametrize("kind", m.MESSAGES)
def test_every_kind_comes_back_as_it_was(kind: str) -> None:
    message = sample(m.MESSAGES[kind])
    assert travel(message) == message


def test_a_large_summary_travels_in_a_buffer() -> None:
    summary = {"names": {f"name_{number}": "x" * 100 for number in range(2000)}}
    end = m.End(run="r", epoch=1, state="ok", offset=0, digest="", summary=summary, buffers=(b"r",))
    assert travel(end) == end


def test_a_large_sample_travels_in_a_buffer() -> None:
    sample = m.Telemetry(sample={"telemetry": {"clients": ["x" * 200] * 1000}})
    assert travel(sample) == sample


@pytest.mark.parametrize("every", [0, 15, 0.5])
def test_seconds_may_be_whole(every: float) -> None:
    assert travel(m.Watch(every=every)) == m.Watch(every=every)


def test_unknown_fields_are_ignored_and_defaults_filled_in() -> None:
    head = {"kind": "attach", "run": "r", "of_a_later_version": 1}
    assert codec.decode(head, []) == m.Attach(run="r", offset=0, watch=False)


WRONG = {
    "no kind": {},
    "an unknown kind": {"kind": "pong-pong"},
    "a kind that is no text": {"kind": ["ping"]},
    "a field that lacks": {"kind": "ping"},
    "a text for a number": {"kind": "ping", "number": "1"},
    "a truth for a number": {"kind": "ping", "number": True},
    "a fraction for a number": {"kind": "ping", "number": 1.5},
    "null for a number": {"kind": "ping", "number": None},
    "a text for seconds": {"kind": "watch", "every": "15"},
    "a truth for seconds": {"kind": "watch", "every": True},
    "a number for a truth": {"kind": "attach", "run": "r", "watch": 1},
    "a list for an object": {"kind": "hello", "role": "client", "detail": []},
    "an object for a list": {"kind": "hello", "role": "client", "capabilities": {}},
    "a field that may not move": {"kind": "goodbye", "moved": "reason"},
    "a moved field without its buffer": {"kind": "hello", "role": "client", "moved": "detail"},
    "a moved list": {"kind": "hello", "role": "client", "moved": ["detail"]},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_message_is_refused(name: str) -> None:
    buffers = [memoryview(b"{}")] if name == "a field that may not move" else []
    with pytest.raises(RemoteProtocolError):
        codec.decode(dict(WRONG[name]), buffers)


@pytest.mark.parametrize("text", [b"[]", b"{", b'{"a":NaN}', b"\xff"])
def test_a_moved_field_is_checked_like_a_head(text: bytes) -> None:
    head = {"kind": "hello", "role": "client", "moved": "detail"}
    with pytest.raises(RemoteProtocolError):
        codec.decode(head, [memoryview(text)])


@pytest.mark.parametrize("length", [0, 10, IN_HEAD, IN_HEAD + 1, LONGEST + 1])
def test_content_of_any_length_is_put_together_again(length: int) -> None:
    text = '{"a":"' + "x" * length + '"}'
    joiner = Joiner()
    pieces, content, last = cut(text)
    if content is None:
        assert (pieces, last) == ([], ())
        assert joiner.take("display_data", {"a": "x" * length}, ()) == {"a": "x" * length}
        return
    for piece in pieces:
        assert joiner.take(PIECE, {}, (piece,)) is None
    assert content == IN_BUFFERS
    assert joiner.take("display_data", content, last) == {"a": "x" * length}
    assert joiner.take("stream", {"name": "stdout"}, (b"text",)) == {"name": "stdout"}


BUFFERS = {
    "none": (),
    "small": (b"", b"abc", memoryview(b"de")),
    "large": (bytes(LONGEST), b"x", bytes(LONGEST)),
    "many": tuple(bytes([n % 256]) for n in range(2000)),
}


@pytest.mark.parametrize("name", BUFFERS)
@pytest.mark.parametrize("length", [10, IN_HEAD + 1])
def test_buffers_come_with_their_content_whatever_their_size(name: str, length: int) -> None:
    said = {"a": "x" * length}
    joiner = Joiner()
    pieces, content, last = cut(json.dumps(said), BUFFERS[name])
    for piece in pieces:
        record = m.Event(run="r", mark=1, what=PIECE, buffers=(piece,))
        assert isinstance(travel(record), m.Event)
        assert joiner.take(PIECE, {}, (piece,)) is None
    record = m.Event(run="r", mark=1, what="comm", content=content or said, buffers=last)
    got = travel(record)
    assert isinstance(got, m.Event)
    assert joiner.take("comm", got.content, got.buffers) == said
    assert [bytes(b) for b in joiner.buffers] == [bytes(b) for b in BUFFERS[name]]


@pytest.mark.parametrize("depth", [5, 28, 29, 30, 31, 32, 33, 200])
def test_content_of_any_depth_is_put_together_again(depth: int) -> None:
    said: dict[str, Any] = {}
    for _ in range(depth - 1):
        said = {"a": said}
    pieces, content, last = cut(json.dumps(said))
    got = travel(
        m.Output(run="r", start=0, end=1, what="comm", content=content or said, buffers=last)
    )
    assert isinstance(got, m.Output)
    assert pieces == []
    assert Joiner().take("comm", got.content, got.buffers) == said


@pytest.mark.parametrize("sizes", [[3], [1, 2], [-1, 3], ["2"], 2, [0, 2]])
def test_sizes_that_are_not_those_of_the_parts_are_refused(sizes: object) -> None:
    with pytest.raises(RemoteProtocolError):
        Joiner().take("comm", {"in_buffers": True, "sizes": sizes}, (b"{}",))


@pytest.mark.parametrize("data", [b"", b"[1]", b"{"])
def test_content_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Joiner().take("display_data", IN_BUFFERS, (data,))
