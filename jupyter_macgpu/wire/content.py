"""Content that is too long for a frame's head: JSON in buffers, cut into pieces.

A frame's head is short and its body has a limit, but what a cell displays has none. Long content
travels as one or more records of kind `PIECE`, which hold nothing but bytes, and then the record
itself with its last bytes. Each piece is an ordinary record: it is kept, sent and acknowledged like
any other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .errors import RemoteProtocolError

if TYPE_CHECKING:
    from .messages import Buffers

#: Content whose JSON is at most this long travels in the head.
IN_HEAD = 32 * 1024
#: Bytes of one piece.
LONGEST = 4 * 1024 * 1024
#: What a record is that holds a part of the next record's content.
PIECE = "piece"
#: The content of a record that has its own in buffers.
IN_BUFFERS = {"in_buffers": True}


def cut(text: str) -> list[bytes]:
    """Return the pieces of a content's JSON (ASCII); none if it may stand in the head."""
    if len(text) <= IN_HEAD:
        return []
    data = text.encode()
    return [data[at : at + LONGEST] for at in range(0, len(data), LONGEST)]


class Joiner:
    """Puts the content of one run's records together again, record by record, in order."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def take(self, what: str, content: dict[str, Any], buffers: Buffers) -> dict[str, Any] | None:
        """Return a record's content, or None if it is a piece of a later one.

        Raises
        ------
        RemoteProtocolError
            If the pieces are not a JSON object.
        """
        if what != PIECE and not content.get("in_buffers"):
            return content
        self._pieces += [bytes(buffer) for buffer in buffers]
        if what == PIECE:
            return None
        data, self._pieces = b"".join(self._pieces), []
        try:
            whole = json.loads(data)
        except (ValueError, RecursionError):
            whole = None
        if not isinstance(whole, dict):
            raise RemoteProtocolError("a record's content is not JSON")
        return whole
