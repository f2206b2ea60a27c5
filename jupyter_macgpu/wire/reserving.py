"""What is said of a place in a host's queue. Read it through `messages`, which has all messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(Message):
    """Take a place in the queue for a run that is not sent yet; answered by `Reserved`.

    So that a cell can wait on several hosts, and its inputs go to the one that grants first. The
    `Submit` of the same run takes the place or the slot over. Until then it is lost with the
    connection, and with `Release`. What would be refused of that `Submit` is refused now.

    Attributes
    ----------
    run, session, origin, options
        As in the `Submit` to come.
    """

    run: str
    session: str
    origin: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved(Message):
    """How a reservation stands: answers `Reserve`, and is sent again whenever that changes.

    Attributes
    ----------
    state
        ``waiting``; ``granted``: a slot is held for the run; ``expired``: it is no more, since
        nothing was heard of the client or the slot was not used.
    position, wait
        As in `RunState`, while it is waiting.
    """

    run: str
    state: str
    position: int | None = None
    wait: float | int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Message):
    """Give a reservation back. One that is not known, or was taken over, is no mistake."""

    run: str
