"""Content that is too long for a frame's head: JSON in buffers, cut into pieces.

A frame's head is short and its body has a limit, but what a cell displays has none. Long content
travels as one or more records of kind `PIECE`, which hold nothing but bytes, and then the record
itself with its last bytes. Each piece is an ordinary record: it is kept, sent and acknowledged like
any other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import RemoteProtocolError
from .frames import MAX_DEPTH, nbytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .messages import Buffers

#: Content whose JSON is at most this long travels in the head.
IN_HEAD = 32 * 1024
#: Bytes of one piece.
LONGEST = 4 * 1024 * 1024
#: What a record is that holds a part of the next record's content.
PIECE = "piece"
#: The content of a record that has its own in buffers.
IN_BUFFERS = {"in_buffers": True}


#: Levels that the frame's head has around a content.
_AROUND = 2
#: Buffers of a record that travel as they are; more of them travel as one.
_BUFFERS = 256


class Cut(NamedTuple):
    """A record as it travels: what goes before it, its own content, and its buffers.

    A content of None is the text itself.
    """

    pieces: list[bytes]
    content: dict[str, Any] | None
    buffers: Buffers


def cut(text: str, buffers: Buffers = ()) -> Cut:
    """Return how a record travels whose content is `text`, JSON in ASCII."""
    size = sum(map(nbytes, buffers))
    if not (_long(text) or size > LONGEST or len(buffers) > _BUFFERS):
        return Cut([], None, buffers)
    content: dict[str, Any] = dict(IN_BUFFERS)
    data = text.encode()
    if buffers:
        content["sizes"] = [len(data), *map(nbytes, buffers)]
        data = b"".join([data, *buffers])
    pieces = [data[at : at + LONGEST] for at in range(0, len(data), LONGEST)]
    return Cut(pieces[:-1], content, (pieces[-1],))


def _long(text: str) -> bool:
    """Say whether a frame's head would be too long or too deep with this content in it."""
    if len(text) > IN_HEAD:
        return True
    deepest = MAX_DEPTH - _AROUND
    return text.count("{") + text.count("[") > deepest and _depth(json.loads(text)) > deepest


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


class Joiner:
    """Puts the content of one run's records together again, record by record, in order.

    Attributes
    ----------
    buffers
        The buffers of the record whose content `take` returned last.
    """

    def __init__(self) -> None:
        self.buffers: Buffers = ()
        self._pieces: list[bytes] = []

    def take(self, what: str, content: dict[str, Any], buffers: Buffers) -> dict[str, Any] | None:
        """Return a record's content, or None if it is a piece of a later one.

        Raises
        ------
        RemoteProtocolError
            If the pieces are not a JSON object.
        """
        self.buffers = buffers
        if what != PIECE and not content.get("in_buffers"):
            return content
        self._pieces += [bytes(buffer) for buffer in buffers]
        if what == PIECE:
            return None
        data, self._pieces = b"".join(self._pieces), []
        sizes = content.get("sizes") or [len(data)]
        parts = list(_parts(memoryview(data), sizes))
        self.buffers = tuple(parts[1:])
        try:
            whole = json.loads(bytes(parts[0]))
        except (ValueError, RecursionError):
            whole = None
        if not isinstance(whole, dict):
            raise RemoteProtocolError("a record's content is not JSON")
        return whole


def _parts(data: memoryview, sizes: Any) -> Iterator[memoryview]:
    if not isinstance(sizes, list) or any(type(size) is not int or size < 0 for size in sizes):
        raise RemoteProtocolError("a record's parts have no sizes")
    if sum(sizes) != len(data):
        raise RemoteProtocolError("the sizes of a record's parts do not add up")
    start = 0
    for size in sizes:
        yield data[start : start + size]
        start += size
