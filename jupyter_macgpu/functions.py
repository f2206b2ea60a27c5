"""What Python code calls: ``run`` and ``remote``; with `mapping.map` what the package offers."""

from __future__ import annotations

import functools
import types
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from .calls import NOT_OF_CALLS, VALUE, Call, options_of, taken_value
from .desks import desk
from .job import Run
from .mapping import Mapped
from .options import CellOptions
from .wire.errors import InputError, MacGPUError
from .wire.values.remote import RemoteValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

P = ParamSpec("P")
T = TypeVar("T")


def run(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call a function on a host of the fleet, and return its value.

    As of a cell, what the call changes comes back: in its arguments, and in variables of
    ``__main__``. What it prints is shown as it comes; an interrupt is one in the call.

    Parameters
    ----------
    function
        Any function, also a lambda or a coroutine function; it need not be imported there.
    *args, **kwargs
        Its arguments. Keywords that are options of ``%%macgpu`` are taken as these: ``on``,
        ``profile``, ``mem``, ``cpu``, ``files``, ``setenv``, ``timeout``, ``wait``, ``tolerate``,
        ``prefer``, ``name``, ``yes``. A function with parameters of these names is called by way
        of `functools.partial`.

    Raises
    ------
    TypeError
        If the arguments do not fit the function. Nothing was sent.
    InputError, PlacementError
        If something cannot be sent, or no host can take it. Nothing was sent.
    RemoteError
        What the function raised; it is an instance of the built-in class of that name.
    MacGPUError
        If the run ended otherwise, or its end is not known; it says which.
    """
    options = options_of(_taken(kwargs))
    return _call(function, args, kwargs, options)


def submit(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Run:
    """Hand a call in that nobody waits for, and return its `Run` at once.

    ``submit(f, x).result()`` is its value, a copy. What it changes in its arguments and in
    ``__main__`` comes with `Run.bind` alone. It goes on when this process ends.

    Parameters
    ----------
    function, *args, **kwargs
        As those of `run`; options are also ``after``, ``at``, ``retry`` and ``priority``.

    Raises
    ------
    TypeError, InputError, PlacementError
        As `run` says. Nothing was sent.
    RunRefused, RunLost, RunUnknown
        If no host has confirmed it.
    """
    return _submitted(function, args, kwargs, options_of(_taken(kwargs)))


def remote(function: Callable[P, T] | None = None, /, **options: Any) -> Any:
    """Make a function whose calls run on a host of the fleet.

    Used as ``@remote`` or as ``@remote(on="studio", mem="24GB")``. Its `map` calls it for many
    arguments at once, its `local` is the function itself. In code that runs on a host, a call is a
    plain one.
    """
    chosen = options_of(options)
    if function is None:
        return lambda made: Remote(made, chosen)
    return Remote(function, chosen)


class Remote(Generic[P, T]):
    """A function whose calls run elsewhere; see `remote`."""

    def __init__(self, function: Callable[P, T], options: CellOptions) -> None:
        functools.update_wrapper(self, function)
        self.local = function
        self.options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it on a host, and return its value."""
        return _call(self.local, args, kwargs, self.options)

    def map(self, xs: Iterable[Any], *, max: int | None = None) -> Mapped[T]:
        """Call it for each of `xs`, on all hosts that are free; see `mapping.map`."""
        return Mapped(self.local, xs, self.options, max)

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Hand a call in, and return its `Run`; see `submit`."""
        return _submitted(self.local, args, kwargs, self.options)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Be a method where it stands in a class."""
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        # On a host it is the function: it is there already.
        return functools.partial, (self.local,)


def _taken(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take the options out of a call's keywords."""
    names = {field.name for field in fields(CellOptions)} - NOT_OF_CALLS
    return {name: kwargs.pop(name) for name in list(kwargs) if name in names}


def _call(
    function: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: CellOptions,
) -> T:
    if options.at:
        raise InputError(
            "A call that is waited for starts at once, and at= names a time.",
            next="Hand it in with submit. A parameter of that name is given with "
            "functools.partial.",
        )
    call = Call(function=function, args=args, kwargs=kwargs)
    call.check()
    at = desk()
    with call.lent(at.namespace):
        try:
            at.drive(call.cell(at), options)
        except BaseException:
            at.namespace.pop(VALUE, None)
            raise
        value = taken_value(at.namespace)
    return _brought(value)  # type: ignore[no-any-return]  # what the function returns


def _submitted(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: CellOptions,
) -> Run:
    call = Call(function=function, args=args, kwargs=kwargs)
    call.check()
    at = desk()
    with call.lent(at.namespace):
        run = at.drive(call.cell(at, binds=False), replace(options, detach=True))
    assert isinstance(run, Run)
    return run


def _brought(value: Any) -> Any:
    """Bring a value that stayed there for its size; one that cannot travel stays a handle."""
    if not isinstance(value, RemoteValue):
        return value
    try:
        return value.fetch()
    except MacGPUError:
        return value
