"""What cannot travel, known by type before anything is sent."""

from __future__ import annotations

import contextvars
import io
import sys
import types

_THREADING = ("_thread", "threading")
_REASONS: dict[type, str] = {
    types.GeneratorType: "a generator is a paused computation of this process",
    types.CoroutineType: "a coroutine is a paused computation of this process",
    types.AsyncGeneratorType: "an async generator is a paused computation of this process",
    types.FrameType: "a frame belongs to this process",
    types.TracebackType: "a traceback belongs to this process",
    contextvars.ContextVar: "a context variable belongs to this process",
    contextvars.Context: "a context belongs to this process",
    contextvars.Token: "a context token belongs to this process",
}
#: By module and name, so that nothing is imported to know it.
_BY_NAME = {
    ("socket", "socket"): "a socket is open in this process only",
    ("subprocess", "Popen"): "the process runs on this machine only",
    ("sqlite3", "Connection"): "a database connection is open in this process only",
    ("sqlite3", "Cursor"): "a database cursor is open in this process only",
    ("mmap", "mmap"): "a memory map belongs to this process",
    ("concurrent.futures.thread", "ThreadPoolExecutor"): "its threads live in this process",
    ("concurrent.futures.process", "ProcessPoolExecutor"): "its processes run on this machine",
    ("multiprocessing.pool", "Pool"): "its processes run on this machine",
    ("asyncio.events", "AbstractEventLoop"): "an event loop belongs to this process",
    ("_asyncio", "Task"): "a task belongs to the event loop of this process",
    ("_asyncio", "Future"): "a future belongs to the event loop of this process",
    ("concurrent.futures._base", "Future"): "a future belongs to this process",
    ("queue", "Queue"): "a queue is shared by the threads of this process",
    ("_queue", "SimpleQueue"): "a queue is shared by the threads of this process",
    ("ipywidgets.widgets.widget", "Widget"): "a widget lives in the process that made it",
    ("comm.base_comm", "BaseComm"): "a comm belongs to this process",
    ("tempfile", "_TemporaryFileWrapper"): "an open file belongs to this process",
    ("tempfile", "TemporaryDirectory"): "a temporary directory lies on this machine",
}


class Unshippable(Exception):
    """One object that cannot travel, found while pickling.

    Attributes
    ----------
    obj
        The object itself, so that the caller can say where in a value it hangs.
    reason
        Why not, in words for the user.
    """

    def __init__(self, obj: object, reason: str) -> None:
        super().__init__(type_name(type(obj)), reason)
        self.obj = obj
        self.reason = reason


def refusal(cls: type) -> str | None:
    """Say why no object of `cls` can travel, or None."""
    for base in cls.__mro__:
        if base in _REASONS:
            return _REASONS[base]
        named = _BY_NAME.get((base.__module__, base.__qualname__))
        if named is not None:
            return named
        if base.__module__ in _THREADING and base.__name__ not in ("_local", "local", "object"):
            return "locks and threads belong to this process"
    if issubclass(cls, io.IOBase) and not issubclass(cls, (io.BytesIO, io.StringIO)):
        return "an open file belongs to this process"
    return None


def type_name(cls: type) -> str:
    """Name a type as users write it."""
    module = cls.__module__
    plain = module in ("builtins", "__main__") or module not in sys.modules
    return cls.__qualname__ if plain else f"{module}.{cls.__qualname__}"
