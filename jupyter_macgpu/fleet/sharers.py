"""Who else has a machine now, from what its queue says of the other accounts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..standing import span
from ..wire.plain import plain_line

#: Accounts that are named at most.
_NAMED = 4


def users_of(said: Mapping[str, Any]) -> str:
    """Return the other accounts whose cells have the machine: ``ana since 12 min, 24 GB``.

    Parameters
    ----------
    said
        What the host tells beside its telemetry; what is not as it should be is left out.
    """
    found = [line for line, is_held in _lines(said) if is_held]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(found[:_NAMED]) + more


def counts_of(said: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many cells of other accounts run, and how many wait."""
    held = [is_held for _, is_held in _lines(said)]
    return held.count(True), held.count(False)


def _lines(said: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    queue = said.get("queue")
    others = queue.get("others") if isinstance(queue, dict) else None
    for each in others if isinstance(others, list) else ():
        if not isinstance(each, dict):
            continue
        login, since, mem = each.get("login"), each.get("since"), each.get("mem")
        if not isinstance(login, str) or not isinstance(since, int):
            continue
        memory = f", {mem / 1e9:.3g} GB" if isinstance(mem, int) and mem > 0 else ""
        yield f"{plain_line(login)} since {span(since)}{memory}", each.get("place") is None
