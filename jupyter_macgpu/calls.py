"""Calls from Python: ``run``, ``remote``, and what they and ``map`` share.

A call is a cell of one line. The function, its arguments and all that these need travel as a cell's
inputs do, by the same pickler; a function of ``__main__`` uses the other side's ``__main__`` there.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from numbers import Real
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .amounts import read_duration
from .cell import Cell
from .grammar import Unreadable
from .job import Run
from .lending import lent
from .options import CELL_OPTIONS, CellOptions
from .optionvalues import read_memory
from .wire.errors import InputError
from .words import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .desks import Desk
    from .grammar import Option

P = ParamSpec("P")
T = TypeVar("T")

#: Names that a call uses in the namespace, there while it is sent and while its value comes.
CALL, VALUE = "_macgpu_call", "_macgpu_value"
#: Numbers of memory below this many are none of bytes.
_MEANT = 2**20
#: What a cell's first line may say and a call may not.
NOT_OF_CALLS = frozenset(
    {"inputs", "outputs", "again", "dry_run", "detach", "sweep", "most", "verify", "fallbacks"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function and what it is called with."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def check(self) -> None:
        """Raise what Python would raise if the arguments do not fit.

        Raises
        ------
        TypeError
            If they do not. Functions that tell nothing of their parameters take any.
        """
        if not callable(self.function):
            raise TypeError(f"{type(self.function).__name__} object is not callable")
        try:
            signature = inspect.signature(self.function)
        except ValueError:
            return
        signature.bind(*self.args, **self.kwargs)

    def cell(self, at: Desk, *, binds: bool = True) -> Cell:
        """Return the cell that makes the call.

        Parameters
        ----------
        binds
            Whether it binds the value; else that is the value of its last expression.
        """
        waits = "await " if inspect.iscoroutinefunction(self.function) else ""
        code = f"{waits}{CALL}[0](*{CALL}[1], **{CALL}[2])"
        code = f"{VALUE} = {code}" if binds else code
        return Cell(
            source=code,
            code=code,
            count=1,
            headed=False,
            known_as=_known_as(self.function),
            dialect=at.dialect,
        )

    @contextmanager
    def lent(self, namespace: dict[str, Any]) -> Iterator[None]:
        """Bind it in the namespace while it is read."""
        with lent(namespace, {CALL: (self.function, self.args, dict(self.kwargs))}):
            yield


def _known_as(function: Callable[..., Any]) -> str:
    """Return what tells a function from others: its name, and what it does where that is known."""
    inner = inspect.unwrap(function)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    code = getattr(getattr(inner, "__code__", None), "co_code", b"")
    return f"call of {getattr(inner, '__module__', '')}.{name} {code.hex()}"


def taken_value(namespace: dict[str, Any]) -> Any:
    """Return the value that a call has bound, and unbind it."""
    return namespace.pop(VALUE)


def options_of(said: Mapping[str, Any]) -> CellOptions:
    """Return options that were given in Python: texts as on a cell's first line, or plain values.

    Raises
    ------
    TypeError
        If there is no such option.
    InputError
        If a value does not fit its option.
    """
    known = {option.field: option for option in CELL_OPTIONS if option.field not in NOT_OF_CALLS}
    for name in said:
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near}?" if near else f"; there are {', '.join(sorted(known))}"
            raise TypeError(f"{name} is not an option of a call{hint}")
    given = {name: value for name, value in said.items() if value is not None}
    return CellOptions(**{name: _read(known[name], value) for name, value in given.items()})


def _read(option: Option, value: Any) -> Any:
    if not option.value:
        if not isinstance(value, bool):
            raise _no_value(option, value, "neither True nor False")
        return value
    lists = (list, tuple, set, frozenset)
    several = value if option.repeats and isinstance(value, lists) else [value]
    try:
        parts = [option.read(_as_text(option, part)) for part in several]
    except Unreadable as unreadable:
        raise InputError(
            f"{option.field}={value!r}: {unreadable.problem}.", next=unreadable.remedy
        ) from None
    if not option.repeats:
        return parts[0]
    return tuple(item for part in parts for item in (part if isinstance(part, tuple) else (part,)))


def _as_text(option: Option, value: object) -> str:
    """Return a plain value as a cell's first line has it: of a number seconds, or bytes."""
    if isinstance(value, (str, Run)):
        return value if isinstance(value, str) else value.run
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _no_value(option, value, "no text")
    if option.read is read_duration:
        return f"{value:.6f}s"
    # Who writes 24 means 24 GB: that no cell needs so few bytes is told from what is meant.
    is_size = option.read is read_memory and float(value) >= _MEANT
    return f"{float(value):.0f}B" if is_size else str(value)


def _no_value(option: Option, value: object, what: str) -> InputError:
    return InputError(
        f"{option.field}={shown(repr(value))}: this is {what}.",
        next=f"Give what stands behind {option.names[-1]} on a cell's first line.",
    )
