"""What stands in a loaded value for something that is not loaded from a host of data only.

They do nothing: whatever a stream wants to do with one, it stays as it is. A value that holds
one is not given to the notebook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Maker(Protocol):
    """Who reads a stream, as the functions see it that make values for one.

    Attributes
    ----------
    host
        Where the stream comes from.
    made
        What was made of it, by id.
    """

    host: str
    made: dict[int, object]

    def spend(self, nbytes: int, /) -> None:
        """Count memory that is about to be taken."""

    def keep(self, value: T, /) -> T:
        """Remember a value that was made and may hold others; return it."""


class Refused:
    """Something that is no known data.

    Attributes
    ----------
    kind
        What it is, for the user: ``a function``.
    """

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"<not loaded: {self.kind}>"


class Own(Refused):
    """Code of the notebook's own, named by its number: a function, a class, a module."""

    __slots__ = ("obj",)

    def __init__(self, obj: object) -> None:
        super().__init__(f"a {type(obj).__name__} of the notebook in a new place")
        self.obj = obj


class Imported(Refused):
    """A module, or what a module holds by a name."""

    __slots__ = ("module", "qualname")

    def __init__(self, module: str, qualname: str) -> None:
        super().__init__("an import that does not stand in the cell's text")
        self.module = module
        self.qualname = qualname


class Memory(Refused):
    """Bytes that came beside the stream; only arrays are made of them."""

    __slots__ = ("view",)

    def __init__(self, view: memoryview) -> None:
        super().__init__("a bare buffer")
        self.view = view


class Known(Refused):
    """The name of something that we make ourselves when the stream asks for it.

    Attributes
    ----------
    obj
        The notebook's own object of that name, if the stream gave its number.
    """

    __slots__ = ("build", "obj")

    def __init__(self, kind: str, build: Callable[..., Any], obj: object = None) -> None:
        super().__init__(kind)
        self.build = build
        self.obj = obj


class Draft(Refused):
    """Something that is made when its state is known.

    Attributes
    ----------
    numbers
        Its numbers in the stream, which then mean what was made.
    """

    __slots__ = ("finish", "numbers")

    def __init__(self, kind: str, finish: Callable[[Any], object]) -> None:
        super().__init__(kind)
        self.finish = finish
        self.numbers: list[int] = []


def is_refused(value: object) -> bool:
    """Say whether a value is one of these, without asking the value itself."""
    return issubclass(type(value), Refused)


def kind_of(value: object) -> str:
    """Return what a value is, in words."""
    return value.kind if isinstance(value, Refused) else f"a {type(value).__name__}"
