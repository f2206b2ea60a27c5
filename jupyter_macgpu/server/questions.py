"""Questions to hosts, which take their time, asked beside the server's own thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Questions:
    """Asks, each in a thread that ends with the process: a host that hangs keeps no server alive.

    Its methods are for the server's own thread.

    Parameters
    ----------
    most
        How many are asked at the same time; others wait for these.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._slots: asyncio.Semaphore | None = None

    async def ask(self, act: Callable[[], Any]) -> Any:
        """Do what takes time, and return what it returns; what it raises is raised."""
        if self._slots is None:
            self._slots = asyncio.Semaphore(self._most)
        async with self._slots:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[Any] = loop.create_future()
            work = (act, loop, answer)
            threading.Thread(target=_do, args=work, name="macgpu-question", daemon=True).start()
            return await answer


def _do(
    act: Callable[[], Any], loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any]
) -> None:
    try:
        result, error = act(), None
    except Exception as raised:  # whatever it is, it is raised where the answer is awaited
        result, error = None, raised
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(_told, answer, result, error)


def _told(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.cancelled():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
