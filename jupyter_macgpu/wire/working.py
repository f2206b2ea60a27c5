"""What a supervisor and a worker say to each other. Read it through `messages`, which has all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute(Message):
    """Supervisor to worker: run this. The bundle is in `buffers` or in the file `path`.

    Attributes
    ----------
    blobs
        The folder where its blobs lie, each by its digest; empty if it has none.
    """

    run: str
    epoch: int
    path: str = ""
    size: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    blobs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Message):
    """Worker to supervisor: something that stands in one order with the written output.

    Attributes
    ----------
    mark
        Number of the mark that the worker wrote into its output pipes at this place.
    what
        A kind of `Output`, or ``finished`` with the run's summary.
    path, size, result
        Of ``finished``: the result's bundle, in `buffers` or in a file.
    """

    run: str
    mark: int
    what: str
    content: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    size: int = 0
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Message):
    """Supervisor to worker: all events up to `mark` are in the journal."""

    mark: int
