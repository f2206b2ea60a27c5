"""Hosts and runs as the browser is told of them: plain JSON, unknown is null. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..fleet.sharers import holders_of
from ..fleet.simulated import is_simulated
from ..moments import start_of
from ..scheduling.weights import OWNER_AWAY
from ..wire.plain import plain_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..fleet.seen import Seen
    from ..scheduling.status import HostStatus, Lane

Row = dict[str, Any]

#: What changes all the time by itself, and is no news: whoever shows it counts on.
AGEING = ("age", "started", "kept", "heard")


def host_row(seen: Seen) -> Row:
    """Return a host as it is seen."""
    status, sample, hello = seen.status, seen.telemetry, seen.hello
    power, idle = sample.power, status.owner_idle
    row = {
        "name": seen.host.name,
        "transport": seen.host.transport,
        "state": str(seen.state or "unknown"),
        "reason": seen.reason,
        "age": _rounded(seen.age),
        "chip": status.labels.get("chip") or sample.machine.chip,
        "simulated": is_simulated(status.labels),
        "system": None if hello is None else hello.detail.get("system"),
        "python": None if hello is None else hello.python,
        "gpu": None if sample.gpu is None else sample.gpu.utilization,
        "gpu_taken": status.gpu_taken,
        "memory": _memory(status),
        "heat": status.heat,
        "watts": sample.watts,
        "owner_present": None if idle is None else idle < OWNER_AWAY,
        "idle": idle,
        "battery": {"on": power.on_battery, "charge": power.charge},
        "lanes": {"gpu": _lane(status.gpu), "cpu": _lane(status.cpu)},
        "holders": [asdict(holder) for holder in holders_of(seen.said)],
        "labels": dict(status.labels),
        "taints": [str(taint) for taint in status.taints],
        "gpu_test": status.gpu_test,
        "trust": seen.host.trust,
    }
    told: Row = plain_values(row)
    return told


def same_row(before: tuple[Seen, Row] | None, seen: Seen) -> Row:
    """Return a host as it is seen, made of its row before where only time has passed.

    Parameters
    ----------
    before
        How it was seen before, and the row of that.
    """
    if before is not None:
        known, row = before
        # All that a host says of itself comes with a new status.
        is_same = known.status is seen.status and known.hello is seen.hello
        if is_same and (known.state, known.reason) == (seen.state, seen.reason):
            return {**row, "age": _rounded(seen.age)}
    return host_row(seen)


def run_row(said: Mapping[str, Any], host: str, heard: float, root: str) -> Row:
    """Return a run as its host has it in its list.

    Parameters
    ----------
    heard
        When the host said so, in seconds of the caller's clock; see `aged`.
    root
        Folder that the browser's paths begin in; a notebook outside of it keeps its whole path.
    """
    origin, options = said.get("origin") or {}, said.get("options") or {}
    detail, state = said.get("detail") or {}, str(said.get("state"))
    notebook = str(origin.get("notebook") or "")
    again = str(detail.get("retried") or "")
    row = {
        "run": str(said["run"]),
        "name": str(options.get("name") or ""),
        "host": host,
        "state": state,
        "place": said.get("position"),
        "wait": said.get("wait"),
        "age": said.get("age"),
        "started": said.get("age") if state == "started" else None,
        "seconds": said.get("ran"),
        "notebook": notebook.removeprefix(f"{root}/") if root else notebook,
        "cell": str(origin.get("cell") or ""),
        "detached": bool(options.get("detach")),
        "priority": options.get("priority") or 0,
        "at": start_of(options),
        "after": [str(run) for run, _whatever in options.get("after") or ()],
        "reason": str(detail.get("reason") or ""),
        "final": bool(said.get("final")),
        "moved": detail.get("moved") or ({"host": host, "run": again} if again else {}),
        "kept": said.get("kept"),
        "collected": bool(said.get("collected")),
        "cancelling": bool(said.get("stopping")) and not said.get("final"),
        # Hosts tell an account of its own runs alone.
        "mine": True,
    }
    told: Row = plain_values(row)
    return {**told, "heard": heard}


def aged(row: Row, now: float) -> Row:
    """Return a run's row as it is at a later time: what grows has grown."""
    passed = now - row["heard"]
    later = {key: value for key, value in row.items() if key != "heard"}
    for key, sign in (("age", 1), ("started", 1), ("kept", -1)):
        if later[key] is not None:
            later[key] = round(later[key] + sign * passed, 1)
    return later


def metric(row: Row) -> Row:
    """Return what of a host's row is drawn over time."""
    memory, lanes = row["memory"], row["lanes"]
    known = memory["total"] is not None and memory["free"] is not None
    return {
        "gpu": row["gpu"],
        "memory_used": memory["total"] - memory["free"] if known else None,
        "watts": row["watts"],
        "running": _sum(lane["running"] for lane in lanes.values()),
        "queued": _sum(lane["queued"] for lane in lanes.values()),
    }


def lasting(row: Row) -> Row:
    """Return a row without what ages by itself: what is compared to know of a change."""
    return {key: value for key, value in row.items() if key not in AGEING}


def _memory(status: HostStatus) -> Row:
    memory = status.memory
    return {
        "total": memory.total,
        "free": memory.free,
        "ours": memory.held,
        "others": memory.others,
        "limit": memory.limit,
    }


def _lane(lane: Lane) -> Row:
    return {
        "slots": lane.slots,
        "running": lane.running,
        "queued": lane.queued,
        "wait": _rounded(lane.wait),
    }


def _sum(numbers: Iterator[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
