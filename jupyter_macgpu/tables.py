"""Rows as aligned text, and as a table of a page. Pure."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: On an element of a page: front ends do not take what stands between two dollars for a formula.
NO_FORMULAS = 'class="mathjax_ignore tex2jax_ignore"'
#: A number as these tables have it, with what it counts.
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?: ?(?:%|s|min|h|d|[KMGT]?i?B))?")
#: A word of HTML that would make a column of a narrow page too wide, and what it is broken into.
_LONG = re.compile(r"(?:&[#\w]+;|[^\s&]){17,}")
_PARTS = re.compile(r"(?:&[#\w]+;|[^\s&]){1,8}")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> str:
    """Return rows as aligned text under a head of column names."""
    if not rows:
        return empty
    cells = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [columns, *cells]
    return "\n".join(
        "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def page_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as a table of a page, numbers to the right; no text in it is HTML."""
    cells = {column: [_text(row.get(column)) for row in rows] for column in columns}
    sides = {column: _side(texts) for column, texts in cells.items()}
    head = "".join(_cell("th", column, sides[column]) for column in columns)
    lines = (
        "".join(_cell("td", cells[column][at], sides[column]) for column in columns)
        for at in range(len(rows))
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table {NO_FORMULAS}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def page_pairs(pairs: Iterable[tuple[str, object]]) -> str:
    """Return names and values as a table of a page, a line each; no text in it is HTML."""
    lines = "".join(
        f"<tr>{_cell('th', _text(name), 'left')}{_cell('td', _text(value), 'left')}</tr>"
        for name, value in pairs
    )
    return f"<table {NO_FORMULAS}><tbody>{lines}</tbody></table>"


def page_lines(*lines: str) -> str:
    """Return lines of text as lines of a page, without those that are empty."""
    texts = (html.escape(plain_line(line)) for line in lines if line)
    return "".join(f"<div {NO_FORMULAS}>{text}</div>" for text in texts)


def _cell(tag: str, text: str, side: str) -> str:
    # Front ends put text to the right, and leave only this style to pages of others.
    return f'<{tag} style="text-align:{side}">{_LONG.sub(_breakable, html.escape(text))}</{tag}>'


def _breakable(word: re.Match[str]) -> str:
    return "<wbr>".join(_PARTS.findall(word[0]))


def _side(texts: Sequence[str]) -> str:
    told = [text for text in texts if text]
    return "right" if told and all(map(_NUMBER.fullmatch, told)) else "left"


def _text(value: object) -> str:
    return "" if value is None else plain_line(str(value))
