"""The plain opcodes of a pickle: its bytes, its stack, its numbers, its constants.

Lengths are compared with what has come before memory is taken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from .placeholders import Draft, Memory


class Unreadable(Exception):
    """A stream is not one that our pickler writes, or is over a limit. Nothing more is read."""


class Opcodes:
    """A stream's bytes, and the stack and the numbers that they work on.

    Parameters
    ----------
    stream, buffers
        What the host sent.
    seeds
        What the stream's first numbers mean.
    """

    def __init__(
        self,
        stream: bytes | bytearray | memoryview,
        buffers: Iterable[Any] = (),
        seeds: Sequence[object] = (),
    ) -> None:
        self._data = memoryview(stream).cast("B") if len(stream) else memoryview(b"")
        self._at = 0
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        self._buffers = iter(views)
        #: Bytes that came beside the stream.
        self.beside = sum(len(view) for view in views)
        self._memo: list[object] = list(seeds)
        self._stack: list[Any] = []
        self._marks: list[int] = []

    def at_end(self) -> bool:
        """Say whether the whole stream was read."""
        return self._at >= len(self._data)

    def table(self) -> list[object]:
        """Every object that was numbered, in the order of the numbers."""
        return list(self._memo)

    # The stream and the stack.

    def _take(self, size: int) -> memoryview:
        end = self._at + size
        if end > len(self._data):
            raise Unreadable("it is cut")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise Unreadable("it takes more than it has put down")
        return self._stack.pop()

    def _items(self) -> list[Any]:
        if not self._marks:
            raise Unreadable("it closes what it has not opened")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    # Framing and memory.

    def _proto(self) -> None:
        if self._number(1) > 5:
            raise Unreadable("it is of a later protocol")

    def _frame(self) -> None:
        self._take(8)

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _drop(self) -> None:
        self._pop()

    def _drop_mark(self) -> None:
        self._items()

    def _memoize(self) -> None:
        if not self._stack:
            raise Unreadable("it takes more than it has put down")
        value = self._stack[-1]
        if type(value) is Draft:
            value.numbers.append(len(self._memo))
        self._memo.append(value)

    def _recall(self, size: int) -> None:
        number = self._number(size)
        if number >= len(self._memo):
            raise Unreadable("it names what it has not sent")
        self._push(self._memo[number])

    def _binget(self) -> None:
        self._recall(1)

    def _long_binget(self) -> None:
        self._recall(4)

    # Constants.

    def _none(self) -> None:
        self._push(None)

    def _true(self) -> None:
        self._push(True)

    def _false(self) -> None:
        self._push(False)

    def _int1(self) -> None:
        self._push(self._number(1))

    def _int2(self) -> None:
        self._push(self._number(2))

    def _int4(self) -> None:
        self._push(int.from_bytes(self._take(4), "little", signed=True))

    def _long(self, size: int) -> None:
        self._push(int.from_bytes(self._take(self._number(size)), "little", signed=True))

    def _long1(self) -> None:
        self._long(1)

    def _long4(self) -> None:
        self._long(4)

    def _float(self) -> None:
        self._push(struct.unpack(">d", self._take(8))[0])

    def _text(self, size: int) -> None:
        try:
            self._push(str(self._take(self._number(size)), "utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise Unreadable("a text in it is not UTF-8") from None

    def _text1(self) -> None:
        self._text(1)

    def _text4(self) -> None:
        self._text(4)

    def _text8(self) -> None:
        self._text(8)

    def _bytes1(self) -> None:
        self._push(bytes(self._take(self._number(1))))

    def _bytes4(self) -> None:
        self._push(bytes(self._take(self._number(4))))

    def _bytes8(self) -> None:
        self._push(bytes(self._take(self._number(8))))

    def _bytearray8(self) -> None:
        self._push(bytearray(self._take(self._number(8))))

    def _buffer(self) -> None:
        view = next(self._buffers, None)
        if view is None:
            raise Unreadable("it names a buffer that did not come")
        self._push(Memory(view))

    def _read_only(self) -> None:
        value = self._pop()
        self._push(Memory(value.view.toreadonly()) if isinstance(value, Memory) else value)
