"""What a user may write behind ``%macgpu`` and behind the ``macgpu`` command.

Both doors read the same table (`VERBS`), so that a verb means the same in a
notebook and in a shell. Nothing is done here: a `Command` says what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .amounts import read_duration, read_whole
from .grammar import Grammar, Option, Unreadable
from .options import CELL_OPTIONS, CellOptions
from .scheduling.labels import SelectorError
from .scheduling.selectors import Selector, parse_selector
from .words import OptionError, Word, nearest, pointed_at, shown, split


def _selector(text: str) -> Selector:
    try:
        return parse_selector(text)
    except SelectorError as error:
        raise Unreadable("; ".join(error.problems), error.next) from None


def _width(text: str) -> bool:
    if text != "wide":
        raise Unreadable("there is no such form", "Write -o wide.")
    return True


_JSON = Option(names=("--json",), field="json", help="print JSON")
_TO = Option(names=("--to",), field="to", value="DIR", help="put them into this folder")
_YES = Option(names=("--yes",), field="yes", help="do not ask")
_REPLAY = Option(names=("--replay",), field="replay", value="FILE", help="the recorded output")
_SECTION = Option(names=("--section",), field="section", value="KIND", help="which tool's it is")
_AS_USER = Option(names=("--as-user",), field="as_user", value="USER", help="log in as this user")
_RESTRICT = Option(names=("--restrict",), field="restrict", help="let our key open the door alone")
_PRINT = Option(names=("--print-key-line",), field="print_key_line", help="print the key's line")
_WAIT = Option(
    names=("--wait",), field="wait", value="TIME", read=read_duration, help="listen so long"
)
_FLEET = Option(
    names=("--fleet",), field="fleet", value="N", read=read_whole, help="start N simulated Macs"
)
_SEED = Option(names=("--seed",), field="seed", value="S", read=read_whole, help="of their weather")
_ONCE = Option(names=("--once",), field="once", help="show them once, then end them")
_LABELLED = Option(
    names=("-l",), field="labelled", value="SELECTOR", read=_selector, help="those whose labels fit"
)
_SHOW_LABELS = Option(names=("--show-labels",), field="show_labels", help="show their labels too")
_WIDE = Option(names=("-o",), field="wide", value="wide", read=_width, help="show more of each")
_WATCH = Option(names=("--watch",), field="watch", help="show it again and again, in a shell")
_DETACHED = Option(names=("--detached",), field="detached", help="look after the login's end")
_CLEAR = Option(names=("--clear",), field="clear", help="take what was set away")
_COLLECT = Option(names=("--collect",), field="collect", help="say what was found then")


#: What a verb takes that is asked about a cell.
_CELL = "[OPTION...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One verb: what it takes and what it does.

    Attributes
    ----------
    help
        One line for the help text.
    takes
        What its arguments are called: ``RUN`` and ``HOST`` are one that must be there,
        ``[HOST]`` and ``[PATH]`` one at most, ``PATH...``, ``HOST...`` and ``SOURCE...`` one or
        more, ``TIME``, ``PLACE`` a host, a selector or ``auto``, ``[OPTION...]`` what a cell's
        first line takes, ``[PATH...]``, ``[HOST...]`` and ``[NAME...]`` any number,
        ``[KEY[=VALUE]...]`` settings. Empty: it takes none.
    options
        Its options.
    shell_only
        Whether only the ``macgpu`` command has it.
    """

    help: str
    takes: str = ""
    options: tuple[Option, ...] = ()
    shell_only: bool = False


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
        The options of the cell that is asked about.
    said
        The same options as they were typed.
    fleet, seed, once
        How many simulated Macs are wanted, the seed of their weather, and whether they are to be
        shown once.
    clear
        Whether what was set is to be taken away.
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
    about_cell = verb.takes == _CELL
    options = (*verb.options, *(CELL_OPTIONS if about_cell else ()))
    grammar = Grammar(command=f"{door} {name}", options=options)
    fields, others = grammar.read(words[1:])
    arguments = tuple(word.text for word in others)
    _check(arguments, verb, f"{door} {name}")
    if about_cell:
        own = {option.field: fields.pop(option.field, False) for option in verb.options}
        own_names = {name for option in verb.options for name in option.names}
        said = " ".join(_as_typed(word) for word in words[1:] if word.text not in own_names)
        fields = {"cell": CellOptions(**fields), "said": said, **own}  # type: ignore[arg-type]
    # The table's readers type them.
    return Command(verb=name, arguments=arguments, **fields)  # type: ignore[arg-type]


def _as_typed(word: Word) -> str:
    """Return a word with quotes around it where it needs some: one kind of them is not in it."""
    if not word.quoted and not any(c.isspace() or c in "'\"" for c in word.text):
        return word.text
    quote = "'" if "'" not in word.text else '"'
    return f"{quote}{word.text}{quote}"


def _check(arguments: tuple[str, ...], verb: Verb, command: str) -> None:
    usage = f"Write {command} {verb.takes}".rstrip() + "."
    if verb.takes in ("", _CELL) and arguments:
        raise OptionError(f"{command} takes no {shown(arguments[0])}.", next=usage)
    if verb.takes == "RUN" and len(arguments) != 1:
        given = f"{len(arguments)} are given" if arguments else "none is given"
        raise OptionError(
            f"{command} takes one run; {given}.",
            next=f"{usage} RUN is the start of an id, a name, or last.",
        )
    if verb.takes == "HOST" and len(arguments) != 1:
        raise OptionError(f"{command} takes one host of the fleet.", next=usage)
    if verb.takes == "TIME" and len(arguments) != 1:
        raise OptionError(
            f"{command} takes one length of time.", next=f"{usage} TIME is 30m or 1h."
        )
    if verb.takes == "PLACE" and len(arguments) != 1:
        hint = "PLACE is a host, a selector (in quotes if it has spaces), or auto."
        raise OptionError(f"{command} takes one place.", next=f"{usage} {hint}")
    if verb.takes in ("[HOST]", "[PATH]") and len(arguments) > 1:
        raise OptionError(f"{command} takes one {verb.takes[1:-1].lower()} at most.", next=usage)
    if verb.takes == "PATH..." and not arguments:
        raise OptionError(f"{command} takes paths; none is given.", next=usage)
    if verb.takes in ("HOST...", "SOURCE...") and not arguments:
        raise OptionError(f"{command} takes {verb.takes}; none is given.", next=usage)
    if verb.takes == "[NAME...]":
        for name in arguments:
            if not name.isidentifier():
                what = f"{command}: {shown(name)} is not the name of a variable."
                raise OptionError(what, next=usage)
    if verb.takes == "[KEY[=VALUE]...]":
        for setting in arguments:
            if not setting.partition("=")[0].isidentifier() or setting.endswith("="):
                what = f"{command}: {shown(setting)} is not a setting."
                raise OptionError(what, next=f"{usage} There are no spaces around the =.")


def _unknown_verb(name: str, verbs: Iterable[str], door: str) -> OptionError:
    every = f"The verbs are {', '.join(verbs)}."
    if name in _NOT_YET:
        return OptionError(f"{door} {name} is not available in this version.", next=every)
    near = nearest(name, [*verbs, *_NOT_YET])
    later = " (which is not available in this version)" if near in _NOT_YET else ""
    return OptionError(
        f"{shown(name)} is not a verb of {door}.",
        next=f"Did you mean {near}{later}?" if near else every,
    )


VERBS: dict[str, Verb] = {
    "status": Verb(
        help="show the hosts and how they are",
        options=(_JSON, _LABELLED, _SHOW_LABELS, _WIDE, _WATCH),
    ),
    "describe": Verb(help="show all that is known of a host", takes="HOST", options=(_JSON,)),
    "where": Verb(
        help="show where a cell with these options would run, and why; runs nothing",
        takes=_CELL,
        options=(_JSON,),
    ),
    "why": Verb(help="show why a run is where it is", takes="RUN", options=(_JSON,)),
    "use": Verb(
        help="run this notebook's cells there: a host, a selector, or auto",
        takes="PLACE",
    ),
    "verify": Verb(
        help="run a GPU cell and a CPU cell on a host, and look where they ran; without a name, "
        "on all",
        takes="[HOST]",
        options=(_JSON,),
    ),
    "runs": Verb(help="list the runs that the hosts know", options=(_JSON,)),
    "attach": Verb(help="show a run's outputs and bind what it brings", takes="RUN"),
    "logs": Verb(help="show what a run has printed so far", takes="RUN", options=(_JSON,)),
    "cancel": Verb(help="stop a run", takes="RUN", options=(_JSON,)),
    "rm": Verb(help="forget a run that has ended", takes="RUN", options=(_JSON, _YES)),
    "values": Verb(help="list what the worker holds for this notebook", options=(_JSON,)),
    "free": Verb(help="drop values that stay on the host; without names, all", takes="[NAME...]"),
    "restart": Verb(help="end the worker and start a fresh one", options=(_YES,)),
    "config": Verb(help="show or change settings of this notebook", takes="[KEY[=VALUE]...]"),
    "on": Verb(help="run every following cell elsewhere; %%local opts out"),
    "off": Verb(help="run cells here again"),
    "defaults": Verb(
        help="show or set what every cell's first line takes in this notebook",
        takes=_CELL,
        options=(_CLEAR,),
    ),
    "put": Verb(
        help="put files and folders beside this notebook's cells",
        takes="PATH...",
        options=(_TO, _YES),
    ),
    "get": Verb(
        help="bring files that cells wrote; * and ? are read on the host",
        takes="PATH...",
        options=(_TO,),
    ),
    "files": Verb(
        help="list the files beside this notebook's cells",
        takes="[PATH...]",
        options=(_JSON,),
    ),
    "selftest": Verb(
        help="show what this machine can do, for a report",
        options=(_JSON, _DETACHED, _COLLECT),
        shell_only=True,
    ),
    "doctor": Verb(
        help="check the way to a host step by step; without a name, to all",
        takes="[HOST]",
        options=(_JSON,),
    ),
    "add": Verb(
        help="bring machines into the fleet: [USER@]HOST[:PORT]",
        takes="HOST...",
        options=(_YES, _RESTRICT, _PRINT),
        shell_only=True,
    ),
    "discover": Verb(
        help="list the Macs with Remote Login on this network",
        options=(_WAIT, _JSON),
        shell_only=True,
    ),
    "import": Verb(
        help="take hosts over: ssh [PATTERN...] from ~/.ssh/config, or dstack FILE",
        takes="SOURCE...",
        options=(_YES,),
        shell_only=True,
    ),
    "diff": Verb(
        help="show what hosts hold otherwise than the fleet file says",
        takes="[HOST...]",
        options=(_JSON,),
        shell_only=True,
    ),
    "apply": Verb(
        help="write to hosts what the fleet file says",
        takes="[HOST...]",
        options=(_YES, _AS_USER, _JSON),
        shell_only=True,
    ),
    "drain": Verb(
        help="let a host take nothing new, for everybody; what runs goes on",
        takes="HOST",
        options=(_AS_USER,),
        shell_only=True,
    ),
    "undrain": Verb(
        help="let a host take cells again", takes="HOST", options=(_AS_USER,), shell_only=True
    ),
    "pause": Verb(
        help="let nothing new begin on this machine for so long", takes="TIME", shell_only=True
    ),
    "resume": Verb(help="end the pause of this machine", shell_only=True),
    "schema": Verb(help="print the fleet file's JSON Schema, for editors", shell_only=True),
    "trust": Verb(
        help="show the key of a host and write its fingerprint down",
        takes="HOST",
        options=(_YES, _JSON),
        shell_only=True,
    ),
    "allow": Verb(
        help="let the fleet file of a folder count",
        takes="[PATH]",
        options=(_JSON,),
        shell_only=True,
    ),
    "probe": Verb(
        help="read what a Mac's own tools printed, from a file",
        options=(_REPLAY, _SECTION, _JSON),
        shell_only=True,
    ),
    "demo": Verb(
        help="run the quickstart notebook on this machine, or start simulated Macs",
        options=(_FLEET, _SEED, _ONCE),
        shell_only=True,
    ),
}

#: Verbs that later versions have. They are known, so that nobody looks for a typing error.
_NOT_YET = frozenset(
    """
    bootstrap detach device du env uninstall upgrade usage
    """.split()
)
