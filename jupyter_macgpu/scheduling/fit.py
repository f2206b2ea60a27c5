"""Why a host cannot take a cell: each reason there is, not just the first. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from . import weights
from .heat import Heat, heat_after
from .memory import is_fresh, room
from .needs import Needs
from .status import HostStatus, State
from .taints import untolerated


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason against a host.

    Attributes
    ----------
    code
        A short fixed word, for programs.
    text
        The same for people.
    is_passing
        Whether it may be over by itself, so that waiting can help.
    """

    code: str
    text: str
    is_passing: bool = False


def reasons_against(status: HostStatus, needs: Needs, now: float) -> tuple[Reason, ...]:
    """Return everything for which a host cannot take a cell; nothing if it can.

    What is unknown is never a reason.
    """
    found = (
        _not_named(status, needs),
        _not_selected(status, needs),
        _no_affinity(status, needs),
        _values_elsewhere(status, needs),
        _tainted(status, needs),
        _closed(status),
        _withheld(status),
        _gpu_failed(status, needs),
        _on_battery(status, needs),
        _too_hot(status, now),
        _under_pressure(status, now),
        _too_small(status, needs, now),
        _no_environment(status),
    )
    return tuple([reason for reason in found if reason is not None])


def _not_named(status: HostStatus, needs: Needs) -> Reason | None:
    if needs.host is None or needs.host == status.name:
        return None
    return Reason(code="host", text=f"{needs.host} was asked for")


def _not_selected(status: HostStatus, needs: Needs) -> Reason | None:
    if needs.selector is None or not (unmet := needs.selector.unmet(status.labels)):
        return None
    return Reason(code="selector", text=f"labels do not meet {', '.join(map(str, unmet))}")


def _no_affinity(status: HostStatus, needs: Needs) -> Reason | None:
    if not (unmet := needs.affinity.unmet(status.name, status.labels)):
        return None
    return Reason(code="affinity", text=f"required: {'; '.join(unmet)}")


def _values_elsewhere(status: HostStatus, needs: Needs) -> Reason | None:
    if not needs.holders or status.name in needs.holders:
        return None
    where = " or ".join(sorted(needs.holders))
    return Reason(code="values", text=f"values that the cell reads live on {where} only")


def _tainted(status: HostStatus, needs: Needs) -> Reason | None:
    if not status.taints or not (left := untolerated(status.taints, needs.tolerations)):
        return None
    return Reason(code="taint", text=f"taint not tolerated: {', '.join(map(str, left))}")


_CLOSED = {
    State.DRAINING: "takes nothing new",
    State.ASLEEP: "asleep",
    State.UNREACHABLE: "not reachable",
    State.REFUSED: "refuses the login",
    State.UNUSABLE: "not usable",
}


def _closed(status: HostStatus) -> Reason | None:
    if status.state is None or status.state not in _CLOSED:
        return None
    text = _CLOSED[status.state] + (f": {status.state_reason}" if status.state_reason else "")
    passes = status.state not in (State.REFUSED, State.UNUSABLE)
    return Reason(code=status.state, text=text, is_passing=passes)


def _withheld(status: HostStatus) -> Reason | None:
    if status.is_paused:
        return Reason(code="paused", text="its owner has paused it", is_passing=True)
    if status.is_draining and status.state is not State.DRAINING:
        return Reason(code=State.DRAINING, text=_CLOSED[State.DRAINING], is_passing=True)
    return None


def _gpu_failed(status: HostStatus, needs: Needs) -> Reason | None:
    if needs.is_cpu or status.gpu_test is not False:
        return None
    why = f": {status.gpu_test_reason}" if status.gpu_test_reason else ""
    return Reason(code="gpu-test", text=f"its GPU failed the test{why}")


def _on_battery(status: HostStatus, needs: Needs) -> Reason | None:
    # Whoever names a host means it; and what lives there can be had nowhere else.
    is_meant = status.name == needs.host or status.name in needs.holders or status.live_values > 0
    if not status.on_battery or is_meant:
        return None
    return Reason(code="battery", text="runs on battery; name it to use it", is_passing=True)


def _too_hot(status: HostStatus, now: float) -> Reason | None:
    if heat_now(status, now) is not Heat.HOT:
        return None
    return Reason(code="heat", text="too hot, until it has cooled down", is_passing=True)


def heat_now(status: HostStatus, now: float) -> Heat:
    """Return what to think of a host's heat; a level that is too old is unknown."""
    return heat_after(status.heat_before, status.heat if is_fresh(status, now) else None)


def _under_pressure(status: HostStatus, now: float) -> Reason | None:
    pressure = status.pressure
    if pressure is None or pressure < weights.PRESSURE_CRITICAL or not is_fresh(status, now):
        return None
    return Reason(code="pressure", text="memory pressure is critical", is_passing=True)


def _too_small(status: HostStatus, needs: Needs, now: float) -> Reason | None:
    asked = max(needs.mem or 0, needs.input_bytes)
    if not asked:
        return None
    there = room(status, now, is_cpu=needs.is_cpu)
    if there.ever is not None and asked > there.ever:
        return Reason(
            code="memory", text=f"{_gib(asked)} asked, {_gib(there.ever)} is all there can be"
        )
    if there.now is not None and asked > there.now:
        return Reason(
            code="memory", text=f"{_gib(asked)} asked, {_gib(there.now)} free", is_passing=True
        )
    return None


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _no_environment(status: HostStatus) -> Reason | None:
    if status.environment != "impossible":
        return None
    why = f": {status.environment_reason}" if status.environment_reason else ""
    return Reason(code="environment", text=f"the environment cannot be had{why}")
