"""A host as a monitor sees it, for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..scheduling.status import HostStatus, State
from ..wire import messages as m
from ..wire.telemetry import Telemetry
from .hosts import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A host as the monitor sees it.

    Attributes
    ----------
    state, reason, age
        The state, why, and how many seconds ago that was found out; None: nobody knows yet.
    status
        All that placement knows of it.
    hello
        What its supervisor said when it was connected to last; None if it never was.
    said
        The rest of what it tells: lanes, policy, GPU test, calibration.
    telemetry
        The last sample of its probe.
    is_connected
        Whether there is a connection now.
    has_stopped
        Whether it refused us so often that it is not tried any more.
    """

    host: Host
    state: State | None
    reason: str
    age: float | None
    status: HostStatus
    hello: m.Hello | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    telemetry: Telemetry = field(default_factory=Telemetry)
    is_connected: bool = False
    has_stopped: bool = False
