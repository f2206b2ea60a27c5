"""Bulk from and to clients, some of which stand beside another one and carry parts of its streams.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..wire import messages as m
from ..wire.frames import nbytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client
    from .transfers import Transfers

#: Beside a client that is not here any more: what it says is of no use.
_NOBODY = -1


class Lanes:
    """Brings what clients say of bulk streams to the stream that is meant.

    Parameters
    ----------
    clients
        All of them, by number.
    files
        Takes the parts of a session's files.
    uploaded
        Told when a stream of a run's inputs is here, or what is wrong with it: whose it is, stream,
        problem.
    """

    def __init__(
        self,
        clients: dict[int, Client],
        files: Transfers,
        uploaded: Callable[[Client, str, str], None],
    ) -> None:
        self._clients = clients
        self._files = files
        self._uploaded = uploaded

    def greet(self, client: Client, hello: m.Hello) -> None:
        """Note who a client is, and beside which other one of the same kernel it stands."""
        client.kernel = hello.client
        if "beside" in hello.detail:
            owner = self._clients.get(_number(hello.detail["beside"]))
            known = owner is not None and owner.kernel == client.kernel and not owner.beside
            client.beside = owner.number if owner is not None and known else _NOBODY

    def heard(self, client: Client, message: m.Message, now: float) -> None:
        """Take an acknowledgement, a credit, bytes of an upload, or the wish to bring some."""
        on = client.streams
        if isinstance(message, m.Ack):
            if message.run in on.followers:
                on.followers[message.run][0].acknowledge(message.offset, now)
        elif isinstance(message, m.Credit):
            if message.stream in on.outgoing:
                on.outgoing[message.stream].credit(message.offset, now)
        elif isinstance(message, m.Fetch):
            self._share(client, message.stream)
        elif isinstance(message, m.Part):
            if message.stream.startswith("put:"):
                if message.stream in on.incoming:
                    self._files.part(client, message)
            else:
                self._part(client, message)

    def _share(self, client: Client, stream: str) -> None:
        """Let a client bring parts of a stream that the one beside it asked for."""
        owner = self._clients.get(client.beside)
        if owner is not None and stream in owner.streams.outgoing:
            shared = owner.streams.outgoing[stream].beside()
            if shared is not None and stream not in client.streams.outgoing:
                client.streams.outgoing[stream] = shared

    def _part(self, client: Client, message: m.Part) -> None:
        owner = self._clients.get(client.beside) if client.beside else client
        incoming = owner.streams.incoming.get(message.stream) if owner is not None else None
        if owner is None or incoming is None:
            return
        try:
            problem = incoming.take(message)
            if not problem and incoming.done:
                problem = incoming.finish()
        except OSError as error:
            problem = f"the inputs could not be written: {error}"
        taken = client.streams.taken.get(message.stream, 0) + sum(map(nbytes, message.buffers))
        client.streams.taken[message.stream] = taken
        client.endpoint.send(m.Credit(stream=message.stream, offset=taken))
        if problem or incoming.done:
            owner.streams.incoming.pop(message.stream).close()
            self._uploaded(owner, message.stream, problem)


def _number(value: object) -> int:
    return value if type(value) is int else _NOBODY
