"""What a user may write behind ``%macgpu`` and behind the ``macgpu`` command.

Both doors read the same table (`verbtable`), so that a verb means the same in a
notebook and in a shell. Nothing is done here: a `Command` says what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .grammar import Grammar, Option
from .options import CELL_OPTIONS, CellOptions
from .verbtable import ABOUT_A_CELL, NOT_YET, PROGRAM, VERBS, Verb
from .words import OptionError, Word, nearest, pointed_at, shown, split

if TYPE_CHECKING:
    from .scheduling.selectors import Selector

#: Options of cells that mean nothing where there is no notebook.
_OF_NOTEBOOKS = frozenset({"inputs", "outputs", "again", "dry_run", "sweep", "most", "verify"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing asked for, read but not done.

    Attributes
    ----------
    verb
        One of `VERBS`.
    arguments
        What stands behind the verb: a run, names, or settings as ``key=value``.
    json
        Whether the answer is wanted as JSON.
    yes
        Whether what would be asked is answered beforehand.
    to
        Folder that files are put into; None leaves them their place.
    replay, section
        The file of a recorded output, and the kind that it is of.
    detached, collect
        Which half of the self-test is meant; neither: what can be seen at once.
    as_user
        Who logs in, instead of whom the fleet file names.
    restrict
        Whether our key is to open nothing but the door of a machine that is added.
    print_key_line
        Whether only the line for its ``authorized_keys`` is wanted.
    wait
        Seconds that are waited for answers; None takes the usual ones.
    labelled
        What the labels of hosts must meet; None takes all.
    show_labels, wide, watch
        Whether labels are shown, more columns, and again and again.
    cell
        The options of the cell that is asked about, or of the program that is to be run.
    said
        The same options as they were typed.
    fleet, seed, once
        How many simulated Macs are wanted, the seed of their weather, and whether they are to be
        shown once.
    clear
        Whether what was set is to be taken away.
    output
        File for the notebook that has run; None chooses it.
    get
        Files that are brought here after the run.
    """

    verb: str
    arguments: tuple[str, ...] = ()
    json: bool = False
    yes: bool = False
    to: str | None = None
    replay: str | None = None
    section: str | None = None
    detached: bool = False
    collect: bool = False
    as_user: str | None = None
    restrict: bool = False
    print_key_line: bool = False
    wait: float | None = None
    labelled: Selector | None = None
    show_labels: bool = False
    wide: bool = False
    watch: bool = False
    cell: CellOptions | None = None
    said: str = ""
    fleet: int | None = None
    seed: int = 0
    once: bool = False
    clear: bool = False
    output: str | None = None
    get: tuple[str, ...] = ()


def parse_verb(line: str) -> Command:
    """Read what stands behind ``%macgpu``.

    Raises
    ------
    OptionError
        If anything on the line is not understood. Nothing was done.
    """
    words = split(line)
    for word in words:
        if word.text.startswith("#") and not word.quoted:
            raise OptionError(
                f"A comment stands on the magic's own line.\n{pointed_at(line, word.column)}",
                next="Move it to a line of its own.",
            )
    return _parse(words, _verbs_of(in_shell=False), "%macgpu")


def parse_arguments(arguments: Sequence[str]) -> Command:
    """Read what the shell handed to the ``macgpu`` command, its own name left out.

    Raises
    ------
    OptionError
        If anything is not understood. Nothing was done.
    """
    words = [Word(text=text, column=0) for text in arguments]
    return _parse(words, _verbs_of(in_shell=True), "macgpu")


def help_text(*, in_shell: bool) -> str:
    """Return the verbs that a notebook or a shell has as aligned lines, one each."""
    verbs = _verbs_of(in_shell=in_shell)
    rows = [(f"{name} {verb.takes}".rstrip(), verb.help) for name, verb in verbs.items()]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"{left:<{width}}  {right}" for left, right in rows)


def verb_help(name: str) -> str:
    """Return what a verb of the ``macgpu`` command does and takes, an option a line."""
    verb = VERBS[name]
    lines = [f"macgpu {name} {verb.takes}".rstrip(), "", verb.help]
    rows = [
        (f"{', '.join(option.names)} {option.value}".rstrip(), option.help)
        for option in (*verb.options, *cell_options(verb))
    ]
    if rows:
        width = max(len(left) for left, _ in rows)
        lines += ["", *(f"{left:<{width}}  {right}" for left, right in rows)]
    return "\n".join(lines)


def _verbs_of(*, in_shell: bool) -> dict[str, Verb]:
    return {name: verb for name, verb in VERBS.items() if in_shell or not verb.shell_only}


def _parse(words: Sequence[Word], verbs: Mapping[str, Verb], door: str) -> Command:
    if not words:
        what = f"{door} stands without a verb."
        raise OptionError(what, next=f"The verbs are {', '.join(verbs)}.")
    name = words[0].text
    if name not in verbs:
        raise _unknown_verb(name, verbs, door)
    verb = verbs[name]
    about_cell = verb.takes == ABOUT_A_CELL
    options = (*verb.options, *cell_options(verb))
    grammar = Grammar(command=f"{door} {name}", options=options)
    fields, others = grammar.read(words[1:], leading=verb.takes == PROGRAM)
    if name == "demo" and "fleet" not in fields and fields:
        stray = next(option.names[0] for option in options if option.field in fields)
        raise OptionError(f"{stray} belongs to --fleet.", next="Leave it out, or write both.")
    arguments = tuple(word.text for word in others)
    _check(arguments, verb, f"{door} {name}")
    if about_cell:
        own = {option.field: fields.pop(option.field, False) for option in verb.options}
        own_names = {name for option in verb.options for name in option.names}
        said = " ".join(_as_typed(word) for word in words[1:] if word.text not in own_names)
        fields = {"cell": CellOptions(**fields), "said": said, **own}  # type: ignore[arg-type]
    elif verb.takes == PROGRAM:
        own = {field: fields.pop(field) for field in ("output", "get") if field in fields}
        fields = {"cell": CellOptions(**fields), **own}  # type: ignore[arg-type]
    # The table's readers type them.
    return Command(verb=name, arguments=arguments, **fields)  # type: ignore[arg-type]


def _as_typed(word: Word) -> str:
    """Return a word with quotes around it where it needs some: one kind of them is not in it."""
    if not word.quoted and not any(c.isspace() or c in "'\"" for c in word.text):
        return word.text
    quote = "'" if "'" not in word.text else '"'
    return f"{quote}{word.text}{quote}"


def cell_options(verb: Verb) -> tuple[Option, ...]:
    """Return the options of cells that a verb takes beside its own."""
    if verb.takes == ABOUT_A_CELL:
        return CELL_OPTIONS
    if verb.takes == PROGRAM:
        return tuple(option for option in CELL_OPTIONS if option.field not in _OF_NOTEBOOKS)
    return ()


def _check(arguments: tuple[str, ...], verb: Verb, command: str) -> None:
    usage = f"Write {command} {verb.takes}".rstrip() + "."
    if verb.takes in ("", ABOUT_A_CELL) and arguments:
        raise OptionError(f"{command} takes no {shown(arguments[0])}.", next=usage)
    if verb.takes == "RUN" and len(arguments) != 1:
        given = f"{len(arguments)} are given" if arguments else "none is given"
        raise OptionError(
            f"{command} takes one run; {given}.",
            next=f"{usage} RUN is the start of an id, a name, or last.",
        )
    if verb.takes == PROGRAM and not any(word != "--" for word in arguments):
        programs = f"{command} FILE.py, {command} FILE.ipynb, or {command} -- COMMAND"
        raise OptionError(f"{command} takes a program; none is given.", next=f"Write {programs}.")
    if verb.takes == "RUN [HOST]" and len(arguments) not in (1, 2):
        raise OptionError(f"{command} takes a run, and a host at most.", next=usage)
    if verb.takes == "HOST" and len(arguments) != 1:
        raise OptionError(f"{command} takes one host of the fleet.", next=usage)
    if verb.takes == "TIME" and len(arguments) != 1:
        what = f"{command} takes one length of time."
        raise OptionError(what, next=f"{usage} TIME is 30m or 1h.")
    if verb.takes == "SHELL" and len(arguments) != 1:
        raise OptionError(f"{command} takes the name of one shell.", next=usage)
    if verb.takes == "PLACE" and len(arguments) != 1:
        hint = "PLACE is a host, a selector (in quotes if it has spaces), or auto."
        raise OptionError(f"{command} takes one place.", next=f"{usage} {hint}")
    if verb.takes in ("[RUN]", "[HOST]", "[PATH]") and len(arguments) > 1:
        raise OptionError(f"{command} takes one {verb.takes[1:-1].lower()} at most.", next=usage)
    if verb.takes == "PATH..." and not arguments:
        raise OptionError(f"{command} takes paths; none is given.", next=usage)
    if verb.takes in ("HOST...", "SOURCE...") and not arguments:
        raise OptionError(f"{command} takes {verb.takes}; none is given.", next=usage)
    _check_each(arguments, verb, command, usage)


def _check_each(arguments: tuple[str, ...], verb: Verb, command: str, usage: str) -> None:
    if verb.takes == "[NAME...]":
        for name in arguments:
            if not name.isidentifier():
                what = f"{command}: {shown(name)} is not the name of a variable."
                raise OptionError(what, next=usage)
    if verb.takes == "[KEY[=VALUE]...]":
        for setting in arguments:
            name = setting.partition("=")[0].replace("-", "_")
            if not name.isidentifier() or setting.endswith("="):
                what = f"{command}: {shown(setting)} is not a setting."
                raise OptionError(what, next=f"{usage} There are no spaces around the =.")


def _unknown_verb(name: str, verbs: Iterable[str], door: str) -> OptionError:
    every = f"The verbs are {', '.join(verbs)}."
    if name in NOT_YET:
        return OptionError(f"{door} {name} is not available in this version.", next=every)
    if name in VERBS and name not in verbs:
        command = f"macgpu {name} {VERBS[name].takes}".rstrip()
        return OptionError(f"{name} is not a verb of {door}.", next=f"In a shell: {command}.")
    near = nearest(name, [*verbs, *NOT_YET])
    later = " (which is not available in this version)" if near in NOT_YET else ""
    return OptionError(
        f"{shown(name)} is not a verb of {door}.",
        next=f"Did you mean {near}{later}?" if near else every,
    )
