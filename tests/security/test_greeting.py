"""What a host says of itself in its greeting, as our own lines show it."""

from __future__ import annotations

import socket

from jupyter_macgpu.link import Link
from jupyter_macgpu.transport.memory import MemoryTransport
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import Connection

HOSTILE = "mac\x1b]0;owned\x07 \x1b[2J\u202estudio\r\nmore"


def test_a_greeting_holds_no_character_that_acts() -> None:
    ends: list[socket.socket] = []

    def serve(far: socket.socket) -> None:
        ends.append(far)
        detail = {"host": HOSTILE, "devices": [HOSTILE, "cpu"], "slots": {"gpu": 1, HOSTILE: 2}}
        hello = m.Hello(role="supervisor", version=HOSTILE, python=HOSTILE, detail=detail)
        far.sendall(Connection("supervisor", "client").send(hello))

    link = Link(MemoryTransport(serve), "c" * 32, "n")
    try:
        hello = link.connect()
    finally:
        link.drop()
        for end in ends:
            end.close()
    shown = "mac studio more"
    assert (hello.version, hello.python, hello.detail["host"]) == (shown, shown, shown)
    assert hello.detail["devices"] == [shown, "cpu"]
    assert hello.detail["slots"] == {"gpu": 1, shown: 2}
