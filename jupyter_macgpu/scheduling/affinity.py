"""Node affinity with Kubernetes' keys: nodeSelector, required and preferred terms. Pure.

What is read here is what a fleet file's profiles hold under Kubernetes' own names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .labels import SelectorError
from .selectors import Operator, Requirement, requirement_problems

#: Scores of preferences and taints are spread over 0 to this, as in Kubernetes.
MAX_SCORE = 100
#: Weights that a preference may have; 0 is read and ignored, as in Kubernetes.
WEIGHTS = range(MAX_SCORE + 1)

_OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
    "Gt": Operator.GREATER_THAN,
    "Lt": Operator.LESS_THAN,
}
_FIELD_OPERATORS = ("In", "NotIn")
#: The one field of a host that can be asked for.
_NAME_FIELD = "metadata.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRequirement:
    """A condition on a field of the host itself, which has or has not one value."""

    key: str
    value: str
    is_equal: bool

    def matches(self, name: str) -> bool:
        """Say whether the host of a name meets the condition."""
        # A field that does not exist has the empty value in Kubernetes.
        actual = name if self.key == _NAME_FIELD else ""
        return (actual == self.value) == self.is_equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Conditions that must all hold: expressions on labels and on fields."""

    expressions: tuple[Requirement, ...] = ()
    fields: tuple[FieldRequirement, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Say whether a host meets all conditions.

        A host without a name has no fields, and no condition on fields is asked of it.
        """
        return all(one.matches(labels) for one in self.expressions) and (
            not name or all(one.matches(name) for one in self.fields)
        )

    def __str__(self) -> str:
        fields = [f"{one.key}{'=' if one.is_equal else '!='}{one.value}" for one in self.fields]
        return ",".join([*map(str, self.expressions), *fields])


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Terms of which one must hold. Without any, no host is good enough.

    Attributes
    ----------
    terms
        Those that could be read. An empty term selects nothing, so it is left out.
    problems
        What is wrong with the others. A wrong term is skipped and the rest still hold, as in
        Kubernetes' scheduler; `check` is stricter.
    """

    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Say whether a host meets one of the terms."""
        return any(term.matches(name, labels) for term in self.terms)

    def check(self) -> None:
        """Raise SelectorError if any term is wrong, as when a user hands them in."""
        if self.problems:
            raise SelectorError(
                "The affinity is not valid: " + "; ".join(self.problems) + ".", self.problems
            )

    def __str__(self) -> str:
        return " or ".join(map(str, self.terms)) or "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A term and what a host that meets it gains."""

    weight: int
    term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """What a cell asks of a host's labels and name.

    Attributes
    ----------
    node_selector
        Labels that the host must have with exactly these values.
    required
        Each must be met; there may be more than one where a profile and a fleet both ask.
    preferred
        What is liked, with weights.
    """

    node_selector: Mapping[str, str] = field(default_factory=dict)
    required: tuple[Terms, ...] = ()
    preferred: tuple[Preference, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Say whether a host has all that is required."""
        return not self.unmet(name, labels)

    def unmet(self, name: str, labels: Mapping[str, str]) -> list[str]:
        """Return what is required and a host does not have, as texts."""
        wrong = [
            f"{key}={value}"
            for key, value in self.node_selector.items()
            if labels.get(key) != value
        ]
        return wrong + [str(terms) for terms in self.required if not terms.matches(name, labels)]

    def preference(self, name: str, labels: Mapping[str, str]) -> int:
        """Return the sum of the weights of the preferences that a host meets."""
        return sum(one.weight for one in self.preferred if one.term.matches(name, labels))


def required_terms(raw: Sequence[object]) -> Terms:
    """Read ``nodeSelectorTerms``; what cannot be read is in `Terms.problems`."""
    terms: list[Term] = []
    problems: list[str] = []
    for i, one in enumerate(raw):
        term, wrong = _term(one, f"nodeSelectorTerms[{i}]")
        problems += wrong
        if term is not None:
            terms.append(term)
    return Terms(terms=tuple(terms), problems=tuple(problems))


def preferred_terms(raw: Sequence[object]) -> tuple[Preference, ...]:
    """Read ``preferredDuringSchedulingIgnoredDuringExecution``.

    An entry without a weight, or with an empty preference, counts for nothing and is not read.

    Raises
    ------
    SelectorError
        If any other entry is wrong.
    """
    preferences: list[Preference] = []
    problems: list[str] = []
    for i, one in enumerate(raw):
        entry = one if isinstance(one, Mapping) else {}
        weight = entry.get("weight", 0)
        if not isinstance(weight, int) or weight not in WEIGHTS:
            problems.append(f"[{i}].weight: must be from 1 to {MAX_SCORE}")
        elif weight:
            term, wrong = _term(entry.get("preference"), f"[{i}]")
            problems += wrong
            if term is not None:
                preferences.append(Preference(weight=weight, term=term))
    if problems:
        raise SelectorError(
            "The preferences are not valid: " + "; ".join(problems) + ".", tuple(problems)
        )
    return tuple(preferences)


def spread(raw: Sequence[int], *, is_reversed: bool = False) -> list[int]:
    """Spread scores of 0 and more over 0 to 100, the best one getting 100.

    Where the lowest is the best, they are turned round; then 0 for all is 100 for all.
    """
    best = max(raw, default=0)
    scores = [MAX_SCORE * one // best if best else 0 for one in raw]
    return [MAX_SCORE - score for score in scores] if is_reversed else scores


def _term(raw: object, path: str) -> tuple[Term | None, list[str]]:
    """Return the term and no problems, or None; an empty term is None and no problem either."""
    if not isinstance(raw, Mapping):
        return None, [] if raw is None else [f"{path}: must have matchExpressions or matchFields"]
    problems: list[str] = []
    expressions: list[Requirement] = []
    fields: list[FieldRequirement] = []
    for i, one in enumerate(_entries(raw, "matchExpressions", path, problems)):
        expression = _expression(one, f"{path}.matchExpressions[{i}]", problems)
        expressions += [expression] if expression else []
    for i, one in enumerate(_entries(raw, "matchFields", path, problems)):
        condition = _field(one, f"{path}.matchFields[{i}]", problems)
        fields += [condition] if condition else []
    if problems or not (expressions or fields):
        return None, problems
    return Term(expressions=tuple(expressions), fields=tuple(fields)), []


def _entries(raw: Mapping[str, object], key: str, path: str, problems: list[str]) -> list[object]:
    entries = raw.get(key) or []
    if isinstance(entries, list):
        return entries
    problems.append(f"{path}.{key}: must be a list")
    return []


def _parts(raw: object, path: str, problems: list[str]) -> tuple[str, str, list[str]] | None:
    """Return key, operator and values of one condition if they have the right types."""
    if isinstance(raw, Mapping):
        key, operator, values = raw.get("key", ""), raw.get("operator", ""), raw.get("values") or []
        is_text = isinstance(key, str) and isinstance(operator, str)
        if is_text and isinstance(values, list) and all(isinstance(one, str) for one in values):
            return key, operator, values
    problems.append(f"{path}: must have texts as key and operator, and a list of texts as values")
    return None


def _expression(raw: object, path: str, problems: list[str]) -> Requirement | None:
    if (parts := _parts(raw, path, problems)) is None:
        return None
    key, operator, values = parts
    if operator not in _OPERATORS:
        problems.append(f"{path}.operator: '{operator}' is none of {', '.join(_OPERATORS)}")
        return None
    wrong = requirement_problems(key, _OPERATORS[operator], values)
    problems += [f"{path}.{problem}" for problem in wrong]
    if wrong:
        return None
    return Requirement(key=key, operator=_OPERATORS[operator], values=frozenset(values))


def _field(raw: object, path: str, problems: list[str]) -> FieldRequirement | None:
    if (parts := _parts(raw, path, problems)) is None:
        return None
    key, operator, values = parts
    if operator not in _FIELD_OPERATORS:
        problems.append(f"{path}.operator: '{operator}' is none of {', '.join(_FIELD_OPERATORS)}")
    elif len(values) != 1:
        problems.append(f"{path}.values: must have one element")
    else:
        return FieldRequirement(key=key, value=values[0], is_equal=operator == "In")
    return None
