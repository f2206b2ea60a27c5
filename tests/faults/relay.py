"""A bad line: a transport that wraps another one and limits, delays, cuts or silences it.

The words are Toxiproxy's. Plain sockets and threads, so it runs wherever the tests do.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_macgpu.transport.sockets import SocketChannel
from jupyter_macgpu.wire.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_macgpu.transport.base import Channel, Transport

UP, DOWN = "up", "down"
#: Bytes that a direction holds at most; past it the sender is held back.
_HELD = 64 * 1024
#: Longest wait of a pump before it looks whether the line still stands, in seconds.
_GLANCE = 0.05


@dataclass(slots=True, kw_only=True)
class Toxics:
    """What is wrong with a line. May be changed while it is used.

    Attributes
    ----------
    bandwidth
        Bytes per second in each direction; 0 is no limit.
    latency
        Seconds that each byte takes on its way.
    limit
        Bytes, both directions together, after which the line is cut; -1 is never.
    silent
        Direction in which nothing arrives any more: ``up``, ``down`` or neither.
    """

    bandwidth: float = 0.0
    latency: float = 0.0
    limit: int = -1
    silent: str = ""


class Relay:
    """A transport through a bad line.

    Parameters
    ----------
    inner
        The transport that leads to the host.
    toxics
        What is wrong with the line.
    """

    def __init__(self, inner: Transport, toxics: Toxics | None = None) -> None:
        self.name = inner.name
        self.toxics = toxics or Toxics()
        self.opened = 0
        self.limited = False
        self.carried = {UP: 0, DOWN: 0}
        self._inner = inner
        self._lines: list[_Line] = []

    def open(self) -> Channel:
        """Open a line. See `base.Transport`."""
        self.opened += 1
        line = _Line(self._inner.open(), self)
        self._lines = [known for known in self._lines if not known.over] + [line]
        return SocketChannel(line.near, self.name, line.closed)

    def reset(self) -> bool:
        """Cut all lines now; what was under way is lost. Say whether there was one."""
        standing = [line for line in self._lines if not line.over]
        for line in standing:
            line.cut()
        return bool(standing)

    def count(self, direction: str, size: int) -> bool:
        """Note bytes that were carried; say whether the line stands after them."""
        self.carried[direction] += size
        self.limited = 0 <= self.toxics.limit < sum(self.carried.values())
        return not self.limited


class _Line:
    """One open channel and the two threads that carry its bytes."""

    def __init__(self, inner: Channel, relay: Relay) -> None:
        self.near, self._far = socket.socketpair()
        for end in (self.near, self._far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HELD)
        self.over = False
        self._inner = inner
        self._relay = relay
        self._threads = [
            threading.Thread(target=self._run, args=(UP, self._from_near, inner.send)),
            threading.Thread(target=self._run, args=(DOWN, inner.receive, self._far.sendall)),
        ]
        for thread in self._threads:
            thread.start()

    def cut(self) -> None:
        """End the line in mid-sentence."""
        self.over = True
        try:
            self._far.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def closed(self) -> None:
        """Take it down, when the near end was closed."""
        self.cut()
        for thread in self._threads:
            thread.join(timeout=5.0)
        self._inner.close()
        self._far.close()

    def _from_near(self, timeout: float) -> bytes | None:
        self._far.settimeout(max(timeout, 0.001))
        try:
            data = self._far.recv(16 * 1024)
        except TimeoutError:
            return None
        if not data:
            raise ConnectionLost("the near end was closed")
        return data

    def _run(
        self,
        direction: str,
        receive: Callable[[float], bytes | None],
        send: Callable[[bytes], None],
    ) -> None:
        try:
            self._pump(direction, receive, send)
        except (ConnectionLost, OSError):
            self.cut()

    def _pump(
        self,
        direction: str,
        receive: Callable[[float], bytes | None],
        send: Callable[[bytes], None],
    ) -> None:
        toxics = self._relay.toxics
        waiting: deque[tuple[float, bytes]] = deque()
        held = 0
        while not self.over:
            data = receive(_pause(waiting)) if held < _HELD else _sleep(_pause(waiting))
            if data:
                waiting.append((time.monotonic() + toxics.latency, data))
                held += len(data)
            while waiting and waiting[0][0] <= time.monotonic() and not self.over:
                _due, data = waiting.popleft()
                held -= len(data)
                self._deliver(direction, data, send)

    def _deliver(self, direction: str, data: bytes, send: Callable[[bytes], None]) -> None:
        toxics = self._relay.toxics
        piece = max(512, int(toxics.bandwidth * _GLANCE)) if toxics.bandwidth else len(data)
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            while toxics.silent == direction and not self.over:
                time.sleep(_GLANCE)
            if self.over:
                return
            if not self._relay.count(direction, len(part)):
                self.cut()
                return
            send(part)
            if toxics.bandwidth:
                time.sleep(len(part) / toxics.bandwidth)


def _pause(waiting: deque[tuple[float, bytes]]) -> float:
    return min(_GLANCE, max(0.0, waiting[0][0] - time.monotonic())) if waiting else _GLANCE


def _sleep(seconds: float) -> None:
    time.sleep(seconds)
