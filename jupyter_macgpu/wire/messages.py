"""What the two sides say: one frozen dataclass a message.

A message's fields travel in the frame's head as JSON, its `buffers` behind it. Every message about
a run names the run, and those that drive one also the attachment's epoch: an older epoch is fenced
off. Fields that a receiver does not know are ignored, kinds that it does not know are an error;
what a peer can do beyond this table it says in `Hello.capabilities`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .comm import Comm as Comm
from .jobs import Detach as Detach
from .jobs import Prioritise as Prioritise
from .jobs import Proceed as Proceed
from .jobs import Withdraw as Withdraw
from .jobs import Withdrawn as Withdrawn
from .looking import Telemetry as Telemetry
from .looking import Watch as Watch
from .message import MESSAGES as MESSAGES
from .message import Buffers as Buffers
from .message import Message as Message
from .missing import Missing as Missing
from .reserving import Release as Release
from .reserving import Reserve as Reserve
from .reserving import Reserved as Reserved
from .working import Event as Event
from .working import Execute as Execute
from .working import Noted as Noted

#: Version of this table and of the legal order in `connection`.
PROTOCOL = 1
#: What this side can do beyond `PROTOCOL`, said in `Hello`.
CAPABILITIES = (
    "inline-bundles",
    "input-requests",
    "operations",
    "files",
    "lanes",
    "watch",
    "reservations",
    "jobs",
    "blobs",
    "run-news",
    "prioritise",
    "times",
)
#: A bundle of at most this many bytes travels inside the message that announces it.
INLINE = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Message):
    """First message of either side.

    Attributes
    ----------
    role
        ``client``, ``supervisor`` or ``worker``.
    protocol, capabilities, version, python
        What the sender speaks and runs; both sides go on with what they share.
    client, notebook
        Of a client: which kernel it is, and which notebook it belongs to.
    boot, store
        Of a supervisor: this boot of the host, and this store of runs. "Unknown run" is a
        refusal only under the pair that the client saw when it reserved.
    detail
        Facts about the sender: host name, slots, process id and the like. A supervisor says
        which number the client has; a client that only carries bulk for another one of the
        same kernel says ``beside`` and that one's number.
    """

    role: str
    protocol: int = PROTOCOL
    capabilities: list[str] = field(default_factory=lambda: list(CAPABILITIES))
    version: str = ""
    python: str = ""
    client: str = ""
    notebook: str = ""
    boot: str = ""
    store: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Message):
    """Asks for a `Pong` with the same number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong(Message):
    """Answers a `Ping`."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye(Message):
    """Last message of a side that leaves on purpose."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Message):
    """The peer will not do what was asked; nothing of it was done.

    Attributes
    ----------
    about
        Kind of the message that is refused.
    subject
        Run, session or operation that it named.
    reason
        Stable word: ``unknown-run``, ``unknown-session``, ``other-payload``, ``same-cell``,
        ``older-epoch``, ``managed``, ``too-large``, ``disk``, ``not-available``, ``purged``,
        ``has-started``, ``elsewhere``.
    text
        For a person.
    """

    about: str
    subject: str
    reason: str
    text: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit(Message):
    """Run this cell once. The same run id again attaches; it never runs twice.

    Attributes
    ----------
    size, digest
        Length in bytes and SHA-256 of the bundle: the cell's description and its inputs,
        in `buffers` if it is small, else in `Part` messages on the stream ``in:RUN``.
    blobs, coming
        Sizes in bytes by digest of the blobs that belong to it, see `blobs`; and the numbers of
        those that follow on ``in:RUN`` unasked, in that order. What else the host lacks it asks
        for (`Missing`).
    environment
        What the session's worker runs in; fixed at the session's first run.
    origin
        ``{notebook, cell, kernel, text}``: where the cell stands, and what tells its text from
        others.
    options
        ``timeout`` and ``wait`` in seconds, ``mem`` in bytes, ``cpu``, ``priority`` as
        `order.Place` has it, ``again``, ``name``;
        ``engine``, who gave the work out. Of a job: see `mac.jobs`.
    rank
        Why this host was chosen, stored with the run.
    """

    run: str
    epoch: int
    session: str
    size: int
    digest: str
    environment: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    rank: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)
    coming: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState(Message):
    """Where a run is now. Sent at each change to whoever is attached.

    Attributes
    ----------
    position
        In state ``queued``: how many runs are before it. What holds it back beside these
        stands in `detail` as ``reason``.
    wait
        In state ``queued``: in how many seconds it is expected to begin; None is unknown.
    offset
        In the answer to `Submit` or `Attach`: journal offset of the first record that
        will be sent. None in every later one.
    """

    run: str
    epoch: int
    state: str
    position: int | None = None
    wait: float | int | None = None
    offset: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Message):
    """One record of a run's journal: something that the cell shows.

    Attributes
    ----------
    start, end
        Journal offsets in bytes. Records follow each other without a gap.
    what
        ``stream``, ``display_data``, ``update_display_data``, ``execute_result``,
        ``clear_output``, ``error``, ``notice``, ``input_request``, ``comm``, ``piece`` or
        ``gap``.
    content
        As in nbformat; of a stream the name, its bytes are in `buffers`.
    """

    run: str
    start: int
    end: int
    what: str
    content: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Message):
    """How a run ended. Nothing else means that it has.

    Attributes
    ----------
    state
        A final state of `states`.
    offset, digest
        Journal offset at which the output ends, and the SHA-256 of it (`states.OutputDigest`).
    summary
        What came back, by name; timings in seconds; of a death what is known of it.
    size, result
        Length in bytes and SHA-256 of the result's bundle, in `buffers` if it is small.
    """

    run: str
    epoch: int
    state: str
    offset: int
    digest: str
    summary: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach(Message):
    """Send a run's output from `offset` on, and then its end; answered with the new epoch.

    Attributes
    ----------
    watch
        Only look: whoever drives the run goes on driving it.
    """

    run: str
    offset: int = 0
    watch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack(Message):
    """All output before `offset` was shown."""

    run: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Message):
    """Stop a run: ``interrupt`` raises KeyboardInterrupt in it, ``kill`` ends its worker."""

    run: str
    epoch: int
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected(Message):
    """The client has the result; the host may forget it, unless it is to `keep` it for others."""

    run: str
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch(Message):
    """Send stored bytes in `Part` messages: ``result``, ``inputs`` of a run or an operation."""

    stream: str
    subject: str
    what: str
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Message):
    """Bytes of a bulk stream, which begin at `offset` of `total`."""

    stream: str
    offset: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit(Message):
    """The first `offset` bytes that this channel brought of a bulk stream were taken."""

    stream: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReply(Message):
    """Answers a cell's `input()`. `error` says why nobody can answer."""

    run: str
    epoch: int
    text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRuns(Message):
    """Asks for `Runs`: those that are named, else of one notebook, or of all of this account.

    Attributes
    ----------
    watch
        Say all runs of this account, without what was stored of their placement, and from now on
        in `RunNews` which of them are another. A supervisor of an older version says them once.
    """

    notebook: str = ""
    runs: list[str] = field(default_factory=list)
    watch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs(Message):
    """The runs that this store knows: a JSON list in the one buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNews(Message):
    """Runs that are another since they were said last: a JSON list in the one buffer.

    Attributes
    ----------
    gone
        Those that are not known any more.
    """

    gone: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operate(Message):
    """Do something with a session's live values or files, without a lease.

    `operation` is the client's number for it; `action` is ``fetch``, ``values``, ``free``,
    ``restart`` or ``close``, of files ``files``, ``have``, ``put`` or ``get``; see `detail`.
    Of the host, with no session: ``pause`` for ``seconds``, so that nothing new starts, ``resume``,
    and ``orphans``, the processes that outlived their workers.
    """

    operation: str
    session: str
    action: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operated(Message):
    """Answers `Operate`; a value comes as a bundle, as in `End`."""

    operation: str
    error: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove(Message):
    """Forget an ended run and its output."""

    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed(Message):
    """Answers `Remove`."""

    run: str
