"""A run that nobody waits for, in a line. Pure."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from .standing import span, standing
from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What front ends know a run by, in the output of a cell that was handed in.
MIME = "application/vnd.jupyter-macgpu.run+json"
#: What a state means for who reads it.
_WORDS = {"started": "runs", "ok": "done", "error": "raised an error", "receiving": "is on its way"}


def as_text(shown: Mapping[str, Any]) -> str:
    """Return a run as one line.

    Parameters
    ----------
    shown
        ``run``, ``name``, ``host``, ``state``, ``age`` in seconds, ``place``, ``wait`` and
        ``reason`` of one that waits, ``starts`` as `moments.starts` says, ``runs``, all its ids,
        ``kept``, seconds for which its result is still kept, and ``purged``.
    """
    name = f" {plain_line(shown['name'])}" if shown["name"] else ""
    said = f"<run {shown['run'][:8]}{name} on {shown['host']}: {_said(shown)}"
    chain = [run[:8] for run in shown["runs"][:-1]]
    if chain:
        said += f"; before it {', '.join(chain)}"
    return said + ">"


def as_html(shown: Mapping[str, Any]) -> str:
    """Return a run as a line of a page; no text of a host's is HTML in it."""
    return f"<code>{html.escape(as_text(shown))}</code>"


def _said(shown: Mapping[str, Any]) -> str:
    state = plain_line(str(shown["state"]))
    if shown["purged"]:
        return f"{state}; its output and result were deleted, as nobody came for them"
    if state == "unknown":
        return "unknown, as its host does not answer; it may be going on"
    if state == "waiting":
        return standing(None, None, shown["reason"], "", shown["starts"])
    if state == "accepted" and shown["place"] is None and not (shown["reason"] or shown["starts"]):
        return "begins"
    if state in ("accepted", "queued"):
        return standing(shown["place"], shown["wait"], shown["reason"], "", shown["starts"])
    since = "" if shown["age"] is None else f" {span(max(0.0, shown['age']))}"
    kept = shown["kept"]
    waits = "" if kept is None else f", kept for another {span(max(0.0, kept))}"
    word = _WORDS.get(state, state)
    return (
        f"{word} since{since}" if state == "started" else f"{word}{since and f'{since} ago'}{waits}"
    )
