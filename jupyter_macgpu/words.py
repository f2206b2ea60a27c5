"""A magic line, split into words that know where they stood.

Rule 1: plain quotes group, nothing escapes. A magic line is not a shell line: a
backslash, a ``$`` or a brace stands for itself.

Rule 2: what an editor or a chat program changed on the way (curly quotes, long
dashes) is named, not guessed: guessing would make two lines that look alike mean
different things.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from .wire.errors import InputError

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_WORD = re.compile(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+")
_CURLY_QUOTES = frozenset("“”„‟‘’‚‛«»‹›")  # noqa: RUF001 (these are what is looked for)
_LONG_DASHES = frozenset("‐‑‒–—―−﹘﹣－")  # noqa: RUF001 (the same)
#: Characters of a line that an error shows on either side of the place it points at.
_EXCERPT = 48


class OptionError(InputError):
    """A magic line cannot be read. No run was started and nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word of a line, its quotes taken off.

    Attributes
    ----------
    text
        The word, without the quotes that grouped it.
    column
        Place of its first character in the line, from 0.
    quoted
        Whether it began with a quote; such a word is never an option.
    """

    text: str
    column: int
    quoted: bool = False


def split(line: str) -> tuple[Word, ...]:
    """Split a magic line into words.

    Parameters
    ----------
    line
        What stands behind ``%%macgpu`` or ``%macgpu``.

    Raises
    ------
    OptionError
        If a quote is not closed, or a curly quote or a long dash stands where a
        plain one is meant. The message points at it.
    """
    words: list[Word] = []
    position = 0
    while rest := line[position:].lstrip():
        position = len(line) - len(rest)
        match = _WORD.match(line, position)
        end = match.end() if match else position
        if end < len(line) and line[end] in "'\"":
            raise OptionError(
                f"The quote at column {end + 1} is never closed.\n{pointed_at(line, end)}",
                next=f"Close it with another {line[end]}, or leave it out.",
            )
        raw = line[position:end]
        _refuse_typography(raw, line, position)
        text = _QUOTED.sub(lambda found: found[1] or found[2] or "", raw)
        words.append(Word(text=text, column=position, quoted=raw[0] in "'\""))
        position = end
    return tuple(words)


def pointed_at(line: str, column: int) -> str:
    """Return the line with a caret under one column, cut to what fits on a screen."""
    start = max(0, column - _EXCERPT)
    excerpt = "".join(c if c.isprintable() else " " for c in line[start : column + _EXCERPT])
    return f"    {excerpt}\n    {' ' * (column - start)}^"


def shown(text: str) -> str:
    """Return a word as an error may print it: one line, printable, 60 characters at most."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable if len(printable) <= 60 else printable[:57] + "..."


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that a misspelt word most likely stands for, if there is one."""
    # Past 64 characters no typing error is at work, and the comparison is quadratic.
    close = difflib.get_close_matches(word[:64].lower(), list(candidates), n=1, cutoff=0.6)
    return close[0] if close else None


def _refuse_typography(raw: str, line: str, position: int) -> None:
    # Inside plain quotes a curly quote is text that somebody meant.
    bare = _QUOTED.sub(lambda found: " " * len(found[0]), raw)
    for offset, char in enumerate(bare):
        if char in _CURLY_QUOTES:
            problem, remedy = "a typographic quote", "Type a plain \" or ' in its place."
        elif char in _LONG_DASHES and offset == 0:
            problem, remedy = "a typographic dash", "Type plain hyphens: -- or - in its place."
        else:
            continue
        column = position + offset
        raise OptionError(
            f"Column {column + 1} holds {char} ({unicodedata.name(char)}), {problem}.\n"
            f"{pointed_at(line, column)}",
            next=remedy,
        )
