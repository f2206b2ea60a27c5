"""A host as last seen, put together from what the fleet file, the probe and the host itself say.

Pure: times are seconds on one clock of the caller's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..scheduling.chips import measured_speed, prior_speed
from ..scheduling.heat import Heat, heat_after
from ..scheduling.labels import SelectorError
from ..scheduling.status import HostStatus, Lane, Memory, Speed, State
from ..scheduling.taints import Taint, taint_from
from ..wire.plain import plain_line
from ..wire.probe import labels as probed_labels
from ..wire.telemetry import Telemetry, from_json, gpu_limit
from .hosts import Host
from .sharers import users_of
from .simulated import is_simulated

#: Words of macOS on memory, as `scheduling` counts them.
_PRESSURES = {"normal": 1, "warn": 2, "critical": 4}
#: Bytes a second that are written to swap by a machine that is in trouble.
_SWAPPING = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a host said of itself, and when.

    Attributes
    ----------
    seen
        When it said so, by the caller's clock; None if it never did.
    state, reason
        What the monitor thinks of the way there.
    telemetry
        The last sample of its probe.
    sampled
        When that was taken, by the caller's clock.
    said
        The rest, as `wire.messages.Telemetry` describes it: lanes, policy, calibration, GPU
        test.
    heat
        What was thought of its heat before this sample.
    """

    seen: float | None = None
    state: State | None = None
    reason: str = ""
    telemetry: Telemetry = field(default_factory=Telemetry)
    sampled: float | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    heat: Heat = Heat.COOL

    def told(self, sample: Mapping[str, Any], now: float) -> Heard:
        """Return what is known after a host's `Telemetry` message.

        A part that is not as it should be is unknown; nothing is raised.
        """
        age = _number(sample.get("age"))
        telemetry = from_json(sample.get("telemetry"))
        return replace(
            self,
            seen=now,
            state=State.READY,
            reason="",
            telemetry=telemetry,
            sampled=None if age is None else now - age,
            said={key: value for key, value in sample.items() if key != "telemetry"},
            heat=heat_after(self.heat, self.telemetry.heat.level),
        )

    def as_json(self, now: float) -> dict[str, Any]:
        """Return it with ages for times, so that another process can read it."""
        from ..wire.telemetry import to_json

        return {
            "age": None if self.seen is None else now - self.seen,
            "sample_age": None if self.sampled is None else now - self.sampled,
            "state": self.state,
            "reason": self.reason,
            "telemetry": to_json(self.telemetry),
            "said": dict(self.said),
            "heat": self.heat,
        }


def heard_from(data: Any, now: float) -> Heard:
    """Read what `Heard.as_json` made. What is not as it should be is unknown."""
    if not isinstance(data, dict):
        return Heard()
    age, sample_age = _number(data.get("age")), _number(data.get("sample_age"))
    said = data.get("said")
    states, heats = {str(state): state for state in State}, {str(heat): heat for heat in Heat}
    return Heard(
        seen=None if age is None else now - age,
        state=states.get(str(data.get("state"))),
        reason=str(data.get("reason", "")),
        telemetry=from_json(data.get("telemetry")),
        sampled=None if sample_age is None else now - sample_age,
        said=said if isinstance(said, dict) else {},
        heat=heats.get(str(data.get("heat")), Heat.COOL),
    )


def host_status(host: Host, heard: Heard, *, here: bool = False, sent_since: int = 0) -> HostStatus:
    """Return a host as placement sees it.

    Labels of the host's own policy win over those of the fleet file, and these over the probe's;
    taints of all add up.

    Parameters
    ----------
    here
        Whether it is the machine that the notebook is on: its owner is who asks.
    sent_since
        Cells that were sent there since `Heard.seen`.
    """
    sample, policy = heard.telemetry, _mapping(heard.said.get("policy"))
    memory = sample.memory
    lanes = _mapping(heard.said.get("lanes"))
    drain = heard.said.get("draining")
    gpus = sample.gpus
    has_gpu = _has_gpu(heard, is_simulated=is_simulated(host.labels))
    limit = _whole(heard.said.get("gpu_limit")) or gpu_limit(memory)
    return HostStatus(
        name=host.name,
        labels={**probed_labels(sample), **host.labels, **_texts(policy.get("labels"))},
        taints=(*host.taints, *_taints(policy.get("taints"))),
        state=heard.state,
        state_reason=heard.reason,
        seen=heard.seen,
        has_gpu=has_gpu,
        gpu_test=_flag(heard.said.get("gpu_test")),
        gpu_test_reason=plain_line(str(heard.said.get("gpu_test_reason") or "")),
        gpu_speed=_measured(heard) or _prior(sample),
        gpu_taken=_number(heard.said.get("gpu_taken")) if gpus else None,
        cpu_taken=_number(heard.said.get("cpu_taken")),
        gpu=_lane(lanes.get("gpu"), host.slots),
        cpu=_lane(lanes.get("cpu"), 2),
        sent_since=sent_since,
        memory=Memory(
            total=memory.total_bytes,
            free=memory.available_bytes,
            limit=None if has_gpu is False else limit,
            asked=_whole(heard.said.get("asked")),
            held=_whole(heard.said.get("held")),
        ),
        pressure=_PRESSURES.get(memory.pressure or ""),
        is_swapping=_is_swapping(sample),
        heat=sample.heat.level,
        heat_before=heard.heat,
        owner_idle=None if here else sample.people.idle_seconds,
        is_paused=_flag(heard.said.get("paused")),
        is_draining=_flag(drain),
        on_battery=sample.power.on_battery,
    )


def shown_state(
    status: HostStatus, said: Mapping[str, Any], running: int | None = None
) -> tuple[State | None, str]:
    """Return the one state that people are shown, and its reason.

    Parameters
    ----------
    said
        What the host tells beside its telemetry.
    running
        Cells that run there, where somebody counted; else what the host last said.
    """
    reason = plain_line(str(said.get("reason") or ""))
    if status.state not in (State.READY, State.BUSY):
        return status.state, status.state_reason
    if status.is_paused:
        return State.DRAINING, reason or "its owner has paused it"
    if status.is_draining:
        return State.DRAINING, reason or "takes nothing new"
    if status.gpu_test is False:
        why = f": {status.gpu_test_reason}" if status.gpu_test_reason else ""
        return State.UNUSABLE, f"GPU test failed{why}"
    there = (status.gpu.running or 0) + (status.cpu.running or 0) if running is None else running
    if others := users_of(said):
        return State.BUSY, f"in use by {others}"
    return (State.BUSY if there else State.READY), ""


def _has_gpu(heard: Heard, *, is_simulated: bool) -> bool | None:
    devices = heard.said.get("devices")
    # The devices of a simulated Mac are this machine's.
    if isinstance(devices, list) and not is_simulated:
        return bool({"mps", "cuda"} & set(map(str, devices)))
    return None if heard.telemetry.gpus is None else bool(heard.telemetry.gpus)


def _prior(sample: Telemetry) -> Speed | None:
    gpu = sample.gpu
    return prior_speed(sample.machine.chip, gpu.cores if gpu else None)


def _measured(heard: Heard) -> Speed | None:
    figures = _mapping(heard.said.get("calibration"))
    tflops, rate = _number(figures.get("tflops")), _number(figures.get("gb_per_s"))
    return measured_speed(tflops, rate, _prior(heard.telemetry))


def _is_swapping(sample: Telemetry) -> bool | None:
    rate = sample.memory.swap_out_bytes_per_second
    return None if rate is None else rate > _SWAPPING


def _lane(said: object, slots: int) -> Lane:
    lane = _mapping(said)
    return Lane(
        slots=max(1, _whole(lane.get("slots")) or slots),
        running=_whole(lane.get("running")),
        queued=_whole(lane.get("queued")),
        wait=_number(lane.get("wait")),
    )


def _taints(said: object) -> tuple[Taint, ...]:
    found = []
    for each in said if isinstance(said, list) else ():
        if isinstance(each, dict):
            with contextlib.suppress(SelectorError):
                found.append(taint_from(each))
    return tuple(found)


def _texts(said: object) -> dict[str, str]:
    return {str(key): str(value) for key, value in _mapping(said).items()}


def _mapping(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}


def _number(said: object) -> float | None:
    if not isinstance(said, (int, float)) or isinstance(said, bool):
        return None
    # Compared before it is made a float: a whole number may be too large for one. NaN is not less.
    return float(said) if abs(said) < 1e18 else None


def _whole(said: object) -> int | None:
    number = _number(said)
    return None if number is None or number < 0 else int(number)


def _flag(said: object) -> bool | None:
    return said if isinstance(said, bool) else None
