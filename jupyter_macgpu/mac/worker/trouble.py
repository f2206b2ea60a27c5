"""What the worker itself has to say when a run has no result: in four parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...wire.values.receive import InputNotLoadable


class Trouble(Exception):
    """Why a run has no result.

    Attributes
    ----------
    name
        Stands where an exception's name stands.
    parts
        What happened; what is known of the run; what was kept; what to do next.
    """

    def __init__(self, name: str, *parts: str) -> None:
        super().__init__(name, *parts)
        self.name = name
        self.parts = parts

    def named(self) -> dict[str, str]:
        """Return name and text, as an error's reply has them."""
        return {"ename": self.name, "evalue": "\n".join(self.parts)}

    def shown(self) -> dict[str, object]:
        """Return what the notebook shows."""
        first, *rest = self.parts
        return {**self.named(), "traceback": [f"{self.name}: {first}", *rest]}


def input_not_loaded(names: Sequence[str], error: InputNotLoadable) -> Trouble:
    """Return what to say when an input cannot be rebuilt.

    Parameters
    ----------
    names
        The inputs in the order in which they were sent.
    """
    at = names.index(error.after) + 1 if error.after in names else 0
    which = f"The input {names[at]}" if at < len(names) else "An input"
    if error.is_gone:
        return Trouble(
            "InputNotLoaded",
            f"{which} lived in a worker that has ended, and went with it.",
            "The cell was not run.",
            "The notebook's variables and the worker's are as they were.",
            "Run the cell that made it again, or leave the name out of this one.",
        )
    return Trouble(
        "InputNotLoaded",
        f"{which} cannot be rebuilt on the worker: {error.reason}",
        "The cell was not run.",
        "The notebook's variables and the worker's are as they were.",
        "Install what is missing on the worker, or leave the name out of the cell.",
    )


def not_started(error: Exception) -> Trouble:
    """Return what to say when a run could not begin for another reason."""
    return Trouble(
        "InputNotLoaded",
        f"The inputs cannot be read on the worker: {type(error).__name__}: {error}",
        "The cell was not run.",
        "The notebook's variables are as they were.",
        "Run the cell again; if it comes again, restart the worker with %macgpu restart.",
    )


def names_are_gone() -> Trouble:
    """Return what to say when the worker that ran the cells before is another one by now."""
    return Trouble(
        "WorkerGone",
        "The worker that ran the cells before this one has ended",
        "The cell was not run.",
        "What the cells before have shown is kept; their variables are gone.",
        "Run the notebook again from its start.",
    )


def not_returned(error: Exception) -> Trouble:
    """Return what to say when what a cell did to the variables cannot be told."""
    return Trouble(
        "ResultNotReturned",
        f"The changes of the variables cannot be pickled: {type(error).__name__}: {error}",
        "The cell ran to its end; its output is complete.",
        "The notebook's variables are as they were before the cell.",
        "Name what is to come back with -o NAMES, and run the cell again.",
    )


def not_stored(error: OSError) -> Trouble:
    """Return what to say when a result finds no place on the worker's disk."""
    return Trouble(
        "ResultNotReturned",
        f"The result cannot be written to the worker's disk: {error.strerror or error}",
        "The cell ran to its end; its output is complete.",
        "The notebook's variables are as they were before the cell.",
        "Free space on the worker's disk, then run the cell again.",
    )
