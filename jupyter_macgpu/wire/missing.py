"""What a host says of blobs that it does not hold. Read it through `messages`, which has all."""

from __future__ import annotations

from dataclasses import dataclass, field

from .message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(Message):
    """Of a run's blobs these are not held here: they are to be sent on `stream`, in this order."""

    run: str
    stream: str
    digests: list[str] = field(default_factory=list)
