"""For a kernel of browser tests: widgets whose every text is a hostile word, each in its turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_macgpu.widgets.live import LiveWidget

WORDS = (Path(__file__).parent / "hostile.txt").read_text(encoding="utf-8").splitlines()
#: The name of a trait's line, which nobody reads.
_NOT_SHOWN = ("line", "labels")


def poison(widget: LiveWidget) -> None:
    """Show each word in each field of a widget, past all that cleans what hosts say."""
    widget._watch.close()
    clean = dict(widget.snapshot)
    for first in range(len(WORDS)):
        widget.snapshot = _poisoned(clean, _words(first))


def _words(first: int) -> Iterator[str]:
    place = first
    while True:
        yield WORDS[place % len(WORDS)]
        place += 1


def _poisoned(value: Any, words: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(words)
    if isinstance(value, list):
        return [_poisoned(each, words) for each in value]
    if isinstance(value, dict):
        return {
            name: each if name in _NOT_SHOWN else _poisoned(each, words)
            for name, each in value.items()
        }
    return value
