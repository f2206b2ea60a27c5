"""The values of a cell's options, read from text: one function a kind, which says what is wrong."""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass

from .amounts import read_size
from .grammar import Unreadable
from .scheduling.affinity import MAX_SCORE
from .scheduling.labels import SelectorError
from .scheduling.selectors import Selector, parse_selector
from .scheduling.taints import Toleration, parse_toleration
from .wire.order import LEAST, MOST
from .words import shown

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROFILE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Liking:
    """Labels that a cell likes, and what a host that has them gains."""

    selector: Selector
    weight: int = MAX_SCORE


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """A run that goes before: the start of its id, its name, or ``last``.

    Attributes
    ----------
    whatever
        Whether its end may be a bad one.
    """

    run: str
    whatever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """That a cell is computed again on the CPU, and both are compared.

    Attributes
    ----------
    tolerance
        The largest relative difference of floating numbers; None goes by their type.
    """

    tolerance: float | None = None


def read_verify(text: str) -> Verify:
    """Return with what a cell is compared."""
    device, equals, number = text.partition("=")
    remedy = "Write --verify cpu, or with what is allowed --verify cpu=1e-3."
    if device != "cpu":
        raise Unreadable("a cell can be compared with the CPU alone", remedy)
    if not equals:
        return Verify()
    try:
        tolerance = float(number)
    except ValueError:
        tolerance = math.nan
    if not (number.isascii() and 0 <= tolerance < 1):
        raise Unreadable("what is allowed is a number from 0 to below 1", remedy)
    return Verify(tolerance=tolerance)


def read_most(text: str) -> int:
    """Return how many may run at once."""
    if not re.fullmatch(r"[0-9]{1,4}", text) or not int(text):
        raise Unreadable("this is no number of runs", "Write --max 2.")
    return int(text)


def read_names(text: str) -> tuple[str, ...]:
    """Return names of variables, with commas between them."""
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


def read_host(text: str) -> str:
    """Return the name of a host, or a selector over labels."""
    if re.search(r"[=!()<>,]", text) and text.isprintable():
        try:
            if parse_selector(text).requirements:
                return text
        except SelectorError as error:
            problem = f"this is no selector: {'; '.join(error.problems)}"
            raise Unreadable(problem, error.next) from None
    if len(text) > 253 or not text.isprintable() or " " in text:
        raise Unreadable("this cannot be the name of a host", "%macgpu status lists the hosts.")
    return text


def read_run_name(text: str) -> str:
    """Return a name for a run."""
    remedy = "Take letters, digits, '.', '-' and '_', 64 at most: --as night-run."
    if not _RUN_NAME.fullmatch(text):
        raise Unreadable("this cannot be the name of a run", remedy)
    if text == "last":
        raise Unreadable("this would be read as the last run", remedy)
    if re.fullmatch(r"[0-9a-f]+", text):
        problem = (
            "this would be read as the id of a run: it is of digits and the letters a to f alone"
        )
        raise Unreadable(problem, f"Add another letter or a '-': --as {text[:40]}-run.")
    return text


def read_after(text: str) -> tuple[After, ...]:
    """Return a run that goes before."""
    whatever = text.startswith("any:")
    run = text.removeprefix("any:")
    if not run or not run.isprintable() or " " in run or ":" in run:
        raise Unreadable("this is no run", "Write --after RUN: the start of its id, or its name.")
    return (After(run=run, whatever=whatever),)


def read_at(text: str) -> tuple[str, ...]:
    """Return the words that say a time; what they mean depends on when they are read."""
    return tuple(text.split())


def read_times(text: str) -> int:
    """Return a number of times."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 100):
        raise Unreadable("this is no whole number from 1 to 100", "Write --retry 3.")
    return int(text)


def read_environment_name(text: str) -> tuple[str, ...]:
    """Return the name of an environment variable."""
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


def read_path(text: str) -> tuple[str, ...]:
    """Return the path of a file."""
    if "\x00" in text:
        raise Unreadable("this is not the path of a file", "Write --files PATH once for each.")
    return (text,)


def read_profile(text: str) -> str:
    """Return the name of a profile."""
    if not _PROFILE.fullmatch(text):
        remedy = "A profile is named as under profiles: in the fleet file: --profile train."
        raise Unreadable("this cannot be the name of a profile", remedy)
    return text


def read_toleration(text: str) -> tuple[Toleration, ...]:
    """Return a taint that is put up with."""
    try:
        return (parse_toleration(text),)
    except SelectorError as error:
        raise Unreadable("; ".join(error.problems), error.next) from None


def read_liking(text: str) -> tuple[Liking, ...]:
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


def read_memory(text: str) -> int:
    """Return a size of memory in bytes."""
    if not (size := read_size(text)):
        raise Unreadable("this is no memory at all", "Write what the cell needs: --mem 24GB.")
    return size


def read_priority(text: str) -> int:
    """Return a priority."""
    if not re.fullmatch(r"[+-]?[0-9]{1,3}", text) or not LEAST <= int(text) <= MOST:
        remedy = "Write --priority 2, or --priority -2 to let others go first."
        raise Unreadable(f"a priority is a whole number from {LEAST} to {MOST}", remedy)
    return int(text)
