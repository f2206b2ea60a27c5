"""The machines of a fleet, as values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..wire.errors import PlacementError

Transport = Literal["local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine that cells may run on.

    Attributes
    ----------
    name
        What ``--on`` calls it; unique in a fleet.
    transport
        How bytes travel there. ``local`` is this machine.
    slots
        Cells that may use its GPU at the same time.
    labels
        Kubernetes labels by key.
    python
        The interpreter that cells run in; None takes the notebook's own.
    """

    name: str
    transport: Transport
    slots: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All machines that a user may use.

    Attributes
    ----------
    hosts
        At least one, in the order of the file.
    file
        Where they were read; None if no file was found.
    notice
        A line that the user is to see at the start of a session, or nothing.
    """

    hosts: tuple[Host, ...]
    file: Path | None = None
    notice: str = ""


THIS_MACHINE = Host(name="this-machine", transport="local")


def select(hosts: Iterable[Host], name: str) -> Host:
    """Return the host of a name.

    Raises
    ------
    PlacementError
        If there is none. Hosts whose names come near are named. Nothing was sent.
    """
    by_name = {host.name: host for host in hosts}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name[:64], by_name, n=3, cutoff=0.6)
    shown = name if len(name) <= 60 and name.isprintable() else ascii(name[:57]) + "..."
    hint = f"Did you mean {' or '.join(near)}?" if near else f"The hosts are {', '.join(by_name)}."
    raise PlacementError(f"The fleet has no host {shown}.", next=hint)
