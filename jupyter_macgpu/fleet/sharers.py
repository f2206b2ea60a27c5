"""Who else has a machine now, from what its queue says of the other accounts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..standing import span
from ..wire.plain import plain_line

#: Accounts that are named at most.
_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A cell of another account that has a place on a machine; nothing else of it is told.

    Attributes
    ----------
    since
        Seconds for which it has it, or waits.
    mem
        Bytes that it asked for.
    kind
        Whether it takes the GPU, as the queue has it.
    place
        How many are in front of it; None if it runs.
    """

    login: str
    since: int | None = None
    mem: int | None = None
    kind: str = ""
    place: int | None = None


def holders_of(said: Mapping[str, Any]) -> Iterator[Holder]:
    """Read which cells of other accounts have a place in a machine's queue.

    Parameters
    ----------
    said
        What the host tells beside its telemetry; what is not as it should be is left out.
    """
    queue = said.get("queue")
    others = queue.get("others") if isinstance(queue, dict) else None
    for each in others if isinstance(others, list) else ():
        if isinstance(each, dict) and isinstance(each.get("login"), str):
            yield Holder(
                login=plain_line(each["login"]),
                since=_whole(each.get("since")),
                mem=_whole(each.get("mem")),
                kind=plain_line(str(each.get("kind") or "")),
                place=_whole(each.get("place")),
            )


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
    for holder in holders_of(said):
        if holder.since is not None:
            memory = f", {holder.mem / 1e9:.3g} GB" if holder.mem and holder.mem > 0 else ""
            yield f"{holder.login} since {span(holder.since)}{memory}", holder.place is None


def _whole(said: object) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) else None
