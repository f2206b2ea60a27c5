"""Rows as aligned text, and as a table of a page. Pure."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
    """Return rows as a table of a page; no text in it is HTML."""
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    lines = [
        "".join(f"<td>{html.escape(_text(row.get(column)))}</td>" for column in columns)
        for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return "" if value is None else plain_line(str(value))
