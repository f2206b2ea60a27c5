"""The seam to the network: a transport opens channels, a channel carries bytes both ways.

Everything above this seam is decided without knowing what is below; everything below can be
replaced by anything that passes ``tests/contract``.
"""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """One open two-way stream of bytes.

    Used by one thread at a time, or by one that sends and one that receives.
    """

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`; blocks while the way is full.

        Raises
        ------
        ConnectionLost
            If the channel is over.
        """

    def receive(self, timeout: float) -> bytes | None:
        """Return bytes as they come, or None if none come within `timeout` seconds.

        Raises
        ------
        ConnectionLost
            If the channel is over.
        """

    def close(self) -> None:
        """End the channel. Closing twice is allowed."""


class Transport(Protocol):
    """The way to one host."""

    #: For a person: where this leads.
    name: str

    def open(self) -> Channel:
        """Open a channel to the host's supervisor, starting one if none runs.

        Raises
        ------
        TransportError
            If the host cannot be reached.
        """

    def close(self) -> None:
        """End at once what the channels were on; the next `open` begins anew."""

    def rest(self) -> None:
        """End what the channels were on, unless somebody else still uses it."""
