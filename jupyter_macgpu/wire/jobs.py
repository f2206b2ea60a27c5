"""What is said of runs that nobody waits for. Read it through `messages`, which has all messages.

A run that is moved from one host to another is handed in there first, with the option ``parked``:
it is on that host's disk, and does not begin. Then the host that had it is asked to withdraw it,
and only its `Withdrawn` lets the other one `Proceed`. So it is on one host or the other whoever
dies in between, and begins on one of them at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .message import Message

#: Why a run waits whose time is still to come, as `RunState` and lists of runs say it.
NOT_YET = "its time has not come"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach(Message):
    """Let a run go on with nobody waiting for it: whoever drives it is told to let go."""

    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(Message):
    """Take back a run of which nothing has started; refused otherwise.

    Attributes
    ----------
    to
        Where it goes instead: ``host`` and ``run``, the id that it has there. Said again with
        the same, it is answered again.
    """

    run: str
    to: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn(Message):
    """Answers `Withdraw`: the run is over here and never began."""

    run: str
    to: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prioritise(Message):
    """Give a run that waits another priority, as `order.Place` has it; answered by `RunState`.

    It keeps the time since which it waits. Refused once it has its slot, and where its place is in
    a queue that all accounts of the machine share.
    """

    run: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proceed(Message):
    """Let a parked run wait for its slot like any other; answered by `RunState`."""

    run: str
