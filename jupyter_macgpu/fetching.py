"""Stored bytes from a host: the results and inputs that are too large for a message."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from .wire import bundle
from .wire import messages as m
from .wire.errors import ConnectionLost, RemoteProtocolError, ResultLeft, RunLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from .link import Link

#: Seconds of silence after which a connection counts as lost.
SILENCE = 15.0
#: Seconds between two looks at whether to stop.
_BLINK = 0.1


def _never() -> bool:
    return False


def bring(
    link: Link,
    said: m.End | m.Operated,
    subject: str,
    stop: Callable[[], object] = _never,
) -> list[memoryview]:
    """Return the parts of the bundle that a message brings or announces; none if it has none.

    Parameters
    ----------
    subject
        The run or the stored operation that the host keeps a large bundle under.
    stop
        As for `fetch`, whose errors are raised too.
    """
    if not said.size:
        return []
    if said.buffers:
        return bundle.unpack(memoryview(bytearray(b"".join(said.buffers))))
    return bundle.unpack(fetch(link, subject, "result", said.size, said.result, stop))


def fetch(
    link: Link,
    subject: str,
    what: str,
    size: int,
    digest: str,
    stop: Callable[[], object] = _never,
) -> memoryview:
    """Bring stored bytes from a host.

    Parameters
    ----------
    subject, what
        A run or a stored operation, and ``result`` or ``inputs``.
    size, digest
        Length in bytes and SHA-256 that were announced; 0 and ``""`` where they were not.
    stop
        Asked now and then whether to leave them there.

    Returns
    -------
    memoryview
        Writable bytes.

    Raises
    ------
    RunLost
        If the host does not keep them any more.
    ResultLeft
        If `stop` said so.
    TransportError
        If the connection is lost.
    """
    stream = f"out:{what}:{subject}"
    link.say(m.Fetch(stream=stream, subject=subject, what=what))
    taken = bytearray(size)
    at, total = 0, size or None
    while total is None or at < total:
        part = _next_part(link, stream, subject, stop)
        if part.offset != at or (size and part.total != size):
            raise RemoteProtocolError(f"{link.host} sent parts out of order")
        if total is None:
            total, taken = part.total, bytearray(part.total)
        for buffer in part.buffers:
            view = memoryview(buffer)
            taken[at : at + view.nbytes] = view
            at += view.nbytes
        link.say(m.Credit(stream=stream, offset=at))
    if digest and hashlib.sha256(taken).hexdigest() != digest:
        raise RemoteProtocolError(f"{link.host} sent bytes that do not match their digest")
    return memoryview(taken)


def _next_part(link: Link, stream: str, subject: str, stop: Callable[[], object]) -> m.Part:
    asked = time.monotonic()
    while True:
        if stop():
            _leave(link, subject)
        message = link.listen(_BLINK)
        if isinstance(message, m.Part) and message.stream == stream:
            return message
        if isinstance(message, m.Refused) and message.subject == subject:
            raise RunLost(f"{link.host}: {message.text}.")
        if message is None and time.monotonic() - max(asked, link.heard) > SILENCE:
            link.drop()
            raise ConnectionLost(f"{link.host} has been silent for {SILENCE:.0f} s.")


def _leave(link: Link, subject: str) -> None:
    # What is under way is of no use to the next cell: it opens a connection of its own.
    link.close()
    raise ResultLeft(
        f"The result of run {subject[:8]} was not waited for.",
        next=f"%macgpu attach {subject[:8]} brings it.",
    )
