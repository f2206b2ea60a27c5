"""The verbs of ``%macgpu`` and of the ``macgpu`` command: what each takes, in one table.

Both doors, the help texts and the README are read from or checked against it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .amounts import read_duration, read_whole
from .grammar import Option, Unreadable
from .scheduling.labels import SelectorError
from .scheduling.selectors import Selector, parse_selector


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


_OUTPUT = Option(
    names=("--output",), field="output", value="FILE", help="where the notebook goes that has run"
)
_GET = Option(
    names=("--get",),
    field="get",
    value="PATH",
    read=lambda text: (text,),
    repeats=True,
    help="bring this file that it wrote here; * and ? are read on the host",
)

#: What a verb takes that is asked about a cell.
ABOUT_A_CELL = "[OPTION...]"
#: What `run` takes: its own options and a cell's, then a program and that program's arguments.
PROGRAM = "PROGRAM..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One verb: what it takes and what it does.

    Attributes
    ----------
    help
        One line for the help text.
    takes
        What its arguments are called: ``RUN`` and ``HOST`` are one that must be there,
        ``[RUN]``, ``[HOST]`` and ``[PATH]`` one at most, ``PATH...``, ``HOST...`` and
        ``SOURCE...`` one or more, ``TIME``, ``SHELL``, ``PLACE`` a host, a selector or ``auto``,
        ``[OPTION...]`` what a cell's first line takes, ``PROGRAM...`` that too, then a program and
        its arguments, ``[PATH...]``, ``[HOST...]`` and ``[NAME...]`` any number,
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


VERBS: dict[str, Verb] = {
    "status": Verb(
        help="show the hosts and how they are",
        options=(_JSON, _LABELLED, _SHOW_LABELS, _WIDE, _WATCH),
    ),
    "describe": Verb(help="show all that is known of a host", takes="HOST", options=(_JSON,)),
    "device": Verb(
        help="show a host live: GPU, memory, heat, power, owner, queue; without a name, the one "
        "in use",
        takes="[HOST]",
        options=(_JSON,),
    ),
    "where": Verb(
        help="show where a cell with these options would run, and why; runs nothing",
        takes=ABOUT_A_CELL,
        options=(_JSON,),
    ),
    "why": Verb(help="show why a run is where it is", takes="RUN", options=(_JSON,)),
    "report": Verb(
        help="show what a run cost: time by step, GPU, memory, energy; without a name, the last",
        takes="[RUN]",
        options=(_JSON,),
    ),
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
    "run": Verb(
        help="run a script, a notebook or a command: FILE.py, FILE.ipynb or -- COMMAND",
        takes=PROGRAM,
        options=(_OUTPUT, _GET),
        shell_only=True,
    ),
    "runs": Verb(help="list the runs that the hosts know", options=(_JSON,)),
    "attach": Verb(
        help="show a run's outputs and bind what it brings", takes="RUN", options=(_GET,)
    ),
    "logs": Verb(help="show what a run has printed so far", takes="RUN", options=(_JSON,)),
    "cancel": Verb(help="stop a run", takes="RUN", options=(_JSON,)),
    "detach": Verb(
        help="let a run go on by itself, whoever waits for it", takes="RUN", options=(_JSON,)
    ),
    "move": Verb(
        help="move a detached run that waits to another host; without a name, to the best",
        takes="RUN [HOST]",
        options=(_JSON,),
    ),
    "rm": Verb(help="forget a run that has ended", takes="RUN", options=(_JSON, _YES)),
    "values": Verb(help="list what the worker holds for this notebook", options=(_JSON,)),
    "free": Verb(help="drop values that stay on the host; without names, all", takes="[NAME...]"),
    "restart": Verb(help="end the worker and start a fresh one", options=(_YES,)),
    "config": Verb(help="show or change settings of this notebook", takes="[KEY[=VALUE]...]"),
    "on": Verb(help="run every following cell elsewhere; %%local opts out"),
    "off": Verb(help="run cells here again"),
    "defaults": Verb(
        help="show or set what every cell's first line takes in this notebook",
        takes=ABOUT_A_CELL,
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
    "completion": Verb(
        help="print what bash, zsh or fish reads to complete macgpu commands",
        takes="SHELL",
        shell_only=True,
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

#: Verbs that are about one notebook: a shell has none.
NOTEBOOK_ONLY = frozenset("config defaults files free get off on put restart use values".split())
#: Verbs that later versions have. They are known, so that nobody looks for a typing error.
NOT_YET = frozenset(
    """
    bootstrap du env uninstall upgrade usage
    """.split()
)
