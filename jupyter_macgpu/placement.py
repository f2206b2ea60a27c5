"""2 place: decide which host takes a cell.

Rule 1: everything here is pure. It reads what it is handed and asks no host anything.

Rule 2: a placement is advice, not a claim. The host grants the lease, queues the run or
refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .fleet.hosts import candidates
from .wire.errors import MacGPUError, PlacementError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .fleet.hosts import Host

#: Hosts that are connected to at the same time for one decision.
AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a cell asks of the host it runs on.

    Attributes
    ----------
    on
        Name or labels of the hosts that it must be one of; None leaves it open.
    holders
        Hosts on which values that the cell reads live, and nowhere else.
    affinity
        Name of the host that the notebook uses.
    cpu
        Whether it goes without a GPU.
    """

    on: str | None = None
    holders: frozenset[str] = frozenset()
    affinity: str | None = None
    cpu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a host said when it was asked, or why it said nothing.

    Attributes
    ----------
    live
        Runs that it has and that have not ended.
    """

    live: int = 0
    error: MacGPUError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A host and why it is that one."""

    host: Host
    reason: str


def shortlists(
    hosts: Sequence[Host], needs: Needs, notice: str = ""
) -> tuple[tuple[Host, ...], ...]:
    """Return the hosts to ask, a few at a time: the next ones only if none of these answers.

    A host on which values of the cell live is the only one; so is a host that is named. The
    notebook's own host is asked first and alone, since its worker is warm and its files are
    there; then the hosts in the order of the fleet file.

    Parameters
    ----------
    notice
        The fleet's, for the error if no host fits.

    Raises
    ------
    PlacementError
        If no host fits `needs`. Nothing was sent.
    """
    wanted = tuple(hosts) if needs.on is None else candidates(hosts, needs.on, notice)
    if needs.holders:
        holding = [host for host in wanted if host.name in needs.holders]
        if not holding:
            raise PlacementError(
                f"Values of this cell live on {', '.join(sorted(needs.holders))}, which "
                f"--on {needs.on} leaves out.",
                next="Leave out --on, or bring the values here with .fetch() first.",
            )
        return ((min(holding, key=lambda host: host.name),),)
    own = [host for host in wanted if host.name == needs.affinity]
    others = [host for host in wanted if host.name != needs.affinity]
    first = [tuple(own)] if own else []
    rest = [tuple(others[at : at + AT_ONCE]) for at in range(0, len(others), AT_ONCE)]
    return (*first, *rest)


def place(asked: Sequence[Host], answers: Mapping[str, Answer], needs: Needs) -> Placement:
    """Choose among the hosts that were asked: the notebook's own, then the one with fewest runs.

    Parameters
    ----------
    answers
        By host name; a host that has not answered yet is not there.

    Raises
    ------
    PlacementError
        If none of them can be reached. Nothing was sent.
    """
    well = [host for host in asked if host.name in answers and answers[host.name].error is None]
    if not well:
        raise _nobody(asked, answers)
    own = [host for host in well if host.name == needs.affinity]
    if own:
        return Placement(host=own[0], reason="this notebook's host")
    best = min(well, key=lambda host: answers[host.name].live)
    live = answers[best.name].live
    return Placement(host=best, reason=f"fewest runs ({live}) of {len(well)} that answered")


def only(host: Host, needs: Needs) -> Placement:
    """Return the placement where there is no choice."""
    if needs.holders:
        return Placement(host=host, reason="values of this cell live there")
    if needs.on is not None:
        return Placement(host=host, reason="named with --on")
    return Placement(host=host, reason="the fleet's only host")


def _nobody(asked: Sequence[Host], answers: Mapping[str, Answer]) -> PlacementError:
    lines = []
    for host in asked:
        answer = answers.get(host.name)
        why = "has not answered" if answer is None or answer.error is None else answer.error.what
        lines.append(f"  {why}" if host.name in why else f"  {host.name}: {why}")
    return PlacementError(
        "\n".join(["No host can be reached now:", *lines]),
        next="macgpu doctor HOST says what is wrong with one of them.",
    )
