"""What the supervisor decides, as values that a thin shell carries out.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..wire.messages import Buffers, Message, Operate, Submit


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Base of all effects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Effect):
    """Say something to one client."""

    client: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Effect):
    """Append to the log of runs; `durable` also brings it to the disk before going on."""

    entry: dict[str, Any]
    durable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJournal(Effect):
    """Make a run's journal, with what was submitted as its first record."""

    submit: Submit
    durable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySubmit(Effect):
    """Make the journal of a run that does again what another one was to do, with its inputs."""

    run: str
    source: str
    options: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Append(Effect):
    """Append one record to a run's journal."""

    run: str
    what: str
    content: dict[str, Any] = field(default_factory=dict)
    buffers: Buffers = ()
    mark: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish(Effect):
    """Append a run's end to its journal, which is complete with it."""

    run: str
    state: str
    summary: dict[str, Any]
    buffers: Buffers = ()
    path: str = ""
    size: int = 0
    result: str = ""
    mark: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive(Effect):
    """Take a run's bundle, unless it is `inline`, and its blobs from this client's `Part` messages.

    Sizes by digest, and numbers of those that come unasked, are as in `Submit`; `folder` is the
    one that the blobs are kept for.
    """

    client: int
    run: str
    size: int
    digest: str
    inline: bool = False
    blobs: dict[str, int] = field(default_factory=dict)
    coming: list[int] = field(default_factory=list)
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow(Effect):
    """Send a run's records from `offset` on to a client, beginning with its state."""

    client: int
    run: str
    offset: int
    epoch: int
    state: str
    position: int | None = None
    wait: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell(Effect):
    """Tell all who follow a run its state."""

    run: str
    epoch: int
    state: str
    position: int | None = None
    wait: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def said(self) -> dict[str, Any]:
        """Return the fields of the message that says so."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SendStored(Effect):
    """Send a run's stored inputs or result to a client as a bulk stream."""

    client: int
    stream: str
    subject: str
    what: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWorker(Effect):
    """Start the worker of a session."""

    session: str
    environment: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToWorker(Effect):
    """Say something to a session's worker."""

    session: str
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute(Effect):
    """Have a session's worker run the stored bundle of a run."""

    session: str
    run: str
    epoch: int
    options: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt(Effect):
    """Raise KeyboardInterrupt in a run, wherever its worker is."""

    session: str
    run: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndWorker(Effect):
    """End a session's worker and its process group: asked to leave, or made to."""

    session: str
    polite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep(Effect):
    """Take a result's file from a worker's folder into the store."""

    session: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Files(Effect):
    """Do something with the files in a folder of `records.folder_of`, and answer the client."""

    client: int
    message: Operate
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget(Effect):
    """Delete what is stored of a run: its bundles' files, or with `journal` all of it."""

    run: str
    journal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit(Effect):
    """Nothing is left to do here: leave."""
