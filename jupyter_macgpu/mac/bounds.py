"""What the administrator's policy and the owner's pause allow now. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..wire.policy import HostPolicy, owner_has_it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What may begin on a host now.

    Attributes
    ----------
    closed
        Why nothing new begins; empty: it may. What runs goes on, the rest waits.
    drained
        Whether that is the administrator's doing, or due to a policy that cannot be obeyed.
    paused
        Whether the machine is its owner's alone for a while.
    slots
        Runs that may use the GPU at a time; None leaves it to the host.
    max_runs, max_time, max_memory
        As in `wire.policy.Limits`, for the runs of this account.
    managed_by
        Who else gives this machine's work out; what does not come through it is refused.
    """

    closed: str = ""
    drained: bool = False
    paused: bool = False
    slots: int | None = None
    max_runs: int | None = None
    max_time: float | None = None
    max_memory: int | None = None
    managed_by: str = ""


def bounds_of(
    policy: HostPolicy, problem: str = "", *, weekday: int, minute: int, pause: float = 0.0
) -> Bounds:
    """Return what a policy and a pause allow at a time of the week.

    Parameters
    ----------
    problem
        Why the policy that is there cannot be obeyed. Nobody knows then what it would forbid, so
        that nothing new begins.
    weekday, minute
        0 is Monday; minutes since midnight; both by the machine's own clock.
    pause
        Seconds that the owner's pause still lasts.
    """
    limits = policy.limits
    is_owners = owner_has_it(limits, weekday, minute)
    closed = ""
    if problem:
        closed = f"nothing new starts, as the host's policy cannot be read: {problem}"
    elif limits.drain:
        closed = "the host is drained by its administrator"
    elif pause > 0:
        closed = "the host is paused by its owner"
    elif is_owners:
        closed = f"the host is its owner's alone: {', '.join(limits.owner_hours)}, by its clock"
    return Bounds(
        closed=closed,
        drained=bool(problem) or limits.drain,
        paused=pause > 0 or is_owners,
        slots=policy.slots,
        max_runs=limits.max_runs,
        max_time=limits.max_time,
        max_memory=limits.max_memory,
        managed_by=limits.managed_by,
    )


def refusal(bounds: Bounds, mem: int, engine: str) -> tuple[str, str]:
    """Return why a run can never begin here, as a stable word and for a person; else two ``""``."""
    if bounds.managed_by and engine != bounds.managed_by:
        return "managed", f"{bounds.managed_by} gives out the work of this host"
    if bounds.max_memory is not None and mem > bounds.max_memory:
        return "too-large", (
            f"it asks for {mem / 1e9:g} GB of memory, and the host's policy gives an account "
            f"{bounds.max_memory / 1e9:g} GB"
        )
    return "", ""
