"""The key that a host shows, seen without logging in: for a person who is to decide about it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import paramiko

from ...wire.errors import TransportError
from ..dial import dial, expect_ssh
from .connection import STEP, SshConnection

if TYPE_CHECKING:
    from pathlib import Path

    from .login import Keyring
    from .route import Route


def shown_key(route: Route, keyring: Keyring, locks: Path) -> bytes:
    """Return the host key at the end of a route, in SSH's wire encoding. Nobody logs in there.

    Raises
    ------
    TransportError
        If the host, or one that leads to it, cannot be reached.
    """
    before = SshConnection(route.through, keyring, locks) if route.through else None
    transport: paramiko.Transport | None = None
    try:
        link: socket.socket | paramiko.Channel
        if before is not None:
            link = before.tunnel(route.address, route.port)
        else:
            link = dial(route.name, route.address, route.port, route.timeout)
            expect_ssh(link, route.name, f"{route.address} port {route.port}")
        transport = paramiko.Transport(link)
        transport.start_client(timeout=STEP)
        key: bytes = transport.get_remote_server_key().asbytes()
        return key
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise TransportError(
            f"{route.name}: {route.address} port {route.port} showed no key: {error}",
            next="Run it again; if it comes again, look at the SSH server there.",
        ) from error
    finally:
        if transport is not None:
            transport.close()
        if before is not None:
            before.close()
