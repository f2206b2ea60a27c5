"""Label selectors as they are written on a command line, with Kubernetes' grammar. Pure.

``gpu-type=metal,chip in (m2-ultra, m3-ultra),!drained``: requirements joined by commas, all of
which must hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .labels import SelectorError, integer, key_problem, value_problem


class Operator(StrEnum):
    """How a requirement relates a key to its values, as it is written in a selector."""

    IN = "in"
    NOT_IN = "notin"
    EQUALS = "="
    DOUBLE_EQUALS = "=="
    NOT_EQUALS = "!="
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"
    GREATER_THAN = "gt"
    LESS_THAN = "lt"


_OPERATORS = tuple(map(str, Operator))
_SETS = {Operator.IN, Operator.NOT_IN}
_EXACT = {Operator.EQUALS, Operator.DOUBLE_EQUALS, Operator.NOT_EQUALS}
_UNARY = {Operator.EXISTS, Operator.DOES_NOT_EXIST}
_NUMERIC = {Operator.GREATER_THAN, Operator.LESS_THAN}
#: These hold for a host that does not have the key at all.
_NEGATIVE = {Operator.NOT_IN, Operator.NOT_EQUALS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One condition on one label. Make it with `requirement`, which checks it."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels meet the condition.

        A key that is missing meets ``notin``, ``!=`` and ``!`` and nothing else. ``>`` and ``<``
        compare whole numbers of 64 bits; a label that is no number meets neither.
        """
        value = labels.get(self.key)
        if self.operator in _UNARY:
            return (value is not None) == (self.operator is Operator.EXISTS)
        if value is None:
            return self.operator in _NEGATIVE
        if self.operator in _NUMERIC:
            return self._compares(value)
        return (value in self.values) != (self.operator in _NEGATIVE)

    def _compares(self, value: str) -> bool:
        number, bound = integer(value), integer(next(iter(self.values)))
        if number is None or bound is None:
            return False
        return number > bound if self.operator is Operator.GREATER_THAN else number < bound

    def __str__(self) -> str:
        listed = ",".join(sorted(self.values))
        if self.operator is Operator.EXISTS:
            return self.key
        if self.operator is Operator.DOES_NOT_EXIST:
            return f"!{self.key}"
        if self.operator in _SETS:
            return f"{self.key} {self.operator} ({listed})"
        sign = {Operator.GREATER_THAN: ">", Operator.LESS_THAN: "<"}.get(self.operator)
        return f"{self.key}{sign or self.operator}{listed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Requirements that must all hold. One without requirements selects every host."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels meet all requirements."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def unmet(self, labels: Mapping[str, str]) -> list[Requirement]:
        """Return the requirements that labels do not meet."""
        return [one for one in self.requirements if not one.matches(labels)]

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def requirement(key: str, operator: str, values: Iterable[str] = ()) -> Requirement:
    """Return a checked requirement.

    Raises
    ------
    SelectorError
        If the operator is unknown, the key or a value breaks the rules for labels, or the number
        of values is not the operator's: one or more for ``in`` and ``notin``, one for ``=``,
        ``==``, ``!=``, ``gt`` and ``lt`` (a whole number for the last two), none otherwise.
    """
    problems = requirement_problems(key, operator, list(values))
    if problems:
        shown = key if len(key) <= 80 else f"{key[:77]}..."
        raise SelectorError(
            f"The requirement on the label '{shown}' is not valid: {'; '.join(problems)}.",
            tuple(problems),
        )
    return Requirement(key=key, operator=Operator(operator), values=frozenset(values))


def requirement_problems(key: str, operator: str, values: Sequence[str]) -> list[str]:
    """Return everything that is wrong with a requirement, each as ``place: problem``."""
    problems = [f"key: {problem}" for problem in [key_problem(key)] if problem]
    if operator not in _OPERATORS:
        return [*problems, f"operator: '{operator}' is none of {', '.join(_OPERATORS)}"]
    if operator in _SETS and not values:
        problems.append(f"values: '{operator}' needs at least one")
    if operator in _EXACT | _NUMERIC and len(values) != 1:
        problems.append(f"values: '{operator}' needs exactly one")
    if operator in _UNARY and values:
        problems.append(f"values: '{operator}' takes none")
    if operator in _NUMERIC and any(integer(value) is None for value in values):
        problems.append(f"values: '{operator}' needs a whole number of 64 bits")
    checked = ((i, value_problem(value)) for i, value in enumerate(values))
    return problems + [f"values[{i}]: {problem}" for i, problem in checked if problem]


def parse_selector(text: str) -> Selector:
    """Return the selector that a text means; its requirements are in the order of their keys.

    The grammar, `selector` being the start; an empty text selects everything::

        selector    = [ requirement { "," requirement } ]
        requirement = "!" KEY | KEY | KEY relation VALUE | KEY ("in" | "notin") "(" values ")"
        relation    = "=" | "==" | "!=" | ">" | "<"
        values      = [ VALUE ] { "," [ VALUE ] }

    Raises
    ------
    SelectorError
        If the text is not of this form, or breaks the rules for labels.
    """
    try:
        requirements = _Parser(text).selector()
    except _Misread as misread:
        shown = text if len(text) <= 120 else f"{text[:117]}..."
        raise SelectorError(
            f"The selector '{shown}' cannot be read: {misread}.", (str(misread),)
        ) from None
    return Selector(requirements=tuple(sorted(requirements, key=lambda one: one.key)))


class _Misread(Exception):
    """What was found where something else had to be."""


_TOKEN = re.compile(r"[ \t\r\n]*(?:(?P<sign>==|!=|[=!(),<>])|(?P<word>[^=!(),<> \t\r\n]+)|$)")
_END = ""
_SIGNS = {
    "=": Operator.EQUALS,
    "==": Operator.DOUBLE_EQUALS,
    "!=": Operator.NOT_EQUALS,
    ">": Operator.GREATER_THAN,
    "<": Operator.LESS_THAN,
}


class _Parser:
    """Reads one selector by recursive descent; a token is its text and whether it is a word."""

    def __init__(self, text: str) -> None:
        found = ((match["word"], match["sign"]) for match in _TOKEN.finditer(text))
        self.tokens = [(word or sign, bool(word)) for word, sign in found if word or sign]
        self.tokens.append((_END, False))
        self.at = 0

    def peek(self) -> tuple[str, bool]:
        return self.tokens[self.at]

    def take(self) -> tuple[str, bool]:
        token = self.tokens[self.at]
        # The end stays the end, however often it is read.
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def starts_requirement(self) -> bool:
        text, is_word = self.peek()
        return is_word or text == "!"

    def selector(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        if self.peek()[0] == _END:
            return requirements
        while self.starts_requirement():
            requirements.append(self.requirement())
            text, _ = self.take()
            if text == _END:
                return requirements
            if text != ",":
                raise _Misread(f"found '{text}', expected: ',' or 'end of string'")
        place = "identifier after ','" if requirements else "!, identifier, or 'end of string'"
        raise _Misread(f"found '{self.peek()[0]}', expected: {place}")

    def requirement(self) -> Requirement:
        is_absent = self.peek()[0] == "!" and not self.peek()[1]
        if is_absent:
            self.take()
        key, is_word = self.take()
        if not is_word:
            raise _Misread(f"found '{key}', expected: identifier")
        if problem := key_problem(key):
            raise _Misread(f"key '{key[:80]}': {problem}")
        if is_absent:
            return Requirement(key=key, operator=Operator.DOES_NOT_EXIST)
        if self.peek()[0] in (_END, ","):
            return Requirement(key=key, operator=Operator.EXISTS)
        operator = self.operator()
        values = self.values() if operator in _SETS else {self.exact_value()}
        if problems := requirement_problems(key, operator, sorted(values)):
            raise _Misread("; ".join(problems))
        return Requirement(key=key, operator=operator, values=frozenset(values))

    def operator(self) -> Operator:
        text, is_word = self.take()
        if is_word and text in _SETS:
            return Operator(text)
        if text not in _SIGNS:
            raise _Misread(f"found '{text}', expected: in, notin, {', '.join(_SIGNS)}")
        return _SIGNS[text]

    def values(self) -> set[str]:
        text, _ = self.take()
        if text != "(":
            raise _Misread(f"found '{text}', expected: '('")
        text, is_word = self.peek()
        if text == ")":
            self.take()
            return {""}
        if not is_word and text != ",":
            raise _Misread(f"found '{text}', expected: ',', ')' or identifier")
        values = self.listed_values()
        self.take()  # the closing parenthesis
        return values

    def listed_values(self) -> set[str]:
        """Read values up to the closing parenthesis; one that is left out is the empty text.

        After two commas in a row there has to be a value: ``(a,,)`` is an error in Kubernetes.
        """
        values: set[str] = set()
        while True:
            text, is_word = self.take()
            if is_word:
                values.add(text)
                if self.peek()[0] == ")":
                    return values
                if self.peek()[0] != ",":
                    raise _Misread(f"found '{self.peek()[0]}', expected: ',' or ')'")
            elif text == ",":
                values |= set() if values else {""}
                if self.peek()[0] == ")":
                    return values | {""}
                if self.peek()[0] == ",":
                    self.take()
                    values.add("")
            else:
                raise _Misread(f"found '{text}', expected: ',', or identifier")

    def exact_value(self) -> str:
        if self.peek()[0] in (_END, ","):
            return ""
        text, is_word = self.take()
        if not is_word:
            raise _Misread(f"found '{text}', expected: identifier")
        return text
