"""Profiles of a fleet file: what kinds of work ask for, with Kubernetes' own keys.

Kubernetes skips a term that it cannot read. Here a profile is checked as when a user hands it to
Kubernetes: what is wrong in it is said, with its line, before any cell asks for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..amounts import SIZE_PATTERN, read_size
from ..scheduling.affinity import Affinity, preferred_terms, required_terms
from ..scheduling.labels import SelectorError
from ..scheduling.taints import Effect, Toleration, toleration_problems
from ..wire.errors import ConfigError
from . import kinds
from .fields import ANY_TEXT, LABEL_KEY, LABELS
from .kinds import Problems

#: Keys that engines and environments bring with them.
LATER_KEYS = ("account", "engine", "env", "environment", "partition", "qos", "time")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one kind of work asks of a host.

    Attributes
    ----------
    name
        What ``--profile`` calls it.
    affinity
        Of ``nodeSelector`` and ``affinity``: labels that must be there, and what is liked.
    tolerations
        Taints that it puts up with.
    mem
        Bytes of memory that it needs; None leaves it open.
    cpu
        Whether it goes without a GPU.
    """

    name: str
    affinity: Affinity = Affinity()  # noqa: RUF009 - frozen
    tolerations: tuple[Toleration, ...] = ()
    mem: int | None = None
    cpu: bool = False


def profile_from(name: str, said: Mapping[str, Any]) -> Profile:
    """Return the profile of values that `PROFILE` has read."""
    affinity = said.get("affinity", Affinity())
    return Profile(
        name=name,
        affinity=replace(affinity, node_selector=said.get("nodeSelector", {})),
        tolerations=said.get("tolerations", ()),
        mem=said.get("mem"),
        cpu=said.get("cpu", False),
    )


def choose(profiles: Mapping[str, Profile], name: str) -> Profile:
    """Return the profile of a name.

    Raises
    ------
    ConfigError
        If there is none; it names those that there are. Nothing was sent.
    """
    if name in profiles:
        return profiles[name]
    near = difflib.get_close_matches(name[:64], profiles, n=1, cutoff=0.6)
    listed = f"The profiles are {', '.join(profiles)}." if profiles else "The file has none."
    raise ConfigError(
        f"The fleet file has no profile {name[:64]}.",
        next=f"Did you mean {near[0]}?" if near else listed,
    )


def _tolerations(raw: tuple[dict[str, Any], ...]) -> tuple[tuple[Toleration, ...], Problems]:
    found = tuple(
        Toleration(
            key=each.get("key", ""),
            operator=each.get("operator", "Equal"),
            value=each.get("value", ""),
            effect=each.get("effect", ""),
            seconds=each.get("tolerationSeconds"),
        )
        for each in raw
    )
    return found, [
        (f"[{i}].{place}", text)
        for i, toleration in enumerate(found)
        for place, _, text in [each.partition(": ") for each in toleration_problems(toleration)]
    ]


def _affinity(raw: dict[str, Any]) -> tuple[Affinity, Problems]:
    node = _lists(raw["nodeAffinity"])
    problems: list[tuple[str, str]] = []
    affinity = Affinity()
    if _REQUIRED in node:
        entries = node[_REQUIRED]["nodeSelectorTerms"]
        terms = required_terms(entries)
        problems += _placed(_REQUIRED, "", terms.problems)
        if not entries:
            problems.append((f"nodeAffinity.{_REQUIRED}.nodeSelectorTerms", "this is empty"))
        problems += [
            (f"nodeAffinity.{_REQUIRED}.nodeSelectorTerms[{i}]", _EMPTY)
            for i, entry in enumerate(entries)
            if not any(entry.values())
        ]
        affinity = replace(affinity, required=(terms,))
    try:
        affinity = replace(affinity, preferred=preferred_terms(node.get(_PREFERRED, [])))
    except SelectorError as error:
        problems += _placed(_PREFERRED, ".preference", error.problems)
    problems += [
        (f"nodeAffinity.{_PREFERRED}[{i}].preference", _EMPTY)
        for i, entry in enumerate(node.get(_PREFERRED, []))
        if not any(entry["preference"].values())
    ]
    return affinity, problems


_EMPTY = "this says nothing, so it fits no host"


def _placed(key: str, inner: str, problems: Iterable[str]) -> Problems:
    """Return problems with their whole paths; they begin at an index of a list under `key`."""
    found = []
    for each in problems:
        path, _, text = each.partition(": ")
        index, bracket, rest = path.partition("]")
        joined = f"{index}{bracket}{inner}{rest}"
        dot = "" if joined.startswith("[") else "."
        found.append((f"nodeAffinity.{key}{dot}{joined}", text))
    return found


def _lists(value: Any) -> Any:
    """Return a value with lists where the reader made tuples, as Kubernetes' readers take it."""
    if isinstance(value, dict):
        return {key: _lists(each) for key, each in value.items()}
    return [_lists(each) for each in value] if isinstance(value, tuple) else value


def _conditions(key: kinds.Kind, *operators: str) -> kinds.Kind:
    return kinds.sequence(
        kinds.mapping(
            {
                "key": key,
                "operator": kinds.choice(*operators),
                "values": kinds.sequence(ANY_TEXT),
            },
            required=("key", "operator"),
        )
    )


_TERM = kinds.mapping(
    {
        "matchExpressions": _conditions(
            LABEL_KEY, "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"
        ),
        "matchFields": _conditions(ANY_TEXT, "In", "NotIn"),
    }
)
_NODE_AFFINITY = kinds.mapping(
    {
        _REQUIRED: kinds.mapping(
            {"nodeSelectorTerms": kinds.sequence(_TERM)}, required=("nodeSelectorTerms",)
        ),
        _PREFERRED: kinds.sequence(
            kinds.mapping(
                {"weight": kinds.whole_number(1, 100), "preference": _TERM},
                required=("weight", "preference"),
            )
        ),
    }
)
_TOLERATION = kinds.mapping(
    {
        "key": ANY_TEXT,
        "operator": kinds.choice("Equal", "Exists", "Lt", "Gt"),
        "value": ANY_TEXT,
        "effect": kinds.choice(*map(str, Effect)),
        "tolerationSeconds": kinds.whole_number(0, 10**9 - 1),
    }
)
#: What may be said of a profile.
PROFILE = kinds.mapping(
    {
        "nodeSelector": LABELS.described("Labels that the host must have"),
        "tolerations": kinds.checked(kinds.sequence(_TOLERATION), _tolerations).described(
            "Taints that the work puts up with"
        ),
        "affinity": kinds.checked(
            kinds.mapping(
                {"nodeAffinity": _NODE_AFFINITY},
                required=("nodeAffinity",),
                later=("podAffinity", "podAntiAffinity"),
            ),
            _affinity,
        ).described("What the host must have, and what is liked about it"),
        "mem": kinds.amount(read_size, SIZE_PATTERN).described("Memory that it needs: 24GB"),
        "cpu": kinds.flag().described("Whether it goes without a GPU"),
    },
    later=LATER_KEYS,
)
