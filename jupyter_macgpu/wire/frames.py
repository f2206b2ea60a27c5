"""Frames: one message's bytes on a channel, with limits that hold before memory is taken.

A frame is three big-endian 32-bit numbers (length of the head, length of the body, CRC-32 of both),
the head (UTF-8 JSON) and the body (raw buffers, one after the other). The head says what the
message is and how long each buffer is; it can be read and logged without running anything.

Rule 1: no length is believed before it is checked, so a hostile peer cannot make us allocate.
Rule 2: a frame is whole or it is nothing: a wrong checksum ends the connection, and the
connection is taken up again at the last good offset.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

from .errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = struct.Struct("!III")
#: Longest head. Whatever may grow with the user's data travels in buffers.
MAX_HEAD = 64 * 1024
#: Longest body. Bulk goes in parts far below it (`bulk.PART`); it is the largest single
#: display (a figure, an HTML page) that is shown, above Jupyter's 10 MiB for one message.
MAX_BODY = 32 * 1024 * 1024
#: Deepest nesting of a head.
MAX_DEPTH = 32
#: Most buffers in one frame.
MAX_BUFFERS = 1024


def json_bytes(value: dict[str, Any]) -> bytes:
    """Return a JSON object as the shortest bytes; NaN and infinities are a ValueError."""
    return _ENCODER.encode(value).encode()


def encode(head: dict[str, Any], buffers: Sequence[bytes | bytearray | memoryview] = ()) -> bytes:
    """Return the bytes of one frame.

    Parameters
    ----------
    head
        JSON-able description; ``sizes`` is added to it when there are buffers.
    buffers
        Raw bytes; together at most `MAX_BODY`.

    Raises
    ------
    ValueError
        If a limit is passed. This is a bug on our side: callers split before they encode.
    """
    return join(head_bytes(head, buffers), buffers)


def head_bytes(
    head: dict[str, Any], buffers: Sequence[bytes | bytearray | memoryview] = ()
) -> bytes:
    """Return a frame's head as JSON, which names the buffers' sizes too."""
    if buffers:
        head = {**head, "sizes": [nbytes(buffer) for buffer in buffers]}
    return json_bytes(head)


def join(text: bytes, buffers: Sequence[bytes | bytearray | memoryview] = ()) -> bytes:
    """Return the frame of a head, as `head_bytes` made it, and its buffers.

    Raises
    ------
    ValueError
        As `encode`.
    """
    body = b"".join(buffers)
    if len(text) > MAX_HEAD or len(body) > MAX_BODY or len(buffers) > MAX_BUFFERS:
        raise ValueError(f"frame too large: head {len(text)}, body {len(body)} bytes")
    return PREFIX.pack(len(text), len(body), zlib.crc32(body, zlib.crc32(text))) + text + body


class FrameReader:
    """Cuts bytes, however they arrive, into frames.

    Not shared between threads.
    """

    def __init__(self) -> None:
        #: The bytes of the frame that `next` just returned, as they came.
        self.last = b""
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes as they were read."""
        self._data += data

    def next(self) -> tuple[dict[str, Any], list[memoryview]] | None:
        """Return the next whole frame as (head, buffers), or None if bytes are missing.

        Raises
        ------
        RemoteProtocolError
            If a limit is passed, the checksum is wrong, or the head is not what it must be.
        """
        self.last = b""
        if len(self._data) < PREFIX.size:
            return None
        head_size, body_size, checksum = PREFIX.unpack_from(self._data)
        if not 2 <= head_size <= MAX_HEAD or body_size > MAX_BODY:
            raise RemoteProtocolError(f"frame of {head_size} + {body_size} bytes is over the limit")
        end = PREFIX.size + head_size + body_size
        if len(self._data) < end:
            return None
        self.last = bytes(memoryview(self._data)[:end])
        del self._data[:end]
        whole = memoryview(self.last)[PREFIX.size :]
        if zlib.crc32(whole) != checksum:
            raise RemoteProtocolError("a frame's checksum is wrong")
        head = parse_head(bytes(whole[:head_size]))
        return head, _cut(whole[head_size:], head.pop("sizes", []))


def parse_head(text: bytes) -> dict[str, Any]:
    """Return the JSON object in `text`.

    Raises
    ------
    RemoteProtocolError
        If it is not strict JSON (duplicate keys, NaN and bad UTF-8 included), not an
        object, or nested deeper than `MAX_DEPTH`.
    """
    try:
        whole = text.decode()
        # Nothing may stand before or behind the object, blanks included.
        head, end = _DECODER.raw_decode(whole)
        if end != len(whole):
            raise ValueError("more than one value")
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"a frame's head is not JSON: {type(error).__name__}") from None
    if not isinstance(head, dict):
        raise RemoteProtocolError("a frame's head is not an object")
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH:
        _check_depth(head)
    return head


def _cut(body: memoryview, sizes: Any) -> list[memoryview]:
    if not isinstance(sizes, list) or len(sizes) > MAX_BUFFERS:
        raise RemoteProtocolError("a frame's buffer sizes are not a short list")
    if any(type(size) is not int or size < 0 for size in sizes) or sum(sizes) != len(body):
        raise RemoteProtocolError("a frame's buffer sizes do not add up")
    buffers, start = [], 0
    for size in sizes:
        buffers.append(body[start : start + size])
        start += size
    return buffers


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise RemoteProtocolError("a frame's head is nested too deeply")
        containers = [item for item in level if isinstance(item, (dict, list))]
        level = [
            child
            for item in containers
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]


def nbytes(buffer: bytes | bytearray | memoryview) -> int:
    """Return the length of a buffer in bytes, whatever its items are."""
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)


# Made once: `json.dumps` and `json.loads` make a new one for each call that is not plain.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
