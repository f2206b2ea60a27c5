"""A bad line: it stands before a transport or a TCP port and limits, delays, cuts or silences.

The words are Toxiproxy's. Plain sockets and threads, so it runs wherever the tests do.
"""

from __future__ import annotations

import socket
import struct
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
#: Dead lines that are kept for the host, which has not been told that they are dead.
_GHOSTS = 8


@dataclass(slots=True, kw_only=True)
class Toxics:
    """What is wrong with a line. May be changed while it is used.

    Attributes
    ----------
    bandwidth
        Bytes per second in each direction; 0 is no limit.
    latency
        Seconds that each byte takes on its way.
    slicer
        Bytes that are delivered at once at most; 0 is no limit.
    limit
        Bytes, both directions together, after which the line is cut; -1 is never.
    only
        The one direction that all these hold for; both if empty.
    silent
        Direction in which nothing arrives any more: ``up``, ``down`` or neither.
    """

    bandwidth: float = 0.0
    latency: float = 0.0
    slicer: int = 0
    limit: int = -1
    only: str = ""
    silent: str = ""

    def of(self, direction: str) -> Toxics:
        """Return what is wrong with one direction."""
        if self.only in ("", direction):
            return self
        return Toxics(silent=self.silent)


class Board:
    """The lines of one relay, and what is done to all of them.

    Parameters
    ----------
    toxics
        What is wrong with each.
    """

    def __init__(self, toxics: Toxics | None = None) -> None:
        self.toxics = toxics or Toxics()
        self.opened = 0
        self.limited = False
        self.carried = {UP: 0, DOWN: 0}
        self.flips = {UP: 0, DOWN: 0}
        self._lines: list[Line] = []
        self._guard = threading.Lock()

    def reset(self) -> bool:
        """Cut all lines now; what was under way is lost. Say whether there was one."""
        standing = self.standing()
        for line in standing:
            line.cut(rudely=True)
        return bool(standing)

    def blackhole(self, *directions: str) -> bool:
        """Let nothing through on the lines that stand, both ways unless it is said which.

        Nobody is told, and lines that are opened later are well. Say whether there was one.
        """
        standing = self.standing()
        for line in standing:
            line.deaf |= set(directions or (UP, DOWN))
        ghosts = [line for line in self._lines if line.deaf and not line.over]
        for line in ghosts[:-_GHOSTS]:
            line.cut()
        return bool(standing)

    def cut_after(self, size: int) -> bool:
        """Cut the lines that stand when so many more bytes have passed, both ways together."""
        standing = self.standing()
        for line in standing:
            line.left = size
        return bool(standing)

    def flip(self, direction: str) -> None:
        """Turn one bit of what is delivered next in a direction."""
        self.flips[direction] += 1

    def standing(self) -> list[Line]:
        """Return the lines that are of use."""
        with self._guard:
            return [line for line in self._lines if not line.over and not line.deaf]

    def add(self, line: Line) -> None:
        """Begin to carry bytes over a line."""
        with self._guard:
            self.opened += 1
            self._lines = [known for known in self._lines if not known.over] + [line]
        line.begin()

    def count(self, direction: str, size: int) -> bool:
        """Note bytes that were carried; say whether the line stands after them."""
        self.carried[direction] += size
        counted = (self.toxics.only,) if self.toxics.only else (UP, DOWN)
        carried = sum(self.carried[each] for each in counted)
        self.limited = 0 <= self.toxics.limit < carried
        return not self.limited

    def spoil(self, direction: str, data: bytes) -> bytes:
        """Return what is to be delivered, with a bit turned if that was asked for."""
        if not self.flips[direction]:
            return data
        self.flips[direction] -= 1
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]

    def hang_up(self) -> None:
        """End all lines, the dead ones too, and wait until they are."""
        with self._guard:
            lines = list(self._lines)
        for line in lines:
            line.close()


class Relay(Board):
    """A transport through a bad line.

    Parameters
    ----------
    inner
        The transport that leads to the host.
    toxics
        What is wrong with the line.
    """

    def __init__(self, inner: Transport, toxics: Toxics | None = None) -> None:
        super().__init__(toxics)
        self.name = inner.name
        self._inner = inner

    def open(self) -> Channel:
        """Open a line. See `base.Transport`."""
        inner = self._inner.open()
        near, far = socket.socketpair()
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HELD)
        line = Line(SocketChannel(far, self.name), inner, self, (far,))
        self.add(line)
        return SocketChannel(near, self.name, line.close)

    def close(self) -> None:
        """End what is beneath the lines. See `base.Transport`."""
        self._inner.close()

    def rest(self) -> None:
        """End what is beneath the lines, unless it is of use. See `base.Transport`."""
        self._inner.rest()


class Line:
    """Two channels and the two threads that carry bytes between them.

    Parameters
    ----------
    near, inner
        Towards the notebook side, and towards the host. They become the line's.
    board
        What is wrong with it.
    ends
        The sockets of these, as far as they are known.

    Attributes
    ----------
    over
        Whether it was cut.
    deaf
        Directions in which nothing arrives any more, ever.
    left
        Bytes after which it is cut; -1 is never.
    """

    def __init__(
        self, near: Channel, inner: Channel, board: Board, ends: tuple[socket.socket, ...]
    ) -> None:
        self.over = False
        self.deaf: set[str] = set()
        self.left = -1
        self._channels = near, inner
        self._board = board
        self._ends = ends
        self._running = 2
        self._guard = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(UP, near.receive, inner.send)),
            threading.Thread(target=self._run, args=(DOWN, inner.receive, near.send)),
        ]

    def begin(self) -> None:
        """Carry."""
        for thread in self._threads:
            thread.start()

    def cut(self, *, rudely: bool = False) -> None:
        """End the line in mid-sentence.

        Parameters
        ----------
        rudely
            With a TCP reset, where it is TCP: the ends learn of it when the threads have ended.
        """
        self.over = True
        for end in self._ends:
            try:
                if rudely and end.family != socket.AF_UNIX:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        """Cut it and wait until nothing of it is left."""
        self.cut()
        for thread in self._threads:
            thread.join(timeout=60.0)

    def _run(
        self,
        direction: str,
        receive: Callable[[float], bytes | None],
        send: Callable[[bytes], None],
    ) -> None:
        try:
            self._pump(direction, receive, send)
        except (ConnectionLost, OSError):
            # On a dead line the other end is not told that this one hung up.
            if not self.deaf:
                self.cut()
        with self._guard:
            self._running -= 1
            last = not self._running
        if last:
            self.over = True
            for channel in self._channels:
                channel.close()

    def _pump(
        self,
        direction: str,
        receive: Callable[[float], bytes | None],
        send: Callable[[bytes], None],
    ) -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        held = 0
        while not self.over:
            data = receive(_pause(waiting)) if held < _HELD else _sleep(_pause(waiting))
            if data:
                latency = self._board.toxics.of(direction).latency
                waiting.append((time.monotonic() + latency, data))
                held += len(data)
            while waiting and waiting[0][0] <= time.monotonic() and not self.over:
                _due, data = waiting.popleft()
                held -= len(data)
                self._deliver(direction, data, send)

    def _deliver(self, direction: str, data: bytes, send: Callable[[bytes], None]) -> None:
        toxics = self._board.toxics.of(direction)
        at = 0
        while at < len(data):
            part = data[at : at + _piece(toxics, len(data))]
            at += len(part)
            while self._board.toxics.silent == direction and not self.over:
                time.sleep(_GLANCE)
            if self.over or direction in self.deaf:
                return
            if not self._board.count(direction, len(part)):
                self.cut()
                return
            if 0 <= self.left <= len(part):
                send(part[: self.left])
                self.cut(rudely=True)
                return
            self.left -= len(part) if self.left > 0 else 0
            send(self._board.spoil(direction, part))
            if toxics.bandwidth:
                time.sleep(len(part) / toxics.bandwidth)


def _piece(toxics: Toxics, most: int) -> int:
    if toxics.bandwidth:
        most = max(512, int(toxics.bandwidth * _GLANCE))
    return min(most, toxics.slicer) if toxics.slicer else most


def _pause(waiting: deque[tuple[float, bytes]]) -> float:
    return min(_GLANCE, max(0.0, waiting[0][0] - time.monotonic())) if waiting else _GLANCE


def _sleep(seconds: float) -> None:
    time.sleep(seconds)
