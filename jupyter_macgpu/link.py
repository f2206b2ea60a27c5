"""One kernel's conversation with one host's supervisor: opened, spoken over, opened again."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from .wire import messages as m
from .wire.connection import Connection
from .wire.errors import ALL_KEPT, NOTHING_SENT, ConnectionLost, TransportError
from .wire.plain import plain_line, plain_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .transport.base import Channel, Transport

#: Seconds that a host may take to say hello.
GREETING = 15.0
#: How often a host is tried that hangs up before its hello: its supervisor may just have left.
_ATTEMPTS = 3
#: Seconds without a byte after which a connection is tried before it is relied on: this machine
#: may have slept, or changed its network.
_STALE = 20.0
#: Seconds that such a trial may take.
_TRIAL = 2.0
#: Blobs of a host that are remembered.
_HELD = 4096


class Unheard(TransportError):
    """The host is connected, and has not said in time what was waited for."""

    sign = "slow"


class Link:
    """A connection to one host, which may be lost and opened again.

    `connect` and `rest` may be called by any thread; all else by one thread at a time, after its
    `connect`, though one may `say` something while another one waits in `listen`.
    A forked child that inherits it neither speaks over it nor closes it.

    Parameters
    ----------
    transport
        The way to the host.
    client, notebook
        Who we are: this kernel, and the notebook that it belongs to.
    beside
        The number that the host gave this kernel's own connection, for one more that only
        carries parts of its bulk.
    held
        What another link of the same notebook knows that the host holds, to share it; None
        begins with nothing.
    """

    def __init__(
        self,
        transport: Transport,
        client: str,
        notebook: str,
        beside: int | None = None,
        held: dict[str, None] | None = None,
    ) -> None:
        self.transport = transport
        self.client = client
        self.notebook = notebook
        self.hello: m.Hello | None = None
        self._beside = {} if beside is None else {"beside": beside}
        self._channel: Channel | None = None
        self._connection: Connection | None = None
        self._mentioned = b""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        #: Digests of blobs that the host held when it was last told of them.
        self.held: dict[str, None] = {} if held is None else held
        #: When the last byte came, and when there last was a use for it; `time.monotonic`.
        self.heard = self.used = 0.0
        self._pinged = 0.0
        #: When `hello` came; `time.monotonic`.
        self.greeted = 0.0

    @property
    def host(self) -> str:
        """Name of the host."""
        return self.transport.name

    @property
    def open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._channel is not None

    @property
    def is_ready(self) -> bool:
        """Whether there is a connection, and the host has said what it is."""
        return self.open and self.hello is not None

    def connect(self) -> m.Hello:
        """Open the connection if there is none, and return what the host said of itself.

        Raises
        ------
        TransportError
            If the host cannot be reached or does not speak our protocol.
        """
        if os.getpid() != self._pid:
            raise TransportError(
                f"This is a forked child of the kernel that is connected to {self.host}.",
                next="Use %%macgpu in the notebook itself, not in a process that it started.",
            )
        with self._lock:
            self.used = time.monotonic()
            if self._channel is not None and self.used - self.heard > _STALE:
                self._try_out()
            if self._channel is None:
                self._open_patiently()
        assert self.hello is not None
        return self.hello

    def rest(self, idle: float) -> None:
        """Close the connection if there was no use for it for `idle` seconds."""
        with self._lock:
            if time.monotonic() - max(self.used, self.heard) > idle:
                self.close()
                self.transport.rest()

    def say(self, message: m.Message) -> None:
        """Send a message.

        Raises
        ------
        ConnectionLost
            If the connection is over; it is closed then.
        """
        channel, connection = self._both()
        try:
            mentioned, self._mentioned = self._mentioned, b""
            self.used = time.monotonic()
            channel.send(connection.send(message) + mentioned)
        except BaseException:  # an interrupt too leaves half a frame
            self.close()
            raise

    def mention(self, message: m.Message) -> None:
        """Say something that can wait: it goes out behind the next message, or at the end."""
        if self._connection is not None:
            self._mentioned += self._connection.send(message)

    def listen(self, timeout: float) -> m.Message | None:
        """Return the next message, or None if none comes within `timeout` seconds.

        Raises
        ------
        ConnectionLost
            If the connection is over; it is closed then.
        ProtocolError
            If the host broke the protocol; the connection is closed then.
        """
        channel, connection = self._both()
        try:
            while (message := connection.next()) is None:
                data = channel.receive(timeout)
                if data is None:
                    return None
                self.heard = time.monotonic()
                connection.receive(data)
        except BaseException:  # an interrupt too may lose what was just read
            self.close()
            raise
        return message

    def await_message(
        self, wanted: Callable[[m.Message], bool], patience: float = GREETING
    ) -> m.Message:
        """Return the next message that `wanted` accepts; others are passed over.

        Raises
        ------
        TransportError
            If it does not come within `patience` seconds.
        """
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            message = self.listen(left)
            if message is not None and wanted(message):
                return message
        self.close()
        raise Unheard(f"{self.host} did not answer within {patience:g} s.")

    def ask(
        self, message: m.Message, wanted: Callable[[m.Message], bool], patience: float = GREETING
    ) -> m.Message:
        """Say something that may be said twice, and return the answer that `wanted` accepts.

        A connection that had been idle may have ended without a word; then it is asked again.

        Raises
        ------
        TransportError
            If the host cannot be reached, or does not answer within `patience` seconds.
        """
        idle = self.open
        self.connect()
        try:
            self.say(message)
            return self.await_message(wanted, patience)
        except ConnectionLost:
            if not idle:
                raise
        self.connect()
        self.say(message)
        return self.await_message(wanted, patience)

    def mind_the_silence(self, heartbeat: float, patience: float) -> None:
        """Ask a host that has said nothing for `heartbeat` seconds whether it is there.

        Raises
        ------
        ConnectionLost
            If it has said nothing for `patience` seconds; what is beneath the connection is given
            up with it.
        """
        now = time.monotonic()
        silent = now - self.heard
        if silent > patience:
            self.drop()
            raise ConnectionLost(f"{self.host} has been silent for {silent:.0f} s.")
        if silent > heartbeat and now - self._pinged > heartbeat:
            self._pinged = now
            self.say(m.Ping(number=1))

    def holds(self, digests: Iterable[str]) -> None:
        """Note blobs that the host holds now; the oldest ones are forgotten."""
        for digest in digests:
            self.held.pop(digest, None)
            self.held[digest] = None
        # Links of several threads share them: what another one has just forgotten is gone.
        for digest in list(self.held)[:-_HELD]:
            self.held.pop(digest, None)

    def close(self) -> None:
        """Close the connection, if this process opened it."""
        channel, self._channel, self._connection = self._channel, None, None
        mentioned, self._mentioned = self._mentioned, b""
        if channel is not None and os.getpid() == self._pid:
            with contextlib.suppress(ConnectionLost):
                channel.send(mentioned)
            channel.close()

    def drop(self) -> None:
        """Close the connection and all that is beneath it: it is of no use any more."""
        self.close()
        if os.getpid() == self._pid:
            self.transport.close()

    def _try_out(self) -> None:
        try:
            self.say(m.Ping(number=0))
            self.await_message(lambda message: isinstance(message, m.Pong), _TRIAL)
        except TransportError:
            self.drop()

    def _open_patiently(self) -> None:
        for left in reversed(range(_ATTEMPTS)):
            try:
                self._open()
                return
            except ConnectionLost as error:
                self.close()
                if not left:
                    raise ConnectionLost(
                        f"{self.host} hung up before it said hello.",
                        known=NOTHING_SENT,
                        kept=ALL_KEPT,
                        next="Run the cell again; if it comes again, look at the log of the host's "
                        "supervisor.",
                    ) from error

    def _open(self) -> None:
        self._channel = self.transport.open()
        self._connection = Connection("client", "supervisor")
        self.say(
            m.Hello(
                role="client",
                client=self.client,
                notebook=self.notebook,
                python=platform.python_version(),
                detail=self._beside,
            )
        )
        self.hello = self._greeting()
        self.greeted = time.monotonic()

    def _both(self) -> tuple[Channel, Connection]:
        if self._channel is None or self._connection is None:
            raise ConnectionLost(f"There is no connection to {self.host}.")
        return self._channel, self._connection

    def _greeting(self) -> m.Hello:
        hello = self.await_message(lambda message: isinstance(message, m.Hello))
        assert isinstance(hello, m.Hello)
        if hello.protocol != m.PROTOCOL:
            self.close()
            raise TransportError(
                f"{self.host} speaks protocol {hello.protocol}, this notebook {m.PROTOCOL}.",
                known="No run was started; nothing was sent.",
                next="Install the same version of jupyter-macgpu on both sides.",
            )
        # What a host says of itself stands in lines of ours.
        return replace(
            hello,
            version=plain_line(hello.version),
            python=plain_line(hello.python),
            detail=plain_values(hello.detail),
        )
