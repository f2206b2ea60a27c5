"""2 place: decide which host takes a cell.

Rule 1: everything here is pure. It reads what it is handed and asks no host anything.

Rule 2: a placement is advice, not a claim. The host grants the lease, queues the run or
refuses it.

`scheduling` says which hosts can take a cell and which suits it best. Here is what it is asked,
which hosts are worth a connection before it is believed, and what its answer is called.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .fleet.hosts import SELECTS, select
from .fleet.profiles import choose
from .scheduling import weights
from .scheduling.affinity import Affinity, Preference, Term
from .scheduling.explain import NOTABLE, Row, TermRow, summary, text_of
from .scheduling.needs import Needs
from .scheduling.selectors import parse_selector
from .scheduling.taints import GPU_TOLERATIONS
from .wire.errors import MacGPUError, PlacementError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .fleet.hosts import Fleet, Host
    from .fleet.profiles import Profile
    from .lengths import Past
    from .options import CellOptions
    from .scheduling.rank import Candidate, Ranking
    from .scheduling.selectors import Selector
    from .scheduling.status import HostStatus
    from .wire.blobs import Blob

#: Hosts that are connected to at the same time for one decision, beside the notebook's own.
AT_ONCE = 4
#: Hosts of a ranking that are kept with a run.
ROWS = 10
#: Hosts that an error names.
_NAMED = 20
#: Reasons that a connection may turn out to be wrong, where the host has never been heard of:
#: its labels are not known.
_UNHEARD = frozenset({"selector", "affinity"})
#: Reasons that may have been mended since.
_MENDABLE = frozenset({"refused", "unusable", "gpu-test"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a cell asks, and whether the notebook stays where it is if it can.

    Attributes
    ----------
    stays
        Whether the notebook's own host is kept as long as it can take the cell: its worker is
        warm and its files are there. Not where the cell itself says what host it wants.
    past
        What the cell's last runs tell of its length; None if there is none.
    blobs
        Large inputs that a host may hold already; not looked for where no host holds any.
    """

    needs: Needs = Needs()  # noqa: RUF009 - frozen
    stays: bool = True
    past: Past | None = None
    blobs: tuple[Blob, ...] = ()


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
    """A host and why it is that one.

    Attributes
    ----------
    ranking
        All hosts as they were ranked.
    among
        Names of the hosts that have answered and may be waited on, this one first; empty where the
        cell is for this one alone.
    past
        How long the cell was expected to take, if there was anything to tell by.
    there
        Bytes of the cell's inputs that hosts are known to hold, by host.
    """

    host: Host
    reason: str
    ranking: Ranking
    among: tuple[str, ...] = ()
    past: Past | None = None
    there: Mapping[str, int] = field(default_factory=dict)

    def rank(self, limit: int | None = ROWS) -> dict[str, Any]:
        """Return what is stored with the run, for `why`: no more than the best `limit` hosts."""
        rows = rows_of(self.ranking, limit)
        told = {"host": self.host.name, "reason": self.reason, "rows": rows}
        length = {} if self.past is None else {"length": self.past.as_json()}
        return told | length | ({"there": dict(self.there)} if self.there else {})


def wish_of(
    options: CellOptions,
    fleet: Fleet,
    *,
    home: str | None = None,
    uses: str | None = None,
    holders: frozenset[str] = frozenset(),
    input_bytes: int = 0,
    keys: Collection[str] = (),
    past: Past | None = None,
    blobs: tuple[Blob, ...] = (),
) -> Wish:
    """Return what a cell asks of its host.

    Parameters
    ----------
    home
        The notebook's host.
    uses
        What the notebook was told to use: a host or a selector.
    keys
        Keys of labels that are known of hosts, beside those of the fleet file.
    past
        How long the cell took before.
    blobs
        Large inputs that a host may hold already.

    Raises
    ------
    ConfigError
        If there is no such profile.
    PlacementError
        If there is no such host, or the selector cannot be read. Nothing was sent.
    """
    profile = choose(fleet.profiles, options.profile) if options.profile else None
    host, selector = named(options.on or uses, fleet, keys)
    affinity = profile.affinity if profile else Affinity()
    liked = tuple(
        Preference(weight=liking.weight, term=Term(expressions=liking.selector.requirements))
        for liking in options.prefer
    )
    asked = _profile_needs(profile)
    needs = replace(
        asked,
        host=host,
        selector=selector,
        affinity=replace(affinity, preferred=(*affinity.preferred, *liked)),
        tolerations=(*asked.tolerations, *options.tolerate),
        is_cpu=asked.is_cpu or options.cpu,
        mem=asked.mem if options.mem is None else options.mem,
        input_bytes=input_bytes,
        holders=holders,
        home=home,
        seconds=None if past is None else past.seconds,
    )
    stays = not (options.on or options.profile or options.prefer)
    return Wish(needs=needs, stays=stays, past=past, blobs=blobs)


def _profile_needs(profile: Profile | None) -> Needs:
    if profile is None:
        return Needs()
    tolerations = (*GPU_TOLERATIONS, *profile.tolerations)
    return Needs(tolerations=tolerations, is_cpu=profile.cpu, mem=profile.mem)


def named(
    text: str | None, fleet: Fleet, keys: Collection[str] = ()
) -> tuple[str | None, Selector | None]:
    """Return the host or the selector that a text means.

    A name means the host of that name, whatever its labels. A single word that is the key of no
    label was meant as a name.

    Raises
    ------
    PlacementError
        If there is no such host, or the selector cannot be read. Nothing was sent.
    """
    if text is None:
        return None, None
    known = {*keys, *(key for host in fleet.hosts for key in host.labels)}
    is_host = any(host.name == text for host in fleet.hosts)
    if is_host or not (SELECTS.search(text) or text in known):
        return select(fleet.hosts, text, fleet.notice).name, None
    return None, parse_selector(text)


def held_by(held: Mapping[str, Collection[str]], blobs: Collection[Blob]) -> dict[str, int]:
    """Return how many bytes of blobs hosts hold, by the digests of what each is known to hold.

    A host may have let go of some of it since: then it asks for that. Hosts that hold nothing of
    it are left out.
    """
    sizes = {
        name: sum(blob.size for blob in blobs if blob.digest in digests)
        for name, digests in held.items()
    }
    return {name: size for name, size in sizes.items() if size}


def holding(status: HostStatus, there: int | None) -> HostStatus:
    """Return a host as it is for a cell of whose inputs it holds so many bytes."""
    return replace(status, inputs_there=there) if there else status


def to_ask(ranking: Ranking, asked: Collection[str], unheard: Collection[str]) -> tuple[str, ...]:
    """Return the names of the hosts to ask next, `AT_ONCE` at most; none if none is left.

    First those that can take the cell by what is known, the best ones first. Where all of these
    were asked, those that may have changed since they were last heard of.

    Parameters
    ----------
    asked
        Hosts that were asked for this decision.
    unheard
        Hosts that have never said anything and may have other labels than are known.
    """
    able = [one.host for one in ranking.feasible if one.host not in asked]
    if not able:
        able = [one.host for one in hoped(ranking, unheard) if one.host not in asked]
    return tuple(able[:AT_ONCE])


def may_have(host: Host, needs: Needs) -> bool:
    """Say whether a host may have the labels that are asked for, by what the fleet file gives it.

    What its tools say of it is not known before it has been heard of.
    """
    unmet = needs.selector.unmet(host.labels) if needs.selector else []
    wanted = needs.affinity.node_selector.items()
    return not any(one.key in host.labels for one in unmet) and all(
        host.labels.get(key, value) == value for key, value in wanted
    )


def hoped(ranking: Ranking, unheard: Collection[str]) -> list[Candidate]:
    """Return the hosts that cannot take the cell by what is known, and yet may be able to."""
    return [
        one
        for one in ranking.candidates
        if one.reasons
        and all(
            reason.is_passing
            or reason.code in _MENDABLE
            or (one.host in unheard and reason.code in _UNHEARD)
            for reason in one.reasons
        )
    ]


def is_broken(candidate: Candidate) -> bool:
    """Say whether a host's GPU failed its test: it is believed only when it says otherwise."""
    return any(reason.code == "gpu-test" for reason in candidate.reasons)


def well_in(answers: Mapping[str, Answer | None]) -> set[str]:
    """Return the names of the hosts that have answered well."""
    return {name for name, answer in answers.items() if answer is not None and not answer.error}


def best_of(ranking: Ranking, well: Collection[str]) -> Candidate | None:
    """Return the best host of those that have answered well; None if none can take the cell."""
    return next((one for one in ranking.feasible if one.host in well), None)


def among(ranking: Ranking, well: Collection[str]) -> tuple[str, ...]:
    """Return the hosts to wait on, the best one first, `AT_ONCE` at most.

    Those that are much worse than the best are none: there it would take longer than to wait.
    """
    able = [one for one in ranking.feasible if one.host in well]
    if not able or able[0].score is None:
        return ()
    least = able[0].score - weights.REACH
    near = [one.host for one in able if one.score is not None and one.score >= least]
    return tuple(near[:AT_ONCE])


def reason_for(candidate: Candidate, ranking: Ranking, wish: Wish) -> str:
    """Return in a few words why a host was chosen."""
    needs, others = wish.needs, len(ranking.candidates) - 1
    if needs.holders:
        return "values of this cell live there"
    if needs.host is not None:
        return f"{needs.host} was asked for"
    if candidate.host == needs.home and wish.stays:
        return "this notebook's host"
    if not others:
        return "the fleet's only host"
    if len(ranking.feasible) == 1:
        return "the only host that can take it"
    is_first = candidate.host == ranking.candidates[0].host
    many = str(len(ranking.feasible)) if is_first else "those that answered in time"
    return f"best of {many}: {summary(candidate)}"


def elsewhere(placement: Placement, host: Host) -> Placement:
    """Return the placement after waiting: on the host that had a slot first."""
    if host.name == placement.host.name:
        return placement
    reason = "the first of the busy hosts to have a free slot"
    return replace(placement, host=host, reason=reason)


def rows_of(ranking: Ranking, limit: int | None = ROWS) -> list[Row]:
    """Return the best rows of a ranking, as `explain` has them: of the terms those that matter."""
    return [
        Row(
            host=one.host,
            place=one.place,
            score=None if one.score is None else round(one.score, 2) + 0.0,
            must_wait=one.must_wait,
            terms={
                term.name: TermRow(
                    points=round(term.points, 2) + 0.0, value=term.value, text=text_of(term)
                )
                for term in one.terms
                if abs(term.points) >= NOTABLE
            },
            reasons=[
                {"code": str(reason.code), "text": reason.text, "is_passing": reason.is_passing}
                for reason in one.reasons
            ],
        )
        for one in ranking.candidates[:limit]
    ]


def nobody(ranking: Ranking, fleet: Fleet) -> PlacementError:
    """Return the error where no host can take a cell: each host's reasons are in it."""
    lines = [f"  {one.host}: {summary(one)}" for one in ranking.candidates if one.reasons]
    more = len(lines) - _NAMED
    lines = lines[:_NAMED] + ([f"  and {more} more"] if more > 0 else [])
    codes = {reason.code for one in ranking.candidates for reason in one.reasons}
    hint = "macgpu doctor HOST says what is wrong with one of them."
    if not codes & {"unreachable", "refused", "unusable", "asleep", "gpu-test"}:
        hint = "Ask for less on the cell's first line, or wait; %macgpu where shows the same table."
    return PlacementError(
        "\n".join(["No host can take this cell now:", *lines]),
        next=f"{fleet.notice} {hint}".strip(),
    )


def unreachable(hosts: Sequence[Host], answers: Mapping[str, Answer]) -> PlacementError:
    """Return the error where no host answers: each one's reason is in it."""
    lines = []
    for host in hosts:
        answer = answers.get(host.name)
        why = "has not answered" if answer is None or answer.error is None else answer.error.what
        lines.append(f"  {why}" if host.name in why else f"  {host.name}: {why}")
    return PlacementError(
        "\n".join(["No host can be reached now:", *lines]),
        next="macgpu doctor HOST says what is wrong with one of them.",
    )
