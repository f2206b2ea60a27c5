"""One SSH connection to one host: checked, tuned, and bounded in every wait."""

from __future__ import annotations

import contextlib
import logging
import random
import select
import socket
import time
from typing import TYPE_CHECKING, Any

import fabric
import paramiko

from ...wire.errors import ConnectionLost, TransportError
from .. import hostkeys
from ..dial import BANNER, Crowded, dial, expect_ssh, turn
from ..known_hosts import KnownHosts
from .bounded import Answer, Packets
from .login import Keys, is_refusal, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from .login import Keyring
    from .route import Route

#: Seconds that each step after the connect may take: key exchange, login, a channel.
STEP = 15.0
#: Seconds for which a host that turns us away unheard is tried again.
_CROWDED = 30.0
#: Seconds for which a host may count a channel that is closed here.
_LINGER = 2.0
_CIPHERS = (
    # With AES instructions, which every Mac has, the quickest by far.
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
_MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)

# Without a handler of its own, what it logs of a refused login would be printed to the notebook.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class NoChannel(TransportError):
    """The host opens no further channel on a connection. Nothing was sent."""


class SshConnection:
    """An open connection, on which channels are opened, by any thread.

    Parameters
    ----------
    route
        The way.
    keyring
        The key files that this process has opened.
    locks
        The folder of the locks that keep handshakes apart.

    Raises
    ------
    TransportError
        If the host cannot be reached, is not who it should be, or refuses the login.
    """

    def __init__(self, route: Route, keyring: Keyring, locks: Path) -> None:
        self.route = route
        self.round_trip = 0.0
        #: Channels that other processes have on it.
        self.lent = 0
        self._closed_one = -_LINGER
        self._before: SshConnection | None = None
        if route.through is not None:
            self._before = SshConnection(route.through, keyring, locks)
        try:
            self._fabric = _persistent(self, route, keyring, locks)
        except BaseException:
            if self._before is not None:
                self._before.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether channels can be opened, as far as is known."""
        transport = self._fabric.transport
        return transport is not None and transport.is_active()

    def execute(self, command: str) -> paramiko.Channel:
        """Run a command on a new channel.

        A host may still count a channel that was closed just now; that is waited for.

        Raises
        ------
        ConnectionLost
            If the connection is over.
        NoChannel
            If the host opens no more channels or refuses commands.
        """
        wait = 0.02
        while True:
            try:
                return self._execute(command)
            except NoChannel:
                if time.monotonic() + wait > self._closed_one + _LINGER:
                    raise
            time.sleep(wait)
            wait *= 2

    def closed_one(self) -> None:
        """Note that a channel was closed."""
        self._closed_one = time.monotonic()

    def tunnel(self, address: str, port: int) -> paramiko.Channel:
        """Return a channel to a machine behind this one.

        Raises
        ------
        TransportError
            If it cannot be reached from here.
        """
        transport = self._fabric.transport
        assert transport is not None
        try:
            channel: paramiko.Channel = transport.open_channel(
                "direct-tcpip", (address, port), ("", 0), timeout=self.route.timeout
            )
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise TransportError(
                f"{address} port {port} cannot be reached through {self.route.name}: {error}",
                next="Check ProxyJump in the SSH configuration.",
            ) from error
        return channel

    def writable(self) -> bool:
        """Whether bytes can be sent without waiting."""
        transport = self._fabric.transport
        if transport is None or not isinstance(transport.sock, socket.socket):
            return self._before is not None and self._before.writable()
        with contextlib.suppress(ValueError, OSError):
            poll = select.poll()
            poll.register(transport.sock, select.POLLOUT)
            return bool(poll.poll(0))
        return False

    def close(self) -> None:
        """End the connection at once, whatever state it is in."""
        with contextlib.suppress(Exception):
            self._fabric.close()
        if self._before is not None:
            self._before.close()

    def _execute(self, command: str) -> paramiko.Channel:
        transport = self._fabric.transport
        if transport is None:
            raise ConnectionLost(f"The connection to {self.route.name} ended.")
        try:
            # Not fabric's own way: that connects again where the connection is over.
            channel: paramiko.Channel = transport.open_session()
            channel.settimeout(STEP)
            channel.event = Answer(STEP)
            channel.exec_command(command)
        except paramiko.ChannelException as error:
            raise NoChannel(
                f"{self.route.name} opens no channel ({error.text}).",
                next="Its sshd may allow too few sessions (MaxSessions) or forbid commands.",
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.close()
            raise ConnectionLost(f"The connection to {self.route.name} ended: {error}") from error
        return channel


def _persistent(
    connection: SshConnection, route: Route, keyring: Keyring, locks: Path
) -> fabric.Connection:
    """Connect, again and again while the host is merely crowded."""
    deadline = time.monotonic() + _CROWDED
    wait = 0.1
    while True:
        try:
            return _connect(connection, route, keyring, locks)
        except Crowded:
            if time.monotonic() + wait > deadline:
                raise
            time.sleep(wait * random.uniform(0.5, 1.5))
            wait = min(wait * 2, 3.0)


def _connect(
    connection: SshConnection, route: Route, keyring: Keyring, locks: Path
) -> fabric.Connection:
    guard = _Guard(route)
    keys = Keys(route, keyring)
    # An empty configuration of fabric's: what its own files say is not meant for us.
    quiet = fabric.Config(ssh_config=paramiko.SSHConfig(), lazy=True)
    link = None
    try:
        with turn(locks, route.address, route.port):
            link = _socket(connection, route)
            session = fabric.Connection(
                route.address,
                user=route.user,
                port=route.port,
                gateway=False,
                config=quiet,
                connect_kwargs={
                    "sock": link,
                    "timeout": STEP,
                    "banner_timeout": BANNER,
                    "auth_timeout": STEP,
                    "channel_timeout": STEP,
                    "transport_factory": guard.transport,
                    "auth_strategy": keys,
                },
            )
            session.client.set_missing_host_key_policy(guard)
            session.open()
        return session
    except BaseException as error:
        if link is not None:
            link.close()
        if isinstance(error, (TransportError, KeyboardInterrupt, SystemExit)):
            raise
        raise _translated(error, route, keys, guard) from error
    finally:
        keys.close()


def _socket(connection: SshConnection, route: Route) -> socket.socket | paramiko.Channel:
    before = connection._before
    if before is not None:
        return before.tunnel(route.address, route.port)
    began = time.monotonic()
    link = dial(route.name, route.address, route.port, route.timeout)
    connection.round_trip = time.monotonic() - began
    try:
        expect_ssh(link, route.name, f"{route.address} port {route.port}")
    except BaseException:
        link.close()
        raise
    return link


class _Prompt(paramiko.Transport):
    """Answers a server's first words after the login at once.

    OpenSSH announces its host keys then. What it says next, that a channel is open, waits for our
    acknowledgement of that, which the system delays by 40 ms; any bytes of ours carry it.
    """

    _prompted = False
    #: Whether the server ended the connection with a word, as after too many keys.
    dismissed = False

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        self.dismissed = True
        super()._parse_disconnect(message)  # type: ignore[misc]

    def _parse_global_request(self, message: paramiko.Message) -> None:
        super()._parse_global_request(message)  # type: ignore[misc]
        if not self._prompted:
            self._prompted = True
            nothing = paramiko.Message()
            nothing.add_byte(paramiko.common.cMSG_IGNORE)
            nothing.add_string(b"")
            self._send_message(nothing)  # type: ignore[attr-defined]


class _Guard(paramiko.MissingHostKeyPolicy):
    """Judges the host's key. paramiko asks it for every key, since it was told of none."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._known = KnownHosts.read(route.known_hosts)
        self._transport: _Prompt | None = None

    @property
    def dismissed(self) -> bool:
        """Whether the server ended the connection with a word."""
        return self._transport is not None and self._transport.dismissed

    def transport(self, link: socket.socket, **options: Any) -> paramiko.Transport:
        """Return a transport that asks for the kind of key that we know. Called by paramiko."""
        self._transport = transport = _Prompt(link, packetizer_class=Packets, **options)
        security = transport.get_security_options()
        security.ciphers = [each for each in _CIPHERS if each in security.ciphers]
        security.digests = [each for each in _MACS if each in security.digests]
        kinds = hostkeys.known_kinds(self._known, self._route.asked)
        security.key_types = hostkeys.preferred(security.key_types, kinds)
        return transport

    def missing_host_key(self, _client: paramiko.SSHClient, _name: str, key: paramiko.PKey) -> None:
        """Raise unless the key is the host's. Called by paramiko before any login."""
        route, blob = self._route, key.asbytes()
        verdict = hostkeys.judge(self._known, route.asked, blob, route.pinned)
        if verdict.word != "trusted":
            refused = hostkeys.refusal(verdict, route.asked, blob, name=route.name)
            if route.bastion and verdict.word == "unknown":
                refused.next = f"Connect to it once with `ssh {route.name}`, which asks about it."
            raise refused


def _translated(error: BaseException, route: Route, keys: Keys, guard: _Guard) -> TransportError:
    """Return our error for one of paramiko's or the system's."""
    place = f"{route.address} port {route.port}"
    if isinstance(error, paramiko.AuthenticationException):
        answers = [tried.result for tried in getattr(error, "result", ())]
        if keys.tried and not guard.dismissed and not any(map(is_refusal, answers)):
            return TransportError(f"{route.name}: {place} fell silent or hung up during the login.")
        allowed: list[str] = []
        for answer in answers:
            allowed = list(getattr(answer, "allowed_types", allowed))
        return refusal(route, keys, allowed)
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return TransportError(
            f"{route.name}: {place} and this notebook have no SSH algorithm in common: {error}",
            next="Update the SSH server of that machine.",
        )
    if isinstance(error, (EOFError, ConnectionError)) or "banner" in str(error):
        return Crowded(f"{route.name}: {place} hung up during the handshake.")
    return TransportError(
        f"{route.name}: no SSH connection with {place}: {str(error) or type(error).__name__}",
        next="Try `ssh -v` with the same host; macgpu doctor says where it stops.",
    )
