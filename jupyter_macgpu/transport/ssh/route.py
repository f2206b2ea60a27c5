"""Where a host is and how one gets there, worked out before anything is dialled."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...wire.errors import ConfigError
from ..hostkeys import Asked
from .config import expand, split_hop

if TYPE_CHECKING:
    from ...fleet.hosts import Host
    from .config import ClientConfig, Settings

#: Seconds that connecting may take where nothing else is said.
CONNECT = 5.0
#: Hosts that one may have to go through.
_HOPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way to one machine.

    Attributes
    ----------
    name
        What the user calls it.
    address, port, user
        Where and as whom.
    asked
        What its key is looked up as.
    pinned
        The fingerprint that its key must have, or None.
    identities, only_these, agent
        As in `config.Settings`.
    known_hosts
        The files that decide about its key.
    through
        The machine that one goes through, or None.
    timeout
        Seconds that connecting may take.
    bastion
        Whether it only leads to the host, and is no host of the fleet itself.
    """

    name: str
    address: str
    port: int
    user: str
    asked: Asked
    pinned: str | None
    identities: tuple[str, ...]
    only_these: bool
    agent: str
    known_hosts: tuple[str, ...]
    through: Route | None
    timeout: float
    bastion: bool = False


def route_to(host: Host, config: ClientConfig) -> Route:
    """Return the way to a host of the fleet. What its entry leaves out, `config` says.

    Raises
    ------
    ConfigError
        If the SSH configuration cannot be followed.
    """
    said = config.lookup(host.address)
    port = host.port or said.port or 22
    own_key = (expand(host.identity_file),) if host.identity_file else ()
    return Route(
        name=host.name,
        address=said.hostname,
        port=port,
        user=host.user or said.user or getpass.getuser(),
        asked=Asked(host=said.hostname, port=port, alias=said.alias),
        pinned=host.hostkey,
        identities=own_key or said.identities,
        only_these=bool(own_key) or said.identities_only,
        agent=said.agent,
        known_hosts=said.known_hosts,
        through=_through(said, config, _HOPS),
        timeout=said.timeout or CONNECT,
    )


def _through(said: Settings, config: ClientConfig, left: int) -> Route | None:
    """Return the last machine before a host, which knows the one before itself."""
    before: Route | None = None
    for hop in said.jumps:
        if not left:
            raise ConfigError(f"The way to {said.hostname} leads through too many hosts.")
        user, name, port = split_hop(hop)
        hop_said = config.lookup(name)
        port = port or hop_said.port or 22
        if (hop_said.hostname, port) == (said.hostname, said.port or 22) and before is None:
            return None  # a ProxyJump for all hosts, met at the bastion itself
        before = Route(
            name=name,
            address=hop_said.hostname,
            port=port,
            user=user or hop_said.user or getpass.getuser(),
            asked=Asked(host=hop_said.hostname, port=port, alias=hop_said.alias),
            pinned=None,
            identities=hop_said.identities,
            only_these=hop_said.identities_only,
            agent=hop_said.agent,
            known_hosts=hop_said.known_hosts,
            through=before or _through(hop_said, config, left - 1),
            timeout=hop_said.timeout or CONNECT,
            bastion=True,
        )
    return before
