"""What may stand at a place of a magic line or of a ``macgpu`` command, for completion.

Nobody is asked for it over the network: hosts, labels and profiles are those of the fleet file and
of what hosts last said, runs those that this account began.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .fleet.file import load_fleet
from .fleet.hosts import Fleet
from .ledger import recent_runs
from .statuses import Statuses
from .verbs import cell_options
from .verbtable import ABOUT_A_CELL, VERBS, Verb
from .wire.errors import MacGPUError

#: Shells that a script for completion can be made for.
SHELLS = ("bash", "zsh", "fish")
#: What a verb's arguments are called, and what of `Known` they are.
_ARGUMENTS = {
    "RUN": "runs",
    "[RUN]": "runs",
    "HOST": "hosts",
    "[HOST]": "hosts",
    "HOST...": "hosts",
    "[HOST...]": "hosts",
    "PLACE": "places",
    "[NAME...]": "variables",
}
#: The same for the values of options, by their fields.
_VALUES = {
    "on": "places",
    "prefer": "labels",
    "labelled": "labels",
    "inputs": "variables",
    "outputs": "variables",
    "profile": "profiles",
    "after": "runs",
}
#: The key of a label whose value is being typed.
_BEFORE_EQUALS = re.compile(r"([^,=( ]+)=\Z")
#: What ends a word within a value: `a,b`, `chip=m2`, `chip in (m2`.
_WITHIN = re.compile(r"[,=( ]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What there is, by kind.

    Attributes
    ----------
    labels
        Keys of labels, and the values that hosts have.
    runs
        Names and ids of runs, the newest first.
    """

    hosts: tuple[str, ...] = ()
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()

    def of(self, kind: str) -> list[str]:
        """Return the words of a kind."""
        if kind == "labels":
            values = frozenset().union(*self.labels.values()) if self.labels else frozenset()
            return [*self.labels, *sorted(values)]
        if kind == "places":
            return [*self.hosts, "auto", *self.of("labels")]
        if kind == "runs":
            return [*self.runs, "last"]
        return list(getattr(self, kind))


def known(variables: Iterable[str] = ()) -> Known:
    """Return what this account knows now; what cannot be read is left out.

    Parameters
    ----------
    variables
        Names of the notebook's variables.
    """
    fleet = Fleet(hosts=())
    with contextlib.suppress(MacGPUError, OSError):
        fleet = load_fleet()
    statuses = Statuses()
    statuses.look(fleet.hosts)
    labels: dict[str, set[str]] = {}
    for host in fleet.hosts:
        for key, value in {**host.labels, **statuses.status(host).labels}.items():
            labels.setdefault(key, set()).add(value)
    return Known(
        hosts=tuple(host.name for host in fleet.hosts),
        labels={key: frozenset(values) for key, values in sorted(labels.items())},
        profiles=tuple(fleet.profiles),
        runs=tuple(recent_runs()),
        variables=tuple(name for name in variables if not name.startswith("_")),
    )


def of_cell(words: Sequence[str], current: str, found: Callable[[], Known]) -> list[str]:
    """Return what may stand at the end of a ``%%macgpu`` line.

    Parameters
    ----------
    words
        The whole words before it, the magic's own left out.
    current
        The word as far as it is typed.
    found
        Gives what there is; called only if that matters.
    """
    return _fitting(words, current, Verb(help="", takes=ABOUT_A_CELL), found)


def of_verb(
    words: Sequence[str], current: str, found: Callable[[], Known], *, in_shell: bool
) -> list[str]:
    """Return what may stand at the end of a ``%macgpu`` line or a ``macgpu`` command."""
    verbs = {name: verb for name, verb in VERBS.items() if in_shell or not verb.shell_only}
    if not words:
        return [name for name in verbs if name.startswith(current)]
    verb = verbs.get(words[0])
    return [] if verb is None else _fitting(words[1:], current, verb, found)


def _fitting(
    words: Sequence[str], current: str, verb: Verb, found: Callable[[], Known]
) -> list[str]:
    options = (*verb.options, *cell_options(verb))
    by_name = {name: option for option in options for name in option.names}
    name, equals, value = current.partition("=")
    joined = bool(equals) and name in by_name
    given = by_name.get(name if joined else words[-1] if words else "")
    if given is not None and given.value:
        return _values(_VALUES.get(given.field), current, value if joined else current, found)
    if current.startswith("-"):
        used = {by_name[word].field for word in words if word in by_name}
        repeats = {option.field for option in options if option.repeats}
        return [
            name
            for name, option in by_name.items()
            if name.startswith(current) and option.field not in used - repeats
        ]
    kind = _ARGUMENTS.get(verb.takes)
    return [] if kind is None else [w for w in found().of(kind) if w.startswith(current)]


def _values(kind: str | None, current: str, typed: str, found: Callable[[], Known]) -> list[str]:
    """Return how `current` may go on, whose end `typed` is a value of a kind."""
    if kind is None:
        return []
    known, start = found(), _last_word(typed)
    key = _BEFORE_EQUALS.search(typed[:start])
    candidates = sorted(known.labels.get(key[1], ())) if key else known.of(kind)
    head = current[: len(current) - len(typed) + start]
    return [head + word for word in candidates if word.startswith(typed[start:])]


def _last_word(typed: str) -> int:
    """Return where the word that is being typed begins within a value."""
    return max((match.end() for match in _WITHIN.finditer(typed)), default=0)


def script(shell: str) -> str:
    """Return what a shell has to read to complete ``macgpu`` commands."""
    return {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell]


_BASH = """\
_macgpu() {
    local IFS=$'\\n'
    COMPREPLY=($(macgpu --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -gt 0 ]] || compopt -o default
}
complete -F _macgpu macgpu"""
_ZSH = """\
_macgpu() {
    local -a found
    found=("${(@f)$(macgpu --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -Q -- "${found[@]}"; else _files; fi
}
compdef _macgpu macgpu"""
_FISH = """\
complete -c macgpu -a '(macgpu --complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'"""
