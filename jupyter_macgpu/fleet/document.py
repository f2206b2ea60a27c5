"""A YAML text, read with suspicion: every mistake at once, each with its line and key.

Rule 1: nodes are looked at, never constructed. A tag therefore makes no object, and
an alias that doubles at each level costs nothing.

Rule 2: one mistake does not hide the next. `Checker` notes a problem and goes on
with None; only a text that is no YAML at all ends the reading at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from .problems import Problem

#: Bytes. A fleet of fifty hosts takes about 10 KB.
SIZE_LIMIT = 1 << 20
#: What the largest honest file stays far under, and what a hostile one needs.
_EVENT_LIMIT, _DEPTH_LIMIT, _ALIAS_LIMIT = 50_000, 16, 100


class Checker:
    """Reads a document key by key and notes every problem that it meets."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def root(self, text: str) -> Node | None:
        """Return the document's first node, or None if the text is no YAML we take."""
        try:
            self._check_events(_reader().parse(text))
            return None if self.problems else _reader().compose(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = ", ".join(str(part) for part in (error.context, error.problem) if part)
            if r"found character '\t'" in said:
                said = "a tab stands where the line is indented; take blanks"
            self.note(mark.line + 1 if mark else 0, "", f"this is not YAML: {said}")
        except (YAMLError, ValueError) as error:
            # ValueError: a \U escape past the last character of Unicode.
            self.note(0, "", f"this is not YAML: {str(error).splitlines()[0]}")
        return None

    def note(self, line: int, key: str, text: str) -> None:
        """Remember one problem."""
        self.problems.append(Problem(line=line, key=key, text=text))

    def mapping(
        self, node: Node, key: str, valid: Iterable[str] = (), later: Iterable[str] = ()
    ) -> dict[str, Node] | None:
        """Return the entries of a mapping by key, without those that are in error.

        None, after noting it, if the node is no mapping.

        Parameters
        ----------
        node, key
            The mapping and the path of its key.
        valid
            The keys that it may have; none given: any.
        later
            Keys that a later version has.
        """
        if not isinstance(node, MappingNode):
            self.note(line_of(node), key, f"this must be a mapping of keys to values{_found(node)}")
            return None
        entries: dict[str, Node] = {}
        for name_node, value in node.value:
            name, line = str(name_node.value), line_of(name_node)
            path = f"{key}.{short(name)}" if key else short(name)
            if not isinstance(name_node, ScalarNode):
                self.note(line, key, "a key must be plain text")
            elif name in entries:
                first = line_of(entries[name])
                self.note(line, path, f"this key stands twice; the first is on line {first}")
            elif valid and name not in valid:
                self.note(line, path, _unknown(name, valid, later))
            else:
                if isinstance(value, ScalarNode) and not (value.value or value.style):
                    # YAML places an empty value where the next token begins: lines further on.
                    value.start_mark = name_node.start_mark
                entries[name] = value
        return entries

    def text(self, node: Node, key: str, *, may_be_empty: bool = False) -> str | None:
        """Return a text, or None after noting that the value is none."""
        if not isinstance(node, ScalarNode) or not (node.value.strip() or node.style):
            self.note(line_of(node), key, f"this must be text{_found(node)}")
        elif node.tag != "tag:yaml.org,2002:str":
            self.note(line_of(node), key, f'this must be text; write it as "{short(node.value)}"')
        elif not node.value.isprintable():
            self.note(line_of(node), key, "this holds a character that cannot be printed")
        elif not node.value.strip() and not may_be_empty:
            self.note(line_of(node), key, "this must be text; it is empty")
        else:
            return str(node.value)
        return None

    def whole_number(self, node: Node, key: str, low: int, high: int) -> int | None:
        """Return a whole number between two bounds, or None after noting that it is none."""
        if isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:int":
            digits = node.value.isascii() and node.value.isdigit() and len(node.value) < 10
            if digits and low <= int(node.value) <= high:
                return int(node.value)
        wanted = f"a whole number from {low} to {high}" if low < high else f"{low}"
        self.note(line_of(node), key, f"this must be {wanted}")
        return None

    def _check_events(self, events: Iterable[Event]) -> None:
        depth = aliases = 0
        anchors: set[str] = set()
        for count, event in enumerate(events):
            line = event.start_mark.line + 1
            depth += isinstance(event, CollectionStartEvent)
            depth -= isinstance(event, CollectionEndEvent)
            aliases += isinstance(event, AliasEvent)
            if depth > _DEPTH_LIMIT or count > _EVENT_LIMIT or aliases > _ALIAS_LIMIT:
                self.note(line, "", "this is nested deeper, or longer, than a fleet file can be")
                return
            if isinstance(event, (ScalarEvent, CollectionStartEvent)) and event.ctag is not None:
                self.note(line, "", f"the tag {short(str(event.ctag))} is not taken; leave it out")
            if isinstance(event, NodeEvent) and not isinstance(event, AliasEvent) and event.anchor:
                if event.anchor in anchors:
                    self.note(line, "", f"the anchor &{short(event.anchor)} stands twice")
                anchors.add(event.anchor)


def line_of(node: Node) -> int:
    """Return the line that a node begins on, from 1."""
    return int(node.start_mark.line) + 1


def short(text: str) -> str:
    """Return a text of the file as a message may hold it: printable, and not long."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable if len(printable) <= 40 else printable[:37] + "..."


def _reader() -> YAML:
    return YAML(typ="safe", pure=True)


def _unknown(name: str, valid: Iterable[str], later: Iterable[str]) -> str:
    if name in later:
        return "this key is not available in this version; leave it out"
    if name == "<<":
        return "merge keys are not read; put what hosts share under defaults"
    keys = sorted(valid)
    near = difflib.get_close_matches(name[:64], [*keys, *later], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? The" if near else "the"
    return f"unknown key; {hint} valid keys are {', '.join(keys)}"


def _found(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return f", not {short(node.value)!r}" if node.value.strip() else "; it is empty"
    return ", not a mapping" if isinstance(node, MappingNode) else ", not a list"
