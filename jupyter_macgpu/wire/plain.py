"""Text of a host as our own lines show it: no character that a terminal or a browser obeys."""

from __future__ import annotations

import re
from typing import Any

#: Escape sequences as a whole, so that what stands in them goes too: OSC and its like up to
#: their end, CSI, and escapes of one or two characters. Each ends by itself, also in mid-text.
_SEQUENCE = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
#: C0 but tab and newline, DEL, C1, and what turns the direction of text or cannot be seen.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    r"\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Return a text without control characters; tabs and newlines stay."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


def plain_line(text: str) -> str:
    """Return a text without control characters, in one line."""
    return " ".join(plain(text).split())


def plain_values(value: Any) -> Any:
    """Return what JSON can hold with every text in it on one line, keys included."""
    if isinstance(value, str):
        return plain_line(value)
    if isinstance(value, dict):
        return {plain_line(str(key)): plain_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_values(item) for item in value]
    return value
