"""The transport over SSH: one connection a host and account, the door behind each channel."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ...wire.errors import ConnectionLost
from .. import deploy
from ..preface import Preface, Said, Spoke
from .channel import SshChannel
from .config import ClientConfig
from .connection import NoChannel, SshConnection
from .guests import Guests
from .login import Keyring
from .meeting import Meeting
from .route import route_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ...fleet.hosts import Host
    from ..base import Channel
    from ..sockets import SocketChannel
    from .meeting import Owner

#: Seconds for which what a host said last is waited for, when it has hung up.
_LAST_WORDS = 1.0


class Ways:
    """Makes transports that share the opened keys.

    Parameters
    ----------
    ask
        Asks the user for a passphrase; raises if there is nobody to ask.
    locks
        The folder where the processes of this account meet, to keep their handshakes apart and to
        share their connections.
    """

    def __init__(self, ask: Callable[[str], str], locks: Path) -> None:
        self.keyring = Keyring(ask)
        self.locks = locks

    def to(self, host: Host) -> SshTransport:
        """Return the transport to a host."""
        return SshTransport(host, self)


class SshTransport:
    """The way to one host over SSH.

    Channels are on a connection that another process of this account has, or else on our own, of
    which we lend channels in turn. When another's ends, so does the channel; the next `open`
    finds or makes another connection.

    Parameters
    ----------
    host
        An entry of the fleet file.
    ways
        What transports share.
    """

    def __init__(self, host: Host, ways: Ways) -> None:
        self.name = host.name
        self._host = host
        self._ways = ways
        self._connection: SshConnection | None = None
        self._guests: Guests | None = None
        # Whose guest we were last, and whose guest we will not be again.
        self._owner: Owner | None = None
        self._avoided: Owner | None = None
        self._bare = self._looked_after = False
        self._noise = Preface()
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None and self._connection.alive

    def open(self) -> DoorChannel:
        """Open a channel to the host's supervisor. See `base.Transport`.

        Where the host lacks our code, the channel finds out, and the next `open` brings it.

        Raises
        ------
        TransportError
            If the host cannot be reached, is not who it should be, or refuses the login.
        """
        with self._lock:
            if self._bare:
                self._bring()
            channel = DoorChannel(self._execute(), self)
            try:
                channel.send(deploy.greeting(self._host.python or ""))
            except BaseException:  # an interrupt too: nobody else would close it
                channel.close()
                raise
            return channel

    def bare(self) -> None:
        """Note that the host lacks our code. Called by its channel."""
        self._bare = True

    def opened(self) -> None:
        """Note that the door was opened. Called by its channel."""
        self._looked_after = False

    def silent(self, preface: Preface) -> None:
        """Note that a channel ended before the door said a word. Called by it.

        Raises
        ------
        DeployError
            If it is not the connection that ended, and what is there was looked at before.
        """
        if not self.alive:
            self._avoided = self._owner  # what is wrong shows on a connection of our own
            return
        if self._looked_after:
            raise deploy.silence(preface, self.name)
        # What was put there may be damaged: the installer looks at every file.
        self._noise = preface
        self._bare = self._looked_after = True

    def close(self) -> None:
        """End the connection at once, or rely no more on whose guest we are."""
        self._avoided = self._owner
        self._end()

    def rest(self) -> None:
        """End the connection, unless there are guests. See `base.Transport`."""
        with self._lock:
            if self._guests is None or not self._guests.count:
                self._end()

    def _end(self) -> None:
        guests, self._guests = self._guests, None
        connection, self._connection = self._connection, None
        if guests is not None:
            guests.close()
        if connection is not None:
            connection.close()

    def _execute(self) -> Channel:
        if not self.alive:
            self._end()
            channel = self._connect()
            if channel is not None:
                return channel
        connection = self._connection
        assert connection is not None
        try:
            return SshChannel(connection, connection.execute(deploy.door_command()))
        except NoChannel:
            if self._guests is None or not self._guests.count:
                raise
        # They took what the host allows. Their channels end a moment after them.
        self._end()
        return self._execute()

    def _connect(self) -> SocketChannel | None:
        """Return a channel on another's connection, or None when we have one of our own."""
        route = route_to(self._host, ClientConfig())
        meeting = Meeting(self._ways.locks, route, {self._avoided})
        with meeting.enter(route.timeout) as entrance:
            self._owner = entrance.owner
            if entrance.channel is not None:
                return entrance.channel
            connection = SshConnection(route, self._ways.keyring, self._ways.locks)
            self._connection = connection
            listener = meeting.listen() if entrance.ours else None
            if listener is not None:
                self._guests = Guests(listener, connection)
        return None

    def _bring(self) -> None:
        channel = self._execute()
        try:
            deploy.install(channel, self.name, self._host.python or "")
        except ConnectionLost as error:
            if self.alive and not isinstance(error, deploy.Stalled):
                raise deploy.silence(self._noise, self.name) from error
            self._avoided = self._owner
            raise
        finally:
            channel.close()
        self._bare, self._noise = False, Preface()


class DoorChannel:
    """A channel through the door: what stands before the supervisor's first byte is read off.

    Parameters
    ----------
    channel
        To the door.
    transport
        Is told if the host lacks our code.
    """

    def __init__(self, channel: Channel, transport: SshTransport) -> None:
        self._channel = channel
        self._transport = transport
        self._preface: Preface | None = Preface()
        self.close = channel.close

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`. See `base.Channel`.

        Raises
        ------
        ConnectionLost, DeployError
            If the channel is over. A host that hung up before the supervisor's first byte may have
            said why: that is heard first.
        """
        try:
            self._channel.send(data)
        except ConnectionLost:
            deadline = time.monotonic() + _LAST_WORDS
            while self._preface is not None and time.monotonic() < deadline:
                self.receive(0.1)
            raise

    def receive(self, timeout: float) -> bytes | None:
        """Return bytes as they come. See `base.Channel`.

        Raises
        ------
        ConnectionLost
            If the channel is over, or the host lacks our code.
        DeployError
            If the door says why it cannot be opened.
        """
        if self._preface is None:
            return self._channel.receive(timeout)
        try:
            data = self._channel.receive(timeout)
        except ConnectionLost as error:
            heard, self._preface = self._preface, None
            self._transport.silent(heard)
            raise error
        if data is None:
            return None
        said = self._preface.feed(data)
        if said is None:
            return None
        if isinstance(said, Spoke):
            self._preface = None
            self._transport.opened()
            return said.data
        if isinstance(said, Said) and said.word == "need":
            self._transport.bare()
            raise ConnectionLost(f"{self._transport.name} lacks the code of this version.")
        if isinstance(said, Said) and said.word == "again":
            raise ConnectionLost(f"The supervisor of {self._transport.name} was just leaving.")
        raise deploy.refusal(said, self._transport.name)
