"""What a session's worker holds alone, asked for between its cells."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from .wire import messages as m
from .wire.plain import plain_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .link import Link


def is_in_cell(rows: Iterable[Mapping[str, Any]], session: str) -> bool:
    """Say whether a session's worker computes, by its host's list of runs."""
    return any(row.get("session") == session and row.get("state") == "started" for row in rows)


def live_values(link: Link, session: str, patience: float) -> list[dict[str, Any]] | None:
    """Return what lives in a session's worker alone: name, type and bytes of each value.

    A worker that is in a cell would answer only after it: see `is_in_cell`. None if there is no
    worker, or one that is only starting: then it holds nothing.

    Raises
    ------
    TransportError
        If the host cannot be reached, or there is no answer within `patience` seconds.
    """
    operation = secrets.token_hex(8)
    told = link.ask(
        m.Operate(operation=operation, session=session, action="values"),
        lambda said: isinstance(said, m.Operated) and said.operation == operation,
        patience,
    )
    assert isinstance(told, m.Operated)
    if told.error:
        return None
    values: list[dict[str, Any]] = plain_values(told.detail.get("values", []))
    return values
