"""Which options a command takes, and what a mistake with one is answered.

Nothing is guessed: abbreviations, duplicates and options that are not there are
refused before anything is sent, and the answer names what was probably meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .words import OptionError, Word, nearest, shown


class Unreadable(ValueError):
    """A value does not fit its option: what is wrong with it, and what to write."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a command.

    Attributes
    ----------
    names
        How it may be written; the last one is the one that messages use.
    field
        Name of the field of the parsed options that it fills.
    help
        One line for the help text.
    value
        What the help text calls its value. Empty: a switch, which takes none.
    read
        Turns the text of a value into the field's type; raises `Unreadable`.
    repeats
        Whether it may stand several times; its values (tuples) are then joined.
    is_greedy
        Whether words that follow its value, up to the next option, are values of it too.
    """

    names: tuple[str, ...]
    field: str
    help: str
    value: str = ""
    read: Callable[[str], object] = str
    repeats: bool = False
    is_greedy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """The options of one command.

    Attributes
    ----------
    command
        What the user typed before them, as messages call it: ``%%macgpu``.
    options
        The options that are understood.
    not_yet
        Options that later versions have. They are known, so that nobody who read
        about one looks for a typing error.
    habits
        What users of other tools type, and what to write here instead.
    """

    command: str
    options: tuple[Option, ...]
    not_yet: tuple[str, ...] = ()
    habits: Mapping[str, str] = field(default_factory=dict)

    def read(
        self, words: Iterable[Word], *, leading: bool = False
    ) -> tuple[dict[str, object], list[Word]]:
        """Sort words into the fields that options fill and the words that are left.

        Parameters
        ----------
        leading
            Whether options stand at the beginning only: the first other word, or ``--``, and all
            that follows it are left as they are.

        Raises
        ------
        OptionError
            If an option is unknown, stands twice, or has no value that it can read.
        """
        fields: dict[str, object] = {}
        others: list[Word] = []
        queue, greedy = iter(words), ""
        for word in queue:
            if leading and (word.text == "--" or not word.text.startswith("-")):
                return fields, [word, *queue]
            if word.quoted or len(word.text) < 2 or not word.text.startswith("-"):
                if greedy:
                    self._take(fields, greedy, word)
                else:
                    others.append(word)
                continue
            name, equals, given = word.text.partition("=")
            option = self._option(name)
            greedy = name if option.is_greedy else ""
            if option.field in fields and not option.repeats:
                what = f"{option.names[-1]} is given twice."
                raise OptionError(what, next="Keep one of the two.")
            if option.value:
                value = Word(text=given, column=word.column) if equals else self._next(queue, name)
                self._take(fields, name, value)
            elif equals:
                raise OptionError(f"{name} takes no value.", next=f"Write {name} alone.")
            else:
                fields[option.field] = True
        return fields, others

    def _take(self, fields: dict[str, object], name: str, value: Word) -> None:
        option = self._option(name)
        fields[option.field] = _joined(fields.get(option.field), option, name, value)

    def _option(self, name: str) -> Option:
        for option in self.options:
            if name in option.names:
                return option
        raise self._unknown(name)

    def _next(self, queue: Iterator[Word], name: str) -> Word:
        word = next(queue, None)
        if word is None:
            return Word(text="", column=0)
        if not word.quoted and word.text.partition("=")[0] in self._names():
            what = f"{name} has no value: {shown(word.text)} follows it."
            raise OptionError(what, next=f"Write {name}, a space, and its value.")
        return word

    def _names(self) -> list[str]:
        return sorted(name for option in self.options for name in option.names)

    def _unknown(self, name: str) -> OptionError:
        what = f"{shown(name)} is not an option of {self.command}."
        if name in self.not_yet:
            return OptionError(
                f"{name} is not available in this version.",
                next=f"Leave it out. {self.command} takes {self._list()}.",
            )
        if name in self.habits:
            return OptionError(what, next=self.habits[name])
        whole = [option for option in self._names() if len(name) > 2 and option.startswith(name)]
        if whole:
            what = f"{what} Abbreviations are not taken."
            return OptionError(what, next=f"Write it out: {' or '.join(whole)}.")
        # Without their dashes, which make any two alike.
        known = {each.lstrip("-"): each for each in (*self._names(), *self.not_yet)}
        near = known.get(nearest(name.lstrip("-"), known) or "")
        if near is None:
            return OptionError(what, next=f"{self.command} takes {self._list()}.")
        later = " (which is not available in this version)" if near in self.not_yet else ""
        return OptionError(what, next=f"Did you mean {near}{later}?")

    def _list(self) -> str:
        return ", ".join(self._names()) or "no options"


def _joined(earlier: object, option: Option, name: str, word: Word) -> object:
    if not word.text:
        raise OptionError(f"{name} has no value.", next=f"Write {name} {option.value}.")
    try:
        value = option.read(word.text)
    except Unreadable as unreadable:
        what = f"{name} {shown(word.text)}: {unreadable.problem}."
        raise OptionError(what, next=unreadable.remedy) from None
    if not option.repeats or earlier is None:
        return value
    assert isinstance(earlier, tuple)
    assert isinstance(value, tuple)
    return tuple(dict.fromkeys(earlier + value))
