"""The machines of a fleet, as values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ..scheduling.selectors import parse_selector
from ..scheduling.taints import Taint
from ..wire.errors import PlacementError
from ..wire.policy import HostPolicy, Limits
from .profiles import Profile

Transport = Literal["ssh", "local"]
Trust = Literal["full", "data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine that cells may run on.

    Attributes
    ----------
    name
        What ``--on`` calls it; unique in a fleet.
    transport
        How bytes travel there. ``local`` is this machine.
    hostname, port, user, identity_file
        How SSH finds it; what is None here, ``~/.ssh/config`` decides. A path may begin with
        ``~/``: whoever opens it puts the home there.
    hostkey
        Fingerprint that its key must have, ``SHA256:...``; None: known_hosts decides.
    slots
        Cells that may use its GPU at the same time.
    labels
        Kubernetes labels by key.
    taints
        What keeps cells away that do not tolerate it.
    policy
        What is laid down for all accounts there, once it is applied.
    trust
        ``full``: what comes back is unpickled. ``data``: only known types of data are loaded.
    python
        The interpreter that cells run in. None takes the notebook's own on this machine, and
        elsewhere the one that is found there.
    """

    name: str
    transport: Transport = "ssh"
    hostname: str | None = None
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    hostkey: str | None = None
    slots: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    policy: Limits = Limits()  # noqa: RUF009 - frozen
    trust: Trust = "full"
    python: str | None = None

    @property
    def address(self) -> str:
        """What SSH is asked for: the host name, or the name here, as ``~/.ssh/config`` knows it."""
        return self.hostname or self.name

    def is_reached_as(self, other: Host) -> bool:
        """Say whether another entry is of the same machine, and the way there is the same."""
        marks = {"labels", "taints", "slots", "policy", "trust"}
        return replace(self, **{name: getattr(other, name) for name in marks}) == other

    @property
    def whole_policy(self) -> HostPolicy:
        """What the host's own ``host.yaml`` is to say; one slot is what a host has anyway."""
        return HostPolicy(
            labels=self.labels,
            taints=tuple(
                {"key": taint.key, "value": taint.value, "effect": taint.effect}
                for taint in self.taints
            ),
            slots=None if self.slots == 1 else self.slots,
            limits=self.policy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All machines that a user may use.

    Attributes
    ----------
    hosts
        At least one, in the order of the files.
    files
        Where they were read, the strongest file first; none if no file was found.
    own
        The file that commands may change for the user: the named one, else the user's own, whether
        it exists or not. None where an allowed file stands alone: that one is not ours to change.
    notice
        A line that the user is to see at the start of a session, or nothing.
    profiles
        What kinds of work ask for, by name.
    """

    hosts: tuple[Host, ...]
    files: tuple[Path, ...] = ()
    own: Path | None = None
    notice: str = ""
    profiles: Mapping[str, Profile] = field(default_factory=dict)


#: What stands in a selector and in no name.
SELECTS = re.compile(r"[=,!()<>]|\S\s+\S")
_NO_LABELS = "The fleet file gives no labels to its hosts; name one of them."

THIS_MACHINE = Host(name="this-machine", transport="local")


def select(hosts: Iterable[Host], name: str, notice: str = "") -> Host:
    """Return the host of a name.

    Parameters
    ----------
    hosts, name
        The fleet's hosts, and what was asked for.
    notice
        The fleet's notice: where nothing fits because no file was found, that is worth saying.

    Raises
    ------
    PlacementError
        If there is none. Hosts whose names come near are named. Nothing was sent.
    """
    by_name = {host.name: host for host in hosts}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name[:64], by_name, n=3, cutoff=0.6)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"The hosts are {_listed(by_name)}."
    what = f"The fleet has no host {_shown(name)}."
    raise PlacementError(what, next=f"{notice} {hint}" if notice else hint)


def candidates(hosts: Iterable[Host], text: str, notice: str = "") -> tuple[Host, ...]:
    """Return the hosts that ``--on`` allows, in the order of the fleet.

    A name means the host of that name, whatever its labels. Anything else is a selector with
    Kubernetes' grammar, such as ``room=lab,chip in (m2-ultra, m3-ultra)``, over the labels that
    the fleet file gives; a single word that is the key of no label was meant as a name.

    Raises
    ------
    PlacementError
        If there is none. Nothing was sent.
    SelectorError
        If it cannot be read. Nothing was sent.
    """
    known = tuple(hosts)
    keys = {key for host in known for key in host.labels}
    if any(host.name == text for host in known) or (not SELECTS.search(text) and text not in keys):
        return (select(known, text, notice),)
    selector = parse_selector(text)
    found = tuple(host for host in known if selector.matches(host.labels))
    if not found:
        pairs = {f"{key}={value}" for host in known for key, value in host.labels.items()}
        hint = f"The fleet file's labels are {_listed(sorted(pairs))}." if pairs else _NO_LABELS
        what = f"No host of the fleet has the labels {_shown(text)}."
        raise PlacementError(what, next=f"{notice} {hint}" if notice else hint)
    return found


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - 20} more" if len(every) > 20 else ""
    return ", ".join(every[:20]) + more


def _shown(text: str) -> str:
    return text if len(text) <= 60 and text.isprintable() else ascii(text[:57]) + "..."
