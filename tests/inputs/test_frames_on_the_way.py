"""D13 to D20: what a client may say wrongly, to a real supervisor through a real door."""

from __future__ import annotations

import json
import secrets
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.transport.sockets import SocketChannel
from jupyter_macgpu.wire import codec, frames
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import MAX_NOISE, PREAMBLE
from jupyter_macgpu.wire.errors import ConnectionLost
from tests.unit.caller import Caller

RUN = "0" * 32
#: Seconds that a supervisor may take to hang up, on a busy machine.
PATIENCE = 60.0
GREETING = PREAMBLE + codec.encode(m.Hello(role="client", client="c" * 8, notebook="n"))


def frame(head: bytes, body: bytes = b"", wrong: int = 0) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(head)) ^ wrong
    return struct.pack("!III", len(head), len(body), checksum) + head + body


def lengths(head: int, body: int) -> bytes:
    return struct.pack("!II", head & 0xFFFFFFFF, body & 0xFFFFFFFF) + bytes(4) + b"{}" + bytes(100)


def ping(**more: object) -> bytes:
    return json.dumps({"kind": "ping", "number": 1, **more}).encode()


SIZES = [0, 1, frames.MAX_HEAD + 1, 2**31 - 1, 2**31, 2**32 - 1, -1]
#: What a client says after its hello, and is hung up on for.
WRONG: dict[str, bytes] = {
    **{f"D13 a head of {size}": lengths(size, 0) for size in SIZES},
    **{
        f"D13 a body of {size}": lengths(2, size)
        for size in (frames.MAX_BODY + 1, 2**31, 2**32 - 1)
    },
    "D14 a kind that is none": frame(b'{"kind":"explode"}'),
    "D14 a kind that is no text": frame(b'{"kind":7}'),
    "D14 no kind": frame(b"{}"),
    "D14 what a supervisor says": codec.encode(m.RunState(run=RUN, epoch=1, state="ok", offset=0)),
    "D14 what a worker says": codec.encode(m.Event(run=RUN, mark=1, what="stream")),
    "D14 a second hello": codec.encode(m.Hello(role="client")),
    "D15 keys twice": frame(b'{"kind":"ping","number":1,"number":2}'),
    "D15 deep": frame(ping()[:-1] + b',"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    "D15 not a number": frame(b'{"kind":"ping","number":NaN}'),
    "D15 an endless number": frame(b'{"kind":"ping","number":1e999}'),
    "D15 a long number": frame(b'{"kind":"ping","number":' + b"9" * 5000 + b"}"),
    "D15 no UTF-8": frame(b'{"kind":"ping","number":1,"x":"\xff"}'),
    "D15 a list": frame(b"[1]"),
    "D15 two objects": frame(b"{}{}"),
    "D15 text for a number": frame(b'{"kind":"ping","number":"1"}'),
    "D15 true for a number": frame(b'{"kind":"ping","number":true}'),
    "D15 nothing for a number": frame(b'{"kind":"ping"}'),
    "D15 sizes that are negative": frame(ping(sizes=[-1, 1])),
    "D15 sizes that do not add up": frame(ping(sizes=[5]), b"abc"),
    "D15 too many sizes": frame(ping(sizes=[0] * 2000)),
    "D16 a checksum that is wrong": frame(ping(), wrong=1),
    "D16 a checksum that is missing": frame(ping(), wrong=zlib.crc32(ping())),
}


@pytest.fixture
def caller(state: Path) -> Iterator[Caller]:
    with Caller() as caller:
        yield caller


def said(data: bytes, *, greeted: bool = True) -> bytes:
    """Say something on a channel of one's own; return what was answered until it is hung up."""
    channel = LocalTransport().open()
    try:
        if greeted:
            channel.send(GREETING)
            assert PREAMBLE in channel.receive(PATIENCE) or b""
        return heard_after(channel, data)
    finally:
        channel.close()


def heard_after(channel: SocketChannel, data: bytes) -> bytes:
    heard = b""
    until = time.monotonic() + PATIENCE
    try:
        channel.send(data)
        while time.monotonic() < until:
            heard += channel.receive(1.0) or b""
    except ConnectionLost:
        return heard
    raise AssertionError(f"it was not hung up on; it heard {heard[:200]!r}")


def still_serves(caller: Caller) -> None:
    """See that whoever else is connected has noticed nothing."""
    caller.say(m.Ping(number=7))
    assert caller.listen(m.Pong).number == 7
    caller.say(m.ListRuns())
    assert json.loads(bytes(caller.listen(m.Runs).buffers[0])) == []


def test_d13_to_d16_what_is_no_frame_ends_its_connection_and_no_other(caller: Caller) -> None:
    before = psutil.Process(caller.supervisor).memory_info().rss
    for name, data in WRONG.items():
        assert b'"kind":"run-state"' not in said(data), name
        still_serves(caller)
    assert psutil.Process(caller.supervisor).memory_info().rss < before + 2 * frames.MAX_BODY


def test_d14_before_its_hello_a_client_may_say_nothing(caller: Caller) -> None:
    said(PREAMBLE + frame(ping()), greeted=False)
    said(b"GET / HTTP/1.1\r\n" * (MAX_NOISE // 8), greeted=False)
    still_serves(caller)


def test_d14_fields_of_a_later_version_are_passed_over(caller: Caller) -> None:
    channel = LocalTransport().open()
    channel.send(GREETING + frame(ping(later={"a": [1]})))
    heard = b""
    while b'"pong"' not in heard:
        heard += channel.receive(PATIENCE) or b""
    channel.close()


def submit(**changed: object) -> m.Submit:
    fields = {
        "run": secrets.token_hex(16),
        "epoch": 1,
        "session": "5" * 32,
        "size": 3,
        "digest": "d",
    }
    return m.Submit(**{**fields, **changed})  # type: ignore[arg-type]


#: Submissions that no notebook of ours makes.
SUBMISSIONS = {
    "an id that climbs": submit(run="../../../../etc/passwd"),
    "an id in capitals": submit(run="A" * 32),
    "an id that is short": submit(run="a" * 31),
    "an id that is long": submit(run="a" * 33),
    "an id of other digits": submit(run="\u0661" * 32),
    "a session that climbs": submit(session="../" * 10 + "aa"),
    "a size below nothing": submit(size=-1),
    "a size beyond all disks": submit(size=2**63),
    "other inputs than were announced": submit(buffers=(b"abc",)),
    "a python that is a number": submit(environment={"python": 5}),
    "a timeout that is text": submit(options={"timeout": "soon"}, buffers=(b"abc",)),
    "a timeout below nothing": submit(options={"timeout": -1}, buffers=(b"abc",)),
    "memory that is text": submit(options={"mem": "much"}, buffers=(b"abc",)),
    "a name that is a list": submit(options={"name": ["x"]}, buffers=(b"abc",)),
}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_d16_a_submission_that_is_none_is_refused(caller: Caller, state: Path, name: str) -> None:
    caller.say(SUBMISSIONS[name])
    refused = caller.listen(m.Refused)
    assert refused.about == "submit"
    assert refused.text
    still_serves(caller)
    assert [path for path in state.rglob("*.journal") if path.stat().st_size] == []


ANSWERED = {
    "attach": m.Attach(run=RUN),
    "attach far beyond": m.Attach(run=RUN, offset=2**63),
    "attach before the beginning": m.Attach(run=RUN, offset=-1),
    "remove": m.Remove(run=RUN),
    "fetch": m.Fetch(stream="s", subject="../../etc/passwd", what="result"),
    "fetch what is none": m.Fetch(stream="s", subject=RUN, what="../inputs"),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_d17_and_d20_a_run_that_nobody_knows_is_refused(caller: Caller, name: str) -> None:
    caller.say(ANSWERED[name])
    assert caller.listen(m.Refused).text
    still_serves(caller)


def test_d17_what_belongs_to_no_run_is_passed_over(caller: Caller) -> None:
    for message in (
        m.Ack(run=RUN, offset=2**63),
        m.Ack(run=RUN, offset=-5),
        m.Credit(stream="../x", offset=-1),
        m.Collected(run=RUN),
        m.Cancel(run=RUN, epoch=1, how="kill"),
        m.Cancel(run=RUN, epoch=1, how="../kill"),
        m.InputReply(run=RUN, epoch=9, text="x"),
        m.Part(stream="in:" + RUN, offset=0, total=5, buffers=(b"12",)),
        m.Part(stream="in:../../x", offset=2**63, total=-1, buffers=(b"12",)),
    ):
        caller.say(message)
    caller.say(m.Ping(number=1))
    caller.listen(m.Pong)


#: Parts of inputs of six bytes that have something wrong about them.
PARTS = {
    "beyond the end": [(0, b"1234567")],
    "far away": [(2**62, b"1")],
    "other bytes": [(0, b"abcdef")],
}


@pytest.mark.parametrize("name", PARTS)
def test_d17_inputs_that_do_not_join_never_run(caller: Caller, state: Path, name: str) -> None:
    message = submit(size=6, digest="0" * 64)
    caller.say(message)
    caller.reaches("receiving")
    for offset, data in PARTS[name]:
        caller.say(m.Part(stream="in:" + message.run, offset=offset, total=6, buffers=(data,)))
    while caller.listen(m.Refused).about != "submit":
        pass
    with Caller() as other:
        still_serves(other)
    assert list(state.rglob("*.inputs*")) == []


def test_d18_many_small_frames_and_one_that_never_ends(caller: Caller) -> None:
    before = psutil.Process(caller.supervisor).memory_info().rss
    slow = LocalTransport().open()
    slow.send(GREETING)
    slow.receive(PATIENCE)
    slow.send(struct.pack("!III", 2, frames.MAX_BODY, 0))
    with Caller() as other:
        for _ in range(50):
            other.say(m.Ping(number=1))
        flood = LocalTransport().open()
        flood.send(GREETING + frame(b'{"kind":"collected","run":"' + RUN.encode() + b'"}') * 50_000)
        caller.say(m.Ping(number=3))
        while caller.listen(m.Pong).number != 3:
            pass
        flood.close()
    slow.close()
    assert psutil.Process(caller.supervisor).memory_info().rss < before + 2 * frames.MAX_BODY


def test_d19_nothing_is_decompressed(caller: Caller) -> None:
    said(frame(zlib.compress(b"{}" * 10_000_000)[: frames.MAX_HEAD]))
    still_serves(caller)
