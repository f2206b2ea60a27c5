"""What widgets show of a host, as plain values of JSON: every text is ready to be read. Pure.

What nobody knows is said to be unknown, never 0. Texts are one line without control characters;
whoever shows them shows them as text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..fleet.sharers import users_of
from ..fleet.simulated import is_simulated
from ..scheduling.status import Lane, State
from ..scheduling.weights import OWNER_AWAY
from ..standing import span
from ..wire.plain import plain_line
from ..wire.telemetry import Telemetry
from ..wire.values.remote import format_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..fleet.seen import Seen
    from ..scheduling.status import HostStatus
    from ..wire.gauges import Heat, People, Power

#: Points of a line that shows how something went.
POINTS = 60
#: Cells and values of one host that are shown.
_MOST = 12
#: Characters of one text.
_LONGEST = 200
#: Characters of a host's labels, which are searched and not shown.
_SEARCHED = 2000
_UNKNOWN = "unknown"
#: States in which what a host said of its load is no longer true.
_GONE = (State.UNREACHABLE, State.ASLEEP, State.REFUSED)
#: Seconds for which what a host said is called new.
_NEW = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What goes on in a host for this account.

    Attributes
    ----------
    cells
        Rows of runs that have not ended, as `mac.records.Run.listed` has them; None is unknown.
    values
        What this notebook's worker holds alone, as its operation ``values`` lists it; None where
        it was not asked.
    note
        Why values are not known, or are old.
    """

    cells: Sequence[Mapping[str, Any]] | None = None
    values: Sequence[Mapping[str, Any]] | None = None
    note: str = ""


def device(
    seen: Seen, telemetry: Telemetry, inside: Inside, *, notebook: str = "", chosen: bool = False
) -> dict[str, Any]:
    """Return what is shown of one host.

    Parameters
    ----------
    notebook
        Name of the notebook whose cells are marked as its own.
    chosen
        Whether this notebook's cells run there.
    """
    status, telemetry = _believed(seen, telemetry)
    system = telemetry.system
    return {
        **_head(seen, chosen),
        "about": _about(telemetry, status),
        "gauges": [_gpu(telemetry), _memory(status), *_power(telemetry)],
        "facts": [
            ["Supply", _supply(telemetry.power)],
            ["Heat", _heat(telemetry.heat, telemetry)],
            ["Owner", _owner(telemetry.people)],
            ["System", cut(f"{system.name or ''} {system.version or ''}").strip() or _UNKNOWN],
            ["Cells", _slots(status)],
            *_sometimes(seen, status, telemetry),
        ],
        "cells": _cells(inside.cells, notebook),
        "values": _values(inside.values),
        "note": cut(inside.note),
    }


def gone(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of a host that the fleet file names no more: what it was built with."""
    return {
        **shown,
        "state": "gone",
        "reason": "the fleet file does not name it any more; nothing here is new",
        "heard": "not asked any more",
        "chosen": False,
        "cells": [],
        "values": None,
        "note": "",
    }


def row(seen: Seen, telemetry: Telemetry, *, chosen: bool = False) -> dict[str, Any]:
    """Return a host's line among others; ``sort`` holds numbers to sort by, null for unknown."""
    status, telemetry = _believed(seen, telemetry)
    gpu, memory = _gpu(telemetry), _memory(status)
    labels = [f"{key}={value}" for key, value in sorted(status.labels.items())]
    return {
        **_head(seen, chosen),
        "chip": cut(status.labels.get("chip") or ""),
        "labels": plain_line(" ".join(labels))[:_SEARCHED],
        "gpu": gpu,
        "memory": memory,
        "queue": _queue(status),
        "sort": {
            "gpu": gpu["share"],
            "free": status.memory.free,
            "queue": (status.gpu.running or 0) + (status.gpu.queued or 0),
        },
    }


def points(status: HostStatus, telemetry: Telemetry, connected: bool) -> dict[str, float | None]:
    """Return one point of each line; null leaves a gap."""
    gpu, memory = telemetry.gpu, status.memory
    used = None if not memory.total or memory.free is None else 1 - memory.free / memory.total
    known = {
        "gpu": gpu.utilization if gpu else None,
        "memory": used,
        "watts": telemetry.watts,
    }
    return {
        name: None if value is None or not connected else round(value, 3)
        for name, value in known.items()
    }


def longer(
    history: Mapping[str, Sequence[float | None]], new: Mapping[str, float | None]
) -> dict[str, list[float | None]]:
    """Return lines with one more point each, and none of the oldest beyond `POINTS`."""
    return {name: [*history.get(name, ()), point][-POINTS:] for name, point in new.items()}


def _head(seen: Seen, chosen: bool) -> dict[str, Any]:
    simulated = is_simulated(seen.status.labels)
    return {
        "host": seen.host.name,
        "simulated": simulated,
        "state": str(seen.state or "not asked yet"),
        "reason": cut(seen.reason),
        "heard": _heard(seen),
        "drained": bool(seen.status.is_draining),
        "chosen": chosen,
    }


def _believed(seen: Seen, telemetry: Telemetry) -> tuple[HostStatus, Telemetry]:
    """Return what still holds of what a host said: of one that is gone, only what was built in."""
    status = seen.status
    if seen.state not in _GONE:
        return status, telemetry
    gpus = telemetry.gpus and tuple(
        replace(gpu, utilization=None, watts=None) for gpu in telemetry.gpus
    )
    lasting = Telemetry(machine=telemetry.machine, system=telemetry.system, gpus=gpus)
    memory = replace(status.memory, free=None)
    return replace(status, memory=memory, gpu=Lane(slots=status.gpu.slots)), lasting


def _heard(seen: Seen) -> str:
    if seen.age is None:
        return "nothing heard yet"
    # Of a host that does not answer the age is that of the attempt.
    what = "tried" if seen.state in _GONE else "heard"
    return f"{what} just now" if seen.age < _NEW else f"{what} {_coarse(seen.age)} ago"


def _coarse(seconds: float) -> str:
    """Return a span that does not change at every look."""
    return span(10 * (seconds // 10) if seconds < 120 else seconds)


def _about(telemetry: Telemetry, status: HostStatus) -> str:
    gpu = telemetry.gpu
    parts = [
        telemetry.machine.chip or status.labels.get("chip") or "",
        f"{gpu.cores} GPU cores" if gpu and gpu.cores else "",
        format_size(status.memory.total) if status.memory.total else "",
    ]
    return cut(" · ".join(part for part in parts if part)) or "nothing known yet"


def _gpu(telemetry: Telemetry) -> dict[str, Any]:
    gpu = telemetry.gpu
    share = gpu.utilization if gpu else None
    text = "none" if telemetry.gpus == () else _UNKNOWN
    if share is not None:
        text = f"{100 * share:.0f} %"
    return {"name": "GPU", "line": "gpu", "share": _share(share), "text": text, "parts": []}


def _memory(status: HostStatus) -> dict[str, Any]:
    memory = status.memory
    total, used, others = memory.total, memory.used, memory.others
    gauge: dict[str, Any] = {"name": "Memory", "line": "memory", "share": None, "parts": []}
    if not total or used is None or others is None:
        return {**gauge, "text": _UNKNOWN if not total else f"{format_size(total)} in all"}
    gauge["parts"] = [
        _part("ours", used - others, total),
        _part("others", others, total),
        _part("free", memory.free or 0, total),
    ]
    if memory.limit:
        gauge["parts"].append(_part("GPU limit", memory.limit, total))
    return {**gauge, "share": _share(used / total), "text": _of(used, total)}


def _of(some: int, total: int) -> str:
    """Return two sizes, with their unit once if it is the same."""
    size, unit = format_size(some).split(" ")
    whole = format_size(total)
    return f"{size} of {whole}" if whole.endswith(f" {unit}") else f"{size} {unit} of {whole}"


def _part(name: str, size: int, total: int) -> dict[str, Any]:
    return {"name": name, "share": _share(size / total), "text": format_size(size)}


def _power(telemetry: Telemetry) -> list[dict[str, Any]]:
    watts = telemetry.watts
    whose = " by the GPU" if telemetry.power.system_watts is None else ""
    if watts is None:
        return []
    text = f"{watts:.1f} W{whose}"
    return [{"name": "Power", "line": "watts", "share": None, "text": text, "parts": []}]


def _supply(power: Power) -> str:
    source = {"ac": "mains", "battery": "battery", "ups": "UPS"}.get(power.source or "", "")
    charge = f"battery {100 * power.charge:.0f} %" if power.charge is not None else ""
    parts = [
        "" if power.battery and source == "battery" and charge else source,
        charge if power.battery else "",
        "low power mode" if power.low_power_mode else "",
    ]
    return ", ".join(part for part in parts if part) or _UNKNOWN


def _heat(heat: Heat, telemetry: Telemetry) -> str:
    gpu = telemetry.gpu
    parts = [
        cut(heat.pressure or ""),
        f"GPU {gpu.celsius:.0f} °C" if gpu and gpu.celsius is not None else "",
        f"CPU {heat.cpu_celsius:.0f} °C" if heat.cpu_celsius is not None else "",
    ]
    return ", ".join(part for part in parts if part) or _UNKNOWN


def _owner(people: People) -> str:
    if people.console_user is False:
        return "nobody logged in at the screen"
    if people.idle_seconds is None:
        return _UNKNOWN
    if people.idle_seconds < OWNER_AWAY:
        return "at the keyboard"
    return f"away for {_coarse(people.idle_seconds)}"


def _slots(status: HostStatus) -> str:
    lane = status.gpu
    if lane.running is None:
        return _UNKNOWN
    waiting = f", {lane.queued} waiting" if lane.queued else ""
    return f"{lane.running} of {lane.slots} running{waiting}"


def _sometimes(seen: Seen, status: HostStatus, telemetry: Telemetry) -> list[list[str]]:
    """Return the facts that are shown only if there is something to say."""
    pressure, wait = telemetry.memory.pressure, status.gpu.wait
    facts = [
        ["Wait", f"a free slot in about {span(wait)}" if wait else ""],
        ["Others", cut(users_of(seen.said))],
        ["Pressure", f"memory: {pressure}" if pressure in ("warn", "critical") else ""],
    ]
    return [fact for fact in facts if fact[1]]


def _queue(status: HostStatus) -> str:
    lane = status.gpu
    if lane.running is None:
        return ""
    if lane.queued:
        return f"{lane.running} + {lane.queued} waiting"
    return f"{lane.running} running" if lane.running else "idle"


def _cells(rows: Sequence[Mapping[str, Any]] | None, notebook: str) -> list[dict[str, Any]]:
    found = []
    for each in rows or ():
        origin, options = _mapping(each.get("origin")), _mapping(each.get("options"))
        name = str(origin.get("notebook") or "")
        called = options.get("name") or (name.rpartition("/")[2] if "." in name else "")
        found.append(
            {
                "run": cut(str(each.get("run", "")))[:8],
                "what": cut(str(called)),
                "ours": bool(notebook) and name == notebook,
                "how": cut(_how(each)),
            }
        )
    return found[:_MOST]


def _how(each: Mapping[str, Any]) -> str:
    if each.get("state") == "started":
        return f"runs, {span(_number(each.get('age')))}"
    place, wait = each.get("position"), each.get("wait")
    text = "waiting"
    if isinstance(place, int):
        text = f"after {place}" if place > 0 else "next"
    return f"{text}, in {span(wait)}" if isinstance(wait, (int, float)) and wait > 0 else text


def _values(values: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    if values is None:
        return None
    found = []
    for each in values[:_MOST]:
        size = each.get("nbytes")
        found.append(
            {
                "name": cut(str(each.get("name", ""))),
                "type": cut(str(each.get("type", ""))),
                "size": format_size(size) if isinstance(size, int) else "",
            }
        )
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _share(value: float | None) -> float | None:
    return None if value is None else round(min(1.0, max(0.0, value)), 3)


def cut(text: str) -> str:
    """Return a text in one line that is not too long to be shown."""
    line = plain_line(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
