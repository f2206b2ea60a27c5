"""A run and a session as the supervisor remembers them.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any

from ..wire.states import FINAL, LIVE, NEXT
from .leases import Waiting

#: Seconds for which a run's output and result are kept, unless it asks for others.
KEEP = 7 * 86400.0


@dataclass(slots=True, kw_only=True)
class Run:
    """One execution of one cell.

    Attributes
    ----------
    epoch
        Number of the newest attachment; older ones may not drive the run any more.
    since
        Time of the last change of state, in seconds of the supervisor's monotonic clock.
    asking
        Mark of the input request that nobody has answered yet, or 0.
    stopping
        Why the run is being stopped: ``""``, ``interrupt``, ``kill``, ``timeout``, ``memory``.
    blobs
        Bytes of its inputs beside its bundle of `size` bytes.
    ran
        Seconds that it ran, once it has ended; None if nobody saw all of it.
    """

    run: str
    session: str
    digest: str
    size: int
    blobs: int = 0
    origin: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    rank: dict[str, Any] = field(default_factory=dict)
    state: str = "receiving"
    epoch: int = 1
    since: float = 0.0
    asking: int = 0
    stopping: str = ""
    stopped_at: float = 0.0
    collected: bool = False
    ran: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        """Whether the run has not ended."""
        return self.state in LIVE

    @property
    def kind(self) -> str:
        """The kind of slot that the run takes."""
        return "cpu" if self.options.get("cpu") else "gpu"

    @property
    def mem(self) -> int:
        """The bytes of memory that the run asks for; 0 if it says nothing."""
        return self.options.get("mem") or 0

    @property
    def priority(self) -> int:
        """What the run says of its place in the queue; see `wire.order`."""
        return self.options.get("priority") or 0

    @property
    def detached(self) -> bool:
        """Whether nobody waits for it: it is on the disk before it is accepted."""
        return bool(self.options.get("detach"))

    @property
    def retry(self) -> int:
        """How often it is still tried again after it died or was lost."""
        return self.options.get("retry") or 0

    @property
    def due(self) -> float | None:
        """The time of day, by this host's clock, before which it does not begin; see `jobs`."""
        return self.options.get("due")

    @property
    def standing(self) -> dict[str, Any]:
        """What those who follow it are told of why it waits."""
        at = self.options.get("at")
        return {"reason": self.detail.get("reason", ""), **({} if at is None else {"at": at})}

    @property
    def purged(self) -> bool:
        """Whether its output and result were deleted, as nobody had come for them."""
        return bool(self.detail.get("purged"))

    @property
    def keep(self) -> float:
        """Seconds for which its output and result wait to be collected."""
        return float(self.options.get("keep") or KEEP)

    def become(self, state: str, now: float) -> None:
        """Go to `state`.

        Raises
        ------
        ValueError
            If that is no step of `states.NEXT`: a bug on our side.
        """
        if state not in NEXT[self.state]:
            raise ValueError(f"run {self.run} cannot go from {self.state} to {state}")
        if self.state == "started":
            self.ran = round(max(0.0, now - self.since), 3)
        self.state = state
        self.since = now

    def entry(self) -> dict[str, Any]:
        """Return what the log of runs keeps at the start of a run."""
        return {
            "run": self.run,
            "session": self.session,
            "digest": self.digest,
            "size": self.size,
            "origin": self.origin,
            "options": self.options,
            "rank": self.rank,
        } | ({"blobs": self.blobs} if self.blobs else {})

    def listed(self, now: float, position: int | None) -> dict[str, Any]:
        """Return what a list of runs shows; ages in seconds."""
        return {
            **self.entry(),
            "state": self.state,
            "epoch": self.epoch,
            "position": position,
            "wait": self.detail.get("wait"),
            "age": round(max(0.0, now - self.since), 3),
            "ran": self.ran,
            "final": self.state in FINAL,
            "stopping": self.stopping,
            "collected": self.collected,
            "kept": None if self.live or self.purged else round(self.since + self.keep - now, 3),
            "detail": self.detail,
        }


def asking(run: Run) -> Waiting:
    """Return what a run asks the leases for."""
    return Waiting(
        run=run.run, session=run.session, kind=run.kind, mem=run.mem, priority=run.priority
    )


def folder_of(notebook: str) -> str:
    """Return the name of a notebook's working folder here: the same for all its kernels."""
    return hashlib.sha256(notebook.encode()).hexdigest()[:32]


@dataclass(slots=True, kw_only=True)
class Session:
    """One notebook's tie to this host: one worker in one environment.

    Attributes
    ----------
    worker
        ``none``, ``starting``, ``ready``, or ``ending``.
    values
        How many values live there that exist nowhere else.
    idle_since
        When its last run ended, in seconds of the supervisor's monotonic clock.
    listener
        Number of the client that is told what its worker shows between runs, or 0.
    silent
        Whether its worker was found alive and has not said yet what it runs.
    own
        Whether its worker is one run's own: it ends with that, unless a value lives in it.
    """

    session: str
    client: str
    notebook: str
    environment: dict[str, Any] = field(default_factory=dict)
    worker: str = "none"
    values: int = 0
    idle_since: float = 0.0
    listener: int = 0
    silent: bool = False
    reason: str = ""
    own: bool = False

    @property
    def folder(self) -> str:
        """Name of its working folder."""
        return folder_of(self.notebook)

    def is_left_by(self, notebook: str, client: str) -> bool:
        """Say whether it was of an earlier kernel of this notebook, and nobody needs it."""
        earlier = self.notebook == notebook and self.client != client
        return earlier and not self.own and not self.listener

    @property
    def listens(self) -> bool:
        """Whether the worker takes messages."""
        return self.worker == "ready" and not self.silent


#: What the fields of an entry in the log of runs are.
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("run", "session", "digest", "client", "notebook", "stopping", "state"), (str,)
    ),
    **dict.fromkeys(("origin", "options", "rank", "detail", "environment"), (dict,)),
    **dict.fromkeys(("size", "blobs", "epoch", "values"), (int,)),
    "collected": (bool,),
    "took": (int, float),
    "at": (int, float),
}
_OF_A_RUN = {"run", "session", "digest", "size"}
_OF_A_SESSION = {"session", "client", "notebook"}


def is_sound(entry: dict[str, Any]) -> bool:
    """Return whether an entry of the log can be taken up.

    A supervisor that fell over one could never start again, and with it nobody on this account.
    """
    typed = all(type(entry[key]) in kinds for key, kinds in _KINDS.items() if key in entry)
    if not typed or entry.get("state", "ok") not in FINAL | LIVE:
        return False
    if "notebook" in entry:
        return entry.keys() >= _OF_A_SESSION
    if "gone" in entry:
        return "session" in entry
    return entry.keys() >= (_OF_A_RUN if "digest" in entry else {"run"})


def known_fields(kind: type[Run | Session], entry: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an entry that this version knows; a later one may write more."""
    return {each.name: entry[each.name] for each in fields(kind) if each.name in entry}
