"""Generated frames: each gives messages or a RemoteProtocolError, and takes little memory."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_macgpu.wire import bundle, codec, frames
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import PREAMBLE, Connection
from jupyter_macgpu.wire.errors import RemoteProtocolError

FUZZ = settings(
    max_examples=2500,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
ROLES = [
    ("client", "supervisor"),
    ("supervisor", "client"),
    ("supervisor", "worker"),
    ("worker", "supervisor"),
]
RUN = "0" * 32


def frame(head: bytes, body: bytes = b"") -> bytes:
    """Return a frame with right lengths and checksum around any bytes."""
    checksum = zlib.crc32(body, zlib.crc32(head))
    return frames.PREFIX.pack(len(head), len(body), checksum) + head + body


def hear(roles: tuple[str, str], data: bytes, *, open_first: bool = True) -> int:
    """Return how many messages were heard, until the end of the bytes or a protocol error."""
    connection = Connection(*roles)
    count = 0
    with contextlib.suppress(RemoteProtocolError):
        if open_first:
            connection.receive(PREAMBLE + codec.encode(m.Hello(role=roles[1])))
        connection.receive(data)
        while (message := connection.next()) is not None:
            assert type(message) is m.MESSAGES[message.kind]
            count += 1
    return count


roles = st.sampled_from(ROLES)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**31, 2**70),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from([RUN, "in:" + RUN, "\x00", "\ud800", "../../x", "", "detail", "summary"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=3,
)
NAMES = sorted({field for cls in m.MESSAGES.values() for field in cls.__dataclass_fields__})


@FUZZ
@given(roles, st.lists(st.binary(max_size=80), max_size=6), st.booleans())
def test_any_bytes(ends: tuple[str, str], parts: list[bytes], greeted: bool) -> None:
    hear(ends, b"".join(parts), open_first=greeted)


@FUZZ
@given(
    roles,
    st.sampled_from(sorted(m.MESSAGES)),
    st.dictionaries(st.sampled_from([*NAMES, "moved", "sizes", "kind"]), values, max_size=5),
    st.lists(st.binary(max_size=30) | values.map(lambda v: json.dumps(v).encode()), max_size=3),
    st.booleans(),
)
def test_any_fields(
    ends: tuple[str, str], kind: str, fields: dict[str, Any], buffers: list[bytes], true: bool
) -> None:
    head = {"kind": kind, **fields}
    if true and buffers:
        head["sizes"] = [len(buffer) for buffer in buffers]
    hear(ends, frame(json.dumps(head).encode(), b"".join(buffers)))


VALID = [
    m.Ping(number=1),
    m.Submit(run=RUN, epoch=1, session=RUN, size=3, digest="d", buffers=(b"abc",)),
    m.Attach(run=RUN, offset=9),
    m.Part(stream="in:" + RUN, offset=0, total=5, buffers=(b"12", b"345")),
    m.RunState(run=RUN, epoch=1, state="started", offset=0),
    m.Output(run=RUN, start=0, end=4, what="stream", content={"name": "stdout"}, buffers=(b"t",)),
    m.End(run=RUN, epoch=1, state="ok", offset=0, digest="", summary={"n": "x" * 20_000}),
    m.Event(run=RUN, mark=1, what="finished", content={"status": "ok"}),
    m.Execute(run=RUN, epoch=1, options={"a": [1, 2]}),
]


@FUZZ
@given(
    roles,
    st.lists(st.sampled_from(VALID), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    st.integers(0, 10**6),
    st.binary(max_size=8),
    st.booleans(),
)
def test_any_change_of_valid_frames(
    ends: tuple[str, str],
    said: list[m.Message],
    changes: list[tuple[int, int]],
    where: int,
    inserted: bytes,
    mended: bool,
) -> None:
    data = bytearray(b"".join(codec.encode(message) for message in said))
    for at, byte in changes:
        data[at % len(data)] = byte
    cut = where % len(data)
    data[cut:cut] = inserted
    if mended:  # so that the change gets past the checksum
        sizes = frames.PREFIX.unpack_from(data)
        end = frames.PREFIX.size + sizes[0] + sizes[1]
        checksum = zlib.crc32(data[frames.PREFIX.size : end])
        frames.PREFIX.pack_into(data, 0, sizes[0], sizes[1], checksum)
    hear(ends, bytes(data))


HEADS = st.sampled_from(
    [b"[", b"{", b'{"a":', b'"', b"1", b"-", b"NaN", b"\\u0000", b",", b"]", b"}"]
)


@FUZZ
@given(
    roles, st.lists(st.tuples(HEADS, st.integers(1, 2000)), max_size=6), st.integers(0, 2**32 - 1)
)
def test_any_json_and_any_length(
    ends: tuple[str, str], pieces: list[tuple[bytes, int]], length: int
) -> None:
    text = b"".join(piece * times for piece, times in pieces)[: frames.MAX_HEAD]
    hear(ends, frame(text))
    hear(ends, frames.PREFIX.pack(length, length ^ 0xFFFF, 0) + text)


HOSTILE = {
    "lengths that promise four gigabytes": frames.PREFIX.pack(2**32 - 1, 2**32 - 1, 0),
    "a body that never comes": frames.PREFIX.pack(2, frames.MAX_BODY, 0) + b"{}" + bytes(10**6),
    "the largest head": frame(b'{"a":[' + b"[]," * 21_000 + b"1]}"),
    "the deepest head": frame(b"[" * frames.MAX_HEAD),
    "the longest key": frame(b'{"' + b"k" * 65_000 + b'":1}'),
    "the most buffers": frame(b'{"kind":"part","sizes":[' + b"0," * 1023 + b"0]}"),
    "noise without end": b"noise\n" * 100_000,
    "a hundred thousand small frames": frame(b'{"kind":"ping","number":1}') * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_take_little_memory(name: str) -> None:
    data = HOSTILE[name]
    tracemalloc.start()
    try:
        hear(ROLES[1], data, open_first=name != "noise without end")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(data) + 8 * 1024 * 1024


def test_a_stream_of_frames_does_not_grow() -> None:
    connection = Connection("supervisor", "client")
    connection.receive(PREAMBLE + codec.encode(m.Hello(role="client")))
    part = codec.encode(m.Part(stream="in:" + RUN, offset=0, total=1, buffers=(bytes(100_000),)))
    tracemalloc.start()
    try:
        for _ in range(300):
            connection.receive(part)
            while connection.next() is not None:
                continue
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(part)


@settings(FUZZ, max_examples=500)
@given(st.binary(max_size=200), st.integers(0, 40))
def test_any_bundle(data: bytes, count: int) -> None:
    table = b"macgpu\x00\x01" + count.to_bytes(8, "big") + data
    for whole in (data, table):
        try:
            parts = bundle.unpack(memoryview(whole))
        except RemoteProtocolError:
            continue
        assert sum(part.nbytes for part in parts) <= len(whole)
