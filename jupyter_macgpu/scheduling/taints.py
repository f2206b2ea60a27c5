"""Taints keep work away from a host, tolerations let it come: Kubernetes' rules. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .labels import SelectorError, canonical_integer, key_problem, value_problem


class Effect(StrEnum):
    """What a taint does to work that does not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


#: The effects that keep work from being placed; the third one only costs points.
FORBIDDING: frozenset[str] = frozenset({Effect.NO_SCHEDULE, Effect.NO_EXECUTE})
_EFFECTS = tuple(map(str, Effect))
_OPERATORS = ("Equal", "Exists", "Lt", "Gt")
_HINT = (
    "Write KEY, KEY=VALUE, KEY:EFFECT or KEY=VALUE:EFFECT, for example apple.com/gpu:NoSchedule."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A mark on a host. The effect stays a text: one that is unknown has no effect."""

    key: str
    value: str = ""
    effect: str = Effect.NO_SCHEDULE

    def __str__(self) -> str:
        return f"{self.key}{'=' if self.value else ''}{self.value}:{self.effect}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """What work puts up with.

    Attributes
    ----------
    key
        The taint's key; the empty text together with ``Exists`` is every key.
    operator
        ``Equal`` (also the empty text), ``Exists``, ``Gt`` or ``Lt``: whether the taint's value
        is above or below this one.
    value
        What the taint's value is compared with.
    effect
        The taint's effect; the empty text is every effect.
    seconds
        How long a ``NoExecute`` taint is put up with once it is there; None is for ever, zero
        and less not at all.
    """

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    seconds: int | None = None

    def tolerates(self, taint: Taint, *, compares: bool = True) -> bool:
        """Say whether this toleration covers a taint.

        `compares` is Kubernetes' switch for ``Gt`` and ``Lt``; off, they cover nothing. Values
        that are not whole numbers in their one normal form are not compared.
        """
        if (self.effect and self.effect != taint.effect) or (self.key and self.key != taint.key):
            return False
        if self.operator in ("", "Equal"):
            return self.value == taint.value
        if self.operator == "Exists":
            return True
        return compares and self._compares(taint.value)

    def _compares(self, value: str) -> bool:
        number, bound = canonical_integer(value), canonical_integer(self.value)
        if number is None or bound is None:
            return False
        return (self.operator == "Gt" and number > bound) or (
            self.operator == "Lt" and number < bound
        )


#: What work of ``%%macgpu`` puts up with: a GPU is reserved for exactly this work.
GPU_TOLERATIONS = (
    Toleration(key="apple.com/gpu", operator="Exists"),
    Toleration(key="nvidia.com/gpu", operator="Exists"),
)


def untolerated(
    taints: Iterable[Taint],
    tolerations: Sequence[Toleration],
    *,
    effects: Collection[str] | None = FORBIDDING,
    compares: bool = True,
) -> list[Taint]:
    """Return the taints of certain effects that no toleration covers; None is every effect."""
    return [
        taint
        for taint in taints
        if (effects is None or taint.effect in effects)
        and not any(one.tolerates(taint, compares=compares) for one in tolerations)
    ]


def avoided(
    taints: Iterable[Taint], tolerations: Sequence[Toleration], *, compares: bool = True
) -> int:
    """Return how many ``PreferNoSchedule`` taints no toleration covers."""
    effects = {Effect.PREFER_NO_SCHEDULE}
    return len(untolerated(taints, tolerations, effects=effects, compares=compares))


def stay(
    taints: Iterable[Taint], tolerations: Sequence[Toleration], *, compares: bool = True
) -> float | None:
    """Return for how many seconds work may stay on a host, from when its taints came.

    Only ``NoExecute`` taints end work. None is without limit, 0 is not at all. Of several
    tolerations that cover a taint the first counts, and of several taints the shortest time.
    """
    limits: list[float] = []
    for taint in taints:
        if taint.effect != Effect.NO_EXECUTE:
            continue
        first = next((t for t in tolerations if t.tolerates(taint, compares=compares)), None)
        if first is None:
            return 0.0
        if first.seconds is not None:
            limits.append(max(0.0, first.seconds))
    return min(limits, default=None)


def parse_toleration(text: str) -> Toleration:
    """Read what ``--tolerate`` is given: ``KEY``, ``KEY=VALUE``, each also with ``:EFFECT``.

    Raises
    ------
    SelectorError
        If the text is not of this form.
    """
    key, value, effect = _split(text)
    toleration = Toleration(
        key=key, operator="Exists" if value is None else "Equal", value=value or "", effect=effect
    )
    # To put up with everything is said with Kubernetes' keys in a profile, not by a slip.
    missing = [] if key else ["key: the name is empty"]
    _refuse(text, "toleration", missing or toleration_problems(toleration))
    return toleration


def taint_from(raw: Mapping[str, object]) -> Taint:
    """Read a taint with Kubernetes' keys, as a fleet file has it.

    Raises
    ------
    SelectorError
        If it breaks the rules.
    """
    key, value, effect = (_text(raw, name) for name in ("key", "value", "effect"))
    taint = Taint(key=key, value=value, effect=effect)
    _refuse(
        str(taint),
        "taint",
        [*_strangers(raw, {"key", "value", "effect", "timeAdded"}), *taint_problems(taint)],
    )
    return taint


def taint_problems(taint: Taint) -> list[str]:
    """Return everything that is wrong with a taint."""
    problems = [("key", key_problem(taint.key)), ("value", value_problem(taint.value))]
    if taint.effect not in _EFFECTS:
        problems.append(("effect", f"'{taint.effect}' is none of {', '.join(_EFFECTS)}"))
    return [f"{place}: {problem}" for place, problem in problems if problem]


def toleration_problems(toleration: Toleration) -> list[str]:
    """Return everything that is wrong with a toleration."""
    key, operator, value = toleration.key, toleration.operator or "Equal", toleration.value
    problems = [("key", key_problem(key) if key else "")]
    if operator not in _OPERATORS:
        problems.append(("operator", f"'{operator}' is none of {', '.join(_OPERATORS)}"))
    if not key and operator != "Exists":
        problems.append(("operator", "must be Exists where there is no key"))
    if operator == "Exists" and value:
        problems.append(("value", "must be empty where the operator is Exists"))
    if operator == "Equal":
        problems.append(("value", value_problem(value)))
    if operator in ("Lt", "Gt") and canonical_integer(value) is None:
        problems.append(("value", "must be a whole number without leading zeros"))
    if toleration.effect and toleration.effect not in _EFFECTS:
        problems.append(("effect", f"'{toleration.effect}' is none of {', '.join(_EFFECTS)}"))
    if toleration.seconds is not None and toleration.effect != Effect.NO_EXECUTE:
        problems.append(("tolerationSeconds", "needs the effect NoExecute"))
    return [f"{place}: {problem}" for place, problem in problems if problem]


def _split(text: str) -> tuple[str, str | None, str]:
    """Return key, value (None without ``=``) and effect (empty without ``:``)."""
    rest, _, effect = text.strip().partition(":")
    key, equals, value = rest.partition("=")
    return key, value if equals else None, effect


def _refuse(text: str, kind: str, problems: Sequence[str]) -> None:
    if problems:
        raise SelectorError(
            f"The {kind} '{text[:120]}' is not valid: {'; '.join(problems)}.",
            tuple(problems),
            next=_HINT,
        )


def _text(raw: Mapping[str, object], name: str) -> str:
    value = raw.get(name)
    return "" if value is None else str(value)


def _strangers(raw: Mapping[str, object], names: set[str]) -> list[str]:
    return [f"{name}: is not known here" for name in raw if name not in names]
