"""`ioreg`: nodes with properties, from its text form or its property list.

The text is not JSON: ``{"k"=1,"s"="x","d"=<6b10>,"e"=,"b"=Yes}``, unsigned where the value was
negative, one property a line with a tree drawn before it, and clipped, cut or filtered by
whoever passed it on. Without ``-l`` only matching nodes have properties. (Format: IOKitTools,
``ioreg.tproj/ioreg.c``.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeGuard

from . import plist

#: The tree that is drawn before a line, and the number that `grep` may put there.
_BEFORE = r"[\s|>]*(?:[0-9]{1,7}[:-])?[\s|>]*"
_HEAD = re.compile(_BEFORE + r"\+-o\s+(\S.*?)(?:\s+<class\s+([^,>]*)|\s+class:\s*(\S+)|$)")
_ID = re.compile(r"[, ]id (0x[0-9a-f]{1,16})")
_PROPERTY = re.compile(_BEFORE + r'"([^"]{1,120})"\s*=\s*(.*)')
_NUMBER = re.compile(r"-?(?:0x[0-9a-fA-F]{1,16}|0|[1-9][0-9]{0,19})")
_BARE = re.compile(r"[^,})]*")
#: Quotes inside are not escaped: the one that ends it stands before a separator.
_STRING = re.compile(r'"(.*?)"(?=[,})=>]|$)')
_DATA = re.compile(r'<(?:"([^"]*)"[^>]*|([0-9a-fA-F ]*))>')
_DEEPEST = 32


@dataclass(slots=True, kw_only=True)
class Node:
    """One entry of the registry.

    Attributes
    ----------
    classes
        The class and those that it derives from, the most general first; empty if unknown.
    id
        Its number in the registry.
    properties
        By name; of a filtered output those that are left.
    """

    classes: tuple[str, ...] = ()
    id: str | None = None
    properties: dict[str, object] = field(default_factory=dict)

    @property
    def cls(self) -> str:
        """The class itself, as the header or the node says; empty if unknown."""
        if self.classes:
            return self.classes[-1]
        named = self.properties.get("IOClass")
        return named if isinstance(named, str) else ""


def nodes(text: str, wanted: frozenset[str]) -> list[Node]:
    """Return the nodes of `text` with those of the properties `wanted` that they show.

    Properties without a header belong to a node without a name; ``--``, which `grep` puts
    between its finds, begins another.
    """
    if plist.is_plist(text):
        return [node for root in plist.roots(text) for node in _from_plist(root, wanted, 0)]
    found = [Node()]
    for line in text.splitlines():
        if (head := _HEAD.match(line)) is not None:
            classes = tuple((head[2] or head[3] or head[1]).strip().split(":"))
            number = _ID.search(line)
            found.append(Node(classes=classes, id=number[1] if number else None))
        elif line.strip() == "--":
            found.append(Node())
        elif (entry := _PROPERTY.match(line)) is not None and entry[1] in wanted:
            # The first one counts: a later one of the same name belongs to a child.
            found[-1].properties.setdefault(entry[1], value(entry[2]))
    return [node for node in found if node.classes or node.properties]


def _from_plist(root: object, wanted: frozenset[str], depth: int) -> list[Node]:
    if isinstance(root, list):
        return [node for entry in root for node in _from_plist(entry, wanted, depth)]
    if not isinstance(root, dict) or depth > _DEEPEST:
        return []
    named = root.get("IOObjectClass", root.get("IOClass"))
    children = _from_plist(root.get("IORegistryEntryChildren"), wanted, depth + 1)
    node = Node(
        classes=(named,) if isinstance(named, str) else (),
        properties={key: _unwrapped(entry) for key, entry in root.items() if key in wanted},
    )
    return [node, *children]


def _unwrapped(entry: object) -> object:
    if is_table(entry):
        return {key: _unwrapped(inner) for key, inner in entry.items()}
    return signed(entry) if isinstance(entry, int) and not isinstance(entry, bool) else entry


def is_table(entry: object) -> TypeGuard[dict[str, object]]:
    """Return whether a property is a table of further ones."""
    return isinstance(entry, dict)


def table(node: Node, name: str) -> dict[str, object]:
    """Return the property `name` if it is a table, else an empty one."""
    entry = node.properties.get(name)
    return entry if is_table(entry) else {}


def signed(number: int) -> int:
    """Return what was meant by a 64-bit number that `ioreg` printed unsigned."""
    return number - 2**64 if 2**63 <= number < 2**64 else number


def value(text: str) -> object:
    """Return the value of one property: int, bool, str, bytes, list, dict, or None."""
    return _Value(text.strip()).read(0)


class _Value:
    """A cursor in one value. Where the text ends too early, what was whole is kept."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def read(self, depth: int) -> object:
        head = self.text[self.at : self.at + 1]
        if head == "{" and depth < _DEEPEST:
            return self._table(depth)
        if head == "(" and depth < _DEEPEST:
            return self._list(depth)
        if head == '"':
            return self._string()
        if head == "<":
            return self._data()
        return self._word(depth)

    def _table(self, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        self.at += 1
        while not self._ends():
            key = self._string() if self.text[self.at] == '"' else None
            if key is not None and self.text.startswith("=", self.at):
                self.at += 1
                found[key] = self.read(depth + 1)
            self._skip()
        return {key: entry for key, entry in found.items() if entry is not None}

    def _list(self, depth: int) -> list[object]:
        found: list[object] = []
        self.at += 1
        while not self._ends():
            found.append(self.read(depth + 1))
            self._skip()
        return found

    def _ends(self) -> bool:
        """Return whether what is open ends here; which bracket it is does not matter."""
        if self.at >= len(self.text):
            return True
        closing = self.text[self.at] in "})"
        self.at += closing
        return closing

    def _skip(self) -> None:
        """Go behind the next comma, or stay before the bracket that comes first."""
        self._bare()
        self.at += self.text.startswith(",", self.at)

    def _bare(self) -> str:
        match = _BARE.match(self.text, self.at)
        self.at = match.end() if match else len(self.text)
        return match[0] if match else ""

    def _string(self) -> str | None:
        match = _STRING.match(self.text, self.at)
        self.at = match.end() if match else len(self.text)
        return match[1] if match else None

    def _data(self) -> object:
        match = _DATA.match(self.text, self.at)
        self.at = match.end() if match else len(self.text)
        if match is None:
            return None
        if match[1] is not None:
            return match[1]
        return bytes.fromhex(match[2]) if len(match[2]) % 2 == 0 else None

    def _word(self, depth: int) -> object:
        word = self._bare()
        if word in ("Yes", "No"):
            return word == "Yes"
        # In a table that breaks off here the number may have had more digits.
        whole = depth == 0 or self.at < len(self.text)
        return signed(int(word, 0)) if whole and _NUMBER.fullmatch(word) else None
