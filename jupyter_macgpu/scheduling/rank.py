"""All hosts in order: which can take a cell, and which of these suits it best. Pure.

A placement is advice. The host itself grants the lease, queues the run or refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import weights
from .affinity import spread
from .fit import Reason, reasons_against
from .memory import ahead
from .needs import Needs
from .status import HostStatus
from .taints import avoided
from .terms import Part, Term, named, parts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One host in a ranking.

    Attributes
    ----------
    host
        Its name.
    place
        1 for the best; None for one that cannot take the cell.
    score
        Sum of the terms' points; None where there are reasons against it.
    parts
        Points and values of its terms, see `terms`.
    reasons
        Why it cannot take the cell.
    must_wait
        Whether the cell would wait for a slot there.
    """

    host: str
    place: int | None
    score: float | None
    parts: tuple[Part, ...] = ()
    reasons: tuple[Reason, ...] = ()
    must_wait: bool = False

    @property
    def terms(self) -> tuple[Term, ...]:
        """What speaks for and against it; nothing where there are reasons against it."""
        return named(self.parts) if self.parts else ()

    @property
    def is_feasible(self) -> bool:
        """Whether it can take the cell."""
        return not self.reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All hosts: first those that can take the cell, the best one first, then the others."""

    candidates: tuple[Candidate, ...] = ()

    @property
    def feasible(self) -> tuple[Candidate, ...]:
        """Those that can take the cell, the best one first."""
        return tuple(one for one in self.candidates if one.is_feasible)

    @property
    def best(self) -> Candidate | None:
        """The one to take; None if no host can take the cell."""
        first = self.candidates[0] if self.candidates else None
        return first if first is not None and first.is_feasible else None

    def to_ask(self, limit: int = 4) -> tuple[Candidate, ...]:
        """Return the hosts to ask for a slot, at most `limit`, the best one first.

        A cell waits at all of them and takes the first that is granted, since a status is always
        a little too old to tell which that will be. Hosts that are worse than the best by more
        than `weights.REACH` points are not asked: there it would take longer than to wait.
        """
        best = self.best
        if best is None or best.score is None:
            return ()
        least = best.score - weights.REACH
        return tuple(
            one for one in self.candidates[:limit] if one.score is not None and one.score >= least
        )


def rank(statuses: Iterable[HostStatus], needs: Needs, now: float) -> Ranking:
    """Put all hosts in order for one cell.

    First hosts are filtered (`fit`), then those that are left are scored (`terms`). The order is
    total and does not depend on the order of the statuses: hosts with the same score are in the
    order of their names, which are unique in a fleet. The work grows with the number of hosts, and
    sorting them is the only part that grows faster.
    """
    able: list[HostStatus] = []
    unable: list[Candidate] = []
    for status in statuses:
        reasons = reasons_against(status, needs, now)
        if reasons:
            unable.append(Candidate(host=status.name, place=None, score=None, reasons=reasons))
        else:
            able.append(status)
    unable.sort(key=lambda one: one.host)
    return Ranking(candidates=(*_scored(able, needs, now), *unable))


def _scored(able: list[HostStatus], needs: Needs, now: float) -> list[Candidate]:
    liked = spread([needs.affinity.preference(one.name, one.labels) for one in able])
    clear = spread([avoided(one.taints, needs.tolerations) for one in able], is_reversed=True)
    found: list[tuple[float, str, tuple[Part, ...], HostStatus]] = []
    for status, preferred, unmarked in zip(able, liked, clear, strict=True):
        parts = parts_of(status, needs, now, preferred=preferred, avoided=unmarked)
        found.append((-sum([points for points, _ in parts]), status.name, parts, status))
    found.sort(key=lambda one: one[:2])
    return [
        Candidate(
            host=name,
            place=place,
            score=-negative,
            parts=parts,
            must_wait=_waits(status, needs),
        )
        for place, (negative, name, parts, status) in enumerate(found, 1)
    ]


def _waits(status: HostStatus, needs: Needs) -> bool:
    lane = status.cpu if needs.is_cpu else status.gpu
    return ahead(lane, status.sent_since) > 0
