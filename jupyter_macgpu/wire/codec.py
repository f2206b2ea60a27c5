"""Messages to frames and back: the head is checked field by field before it is believed."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, fields
from typing import Any

from . import frames, messages
from .errors import RemoteProtocolError
from .messages import Buffers, Message

#: A field of `BULKY` longer than this as JSON, in bytes, travels in a buffer.
SLIM = 16 * 1024
#: Fewer entries or characters than this are never too long.
FEW = 64
#: The fields that may outgrow a head. (`content` is cut by its sender, see `content`.)
BULKY = frozenset({"summary", "detail"})


@dataclass(frozen=True, slots=True)
class _Field:
    """How to read one field: its name, the types that JSON may give it, whether it may lack."""

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
    kind = message.kind
    head = {
        "kind": kind,
        **{plan.name: getattr(message, plan.name) for plan in _PLANS[kind]},
    }
    return frames.encode(*_slim(head, message.buffers))


def _slim(head: dict[str, Any], buffers: Buffers) -> tuple[dict[str, Any], Buffers]:
    """Move the one field that may be large (`BULKY`) into a buffer when it is."""
    for name in BULKY & head.keys():
        if len(head[name]) > FEW or any(_long(value) for value in head[name].values()):
            text = frames.json_bytes(head[name])
            if len(text) > SLIM:
                return {**head, name: {}, "moved": name}, (text, *buffers)
    return head, buffers


def _long(value: object) -> bool:
    return isinstance(value, (dict, list, str)) and len(value) > FEW


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
    for plan in _PLANS[cls.kind]:
        if plan.name in head:
            value = head[plan.name]
            if type(value) not in plan.types:
                raise RemoteProtocolError(f"{kind}.{plan.name} is a {type(value).__name__}")
            values[plan.name] = value
        elif plan.required:
            raise RemoteProtocolError(f"{kind} lacks {plan.name}")
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


_PLANS = {kind: _plan(cls) for kind, cls in messages.MESSAGES.items()}
