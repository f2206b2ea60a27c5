"""``python -m bench.relay PORT RATE:DELAY...``: lines before a port, each as bad as it is told.

A process of its own, so that it takes no time from those who speak over it. RATE is in bytes a
second in each direction, 0 for as fast as it goes; DELAY in milliseconds there and back. It prints
the ports that it listens on as a JSON list; then, for each line on its standard input, what each
of them has carried; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_ADDRESS = "127.0.0.1"
UP, DOWN = "up", "down"
#: Bytes of the smallest piece that is carried, about a packet, and of the largest.
_PACKET, _LARGEST = 1448, 256 * 1024
#: Seconds of the line's time that a piece takes at most.
_PIECE_SECONDS = 0.001
#: Bytes that a sender may have lying before the line, which it believes to have arrived.
_BEFORE = 64 * 1024
#: A wait that is shorter, in seconds, is not worth it.
_SOON = 0.0005


@dataclass(slots=True, kw_only=True)
class Line:
    """One port, its limits, and what went over it.

    Attributes
    ----------
    rate, delay
        Bytes a second in each direction, 0 for no limit; seconds in one direction.
    carried
        Bytes by direction.
    turns
        How often the client spoke after the server had: as many round trips it took at most.
    """

    rate: float
    delay: float
    carried: dict[str, int] = field(default_factory=lambda: {UP: 0, DOWN: 0})
    turns: int = 0
    _free: dict[str, float] = field(default_factory=lambda: {UP: 0.0, DOWN: 0.0})
    _last: str = DOWN

    @property
    def piece(self) -> int:
        """Bytes that are carried in one piece at most."""
        wanted = int(self.rate * _PIECE_SECONDS) or _LARGEST
        return max(_PACKET, min(_LARGEST, wanted))

    def take(self, direction: str, size: int, now: float, *, busy: bool) -> float:
        """Note bytes; return when the line has taken them.

        Parameters
        ----------
        busy
            Whether they lay there when the bytes before were taken, so that no time was lost
            between the two, however late we come to it.
        """
        self.carried[direction] += size
        self.turns += (direction, self._last) == (UP, DOWN)
        self._last = direction
        spent = size / self.rate if self.rate else 0.0
        begun = self._free[direction] if busy else max(now, self._free[direction])
        self._free[direction] = begun + spent
        return self._free[direction]


class Counters:
    """A relay that runs, and what its lines carried.

    Parameters
    ----------
    process
        The relay.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ports: list[int] = self._answer()

    def turns(self, line: int = 0) -> int:
        """Return how often the client of a line spoke after the server had."""
        return int(self._asked()[line]["turns"])

    def carried(self, line: int = 0) -> int:
        """Return the bytes that went over a line, both ways together."""
        return sum(self._asked()[line][way] for way in (UP, DOWN))

    def _asked(self) -> list[dict[str, int]]:
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        answer: list[dict[str, int]] = self._answer()
        return answer

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def relay(port: int, lines: Sequence[tuple[float, float]]) -> Iterator[Counters]:
    """Start a relay before a port.

    Parameters
    ----------
    lines
        Bytes a second and milliseconds there and back, of each line.
    """
    words = [f"{rate:g}:{delay:g}" for rate, delay in lines]
    command = [sys.executable, "-m", __name__, str(port), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Counters(process)
        assert process.stdin is not None
        process.stdin.close()


async def _serve(port: int, lines: Sequence[Line]) -> None:
    loop = asyncio.get_running_loop()
    servers = [_listening(line) for line in lines]
    print(json.dumps([server.getsockname()[1] for server in servers]), flush=True)
    tasks: set[asyncio.Task[None]] = set()

    def begin(work: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def accept(server: socket.socket, line: Line) -> None:
        while True:
            client, _ = await loop.sock_accept(server)
            begin(_connection(client, port, line))

    for server, line in zip(servers, lines, strict=True):
        begin(accept(server, line))
    while await loop.run_in_executor(None, sys.stdin.readline):
        counts = [{**line.carried, "turns": line.turns} for line in lines]
        print(json.dumps(counts), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _listening(line: Line) -> socket.socket:
    server = socket.socket()
    # What lies here has been sent, for whoever sent it: of a slow line, that must not be much.
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, max(_BEFORE, 4 * line.piece))
    server.bind((_ADDRESS, 0))
    server.listen(64)
    server.setblocking(False)
    return server


async def _connection(client: socket.socket, port: int, line: Line) -> None:
    loop = asyncio.get_running_loop()
    with client, socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, max(_BEFORE, 4 * line.piece))
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await loop.sock_connect(server, (_ADDRESS, port))
            async with asyncio.TaskGroup() as group:
                for source, target, way in ((client, server, UP), (server, client, DOWN)):
                    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
                    group.create_task(_take(source, queue, line, way))
                    group.create_task(_give(target, queue))
        except* OSError:
            pass  # one end is gone, and the other is told by closing both


async def _take(
    source: socket.socket, queue: asyncio.Queue[tuple[float, bytes]], line: Line, way: str
) -> None:
    loop = asyncio.get_running_loop()
    asked = loop.time()
    while data := await loop.sock_recv(source, line.piece):
        now = loop.time()
        # What lies there is read without going round the loop.
        taken = line.take(way, len(data), now, busy=line.rate > 0 and now - asked < _SOON / 2)
        queue.put_nowait((taken + line.delay, data))
        # What the line has not taken stays with its sender.
        await _until(taken)
        asked = loop.time()
    queue.put_nowait((loop.time() + line.delay, b""))


async def _give(target: socket.socket, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await queue.get()
        await _until(due)
        if not data:
            break
        await loop.sock_sendall(target, data)
    target.shutdown(socket.SHUT_WR)


async def _until(due: float) -> None:
    left = due - asyncio.get_running_loop().time()
    if left > _SOON:
        await asyncio.sleep(left)


def main(words: Sequence[str]) -> None:
    """Be a relay until standard input ends."""
    lines = []
    for word in words[1:]:
        rate, delay = word.split(":")
        lines.append(Line(rate=float(rate), delay=float(delay) / 2000))
    # select, since epoll waits in whole milliseconds.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(_serve(int(words[0]), lines))


if __name__ == "__main__":
    main(sys.argv[1:])
