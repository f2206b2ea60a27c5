"""What goes into a run that is driven from here, what comes out, and where it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .wire import messages as m


class LetGo(Exception):
    """Somebody detached the run that is driven here: it goes on, and nobody is to wait for it."""

    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.run = run


class Show(Protocol):
    """Where a run's output goes. Called in the order of the journal."""

    def output(self, output: m.Output) -> None:
        """Show one record."""

    def state(self, state: m.RunState) -> None:
        """Show where the run is now."""

    def notice(self, text: str) -> None:
        """Show a line of ours."""

    def ask(self, prompt: str, password: bool) -> str:
        """Return what the user answers a cell's `input()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A run that is about to be sent.

    Attributes
    ----------
    message
        What is said; without the bundle.
    pieces
        The bundle: the cell's description and its inputs.
    """

    message: m.Submit
    pieces: list[memoryview] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended, and its result's parts, if it has any."""

    end: m.End
    parts: list[memoryview] = field(repr=False)
