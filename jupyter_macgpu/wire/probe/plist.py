"""Apple's XML property lists, also where the end or the beginning is missing.

The standard library's reader wants a whole document. What reaches us may be cut anywhere, so
that tags are taken one by one and what is open at the end counts. Entities are never defined,
nothing is fetched.
"""

from __future__ import annotations

import base64
import binascii
import html
import re

from .scan import number, whole

_TAG = re.compile(r"<(/?)(plist|dict|array|key|string|integer|real|true|false|data|date)\s*(/?)>")
_DEEPEST = 64


def is_plist(text: str) -> bool:
    """Return whether `text` looks like a property list."""
    return "<plist" in text or "<key>" in text


def roots(text: str) -> list[object]:
    """Return the values that stand outside of every other."""
    reader = _Reader()
    at = 0
    for tag in _TAG.finditer(text):
        reader.take(
            tag[2], closing=bool(tag[1]), empty=bool(tag[3]), between=text[at : tag.start()]
        )
        at = tag.end()
    return reader.roots


class _Reader:
    """What is open while tags go by."""

    def __init__(self) -> None:
        self.roots: list[object] = []
        self._open: list[dict[str, object] | list[object]] = []
        self._keys: list[str | None] = []

    def take(self, name: str, *, closing: bool, empty: bool, between: str) -> None:
        if name in ("dict", "array"):
            self._container(name, closing=closing, empty=empty)
        elif name in ("true", "false"):
            self._add(name == "true")
        elif closing and name == "key":
            if self._keys:
                self._keys[-1] = html.unescape(between)
        elif closing or empty:
            self._add(_scalar(name, "" if empty else between))

    def _container(self, name: str, *, closing: bool, empty: bool) -> None:
        if closing:
            if self._open:
                self._open.pop()
                self._keys.pop()
            return
        value: dict[str, object] | list[object] = {} if name == "dict" else []
        self._add(value)
        if not empty and len(self._open) < _DEEPEST:
            self._open.append(value)
            self._keys.append(None)

    def _add(self, value: object) -> None:
        if not self._open:
            self.roots.append(value)
            return
        holder, key = self._open[-1], self._keys[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif key is not None:
            holder[key] = value
            self._keys[-1] = None


def _scalar(name: str, text: str) -> object:
    if name == "integer":
        return whole(text)
    if name == "real":
        return number(text)
    if name == "data":
        try:
            return base64.b64decode("".join(text.split()))
        except (binascii.Error, ValueError):
            return None
    return html.unescape(text) if name == "string" else None
