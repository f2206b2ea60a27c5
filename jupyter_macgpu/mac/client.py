"""A client of the supervisor, and what is under way to and from it.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from .endpoint import Endpoint
    from .folder import Entry
    from .several import Several
    from .streams import Follower, Incoming, Outgoing


class ClientStreams:
    """What is under way to and from one client."""

    def __init__(self) -> None:
        self.followers: dict[str, tuple[Follower, int]] = {}
        self.outgoing: dict[str, Outgoing] = {}
        self.incoming: dict[str, Incoming | Several] = {}
        #: Bytes of a run's inputs that came from this client.
        self.taken: dict[str, int] = {}
        #: Lists of files that it has had some pages of.
        self.lists: dict[str, Iterator[Entry]] = {}

    def close(self) -> None:
        """Close all files."""
        for outgoing in self.outgoing.values():
            outgoing.close()
        for incoming in self.incoming.values():
            incoming.close()


class Client:
    """One notebook kernel, server or command that is connected.

    Attributes
    ----------
    kernel
        Its own word for who it is.
    beside
        Number of the client whose bulk it carries a part of; 0 for one that speaks for itself.
    """

    def __init__(self, number: int, endpoint: Endpoint, door: socket.socket | None) -> None:
        self.number = number
        self.endpoint = endpoint
        self.door = door
        self.greeted = False
        self.kernel = ""
        self.beside = 0
        self.streams = ClientStreams()

    def pump(self, now: float) -> None:
        """Send what there is room for."""
        if self.endpoint.gone or self.endpoint.congested:
            return
        on = self.streams
        for run, (follower, epoch) in list(on.followers.items()):
            for message in follower.more(epoch, now):
                self.endpoint.send(message)
            if follower.finished:
                del on.followers[run]
        for stream in list(on.outgoing.values()):
            for message in stream.more(now):
                self.endpoint.send(message)
            if stream.over:
                on.outgoing.pop(stream.stream).close()
