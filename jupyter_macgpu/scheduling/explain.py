"""A ranking as people and programs read it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

from .rank import Candidate, Ranking
from .terms import Term, Value

#: Terms that move a host by less than this are left out of a table.
NOTABLE = 0.05
#: What a table of a ranking says of each host.
COLUMNS = ("place", "host", "points", "why")


class TermRow(TypedDict):
    """One term: what it adds, what was known (None: unknown), and a text that says it."""

    points: float
    value: Value
    text: str


class Row(TypedDict):
    """One host of a ranking. Nothing in it but what JSON has."""

    host: str
    place: int | None
    score: float | None
    must_wait: bool
    terms: dict[str, TermRow]
    reasons: list[dict[str, str | bool]]


def explain(ranking: Ranking) -> list[Row]:
    """Return a row for each host, in the ranking's order; points are rounded to hundredths.

    This is what ``%macgpu where`` shows, and what is kept with a run for ``%macgpu why``.
    """
    return [
        Row(
            host=one.host,
            place=one.place,
            score=_rounded(one.score),
            must_wait=one.must_wait,
            terms={term.name: _term_row(term) for term in one.terms},
            reasons=[
                {"code": str(r.code), "text": r.text, "is_passing": r.is_passing}
                for r in one.reasons
            ],
        )
        for one in ranking.candidates
    ]


def summary(candidate: Candidate, limit: int = 2) -> str:
    """Return in a few words why a host is where it is: what counts most for and against it."""
    if candidate.reasons:
        return "; ".join(_plain(reason.text) for reason in candidate.reasons)
    notable = [term for term in candidate.terms if abs(term.points) >= NOTABLE]
    notable.sort(key=lambda term: -abs(term.points))
    return "; ".join(text_of(term) for term in notable[:limit]) or "nothing speaks against it"


def cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return rows as texts under `COLUMNS`.

    The points of each notable term stand behind its text; a dash is a host that cannot take the
    cell.
    """
    return [
        {
            "place": str(row["place"] or "-"),
            "host": _plain(row["host"]),
            "points": "-" if row["score"] is None else f"{row['score']:.1f}",
            "why": _why(row),
        }
        for row in rows
    ]


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table of plain text, a line for each host and one above."""
    lines = [("", *COLUMNS[1:]), *(tuple(line.values()) for line in cells(rows))]
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    return "\n".join(
        f"{place:>{widths[0]}}  {host:<{widths[1]}}  {score:>{widths[2]}}  {why}".rstrip()
        for place, host, score, why in lines
    )


def _why(row: Row) -> str:
    if row["reasons"]:
        return "; ".join(_plain(str(reason["text"])) for reason in row["reasons"])
    notable = [term for term in row["terms"].values() if abs(term["points"]) >= NOTABLE]
    return ", ".join(f"{term['text']} ({term['points']:+.1f})" for term in notable)


def text_of(term: Term) -> str:
    """Return a term in words."""
    return _TEXTS[term.name](term.value)


def _term_row(term: Term) -> TermRow:
    return TermRow(points=_rounded(term.points) or 0.0, value=term.value, text=text_of(term))


def _rounded(points: float | None) -> float | None:
    # The sum takes the sign from a zero.
    return None if points is None else round(points, 2) + 0.0


def _plain(text: str) -> str:
    """Return a text without what could steer a terminal: it may come from a host."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _speed(value: Value) -> str:
    return f"{value:.3g} times an M1" if isinstance(value, int | float) else "speed not known"


def _share(value: Value) -> str:
    if not isinstance(value, int | float):
        return "use by others not known"
    return f"{min(1, max(0, value)):.0%} taken by others"


def _heat(value: Value) -> str:
    return str(value)


def _pressure(value: Value) -> str:
    texts: dict[Value, str] = {
        None: "memory pressure not known",
        "normal": "memory pressure normal",
    }
    return texts.get(value, str(value))


def _news(value: Value) -> str:
    return "never seen" if value is None else f"seen {value:.0f} s ago"


def _queue(value: Value) -> str:
    return "a slot is free" if not value else f"{value} before it"


def _data(value: Value) -> str:
    return f"{float(value or 0) / 2**20:.0f} MiB to send"


def _build(value: Value) -> str:
    texts = {"ready": "environment is there", "buildable": "environment to be built"}
    return texts.get(str(value), "environment not known")


def _owner(value: Value) -> str:
    return "owner not known" if value is None else f"used by its owner {value:.0f} s ago"


def _spare(value: Value) -> str:
    return "no GPU to keep free" if value is False else "its GPU is left to others"


_TEXTS: dict[str, Callable[[Value], str]] = {
    "speed": _speed,
    "share": _share,
    "heat": _heat,
    "pressure": _pressure,
    "link": lambda value: "slow connection" if value else "no slow connection",
    "news": _news,
    "queue": _queue,
    "data": _data,
    "build": _build,
    "prefer": lambda value: f"preferred {value} %",
    "taints": lambda value: "taints to be avoided" if value != 100 else "no taint to be avoided",
    "home": lambda value: "this notebook's host" if value else "another host than before",
    "spare": _spare,
    "owner": _owner,
    "no-gpu": lambda value: "no GPU" if value is False else "GPU",
    "live": lambda value: f"{value or 0} values of this notebook live there",
}
