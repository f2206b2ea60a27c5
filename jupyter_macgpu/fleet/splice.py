"""A key is put into a YAML text, and every other byte of it stays as it was.

A round trip through a YAML library keeps comments, and still changes indents, spaces and quotes
of lines that nobody touched. Here the document's nodes only say where the new text belongs.
What comes out must be read again and compared: aliases make one text mean several things, and
nothing here looks for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from .document import Checker

#: A value that is put in: a text, a number, or keys with such values.
Value = str | int | Mapping[str, "Value"]

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9._/:@+=-]*(?<!:)")
_NOT_TEXT = {"true", "false", "null"}


def put(text: str, path: Sequence[str], value: Value) -> str | None:
    """Return a text in which a key has a value; None where the text leaves no place for it.

    A key that is there gets the new value; one that is not becomes the last of its mapping, and
    so do the mappings that lead to it.

    Parameters
    ----------
    text
        A YAML document; an empty one gets the keys of the path.
    path
        The keys that lead to the value.
    value
        The value. A mapping never takes the place of another one.
    """
    root = Checker().root(text)
    if root is None:
        return _behind(text, len(text), _block(_nested(path, value), 0, 2))
    node, end, step = root, 0, 2
    for depth, key in enumerate(path):
        if not isinstance(node, MappingNode):
            return None
        entry = next((entry for entry in node.value if entry[0].value == key), None)
        if entry is None:
            return _insert(text, node, end, step, _nested(path[depth:], value))
        step = _column(entry[1]) - _column(node) if _is_block(entry[1]) else step
        end, node = entry[0].end_mark.index, entry[1]
    if not isinstance(node, ScalarNode) or isinstance(value, Mapping):
        return None
    return text[: node.start_mark.index] + _scalar(value) + text[node.end_mark.index :]


def _insert(
    text: str, node: MappingNode, end: int, step: int, entries: Mapping[str, Value]
) -> str | None:
    if _is_block(node):
        return _behind(text, _end(node, end), _block(entries, _column(node), max(step, 2)))
    at = text.find("{", node.start_mark.index)
    if at < 0:
        return None
    new = _flow(entries)[1:-1] + (", " if node.value else "")
    return text[: at + 1] + new + text[at + 1 :]


def _is_block(node: Node) -> bool:
    return isinstance(node, MappingNode) and not node.flow_style and bool(node.value)


def _column(node: MappingNode) -> int:
    # Not the mapping's own mark: that is the anchor's, where it has one.
    return int(node.value[0][0].start_mark.column)


def _end(node: Node, key_end: int) -> int:
    """Return where the text of a value ends, whose key ends at a place.

    A block mapping's own mark lies behind the comments that follow it. The value of an alias
    lies where its anchor is, before the key.
    """
    if _is_block(node):
        key, value = node.value[-1]
        return max(key_end, _end(value, key.end_mark.index))
    return max(key_end, int(node.end_mark.index))


def _behind(text: str, at: int, new: Sequence[str]) -> str:
    """Return the text with lines put in behind the line that a place is on."""
    end = "\r\n" if "\r\n" in text else "\n"
    if at and text[at - 1] != "\n":
        at = text.find("\n", at) + 1 or len(text)
    head = text[:at]
    if head and not head.endswith("\n"):
        head += end
    return "".join([head, *(line + end for line in new), text[at:]])


def _nested(path: Sequence[str], value: Value) -> Mapping[str, Value]:
    entries = {path[-1]: value}
    for key in reversed(path[:-1]):
        entries = {key: entries}
    return entries


def _block(entries: Mapping[str, Value], column: int, step: int) -> list[str]:
    lines: list[str] = []
    for key, value in entries.items():
        head = " " * column + _scalar(key) + ":"
        if isinstance(value, Mapping) and value:
            lines += [head, *_block(value, column + step, step)]
        else:
            lines.append(f"{head} {_flow(value)}")
    return lines


def _flow(value: Value) -> str:
    if not isinstance(value, Mapping):
        return _scalar(value)
    return "{" + ", ".join(f"{_scalar(key)}: {_flow(each)}" for key, each in value.items()) + "}"


def _scalar(value: str | int) -> str:
    text = str(value)
    if isinstance(value, int) or (_PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT):
        return text
    # A text in JSON is one in YAML, and is never taken for a number.
    return json.dumps(text, ensure_ascii=False)
