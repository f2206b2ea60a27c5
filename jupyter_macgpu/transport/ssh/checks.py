"""The way to a host, step by step, for a person who wants to know where it stops."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...wire.errors import MacGPUError
from .. import hostkeys
from ..dial import dial, expect_ssh
from ..known_hosts import KnownHosts
from .config import ClientConfig
from .connection import SshConnection
from .keyscan import shown_key
from .route import route_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...fleet.hosts import Host
    from .route import Route
    from .transport import Ways

#: A step's name, and what was found or what went wrong.
Step = tuple[str, "str | MacGPUError"]
STEPS = ("configuration", "name", "port", "host key", "login")


def steps(host: Host, ways: Ways) -> Iterator[Step]:
    """Go the way to a host; the step that fails is the last one.

    Yields
    ------
    tuple of str and (str or MacGPUError)
        One of `STEPS`, and what was found there or why it is the last.
    """
    name = STEPS[0]
    try:
        route = route_to(host, ClientConfig())
        through = f", through {route.through.name}" if route.through else ""
        yield name, f"{route.user}@{route.address} port {route.port}{through}"
        if route.through is None:
            name = "name"
            yield name, _addresses(route)
            name = "port"
            with dial(route.name, route.address, route.port, route.timeout) as link:
                expect_ssh(link, route.name, f"{route.address} port {route.port}")
            yield name, f"an SSH server answers on port {route.port}"
        name = "host key"
        yield name, _key(route, ways)
        name = "login"
        connection = SshConnection(route, ways.keyring, ways.locks)
        connection.close()
        yield name, f"as {route.user}, in {1000 * connection.round_trip:.1f} ms a round trip"
    except MacGPUError as error:
        yield name, error


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """The key that a host shows.

    Attributes
    ----------
    fingerprint
        As ``ssh-keygen -l`` prints it.
    word
        What `hostkeys.judge` thinks of it: ``trusted``, ``unknown``, or why it is refused.
    refusal
        The error that a login would end with; None where it is trusted.
    """

    fingerprint: str
    word: str
    refusal: MacGPUError | None = None


def key_of(host: Host, ways: Ways) -> ShownKey:
    """Return the key that a host shows, and what is thought of it. Nobody logs in there.

    Raises
    ------
    TransportError
        If it cannot be reached.
    """
    route = route_to(host, ClientConfig())
    blob = shown_key(route, ways.keyring, ways.locks)
    verdict = hostkeys.judge(KnownHosts.read(route.known_hosts), route.asked, blob, route.pinned)
    refused = None
    if verdict.word != "trusted":
        refused = hostkeys.refusal(verdict, route.asked, blob, name=route.name)
    return ShownKey(fingerprint=hostkeys.fingerprint(blob), word=str(verdict.word), refusal=refused)


def way(host: Host) -> tuple[str, str, int]:
    """Return as whom, where and at which port a host is reached."""
    route = route_to(host, ClientConfig())
    return route.user, route.address, route.port


def fingerprint_of(host: Host, ways: Ways) -> str:
    """Return the fingerprint of the key that a host shows. Nobody logs in there.

    Raises
    ------
    TransportError
        If it cannot be reached.
    """
    route = route_to(host, ClientConfig())
    return hostkeys.fingerprint(shown_key(route, ways.keyring, ways.locks))


def _addresses(route: Route) -> str:
    with contextlib.suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(route.address, route.port, type=socket.SOCK_STREAM)
        return ", ".join(dict.fromkeys(str(each[4][0]) for each in found))
    # Connecting raises the error that says it in full.
    dial(route.name, route.address, route.port, route.timeout).close()
    return route.address


def _key(route: Route, ways: Ways) -> str:
    blob = shown_key(route, ways.keyring, ways.locks)
    verdict = hostkeys.judge(KnownHosts.read(route.known_hosts), route.asked, blob, route.pinned)
    if verdict.word != "trusted":
        raise hostkeys.refusal(verdict, route.asked, blob, name=route.name)
    by = verdict.line.place if verdict.line is not None else "the fleet file"
    return f"{hostkeys.fingerprint(blob)}, known by {by}"
