"""What widgets show, where no widget can be: as text, and as a page without scripts. Pure."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from ..tables import NO_FORMULAS, page_table, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CELLS = ("run", "what", "how")
_VALUES = ("name", "type", "size")
_HOSTS = ("host", "state", "chip", "GPU", "memory", "queue", "reason")


def device_text(shown: Mapping[str, Any]) -> str:
    """Return a host as lines of text."""
    lines = [f"{_name(shown)}  {_state(shown)}", f"  {shown['about']}"]
    pairs = [(gauge["name"], _gauge_text(gauge)) for gauge in shown["gauges"]]
    lines += [f"  {name:<7} {text}" for name, text in [*pairs, *shown["facts"]]]
    if cells := table(_marked(shown), _CELLS, ""):
        lines += ["", *(f"  {line}" for line in cells.splitlines())]
    if values := table(shown["values"] or (), _VALUES, ""):
        lines += ["", *(f"  {line}" for line in values.splitlines())]
    notes = (shown["heard"], shown["note"])
    return "\n".join([*lines, "  " + "; ".join(note for note in notes if note)])


def device_page(shown: Mapping[str, Any]) -> str:
    """Return a host as a table of a page; no text in it is HTML."""
    gauges = "".join(_line(gauge["name"], _meter(gauge)) for gauge in shown["gauges"])
    facts = "".join(_line(name, html.escape(text)) for name, text in shown["facts"])
    title = f"<b>{html.escape(_name(shown))}</b> {html.escape(_state(shown))}"
    about = f"<br>{html.escape(shown['about'])}"
    parts = [
        f"<table {NO_FORMULAS}><caption>{title}{about}</caption>"
        f"<tbody>{gauges}{facts}</tbody></table>"
    ]
    if shown["cells"]:
        parts.append(page_table(_marked(shown), _CELLS))
    if shown["values"]:
        parts.append(page_table(shown["values"], _VALUES))
    notes = "; ".join(note for note in (shown["heard"], shown["note"]) if note)
    return "".join([*parts, f"<p {NO_FORMULAS}>{html.escape(notes)}</p>"])


def fleet_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return hosts as aligned lines of text."""
    return table(_host_cells(rows), _HOSTS, "The fleet has no hosts.")


def fleet_page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return hosts as a table of a page; no text in it is HTML."""
    head = "".join(_cell("th", html.escape(name)) for name in _HOSTS)
    lines = []
    for row, cells in zip(rows, _host_cells(rows), strict=True):
        shown = {name: html.escape(cells[name]) for name in _HOSTS}
        shown |= {"GPU": _meter(row["gpu"]), "memory": _meter(row["memory"], parts=False)}
        lines.append("<tr>" + "".join(_cell("td", shown[name]) for name in _HOSTS) + "</tr>")
    body = "".join(lines)
    return f"<table {NO_FORMULAS}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _host_cells(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {
            "host": _name(row),
            "state": row["state"],
            "chip": row["chip"],
            "GPU": row["gpu"]["text"],
            "memory": row["memory"]["text"],
            "queue": row["queue"],
            "reason": row["reason"],
        }
        for row in rows
    ]


def _name(shown: Mapping[str, Any]) -> str:
    chosen = ", in use here" if shown["chosen"] else ""
    simulated = "simulated" if shown["simulated"] else ""
    marks = (simulated + chosen).lstrip(", ")
    return f"{shown['host']} ({marks})" if marks else str(shown["host"])


def _state(shown: Mapping[str, Any]) -> str:
    return f"{shown['state']}: {shown['reason']}" if shown["reason"] else str(shown["state"])


def _marked(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a host's cells; those of this notebook say so."""
    return [
        {
            **cell,
            "what": f"{cell['what']} (this notebook)".strip() if cell["ours"] else cell["what"],
        }
        for cell in shown["cells"]
    ]


def _gauge_text(gauge: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{part['name']} {part['text']}" for part in gauge["parts"])
    return f"{gauge['text']} ({parts})" if parts else str(gauge["text"])


def _meter(gauge: Mapping[str, Any], *, parts: bool = True) -> str:
    text = html.escape(_gauge_text(gauge) if parts else gauge["text"])
    if gauge["share"] is None:
        return text
    return f'<meter min="0" max="1" value="{float(gauge["share"]):.3f}"></meter> {text}'


def _line(name: str, cell: str) -> str:
    return f"<tr>{_cell('th', html.escape(name))}{_cell('td', cell)}</tr>"


def _cell(tag: str, page: str) -> str:
    # Front ends put text to the right, and leave only this style to pages of others.
    return f'<{tag} style="text-align:left">{page}</{tag}>'
