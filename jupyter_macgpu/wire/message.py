"""What every message has: a name, and buffers behind its head."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

Buffers = tuple[bytes | bytearray | memoryview, ...]
#: Every message by its kind.
MESSAGES: dict[str, type[Message]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Base of all messages. `buffers` is what travels behind the head."""

    kind: ClassVar[str] = ""
    buffers: Buffers = ()

    def __init_subclass__(cls) -> None:
        """Name the message after its class: `RunState` is ``run-state``."""
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        MESSAGES[cls.kind] = cls
