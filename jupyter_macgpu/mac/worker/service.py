"""The worker's main loop: takes what the supervisor asks, one thing at a time, in order."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING

from ...wire import messages as m

if TYPE_CHECKING:
    import socket

    from .comms import Comms
    from .execute import Executor
    from .link import Link
    from .operate import Operator


class Service:
    """Serves the supervisor on the main thread.

    The loop is the user's as well: tasks that a cell started go on between the cells.

    Parameters
    ----------
    link
        Where requests arrive.
    executor, operator, comms
        Do them.
    """

    def __init__(self, link: Link, executor: Executor, operator: Operator, comms: Comms) -> None:
        self._link = link
        self._executor = executor
        self._operator = operator
        self._comms = comms
        self._loop = asyncio.new_event_loop()
        self._main = threading.get_ident()
        # Cells share one context: what a cell sets in `decimal`'s or numpy's holds in the next.
        self._context = contextvars.copy_context()
        self._watched: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._leaving = False

    def run(self) -> None:
        """Serve until told to leave."""
        asyncio.set_event_loop(self._loop)
        self._link.arrived = self._arrived
        self._arrived()
        while not self._leaving:
            try:
                self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                # A task that a cell left behind wants to end the process. It does not.
                continue

    def leave(self) -> None:
        """Have `run` return, after what is being done. For all threads."""
        self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._leaving = True
        self._loop.stop()

    def _arrived(self) -> None:
        if threading.get_ident() == self._main:
            self._loop.call_soon(self._look)
        else:
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        """Watch the supervisor that there is, and begin what it asks."""
        for old in self._link.retired():
            self._loop.remove_reader(old)
            old.close()
        supervisor = self._link.supervisor
        if supervisor is not self._watched:
            self._watched = supervisor
            if supervisor is not None:
                self._loop.add_reader(supervisor, self._read)
        if self._task is None and (message := self._link.take()) is not None:
            self._task = self._loop.create_task(self._do(message), context=self._context)
            self._task.add_done_callback(self._done)

    def _read(self) -> None:
        """Take what the supervisor said, and begin it in this turn of the loop."""
        self._link.pump(tell=False)
        self._look()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # looked at; it was told where it was raised
        self._look()

    async def _do(self, message: m.Message) -> None:
        if isinstance(message, m.Execute):
            try:
                await self._executor.run(message)
            finally:
                self._link.run = ""
            if self._executor.vigil.lost:
                self._leave()
        elif isinstance(message, m.Operate):
            self._link.put(self._operator.do(message))
            self._link.flush()
        elif isinstance(message, m.Comm):
            self._comms.heard(message)
        elif isinstance(message, m.Goodbye):
            self._leave()
