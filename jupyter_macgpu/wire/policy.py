"""What a host's administrator has laid down for it: the content of its ``host.yaml``. Pure.

The file is JSON, which every reader of YAML takes, and which the host's side can read without a
library. `macgpu apply` writes it, the supervisors of all accounts there obey it. What cannot be
read in full is refused in full: a limit must not be skipped because its key is not known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

#: Version of the file's form.
VERSION = 1
#: Bytes. What is longer is no policy.
SIZE_LIMIT = 256 * 1024
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(DAYS)
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = re.compile(
    f"((?P<first>{_DAY})(-(?P<last>{_DAY}))? )?(?P<from>{_TIME})-(?P<to>{_TIME}|24:00)"
)
#: The same as JSON Schema takes it.
HOURS_PATTERN = f"^(({_DAY})(-({_DAY}))? )?{_TIME}-({_TIME}|24:00)$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a host's policy says beyond labels, taints and slots.

    Attributes
    ----------
    max_runs
        Runs of one account that may hold a slot at the same time; None sets no limit.
    max_time
        Seconds that one run may last; None sets no limit.
    max_memory
        Bytes that the runs of one account may ask for together; None sets no limit.
    owner_hours
        When the machine is its owner's alone and nothing new starts, by its own clock:
        ``09:00-17:00`` each day, ``Mon-Fri 09:00-17:00``, ``Sat 22:00-06:00``.
    drain
        Whether nothing new is taken at all.
    managed_by
        Who else gives this machine's work out, such as ``slurm``; empty: nobody.
    """

    max_runs: int | None = None
    max_time: float | None = None
    max_memory: int | None = None
    owner_hours: tuple[str, ...] = ()
    drain: bool = False
    managed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPolicy:
    """All that a ``host.yaml`` says.

    Attributes
    ----------
    labels
        Kubernetes labels by key.
    taints
        Each with ``key``, ``value`` and ``effect``, as Kubernetes has them.
    slots
        Cells that may use the GPU at the same time; None leaves it to the host.
    limits
        The rest.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    slots: int | None = None
    limits: Limits = Limits()

    def plain(self) -> dict[str, Any]:
        """Return what it says as JSON has it; what is not said is left out."""
        said: dict[str, Any] = {"labels": dict(self.labels), "slots": self.slots}
        said["taints"] = [dict(taint) for taint in self.taints]
        for each in fields(Limits):
            value = getattr(self.limits, each.name)
            said[each.name] = list(value) if isinstance(value, tuple) else value
        nothing: tuple[Any, ...] = (None, [], {}, "", False)
        return {key: said[key] for key in sorted(said) if said[key] not in nothing}


class PolicyError(ValueError):
    """A policy cannot be read; `problems` has everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def render(policy: HostPolicy) -> bytes:
    """Return the content of a ``host.yaml`` that says this and nothing else, in ASCII."""
    content = {"version": VERSION, "written_by": "macgpu apply", **policy.plain()}
    return json.dumps(content, indent=2).encode("ascii") + b"\n"


def read(content: bytes) -> HostPolicy:
    """Read the content of a ``host.yaml``.

    Raises
    ------
    PolicyError
        With all that is wrong.
    """
    if len(content) > SIZE_LIMIT:
        raise PolicyError([f"it is larger than {SIZE_LIMIT >> 10} KiB"])
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        raise PolicyError(["it is not JSON; macgpu apply writes it"]) from None
    if not isinstance(raw, dict) or raw.pop("version", None) != VERSION:
        raise PolicyError([f"it is no policy of version {VERSION}"])
    raw.pop("written_by", None)
    return from_plain(raw)


def from_plain(raw: Mapping[str, Any]) -> HostPolicy:
    """Return the policy that `HostPolicy.plain` stood for.

    Raises
    ------
    PolicyError
        With all that is wrong.
    """
    problems = [f"{key}: this key is not known here" for key in raw if key not in _FITS]
    known = {key: value for key, value in raw.items() if key in _FITS}
    problems += [f"{key}: {_FITS[key][1]}" for key in known if not _FITS[key][0](known[key])]
    if problems:
        raise PolicyError(sorted(problems))
    limits = {each.name: known[each.name] for each in fields(Limits) if each.name in known}
    if "owner_hours" in limits:
        limits["owner_hours"] = tuple(limits["owner_hours"])
    return HostPolicy(
        labels=known.get("labels", {}),
        taints=tuple(known.get("taints", ())),
        slots=known.get("slots"),
        limits=Limits(**limits),
    )


def is_owner_hours(text: str) -> bool:
    """Return whether a text says when a machine is its owner's, such as ``Mon-Fri 09:00-17:00``."""
    match = _HOURS.fullmatch(text)
    return match is not None and match["from"] != match["to"]


def owner_has_it(limits: Limits, weekday: int, minute: int) -> bool:
    """Return whether the machine is its owner's alone at a time of the week.

    Parameters
    ----------
    weekday
        0 is Monday, as in `time.struct_time`.
    minute
        Minutes since midnight, by the machine's own clock.
    """
    return any(_covers(text, weekday, minute) for text in limits.owner_hours)


def _covers(text: str, weekday: int, minute: int) -> bool:
    match = _HOURS.fullmatch(text)
    if match is None:
        return False
    begin, end = _minutes(match["from"]), _minutes(match["to"])
    if begin < end:
        return begin <= minute < end and _is_day(match, weekday)
    # Past midnight it is still the night of the day before.
    late = minute >= begin and _is_day(match, weekday)
    return late or (minute < end and _is_day(match, (weekday - 1) % 7))


def _is_day(match: re.Match[str], weekday: int) -> bool:
    if match["first"] is None:
        return True
    first = DAYS.index(match["first"])
    last = DAYS.index(match["last"] or match["first"])
    return (weekday - first) % 7 <= (last - first) % 7


def _minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return 60 * int(hour) + int(minute)


def _texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _whole(value: object) -> bool:
    return type(value) is int and value > 0


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(fits(each) for each in value)


def _taint(value: object) -> bool:
    return isinstance(value, dict) and _texts(value) and {"key", "effect"} <= value.keys()


#: By key: whether a value can stand there, and what it must be.
_FITS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "labels": (_texts, "it must be a mapping of keys to texts"),
    "taints": (_list_of(_taint), "it must be a list of taints with key and effect"),
    "slots": (_whole, "it must be a whole number above 0"),
    "max_runs": (_whole, "it must be a whole number above 0"),
    "max_time": (
        lambda value: type(value) in (int, float) and 0 < value < 1e9,
        "it must be a number of seconds",
    ),
    "max_memory": (_whole, "it must be a number of bytes"),
    "owner_hours": (
        _list_of(lambda value: isinstance(value, str) and is_owner_hours(value)),
        "it must be a list of times such as Mon-Fri 09:00-17:00",
    ),
    "drain": (lambda value: isinstance(value, bool), "it must be true or false"),
    "managed_by": (lambda value: isinstance(value, str), "it must be text"),
}
