"""What a user may write behind ``%%macgpu``.

One table (`CELL_OPTIONS`) is the truth: parsing, the help text and the hints are
read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import optionvalues as values
from .amounts import read_duration
from .axes import read_axes, read_axis
from .grammar import Grammar, Option, Unreadable
from .optionvalues import After, Liking, Verify
from .scheduling.taints import Toleration
from .wire.order import LEAST, MOST, STEP
from .words import OptionError, Word, pointed_at, shown, split


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
    detach
        Whether nobody waits for the run.
    after
        Runs that it follows.
    at
        Words that say before which time it does not start, see `moments`; none starts it when it
        can.
    retry
        How often it is tried again after it died or was lost.
    sweep
        Words that say which names get which values, a run for each combination; see `axes`.
    most
        How many of these run at once; None leaves it to the hosts.
    verify
        With what its results are compared; None compares nothing.
    fallbacks
        Whether all operations are named that the CPU did since the GPU's library lacks them.
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
    detach: bool = False
    after: tuple[After, ...] = ()
    at: tuple[str, ...] = ()
    retry: int = 0
    sweep: tuple[str, ...] = ()
    most: int | None = None
    verify: Verify | None = None
    fallbacks: bool = False

    @property
    def goes_alone(self) -> bool:
        """Whether nobody waits for the run: that is so of one that starts at a time too."""
        return self.detach or bool(self.at)


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
    _mind_sweep(fields)
    _mind_verify(fields)
    return CellOptions(**fields)  # type: ignore[arg-type]  # the table's readers type them


def _mind_sweep(fields: Mapping[str, Any]) -> None:
    if "most" in fields and "sweep" not in fields:
        raise OptionError("--max belongs to --sweep.", next="Leave it out, or write both.")
    try:
        read_axes(fields.get("sweep") or ("@_",))
    except Unreadable as unreadable:
        raise OptionError(f"--sweep: {unreadable.problem}.", next=unreadable.remedy) from None


def _mind_verify(fields: Mapping[str, Any]) -> None:
    if "verify" not in fields:
        return
    if fields.get("cpu"):
        raise OptionError(
            "--verify compares a cell with the CPU, and with --cpu it runs there already.",
            next="Leave out one of the two.",
        )
    for field, name in (("detach", "--detach"), ("at", "--at"), ("sweep", "--sweep")):
        if fields.get(field):
            raise OptionError(
                f"--verify compares when the cell has ended, and with {name} nobody waits for it.",
                next=f"Leave out {name}, or --verify.",
            )


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


CELL_OPTIONS: tuple[Option, ...] = (
    Option(
        names=("--on",), field="on", value="HOST", read=values.read_host, help="run on this host"
    ),
    Option(
        names=("-i", "--in"),
        field="inputs",
        value="NAMES",
        read=values.read_names,
        repeats=True,
        help="ship these variables too: a,b",
    ),
    Option(
        names=("-o", "--out"),
        field="outputs",
        value="NAMES",
        read=values.read_names,
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
        read=values.read_priority,
        help=f"go before others, or behind: {LEAST} to {MOST}; each counts as {STEP / 60:g} min",
    ),
    Option(names=("--cpu",), field="cpu", help="run without a GPU, and take no GPU slot"),
    Option(names=("--again",), field="again", help="run although the cell's last run lives"),
    Option(names=("--yes",), field="yes", help="go ahead where a question would be asked"),
    Option(names=("--dry-run",), field="dry_run", help="say what would be sent, and run nothing"),
    Option(
        names=("--as",), field="name", value="NAME", read=values.read_run_name, help="name the run"
    ),
    Option(names=("--detach",), field="detach", help="let the run go on by itself; see Run"),
    Option(
        names=("--after",),
        field="after",
        value="RUN",
        read=values.read_after,
        repeats=True,
        help="begin when this run has ended well; any:RUN, however it ended",
    ),
    Option(
        names=("--at",),
        field="at",
        value="TIME",
        read=values.read_at,
        repeats=True,
        is_greedy=True,
        help="start at this time by itself: 18:30, tomorrow 7:00, +90m, 2026-12-01 18:30",
    ),
    Option(
        names=("--retry",),
        field="retry",
        value="N",
        read=values.read_times,
        help="try so often again if the worker dies or the host is lost",
    ),
    Option(
        names=("--sweep",),
        field="sweep",
        value="NAME=VALUES...",
        read=read_axis,
        repeats=True,
        is_greedy=True,
        help="run once for each combination: lr=1e-3,1e-4 seed=0..4, or @grid for a variable",
    ),
    Option(
        names=("--max",),
        field="most",
        value="N",
        read=values.read_most,
        help="let at most N runs of a sweep run at once",
    ),
    Option(
        names=("--setenv",),
        field="setenv",
        value="NAME",
        read=values.read_environment_name,
        repeats=True,
        help="let the cell see this environment variable of the notebook",
    ),
    Option(
        names=("--files",),
        field="files",
        value="PATH",
        read=values.read_path,
        repeats=True,
        help="put this file or folder beside the cell first, if it has changed",
    ),
    Option(
        names=("--profile",),
        field="profile",
        value="NAME",
        read=values.read_profile,
        help="take what this profile of the fleet file asks for",
    ),
    Option(
        names=("--mem",),
        field="mem",
        value="SIZE",
        read=values.read_memory,
        help="run where this much memory is: 24GB",
    ),
    Option(
        names=("--tolerate",),
        field="tolerate",
        value="TAINT",
        read=values.read_toleration,
        repeats=True,
        help="run in spite of this taint: KEY, KEY=VALUE, each also with :EFFECT",
    ),
    Option(
        names=("--prefer",),
        field="prefer",
        value="SELECTOR",
        read=values.read_liking,
        repeats=True,
        help="rather run where the labels fit: room=lab, or with a weight room=lab:50",
    ),
    Option(
        names=("--verify",),
        field="verify",
        value="cpu[=TOLERANCE]",
        read=values.read_verify,
        help="compute it again on the CPU, and say how far the results are apart",
    ),
    Option(
        names=("--fallbacks",),
        field="fallbacks",
        help="name all operations that MPS lacks and the CPU did, not only the first",
    ),
)

_NOT_YET = (
    "--engine",
    "--env",
    "--hosts",
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
    "--noblock": "Write --detach.",
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
