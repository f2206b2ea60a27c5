"""Messages to frames and back: the head is checked field by field before it is believed."""

from __future__ import annotations

import types
import typing
from dataclasses import fields
from operator import attrgetter
from typing import Any, NamedTuple

from . import frames, messages
from .errors import RemoteProtocolError
from .messages import Buffers, Message

#: A field of `BULKY` longer than this as JSON, in bytes, travels in a buffer.
SLIM = 16 * 1024
#: The fields that may outgrow a head. (`content` is cut by its sender, see `content`.)
BULKY = frozenset({"summary", "detail", "sample", "blobs"})


class _Field(NamedTuple):
    """How to read one field: its name, the types that JSON may give it, whether it must stand."""

    name: str
    types: tuple[type, ...]
    required: bool


def encode(message: Message) -> bytes:
    """Return the frame of `message`.

    Raises
    ------
    ValueError
        If it is over a limit of `frames`.
    """
    names, values = _READ[message.kind]
    head, buffers = dict(zip(names, values(message), strict=True)), message.buffers
    text = frames.head_bytes(head, buffers)
    if len(text) > SLIM:
        head, buffers = _slim(head, buffers)
        text = frames.head_bytes(head, buffers)
    return frames.join(text, buffers)


def _slim(head: dict[str, Any], buffers: Buffers) -> tuple[dict[str, Any], Buffers]:
    """Move the one field that may be large (`BULKY`) into a buffer when it is."""
    for name in BULKY & head.keys():
        text = frames.json_bytes(head[name])
        if len(text) > SLIM:
            return {**head, name: {}, "moved": name}, (text, *buffers)
    return head, buffers


def decode(head: dict[str, Any], buffers: list[memoryview]) -> Message:
    """Return the message of one frame.

    Raises
    ------
    RemoteProtocolError
        If the kind is unknown, or a field is missing or of a wrong type.
    """
    moved = head.pop("moved", None)
    if moved is not None:
        if not isinstance(moved, str) or moved not in BULKY or not buffers:
            raise RemoteProtocolError("a field was moved that may not be")
        head[moved], buffers = frames.parse_head(bytes(buffers[0])), buffers[1:]
    kind = head.get("kind")
    cls = messages.MESSAGES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise RemoteProtocolError(f"unknown kind of message: {str(kind)[:80]!r}")
    values = {}
    for name, allowed, required in _PLANS[cls.kind]:
        if name in head:
            values[name] = value = head[name]
            if type(value) not in allowed:
                raise RemoteProtocolError(f"{kind}.{name} is a {type(value).__name__}")
        elif required:
            raise RemoteProtocolError(f"{kind} lacks {name}")
    return cls(buffers=tuple(buffers), **values)


def _plan(cls: type[Message]) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(cls)
    plans = []
    for item in fields(cls):
        if item.name == "buffers":
            continue
        hint = hints[item.name]
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        allowed = tuple(typing.get_origin(option) or option for option in options)
        required = item.default is item.default_factory  # both MISSING
        plans.append(_Field(item.name, allowed, required))
    return tuple(plans)


def _reading(plans: tuple[_Field, ...]) -> tuple[tuple[str, ...], attrgetter[Any]]:
    # The kind stands twice, which a dict does not mind: of one name no tuple would be read.
    names = ("kind", "kind", *(plan.name for plan in plans))
    return names, attrgetter(*names)


_PLANS = {kind: _plan(cls) for kind, cls in messages.MESSAGES.items()}
#: The head of each kind of message: its names, and what reads them all at once.
_READ = {kind: _reading(plans) for kind, plans in _PLANS.items()}
