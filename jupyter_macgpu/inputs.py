"""The inputs of a cell: what its text reads and what the user asks for, pickled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .reading import names_read
from .wire.errors import InputError
from .wire.values.capture import CLASSES, INPUT_LIMIT, Capture, capture
from .wire.values.names import is_hidden, is_result
from .wire.values.registry import ClassRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a cell reads.

    Attributes
    ----------
    capture
        The values, pickled, and the table to keep for `apply`.
    free
        Names that the text reads and the notebook does not have.
    binds
        Names that the text binds.
    """

    capture: Capture
    free: tuple[str, ...]
    binds: frozenset[str] = frozenset()

    def raw(self) -> list[memoryview]:
        """Return what travels: the stream, and its buffers, which are the notebook's own memory."""
        raw = [buffer.raw() for buffer in self.capture.buffers]
        return [memoryview(self.capture.stream), *raw]

    def mind_retry(self, times: int) -> None:
        """Refuse to try a cell again that reads what would be gone by then.

        Raises
        ------
        InputError
            If it reads values that live in a worker alone. Nothing was sent.
        """
        if times and self.capture.holders:
            raise InputError(
                "The cell reads values that live in a worker alone, and they would die with it.",
                next="Leave out --retry, or bring the values with .fetch() first.",
            )

    def mind_verify(self) -> None:
        """Refuse to run a cell twice that reads what the first run may change.

        Raises
        ------
        InputError
            If it reads values that live in a worker alone. Nothing was sent.
        """
        if self.capture.holders:
            raise InputError(
                "The cell reads values that live in a worker alone, so that the second run of "
                "--verify would not begin with what the first one began with.",
                next="Leave out --verify, or bring the values with .fetch() first.",
            )


def read_inputs(
    source: str,
    namespace: dict[str, Any],
    *,
    explicit: Iterable[str] = (),
    limit: int | None = INPUT_LIMIT,
    flags: int = 0,
    transform: Callable[[str], str] | None = None,
    number_of: Callable[[str], int | None] = lambda _filename: None,
    classes: ClassRegistry = CLASSES,
) -> Inputs:
    """Pickle what a cell reads of the notebook's namespace, and say what is not there.

    A name that the text reads and the notebook lacks is left to raise NameError on the
    Mac: it may be a builtin, or made by the cell in a branch. A name that was asked for
    must exist. IPython's own names (`In`, `Out`, `get_ipython`) are inputs only where
    they are asked for.

    Parameters
    ----------
    source
        The cell as IPython's transformer leaves it.
    namespace
        The notebook's variables. They are read, never written.
    explicit
        The names of `-i`.
    limit
        Bytes that the inputs may have together; None is no limit.
    flags
        The compiler flags of the shell.
    transform
        IPython's transformer, for the bodies of cell magics.
    number_of
        Execution count of the cell whose code has a file name, if it is one.
    classes
        The notebook's classes that have travelled.

    Raises
    ------
    SyntaxError
        If the source is not Python. Nothing was sent.
    UnknownInput
        If `explicit` names what does not exist. Nothing was sent.
    UnpicklableInput
        If values cannot travel; all of them are named. Nothing was sent.
    InputTooLarge
        If the inputs are larger than `limit`. Nothing was sent, nothing was copied.
    """
    reading = names_read(source, flags=flags, transform=transform)
    captured = capture(
        explicit,
        namespace,
        optional=[name for name in reading.names if not is_hidden(name) or is_result(name)],
        attribute_names=reading.attributes,
        limit=limit,
        classes=classes,
        number_of=number_of,
    )
    free = tuple(name for name in reading.names if name not in namespace)
    return Inputs(capture=captured, free=free, binds=reading.binds)
