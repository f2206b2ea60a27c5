"""What goes into a run that is driven from here, what comes out, and where it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from .wire import blobs, bundle

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
    blobs
        What belongs to it and is sent where the host does not hold it, by digest.
    """

    message: m.Submit
    pieces: list[memoryview] = field(repr=False)
    blobs: Mapping[str, memoryview] = field(default_factory=dict, repr=False)

    def whole(self) -> Submission:
        """Return it with its blobs in the bundle, as hosts want it that know no blobs."""
        if not self.blobs:
            return self
        parts = bundle.unpack(memoryview(b"".join(self.pieces)))
        pieces = bundle.pack(blobs.joined(parts, self.blobs.__getitem__))
        size, digest = bundle.size_of(pieces), bundle.digest_of(pieces)
        message = replace(self.message, size=size, digest=digest, blobs={})
        return Submission(message=message, pieces=pieces)

    def copied(self) -> Submission:
        """Return it with bytes of its own: the notebook's may change meanwhile."""
        pieces = [memoryview(b"".join(self.pieces))]
        own = {name: memoryview(bytes(view)) for name, view in self.blobs.items()}
        return replace(self, pieces=pieces, blobs=own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended, and its result's parts, if it has any."""

    end: m.End
    parts: list[memoryview] = field(repr=False)
