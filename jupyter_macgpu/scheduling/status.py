"""A host as it was last seen, as plain values. Pure.

Unknown is a value: what was not measured, or could not be read, is None and never 0. All times
are seconds on one clock of the caller's; all sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from .heat import Heat
from .taints import Taint


class State(StrEnum):
    """What a monitor says of a host."""

    READY = "ready"
    BUSY = "busy"
    SLOW = "slow"
    DRAINING = "draining"
    ASLEEP = "asleep"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The slots of one kind on a host, and who is in them.

    Attributes
    ----------
    slots
        Cells that may run at the same time, at least 1.
    running, queued
        Cells that hold a slot, and cells that wait for one. None is unknown.
    wait
        Seconds until a cell that comes now would start, where the host can tell.
    """

    slots: int = 1
    running: int | None = None
    queued: int | None = None
    wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Unified memory of a host.

    Attributes
    ----------
    total
        What is built in.
    free
        What is available now: the total without what is in use, by whomever.
    limit
        What the GPU may have at most (Metal's recommended working set, or an owner's limit).
    asked
        What the runs that hold a slot asked for with ``--mem``.
    held
        What these runs have allocated by now, which `free` does not count any more.
    """

    total: int | None = None
    free: int | None = None
    limit: int | None = None
    asked: int | None = None
    held: int | None = None

    @property
    def used(self) -> int | None:
        """What is in use, by whomever."""
        if self.total is None or self.free is None:
            return None
        return max(0, self.total - self.free)

    @property
    def others(self) -> int | None:
        """What of that is in use by others than our runs."""
        return None if self.used is None else max(0, self.used - (self.held or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a host computes; the M1 with 8 GPU cores is 1.0.

    Attributes
    ----------
    value
        The factor.
    source
        ``calibrated`` on the machine itself, or ``prior`` from the table of chips.
    note
        What is odd about it.
    """

    value: float
    source: Literal["calibrated", "prior"]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host as last seen.

    Attributes
    ----------
    name
        Unique in a fleet.
    labels, taints
        Of the fleet file, the probe and the host's own policy, put together.
    state
        None as long as nobody has asked.
    state_reason
        What the monitor says about the state, such as ``host key changed``.
    seen
        When the host last answered; None if it never did. What follows was read then.
    has_gpu
        Whether there is a GPU that cells can use. None takes the answer from the labels
        ``apple.com/gpu`` and ``nvidia.com/gpu``, and where they are missing it is unknown.
    gpu_test
        Whether a real tensor operation on the GPU went well.
    gpu_test_reason
        Why it did not.
    gpu_speed, cpu_speed
        How fast it computes.
    gpu_taken, cpu_taken
        Share of the time, 0 to 1, that is taken by others than cells.
    gpu, cpu
        Slots and queue for either kind of work.
    sent_since
        Cells that this client sent there after `seen`, so that the status cannot know them.
    memory
        How much there is.
    pressure
        The system's own word on memory: 1 normal, 2 warning, 4 critical.
    is_swapping
        Whether memory is being written to disk now.
    heat, heat_before
        The system's thermal level, 0 to 4; and what was thought of it before (see `heat`).
    owner_idle
        Seconds since somebody used keyboard or pointer there. None is unknown or nobody's desk.
    is_paused
        Whether the owner has paused it.
    is_draining
        Whether policy says that nothing new is taken.
    on_battery
        Whether it runs without mains.
    live_values
        Values of this notebook's session that live there.
    inputs_there
        Bytes of this cell's inputs that need not be sent, since they are there by digest.
    link
        Bytes in a second that the way there carries.
    environment
        Whether the environment asked for is there, can be built, or cannot be had there.
    environment_reason
        Why it cannot.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    state: State | None = None
    state_reason: str = ""
    seen: float | None = None
    has_gpu: bool | None = None
    gpu_test: bool | None = None
    gpu_test_reason: str = ""
    gpu_speed: Speed | None = None
    cpu_speed: Speed | None = None
    gpu_taken: float | None = None
    cpu_taken: float | None = None
    gpu: Lane = Lane()
    cpu: Lane = Lane(slots=2)
    sent_since: int = 0
    memory: Memory = Memory()
    pressure: int | None = None
    is_swapping: bool | None = None
    heat: int | None = None
    heat_before: Heat = Heat.COOL
    owner_idle: float | None = None
    is_paused: bool | None = None
    is_draining: bool | None = None
    on_battery: bool | None = None
    live_values: int = 0
    inputs_there: int | None = None
    link: float | None = None
    environment: Literal["ready", "buildable", "impossible"] | None = None
    environment_reason: str = ""

    def age(self, now: float) -> float | None:
        """Return how many seconds ago the host answered; None if it never did."""
        return None if self.seen is None else max(0.0, now - self.seen)

    @property
    def gpu_is_there(self) -> bool | None:
        """Whether there is a GPU, by what was found or by the labels; None is unknown."""
        if self.has_gpu is not None:
            return self.has_gpu
        marks = [self.labels.get(key) for key in ("apple.com/gpu", "nvidia.com/gpu")]
        said = [mark for mark in marks if mark is not None]
        return any(mark not in ("false", "0") for mark in said) if said else None
