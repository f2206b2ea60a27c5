"""A bundle: several buffers as one run of bytes, which may be a file.

The inputs of a run and its result travel and rest as one bundle: a table of 64-bit sizes, then
each part at a multiple of 64 bytes, so that an array can be used where it lies in a memory map.
Nothing is joined or copied to make one.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from bisect import bisect_right
from typing import TYPE_CHECKING

from .errors import RemoteProtocolError
from .frames import nbytes

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Parts start at multiples of this many bytes: a cache line, and more than any dtype needs.
ALIGN = 64
#: Views that one message may have; each has its length in the head.
_FEW = 64
_MAGIC = b"macgpu\x00\x01"
_COUNT = struct.Struct("!8sQ")


def pack(parts: Sequence[bytes | bytearray | memoryview]) -> list[memoryview]:
    """Return the pieces that, written one after the other, are the bundle of `parts`."""
    views = [memoryview(part).cast("B") if nbytes(part) else memoryview(b"") for part in parts]
    table = _COUNT.pack(_MAGIC, len(views)) + b"".join(
        view.nbytes.to_bytes(8, "big") for view in views
    )
    pieces = [memoryview(table + _padding(len(table)))]
    for view in views:
        pieces += [view, memoryview(_padding(view.nbytes))]
    return [piece for piece in pieces if piece.nbytes]


def unpack(data: memoryview) -> list[memoryview]:
    """Return the parts of a bundle as views into `data`.

    Raises
    ------
    RemoteProtocolError
        If the table does not fit the bytes.
    """
    if data.nbytes < _COUNT.size or data[:8] != _MAGIC:
        raise RemoteProtocolError("not a bundle")
    count = _COUNT.unpack_from(data)[1]
    start = _COUNT.size + 8 * count
    if start > data.nbytes:
        raise RemoteProtocolError("a bundle's table is cut")
    sizes = struct.unpack_from(f"!{count}Q", data, _COUNT.size)
    parts, start = [], start + len(_padding(start))
    for size in sizes:
        if start + size > data.nbytes:
            raise RemoteProtocolError("a bundle's part is cut")
        parts.append(data[start : start + size])
        start += size + len(_padding(size))
    return parts


def size_of(pieces: Sequence[memoryview]) -> int:
    """Return the length in bytes of the bundle that `pieces` make."""
    return sum(piece.nbytes for piece in pieces)


def digest_of(pieces: Sequence[bytes | bytearray | memoryview]) -> str:
    """Return the SHA-256 of the bundle that `pieces` make, in hex."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


class Pieces:
    """A bundle's pieces, of which any run of bytes can be had as views."""

    def __init__(self, pieces: Sequence[memoryview]) -> None:
        self._pieces = [piece for piece in pieces if piece.nbytes]
        self._starts = [0, *itertools.accumulate(piece.nbytes for piece in self._pieces)]
        self.size = self._starts.pop()

    def cut(self, offset: int, size: int) -> tuple[bytes | memoryview, ...]:
        """Return the `size` bytes from `offset` on, as views; many small ones as one copy."""
        views: list[memoryview] = []
        at = bisect_right(self._starts, offset) - 1
        while size > 0:
            start = offset - self._starts[at]
            views.append(self._pieces[at][start : start + size])
            offset, size, at = offset + views[-1].nbytes, size - views[-1].nbytes, at + 1
        return tuple(views) if len(views) <= _FEW else (b"".join(views),)


def _padding(size: int) -> bytes:
    return bytes(-size % ALIGN)
