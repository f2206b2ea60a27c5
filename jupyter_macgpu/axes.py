"""What ``--sweep`` means: names with values, and every combination of them. Pure."""

from __future__ import annotations

import ast
import itertools
import keyword
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .grammar import Unreadable
from .words import shown

_RANGE = re.compile(r"([+-]?[0-9]{1,12})\.\.([+-]?[0-9]{1,12})")
#: Values of one axis that may be written as a range, and combinations of all axes.
_LONGEST = 100_000

#: One combination: a value for each name.
Combination = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One name and its values, in the order in which they were written."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What stands behind ``--sweep``: axes, or the name of a variable that holds combinations."""

    axes: tuple[Axis, ...] = ()
    grid: str = ""

    def combinations(self) -> Iterator[Combination]:
        """Return every combination of the axes; the last one changes fastest."""
        names = [axis.name for axis in self.axes]
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield dict(zip(names, values, strict=True))

    def text(self) -> str:
        """Return the values as they were understood: ``lr 0.001 0.0001, seed 0 1 2``."""
        said = (f"{axis.name} {' '.join(map(_shown, axis.values))}" for axis in self.axes)
        return ", ".join(said)


def read_axes(words: Sequence[str]) -> Axes:
    """Read what stands behind ``--sweep``.

    Parameters
    ----------
    words
        ``lr=1e-3,1e-4`` and ``seed=0..4``, or one ``@name``.

    Raises
    ------
    Unreadable
        If that is neither.
    """
    if words[0].startswith("@"):
        if len(words) > 1 or not _is_name(words[0][1:]):
            remedy = "Write --sweep @grid alone; grid is a list of dicts or a DataFrame."
            raise Unreadable("@ stands before the name of one variable", remedy)
        return Axes(grid=words[0][1:])
    axes = tuple(map(_axis, words))
    names = [axis.name for axis in axes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Unreadable(f"{twice} stands there twice", "Put all its values behind one =.")
    if (number := math.prod(len(axis.values) for axis in axes)) > _LONGEST:
        problem = f"these are {number} combinations, more than {_LONGEST}"
        raise Unreadable(problem, "Leave some out, or list those that you mean: --sweep @grid.")
    return Axes(axes=axes)


def read_axis(text: str) -> tuple[str, ...]:
    """Look whether one word behind ``--sweep`` can be read, and return it as it stands.

    Raises
    ------
    Unreadable
        If not.
    """
    read_axes([text])
    return (text,)


def rows_of(grid: object) -> list[Combination]:
    """Return the combinations that a variable holds: dicts, or the rows of a DataFrame.

    Raises
    ------
    ValueError
        If it holds something else; in words.
    """
    records = getattr(grid, "to_dict", None)
    if records is not None and not isinstance(grid, Mapping):
        grid = records("records")
    if isinstance(grid, (str, bytes, Mapping)) or not isinstance(grid, Sequence):
        raise ValueError(f"it is a {type(grid).__name__}")
    rows = []
    for number, row in enumerate(grid):
        if not isinstance(row, Mapping):
            raise ValueError(f"its item {number} is a {type(row).__name__}")
        if wrong := [name for name in row if not (isinstance(name, str) and _is_name(name))]:
            raise ValueError(f"its item {number} has {wrong[0]!r}, which is no name of a variable")
        if set(row) != set(grid[0]):
            raise ValueError(f"its item {number} has other names than the first one")
        rows.append(dict(row))
    if not rows or not rows[0]:
        raise ValueError("it holds no combination")
    return rows


def line_that_sets(code: str, name: str) -> int | None:
    """Return the line on which a cell itself binds a name at its top level, if it does."""
    for node in _at_top(ast.parse(code)):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return node.lineno
        if isinstance(node, ast.alias) and (node.asname or node.name.partition(".")[0]) == name:
            return node.lineno
        if isinstance(node, _DEFINES) and node.name == name:
            return node.lineno
    return None


_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (*_DEFINES, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _at_top(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _at_top(child)


def _axis(word: str) -> Axis:
    name, equals, text = word.partition("=")
    remedy = "Write --sweep lr=1e-3,1e-4 seed=0..4, without spaces around = and the commas."
    if not equals or not _is_name(name):
        raise Unreadable(f"{shown(word)} is not NAME=VALUES", remedy)
    values = tuple(_range(text) or (_value(part) for part in _parts(text)))
    if not values:
        raise Unreadable(f"{name} has no value", remedy)
    return Axis(name=name, values=values)


def _range(text: str) -> range | None:
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < _LONGEST:
        remedy = "Write the smaller number first: 0..4 is 0 1 2 3 4."
        raise Unreadable(f"{shown(text)} is no range of numbers", remedy)
    return range(first, last + 1)


def _parts(text: str) -> list[str]:
    """Cut at the commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        depth += (character in "([{") - (character in ")]}") if not quote else 0
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    if "" in parts:
        raise Unreadable("a value is missing beside a comma", "Write lr=1e-3,1e-4 without spaces.")
    return parts


def _value(text: str) -> Any:
    """Return a number, True, None or another literal as Python has it; any other word is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
