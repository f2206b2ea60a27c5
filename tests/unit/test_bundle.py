"""Bundles: parts in, the same parts out, each where an array can be used in place."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.wire import bundle
from jupyter_macgpu.wire.errors import RemoteProtocolError

PARTS = [b"cell", b"", bytearray(64), memoryview(b"x" * 65)]
WHOLE = b"".join(bundle.pack(PARTS))


@given(st.lists(st.binary(max_size=200), max_size=6), st.integers(1, 100))
def test_parts_come_back_through_cuts_of_any_length(parts: list[bytes], longest: int) -> None:
    pieces = bundle.pack(parts)
    whole = b"".join(pieces)
    assert [bytes(part) for part in bundle.unpack(memoryview(whole))] == parts
    assert bundle.size_of(pieces) == len(whole)
    assert bundle.digest_of(pieces) == hashlib.sha256(whole).hexdigest()
    cutter = bundle.Pieces(pieces)
    assert cutter.size == len(whole)
    cut = [
        b"".join(cutter.cut(at, min(longest, len(whole) - at)))
        for at in range(0, len(whole), longest)
    ]
    assert b"".join(cut) == whole
    assert all(0 < len(part) <= longest for part in cut)


def test_cuts_begin_and_end_anywhere() -> None:
    cutter = bundle.Pieces(bundle.pack(PARTS))
    for start in range(len(WHOLE)):
        for size in (0, 1, 50, len(WHOLE) - start):
            end = min(start + size, len(WHOLE))
            assert b"".join(cutter.cut(start, end - start)) == WHOLE[start:end]


def test_a_large_piece_is_not_copied_and_many_small_ones_are_one() -> None:
    large = bytes(1000)
    (view,) = bundle.Pieces([memoryview(large)]).cut(10, 500)
    assert isinstance(view, memoryview)
    assert view.obj is large
    small = bundle.Pieces([memoryview(b"x")] * 5000)
    assert small.cut(0, 5000) == (b"x" * 5000,)


def test_every_part_is_aligned() -> None:
    marked = [b"\x01" * 5, b"\x02" * 64, b"\x03" * 100]
    whole = b"".join(bundle.pack(marked))
    for part in marked:
        assert whole.index(part) % bundle.ALIGN == 0


def test_parts_of_writable_bytes_are_writable_and_not_copies() -> None:
    whole = bytearray(WHOLE)
    bundle.unpack(memoryview(whole))[0][:] = b"CELL"
    assert b"CELL" in whole


def test_wider_items_count_as_bytes() -> None:
    part = memoryview(struct.pack("3d", 1.0, 2.0, 3.0)).cast("d")
    assert bundle.unpack(memoryview(b"".join(bundle.pack([part]))))[0].nbytes == 24


def test_a_cut_bundle_is_refused_wherever_it_is_cut() -> None:
    padding = -65 % bundle.ALIGN  # behind the last part nothing is missed
    for length in range(len(WHOLE) - padding):
        with pytest.raises(RemoteProtocolError):
            bundle.unpack(memoryview(WHOLE[:length]))


@pytest.mark.parametrize(
    "data",
    [
        b"macgpu\x00\x02" + bytes(8),
        b"macgpu\x00\x01" + b"\xff" * 8,
        b"macgpu\x00\x01" + struct.pack("!QQ", 1, 2**64 - 1) + bytes(200),
        b"macgpu\x00\x01" + struct.pack("!QQQ", 2, 2**63, 2**63) + bytes(200),
    ],
    ids=["another version", "endless table", "endless part", "sizes that overflow"],
)
def test_a_lying_table_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        bundle.unpack(memoryview(data))
