"""What a user may write behind ``%%macgpu``.

One table (`CELL_OPTIONS`) is the truth: parsing, the help text and the hints are
read from it.
"""

from __future__ import annotations

import contextlib
import keyword
import re
from dataclasses import dataclass

from .amounts import read_duration, read_size
from .grammar import Grammar, Option, Unreadable
from .scheduling.affinity import MAX_SCORE
from .scheduling.labels import SelectorError
from .scheduling.selectors import Selector, parse_selector
from .scheduling.taints import Toleration, parse_toleration
from .wire.order import LEAST, MOST, STEP
from .words import OptionError, Word, pointed_at, shown, split

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROFILE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Liking:
    """Labels that a cell likes, and what a host that has them gains."""

    selector: Selector
    weight: int = MAX_SCORE


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOptions:
    """How one cell is to run.

    Attributes
    ----------
    on
        Name of the host, or a selector over labels; None leaves the choice to the placement.
    inputs
        Names to ship beside those that the cell reads.
    outputs
        Names to bring back, and no others; None brings all that changed.
    timeout
        Seconds of running time after which the run is stopped; None sets no limit.
    wait
        Seconds in the queue after which the cell gives up; None waits.
    priority
        What its place in the queue is worth, see `wire.order`; None is 0.
    cpu
        Whether the cell goes without a GPU.
    again
        Whether to run although the cell's last run lives or is unknown.
    yes
        Whether what would be asked is answered beforehand.
    dry_run
        Whether only to say what would be sent, and where it would run.
    name
        Name of the run, for ``attach``, ``cancel`` and ``logs``.
    setenv
        Environment variables of the notebook that the cell may see.
    files
        Paths and patterns of files that are put beside the cell before it runs.
    profile
        Name of a profile of the fleet file, whose needs are the cell's too.
    tolerate
        Taints that it puts up with, beside those of the profile.
    prefer
        What it likes about a host, each with what that is worth: 1 to 100.
    mem
        Bytes of a host's memory that it needs; None leaves it to the profile, or open.
    """

    on: str | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] | None = None
    timeout: float | None = None
    wait: float | None = None
    priority: int | None = None
    cpu: bool = False
    again: bool = False
    yes: bool = False
    dry_run: bool = False
    name: str | None = None
    setenv: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    profile: str | None = None
    tolerate: tuple[Toleration, ...] = ()
    prefer: tuple[Liking, ...] = ()
    mem: int | None = None


def parse_cell(line: str, defaults: str = "") -> CellOptions:
    """Read what stands behind ``%%macgpu``.

    Parameters
    ----------
    line
        The rest of the magic's own line; the cell's body is not looked at.
    defaults
        Options that count where the line does not give them itself.

    Raises
    ------
    OptionError
        If anything on the line is not understood. No run was started.
    """
    fields, others = CELL_GRAMMAR.read(split(line))
    if others:
        raise _stray_word(others[0], line)
    if defaults:
        fields = CELL_GRAMMAR.read(split(defaults))[0] | fields
    return CellOptions(**fields)  # type: ignore[arg-type]  # the table's readers type them


def help_text() -> str:
    """Return the options of ``%%macgpu`` as aligned lines, one each."""
    rows = [(f"{', '.join(o.names)} {o.value}".rstrip(), o.help) for o in CELL_OPTIONS]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"{left:<{width}}  {right}" for left, right in rows)


def _stray_word(word: Word, line: str) -> OptionError:
    place = f"\n{pointed_at(line, word.column)}"
    if word.text.startswith("#"):
        return OptionError(
            f"A comment stands on the magic's own line.{place}",
            next="Move it into the cell's body; the line takes options only.",
        )
    if word.text == "\\":
        return OptionError(
            f"A magic line cannot be continued with a backslash.{place}",
            next="Put all options on the first line.",
        )
    return OptionError(
        f"{shown(word.text)} is not an option, and %%macgpu takes nothing else.{place}",
        next="A host is named with --on, variables with -i a,b (no space behind the comma).",
    )


def _names(text: str) -> tuple[str, ...]:
    names = text.split(",")
    for name in names:
        if not name:
            raise Unreadable("a name is missing beside a comma", "Write a,b without spaces.")
        if "." in name and name.partition(".")[0].isidentifier():
            owner = shown(name.partition(".")[0])
            problem = f"{shown(name)} is an attribute; only variables travel"
            raise Unreadable(problem, f"Write {owner}: what hangs on it comes along.")
        if not name.isidentifier() or keyword.iskeyword(name):
            problem = f"{shown(name)!r} is not the name of a variable"
            raise Unreadable(problem, "Write the names of variables, with commas: a,b.")
    return tuple(names)


def _host(text: str) -> str:
    with contextlib.suppress(SelectorError):
        if re.search(r"[=!()<>,]", text) and parse_selector(text).requirements:
            return text
    if len(text) > 253 or not text.isprintable() or " " in text:
        raise Unreadable("this cannot be the name of a host", "%macgpu status lists the hosts.")
    return text


def _run_name(text: str) -> str:
    remedy = "Take letters, digits, '.', '-' and '_', 64 at most: --as night-run."
    if not _RUN_NAME.fullmatch(text):
        raise Unreadable("this cannot be the name of a run", remedy)
    if text == "last" or re.fullmatch(r"[0-9a-f]+", text):
        raise Unreadable("this would be read as the id of a run, or as the last run", remedy)
    return text


def _environment_name(text: str) -> tuple[str, ...]:
    name, equals, _ = text.partition("=")
    if equals and _VARIABLE.fullmatch(name):
        raise Unreadable(
            "it takes a name; the value is the notebook's own",
            f"Set os.environ[{name!r}] in the notebook, then write --setenv {name}.",
        )
    if not _VARIABLE.fullmatch(text):
        remedy = "Write --setenv NAME once for each variable."
        raise Unreadable("this is not the name of an environment variable", remedy)
    return (text,)


def _path(text: str) -> tuple[str, ...]:
    if "\x00" in text:
        raise Unreadable("this is not the path of a file", "Write --files PATH once for each.")
    return (text,)


def _profile(text: str) -> str:
    if not _PROFILE.fullmatch(text):
        remedy = "A profile is named as under profiles: in the fleet file: --profile train."
        raise Unreadable("this cannot be the name of a profile", remedy)
    return text


def _toleration(text: str) -> tuple[Toleration, ...]:
    try:
        return (parse_toleration(text),)
    except SelectorError as error:
        raise Unreadable("; ".join(error.problems), error.next) from None


def _liking(text: str) -> tuple[Liking, ...]:
    """Read a selector, its weight behind the last colon: no selector has one in it."""
    said, colon, number = text.rpartition(":")
    remedy = "Write --prefer 'chip in (m2-ultra, m3-ultra)' or --prefer room=lab:50."
    if colon and not (number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= MAX_SCORE):
        raise Unreadable(f"a weight is a whole number from 1 to {MAX_SCORE}", remedy)
    try:
        selector = parse_selector(said if colon else text)
    except SelectorError as error:
        raise Unreadable("; ".join(error.problems), remedy) from None
    if not selector.requirements:
        raise Unreadable("a label is missing", remedy)
    return (Liking(selector=selector, weight=int(number) if colon else MAX_SCORE),)


def _memory(text: str) -> int:
    if not (size := read_size(text)):
        raise Unreadable("this is no memory at all", "Write what the cell needs: --mem 24GB.")
    return size


def _priority(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,3}", text) or not LEAST <= int(text) <= MOST:
        remedy = "Write --priority 2, or --priority -2 to let others go first."
        raise Unreadable(f"a priority is a whole number from {LEAST} to {MOST}", remedy)
    return int(text)


CELL_OPTIONS: tuple[Option, ...] = (
    Option(names=("--on",), field="on", value="HOST", read=_host, help="run on this host"),
    Option(
        names=("-i", "--in"),
        field="inputs",
        value="NAMES",
        read=_names,
        repeats=True,
        help="ship these variables too: a,b",
    ),
    Option(
        names=("-o", "--out"),
        field="outputs",
        value="NAMES",
        read=_names,
        repeats=True,
        help="bring back these variables and no others, whatever their size",
    ),
    Option(
        names=("--timeout",),
        field="timeout",
        value="TIME",
        read=read_duration,
        help="stop after this running time: 10s, 5m, 2h",
    ),
    Option(
        names=("--wait",),
        field="wait",
        value="TIME",
        read=read_duration,
        help="give up after this time in the queue",
    ),
    Option(
        names=("--priority",),
        field="priority",
        value="N",
        read=_priority,
        help=f"go before others, or behind: {LEAST} to {MOST}; each counts as {STEP / 60:g} min",
    ),
    Option(names=("--cpu",), field="cpu", help="run without a GPU, and take no GPU slot"),
    Option(names=("--again",), field="again", help="run although the cell's last run lives"),
    Option(names=("--yes",), field="yes", help="go ahead where a question would be asked"),
    Option(names=("--dry-run",), field="dry_run", help="say what would be sent, and run nothing"),
    Option(names=("--as",), field="name", value="NAME", read=_run_name, help="name the run"),
    Option(
        names=("--setenv",),
        field="setenv",
        value="NAME",
        read=_environment_name,
        repeats=True,
        help="let the cell see this environment variable of the notebook",
    ),
    Option(
        names=("--files",),
        field="files",
        value="PATH",
        read=_path,
        repeats=True,
        help="put this file or folder beside the cell first, if it has changed",
    ),
    Option(
        names=("--profile",),
        field="profile",
        value="NAME",
        read=_profile,
        help="take what this profile of the fleet file asks for",
    ),
    Option(
        names=("--mem",),
        field="mem",
        value="SIZE",
        read=_memory,
        help="run where this much memory is: 24GB",
    ),
    Option(
        names=("--tolerate",),
        field="tolerate",
        value="TAINT",
        read=_toleration,
        repeats=True,
        help="run in spite of this taint: KEY, KEY=VALUE, each also with :EFFECT",
    ),
    Option(
        names=("--prefer",),
        field="prefer",
        value="SELECTOR",
        read=_liking,
        repeats=True,
        help="rather run where the labels fit: room=lab, or with a weight room=lab:50",
    ),
)

_NOT_YET = (
    "--after",
    "--at",
    "--detach",
    "--engine",
    "--env",
    "--hosts",
    "--retry",
    "--sweep",
    "--verify",
    "--with",
)

_GPU_IS_GIVEN = "Leave it out: every cell has the GPU unless --cpu is given."
#: What users of Slurm, ipyparallel and others type from habit, and what it is called here.
_HABITS: dict[str, str] = {
    "--export": "Write --setenv NAME once for each variable.",
    "--constraint": "Write --on SELECTOR, such as --on chip=m2-ultra.",
    "--gpus": _GPU_IS_GIVEN,
    "--memory": "Write --mem SIZE, such as --mem 24GB.",
    "--partition": "Write --profile NAME.",
    "--gres": _GPU_IS_GIVEN,
    "--host": "Write --on HOST.",
    "--job-name": "Write --as NAME.",
    "--name": "Write --as NAME.",
    "--noblock": "Use --detach where it is available; in this version a cell is waited for.",
    "--nodelist": "Write --on HOST.",
    "--nodes": "Use --hosts where it is available; in this version a cell runs on one host.",
    "--targets": "Write --on HOST.",
    "--time": "Write --timeout TIME, such as --timeout 2h.",
    "-G": _GPU_IS_GIVEN,
    "-J": "Write --as NAME.",
    "-N": "Use --hosts where it is available; in this version a cell runs on one host.",
    "-t": "For a limit of time write --timeout TIME, for a host --on HOST.",
    "-w": "Write --on HOST.",
}

CELL_GRAMMAR = Grammar(command="%%macgpu", options=CELL_OPTIONS, not_yet=_NOT_YET, habits=_HABITS)
