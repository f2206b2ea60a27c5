"""The public key that a login offers: what is to be known on the other side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .config import ClientConfig
from .login import Agent, agent_place
from .route import route_to

if TYPE_CHECKING:
    from ...fleet.hosts import Host


def public_key(host: Host) -> str:
    """Return type, base64 and comment of the first key that a login on a host would offer.

    Empty if there is none that can be shown: a private key alone is not opened for this.
    """
    route = route_to(host, ClientConfig())
    for path in route.identities:
        try:
            words = Path(path + ".pub").read_text(encoding="utf-8").split(None, 2)
        except (OSError, UnicodeError):
            continue
        if len(words) >= 2:
            return " ".join(words).strip()
    agent = Agent(agent_place(route.agent))
    try:
        for key in agent.get_keys():
            return f"{key.get_name()} {key.get_base64()}"
    finally:
        agent.close()
    return ""
