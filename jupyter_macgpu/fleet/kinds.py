"""Kinds of values in a fleet file: how each is read, and how JSON Schema says the same.

One table for both: what an editor completes is what the reader takes. Where a schema cannot say
all (that a key stands once in a list, that a text is a fingerprint to the last bit), the reader is
the stricter of the two, never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from ..grammar import Unreadable
from .document import Checker, line_of, short


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of value.

    Attributes
    ----------
    read
        Returns the value of a node whose key is given; None after noting what is wrong.
    schema
        What JSON Schema says of it.
    """

    read: Callable[[Checker, Node, str], Any]
    schema: Mapping[str, Any]

    def described(self, text: str) -> Kind:
        """Return the same kind with a description, which editors show."""
        return replace(self, schema={**self.schema, "description": text})


#: What a later check says about parts of a value: for each the path within it, and the problem.
Problems = list[tuple[str, str]]


def whole_number(low: int, high: int) -> Kind:
    """Return the kind of whole numbers between two bounds."""
    return Kind(
        read=lambda checker, node, key: checker.whole_number(node, key, low, high),
        schema={"type": "integer", "minimum": low, "maximum": high},
    )


def text(
    accept: Callable[[str], str | bool | None],
    wanted: str,
    *,
    pattern: str = "",
    may_be_empty: bool = False,
) -> Kind:
    """Return the kind of texts that `accept` takes; a text that it returns stands instead.

    Parameters
    ----------
    wanted
        What is to be written instead of a wrong one.
    pattern
        What JSON Schema is to know of them: a regular expression for a part of the text.
    """

    def read(checker: Checker, node: Node, key: str) -> str | None:
        said = checker.text(node, key, may_be_empty=may_be_empty)
        if said is None:
            return None
        accepted = accept(said) or (may_be_empty and not said)
        if not accepted:
            checker.note(line_of(node), key, f"{short(said)} cannot stand here; write {wanted}")
            return None
        return accepted if isinstance(accepted, str) else said

    schema: dict[str, Any] = {"type": "string"}
    if pattern:
        schema["pattern"] = pattern
    elif not may_be_empty:
        schema["minLength"] = 1
    return Kind(read=read, schema=schema)


def choice(*words: str) -> Kind:
    """Return the kind of a few words."""
    listed = f"{', '.join(words[:-1])} or {words[-1]}"
    kind = text(lambda said: said in words, listed)
    return replace(kind, schema={"enum": list(words)})


def flag() -> Kind:
    """Return the kind of ``true`` and ``false``, and of no other word that YAML once had."""

    def read(checker: Checker, node: Node, key: str) -> bool | None:
        is_flag = isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:bool"
        if is_flag and node.value in ("true", "false"):
            return bool(node.value == "true")
        checker.note(line_of(node), key, "this must be true or false")
        return None

    return Kind(read=read, schema={"type": "boolean"})


def amount(reader: Callable[[str], float], pattern: str) -> Kind:
    """Return the kind of lengths of time or sizes, whose `reader` raises Unreadable."""

    def read(checker: Checker, node: Node, key: str) -> float | None:
        # 24 alone is a number in YAML: the reader then says that its unit is missing.
        is_number = isinstance(node, ScalarNode) and str(node.tag).endswith((":int", ":float"))
        said = str(node.value)[:40] if is_number else checker.text(node, key)
        if said is None:
            return None
        try:
            return reader(said)
        except Unreadable as unreadable:
            found = f"{short(said)}: {unreadable.problem}. {unreadable.remedy}"
            checker.note(line_of(node), key, found.rstrip("."))
            return None

    return Kind(read=read, schema={"type": "string", "pattern": pattern})


def sequence(each: Kind) -> Kind:
    """Return the kind of lists, read as tuples; an entry that is wrong is left out."""

    def read(checker: Checker, node: Node, key: str) -> tuple[Any, ...] | None:
        if not isinstance(node, SequenceNode):
            checker.note(line_of(node), key, "this must be a list")
            return None
        entries = (each.read(checker, part, f"{key}[{i}]") for i, part in enumerate(node.value))
        return tuple(entry for entry in entries if entry is not None)

    return Kind(read=read, schema={"type": "array", "items": each.schema})


def mapping(
    keys: Mapping[str, Kind], *, required: Collection[str] = (), later: Collection[str] = ()
) -> Kind:
    """Return the kind of mappings with certain keys, read as dicts without what is wrong.

    Parameters
    ----------
    required
        The keys that must be there.
    later
        Keys that a later version has.
    """

    def read(checker: Checker, node: Node, key: str) -> dict[str, Any] | None:
        entries = checker.mapping(node, key, keys, later)
        if entries is None:
            return None
        for name in required:
            if name not in entries:
                checker.note(line_of(node), f"{key}.{name}", "this key is missing")
        found = {
            name: keys[name].read(checker, part, f"{key}.{name}") for name, part in entries.items()
        }
        return {name: value for name, value in found.items() if value is not None}

    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: kind.schema for name, kind in keys.items()},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = sorted(required)
    return Kind(read=read, schema=schema)


def named(
    key_problem: Callable[[str], str], each: Kind, of: str, *, pattern: str = "", most: int = 0
) -> Kind:
    """Return the kind of mappings whose keys are names, each with a value of one kind.

    Parameters
    ----------
    key_problem
        Returns what is wrong with a name, or nothing.
    of
        What the names are of, for messages: ``a Kubernetes label``.
    pattern, most
        What JSON Schema is to know of the names: a regular expression, and their greatest length.
    """

    def read(checker: Checker, node: Node, key: str) -> dict[str, Any] | None:
        entries = checker.mapping(node, key)
        if entries is None:
            return None
        found: dict[str, Any] = {}
        for name, part in entries.items():
            path = f"{key}.{short(name)}"
            value = each.read(checker, part, path)
            if problem := key_problem(name):
                checker.note(line_of(part), path, f"this is not the key of {of}: {problem}")
            elif value is not None:
                found[name] = value
        return found

    schema: dict[str, Any] = {"type": "object", "additionalProperties": each.schema}
    names: dict[str, Any] = {"pattern": pattern} if pattern else {}
    if most:
        names["maxLength"] = most
    if names:
        schema["propertyNames"] = names
    return Kind(read=read, schema=schema)


def checked(kind: Kind, check: Callable[[Any], tuple[Any, Problems]]) -> Kind:
    """Return a kind whose values are made by `check`, which also says what is wrong with them.

    Parameters
    ----------
    check
        Takes what `kind` read; returns the value, and for each problem the path within it, such
        as ``[0].values[1]``. Values with problems are left out. It is asked only where nothing
        was noted before: half a value would be found to lack what is merely misspelt.
    """

    def read(checker: Checker, node: Node, key: str) -> Any:
        before = len(checker.problems)
        raw = kind.read(checker, node, key)
        if raw is None or len(checker.problems) > before:
            return None
        value, problems = check(raw)
        for path, problem in problems:
            joined = f"{key}{path}" if path.startswith("[") or not path else f"{key}.{path}"
            checker.note(line_at(node, path), joined, problem)
        return None if problems else value

    return Kind(read=read, schema=kind.schema)


def line_at(node: Node, path: str) -> int:
    """Return the line of a part of a node, or of the nearest part around it that there is."""
    for step in path.replace("[", ".[").split("."):
        inner = _step(node, step) if step else node
        if inner is None:
            break
        node = inner
    return line_of(node)


def _step(node: Node, step: str) -> Node | None:
    if isinstance(node, ScalarNode):
        return None
    if step.startswith("["):
        index = int(step[1:-1])
        is_there = isinstance(node, SequenceNode) and index < len(node.value)
        return node.value[index] if is_there else None
    if isinstance(node, SequenceNode):
        return None
    return next((value for name, value in node.value if name.value == step), None)
