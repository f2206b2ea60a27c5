"""Connections: both ends at once, every cut of the bytes, and the legal order as a table."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_macgpu.wire import codec
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import MAX_NOISE, PREAMBLE, SAYS, Connection
from jupyter_macgpu.wire.errors import LocalProtocolError, RemoteProtocolError

RUN = "0" * 32
CLIENT = m.Hello(role="client")
SUPERVISOR = m.Hello(role="supervisor")
KNOWN = m.RunState(run=RUN, epoch=1, state="started", offset=0)


def output(start: int, end: int) -> m.Output:
    return m.Output(run=RUN, start=start, end=end, what="stream")


def end(offset: int) -> m.End:
    return m.End(run=RUN, epoch=1, state="ok", offset=offset, digest="")


class ConnectionPair:
    """Two ends that hear each other."""

    def __init__(self, near: str = "client", far: str = "supervisor") -> None:
        self.ends = {near: Connection(near, far), far: Connection(far, near)}

    def say(self, role: str, message: m.Message) -> m.Message | None:
        """Have one end say something; return what the other end hears."""
        (other,) = [end for name, end in self.ends.items() if name != role]
        other.receive(self.ends[role].send(message))
        return other.next()


def heard(connection: Connection) -> list[m.Message]:
    found = []
    while (message := connection.next()) is not None:
        found.append(message)
    return found


@pytest.fixture
def greeted() -> ConnectionPair:
    pair = ConnectionPair()
    pair.say("client", CLIENT)
    pair.say("supervisor", SUPERVISOR)
    return pair


def test_a_frame_is_known_while_its_message_is_new_and_says_the_same_again(
    greeted: ConnectionPair,
) -> None:
    client, supervisor = greeted.ends["client"], greeted.ends["supervisor"]
    said = client.send(m.Ping(number=1)) + client.send(m.Collected(run=RUN))
    supervisor.receive(said)
    frames = []
    while supervisor.next() is not None:
        frames.append(supervisor.frame)
    assert (b"".join(frames), supervisor.frame) == (said, b"")
    assert supervisor.send(m.Pong(number=1), codec.encode(m.Pong(number=1))) == codec.encode(
        m.Pong(number=1)
    )


def test_both_sides_say_hello_and_talk(greeted: ConnectionPair) -> None:
    assert greeted.say("client", m.Ping(number=3)) == m.Ping(number=3)
    assert greeted.say("supervisor", m.Pong(number=3)) == m.Pong(number=3)
    for connection in greeted.ends.values():
        assert (connection.our_state, connection.their_state) == ("open", "open")


def test_every_cut_of_the_bytes_gives_the_same_messages() -> None:
    ours = Connection("client", "supervisor")
    attach = m.Attach(run=RUN, offset=5)
    data = ours.send(CLIENT) + ours.send(attach)
    for cut in range(len(data) + 1):
        theirs = Connection("supervisor", "client")
        found = []
        for part in (data[:cut], data[cut:]):
            theirs.receive(part)
            found += heard(theirs)
        assert found == [CLIENT, attach]


def test_byte_by_byte_is_the_same_too() -> None:
    ours, theirs = Connection("client", "supervisor"), Connection("supervisor", "client")
    found = []
    for byte in ours.send(CLIENT) + ours.send(m.Ping(number=1)):
        theirs.receive(bytes([byte]))
        found += heard(theirs)
    assert found == [CLIENT, m.Ping(number=1)]


@pytest.mark.parametrize(
    "noise",
    [b"", b"motd\r\n", PREAMBLE[:-1], PREAMBLE[:3] * 3, bytes(1000), b"x" * MAX_NOISE],
    ids=["none", "motd", "almost", "beginnings", "zeros", "longest"],
)
def test_noise_before_the_preamble_is_skipped(noise: bytes) -> None:
    data = noise + Connection("client", "supervisor").send(CLIENT)
    for step in (1, 7, len(data)):
        theirs = Connection("supervisor", "client")
        for at in range(0, len(data), step if len(noise) < 2000 else len(data)):
            theirs.receive(data[at : at + step] if len(noise) < 2000 else data)
        assert heard(theirs) == [CLIENT]


def test_noise_without_an_end_is_refused_and_quoted() -> None:
    theirs = Connection("supervisor", "client")
    with pytest.raises(RemoteProtocolError, match="zsh: command not found"):
        theirs.receive(b"zsh: command not found\n" * (MAX_NOISE // 10))


#: Who says what, after which messages of that side: none of it is legal.
WRONG: dict[str, tuple[str, list[m.Message], m.Message]] = {
    "a message before hello": ("client", [], m.Ping(number=1)),
    "hello twice": ("client", [CLIENT], CLIENT),
    "a message after goodbye": ("client", [CLIENT, m.Goodbye()], m.Ping(number=1)),
    "goodbye twice": ("client", [m.Goodbye()], m.Goodbye()),
    "a client's output": ("client", [CLIENT], output(0, 1)),
    "a client's order to execute": ("client", [CLIENT], m.Execute(run=RUN, epoch=1)),
    "a supervisor that watches": ("supervisor", [SUPERVISOR], m.Watch()),
    "a client's telemetry": ("client", [CLIENT], m.Telemetry()),
    "a supervisor's submission": (
        "supervisor",
        [SUPERVISOR],
        m.Submit(run=RUN, epoch=1, session="", size=0, digest=""),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_order_is_refused_at_both_ends(name: str) -> None:
    role, before, wrong = WRONG[name]
    pair = ConnectionPair()
    for message in before:
        pair.say(role, message)
    with pytest.raises(LocalProtocolError):
        pair.ends[role].send(wrong)
    (other,) = [end for name, end in pair.ends.items() if name != role]
    other.receive(b"" if before else PREAMBLE)
    other.receive(codec.encode(wrong))
    with pytest.raises(RemoteProtocolError):
        other.next()


#: What a supervisor says of one run, and whether a client takes the last of it.
RUN_ORDERS: dict[str, tuple[list[m.Message], bool]] = {
    "output of an unknown run": ([output(0, 1)], False),
    "an end of an unknown run": ([end(0)], False),
    "output that begins right": ([KNOWN, output(0, 5)], True),
    "output that leaves a gap": ([KNOWN, output(1, 5)], False),
    "output that comes twice": ([KNOWN, output(0, 5), output(0, 5)], False),
    "output of nothing": ([KNOWN, output(0, 0)], False),
    "output that goes on": ([KNOWN, output(0, 5), output(5, 6)], True),
    "an end where output ended": ([KNOWN, output(0, 5), end(5)], True),
    "an end too early": ([KNOWN, output(0, 5), end(4)], False),
    "an end too late": ([KNOWN, output(0, 5), end(6)], False),
    "output after the end": ([KNOWN, end(0), output(0, 5)], False),
    "a second end": ([KNOWN, end(0), end(0)], False),
    "a state between outputs": (
        [KNOWN, output(0, 5), m.RunState(run=RUN, epoch=2, state="started"), output(5, 6)],
        True,
    ),
    "an attachment at an offset": (
        [m.RunState(run=RUN, epoch=2, state="started", offset=9), end(9)],
        True,
    ),
    "a second attachment": ([KNOWN, output(0, 5), end(5), KNOWN, output(0, 5), end(5)], True),
}


@pytest.mark.parametrize("name", RUN_ORDERS)
def test_the_order_of_what_is_said_of_a_run(name: str, greeted: ConnectionPair) -> None:
    messages, legal = RUN_ORDERS[name]
    for message in messages[:-1]:
        greeted.say("supervisor", message)
    if legal:
        assert greeted.say("supervisor", messages[-1]) == messages[-1]
    else:
        with pytest.raises(RemoteProtocolError):
            greeted.say("supervisor", messages[-1])


def test_every_message_may_be_said_by_somebody() -> None:
    said: set[Any] = set().union(*SAYS.values())
    assert said == set(m.MESSAGES)
