"""Frames: what goes in comes out, however it is cut, and nothing else comes out."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.wire import frames
from jupyter_macgpu.wire.errors import RemoteProtocolError

HEAD = {"kind": "ping", "number": 1, "text": "größe"}


def raw(head: bytes, body: bytes = b"", *, checksum: int | None = None) -> bytes:
    """Return a frame around any bytes."""
    right = zlib.crc32(body, zlib.crc32(head))
    sizes = len(head), len(body), right if checksum is None else checksum
    return frames.PREFIX.pack(*sizes) + head + body


def read(data: bytes) -> list[tuple[dict[str, Any], list[bytes]]]:
    reader = frames.FrameReader()
    reader.feed(data)
    found = []
    while (frame := reader.next()) is not None:
        found.append((frame[0], [bytes(buffer) for buffer in frame[1]]))
    return found


def test_a_frame_comes_back_as_it_was() -> None:
    buffers = [b"abc", bytearray(b""), memoryview(b"defg")]
    assert read(frames.encode(HEAD, buffers)) == [(HEAD, [b"abc", b"", b"defg"])]


def test_every_cut_of_two_frames_gives_the_same_frames() -> None:
    data = frames.encode(HEAD, [b"abc"]) + frames.encode({"kind": "pong"})
    whole = read(data)
    for cut in range(len(data) + 1):
        reader = frames.FrameReader()
        found = []
        for part in (data[:cut], data[cut:]):
            reader.feed(part)
            while (frame := reader.next()) is not None:
                found.append((frame[0], [bytes(buffer) for buffer in frame[1]]))
        assert found == whole
        assert len(reader) == 0


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=5),
    st.lists(st.binary(max_size=50), max_size=5),
)
def test_any_head_and_buffers_come_back(head: dict[str, Any], buffers: list[bytes]) -> None:
    head.pop("sizes", None)
    assert read(frames.encode(head, buffers)) == [(head, buffers)]


def test_a_changed_byte_is_never_a_frame() -> None:
    data = frames.encode(HEAD, [b"abc"])
    for at in range(frames.PREFIX.size, len(data)):
        with pytest.raises(RemoteProtocolError):
            read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


DEEP = b'{"a":' * frames.MAX_DEPTH + b"1" + b"}" * frames.MAX_DEPTH
BAD_HEADS = {
    "not JSON": b"{]",
    "not an object": b"[1]",
    "not UTF-8": b'{"a":"\xff"}',
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, deeper": b'{"b":{"a":1,"a":1}}',
    "NaN": b'{"a":NaN}',
    "an infinity": b'{"a":-Infinity}',
    "a level too deep": b'{"a":' + DEEP + b"}",
    "far too deep": b'{"a":' + b"[" * 60_000 + b"]}",
    "a number of 5,000 digits": b'{"a":' + b"1" * 5000 + b"}",
    "sizes that are no list": b'{"sizes":3}',
    "sizes that do not add up": b'{"sizes":[1]}',
    "a negative size": b'{"sizes":[1,-1]}',
    "a size that is true": b'{"sizes":[true]}',
    "too many sizes": b'{"sizes":[' + b"0," * frames.MAX_BUFFERS + b"0]}",
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_bad_head_is_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read(raw(BAD_HEADS[name]))


def test_the_deepest_allowed_head_is_read() -> None:
    assert read(raw(DEEP)) == [(json.loads(DEEP), [])]


@pytest.mark.parametrize(
    "sizes",
    [(frames.MAX_HEAD + 1, 0), (2**32 - 1, 0), (2, frames.MAX_BODY + 1), (2, 2**32 - 1), (1, 5)],
)
def test_a_length_over_the_limit_is_refused_before_the_bytes_come(sizes: tuple[int, int]) -> None:
    with pytest.raises(RemoteProtocolError, match="over the limit"):
        read(frames.PREFIX.pack(*sizes, 0))


def test_a_wrong_checksum_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="checksum"):
        read(raw(b"{}", checksum=1))


@pytest.mark.parametrize(
    ("head", "buffers"),
    [
        ({"a": "x" * frames.MAX_HEAD}, []),
        ({}, [bytes(frames.MAX_BODY), b"x"]),
        ({}, [b""] * (frames.MAX_BUFFERS + 1)),
        ({"a": float("nan")}, []),
    ],
    ids=["head", "body", "buffers", "NaN"],
)
def test_we_do_not_say_what_would_be_refused(head: dict[str, Any], buffers: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"large|JSON"):
        frames.encode(head, buffers)
