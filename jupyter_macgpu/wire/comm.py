"""What widgets and their front end say to each other between runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Comm(Message):
    """What passes between a session's comms and their front end while no run is told of.

    In a run's output a comm's message is a record of kind ``comm``. Long content travels as
    `wire.content` says, in messages of action ``piece``.

    Attributes
    ----------
    run
        Of ``busy``: the run that the worker is in.
    action
        To the worker ``open``, ``msg`` or ``close`` of a comm, with a number, or ``listen``: say
        to this client what the session's worker shows between runs. From it ``shown``: one
        record, as of `Output`. From the supervisor ``busy``: the worker is in a run and will
        hear what was just said when that has ended; ``gone``: there is no worker any more.
    """

    session: str
    run: str = ""
    comm: str = ""
    action: str
    content: dict[str, Any] = field(default_factory=dict)
