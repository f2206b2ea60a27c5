"""A short program for a host's own shell, over a connection of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ...wire.errors import ConnectionLost, TransportError
from ..script import COMMAND, PATIENCE, ended
from .channel import SshChannel
from .config import ClientConfig
from .connection import SshConnection
from .route import route_to

if TYPE_CHECKING:
    import paramiko

    from ...fleet.hosts import Host
    from ..script import Program, Ran
    from .transport import Ways

_SLICE = 32 * 1024
#: Bytes of an answer that are read; what comes behind them is thrown away.
_MOST = 1 << 20


def run_there(host: Host, ways: Ways, program: Program) -> Ran:
    """Run a program in the shell of the account that the fleet file names.

    Raises
    ------
    TransportError
        If the host cannot be reached, refuses the login, or does not end in time.
    """
    connection = SshConnection(route_to(host, ClientConfig()), ways.keyring, ways.locks)
    try:
        channel = connection.execute(COMMAND)
        SshChannel(connection, channel).send(program.source())
        channel.shutdown_write()
        output, errors = _read(channel, host.name)
    finally:
        connection.close()
    return ended(program, output, errors)


def _read(channel: paramiko.Channel, name: str) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + PATIENCE
    output, errors = bytearray(), bytearray()
    channel.settimeout(0.2)
    while True:
        try:
            data = channel.recv(_SLICE)
        except TimeoutError:
            data = None
        except (OSError, EOFError) as error:
            raise ConnectionLost(f"The connection to {name} ended: {error}") from error
        output += (data or b"")[: _MOST - len(output)]
        while channel.recv_stderr_ready():
            errors += channel.recv_stderr(_SLICE)[: _MOST - len(errors)]
        if data == b"":
            return bytes(output), bytes(errors)
        if time.monotonic() > deadline:
            raise TransportError(f"The shell of {name} took over {PATIENCE:g} s.")
