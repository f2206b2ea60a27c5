"""One end of a connection, without the connection: bytes in, messages out, and the legal order.

Both ends are this one class. `send` turns a message into bytes and raises `LocalProtocolError` if
this side may not say it now; `receive` takes bytes in any cut, `next` gives the messages and raises
`RemoteProtocolError` if the peer may not say them. After a protocol error the connection is over:
it is opened again, and each run is taken up at its last good offset.

Each side begins with a preamble. Whatever a shell prints before it is skipped, up to a limit.
"""

from __future__ import annotations

from . import codec, frames, messages
from .errors import LocalProtocolError, RemoteProtocolError
from .messages import Message

PREAMBLE = b"\x00macgpu-protocol-1\n"
#: How much noise may stand before the preamble, in bytes.
MAX_NOISE = 64 * 1024

_BOTH = {"hello", "ping", "pong", "goodbye"}
_BULK = {"part", "credit"}
#: Who may say what to whom.
SAYS: dict[tuple[str, str], set[str]] = {
    ("client", "supervisor"): _BOTH
    | _BULK
    | {
        "submit",
        "attach",
        "ack",
        "cancel",
        "collected",
        "fetch",
        "input-reply",
        "list-runs",
        "operate",
        "remove",
        "reserve",
        "release",
        "comm",
        "watch",
        "detach",
        "withdraw",
        "proceed",
        "prioritise",
    },
    ("supervisor", "client"): _BOTH
    | _BULK
    | {
        "refused",
        "run-state",
        "output",
        "end",
        "runs",
        "run-news",
        "operated",
        "removed",
        "reserved",
        "comm",
        "telemetry",
        "withdrawn",
        "missing",
    },
    ("supervisor", "worker"): _BOTH | {"execute", "input-reply", "operate", "noted", "comm"},
    ("worker", "supervisor"): _BOTH | {"event", "operated", "comm"},
}
#: The order on a connection: state -> (message -> next state). A kind that is not listed
#: keeps the state if `SAYS` has it.
ORDER: dict[str, dict[str, str]] = {
    "new": {"hello": "open", "goodbye": "closed"},
    "open": {"hello": "error", "goodbye": "closed"},
    "closed": {},
}
#: The order of what a supervisor says of one run on one connection.
RUN_ORDER: dict[str, dict[str, str]] = {
    "unknown": {"reserved": "unknown", "run-state": "known"},
    "known": {"run-state": "known", "output": "known", "end": "ended"},
    "ended": {"run-state": "known"},
}
_OF_A_RUN = (messages.Reserved, messages.RunState, messages.Output, messages.End)


class Connection:
    """One side of a conversation.

    Not shared between threads.

    Parameters
    ----------
    our_role, their_role
        ``client``, ``supervisor`` or ``worker``.
    """

    def __init__(self, our_role: str, their_role: str) -> None:
        self.our_role = our_role
        self.their_role = their_role
        self.our_state = "new"
        self.their_state = "new"
        self._we_say = SAYS[our_role, their_role]
        self._they_say = SAYS[their_role, our_role]
        self._reader = frames.FrameReader()
        self._noise: bytearray | None = bytearray()
        self._runs: dict[str, tuple[str, int]] = {}

    @property
    def frame(self) -> bytes:
        """The bytes that brought the message which `next` just returned."""
        return self._reader.last

    def send(self, message: Message, frame: bytes = b"") -> bytes:
        """Return the bytes that say `message`.

        Parameters
        ----------
        frame
            Its bytes, where they are known: what a journal holds need not be encoded again.

        Raises
        ------
        LocalProtocolError
            If this side may not say it now.
        """
        after = _step(self.our_state, message.kind, self._we_say)
        if after is None:
            raise LocalProtocolError(f"{self.our_role} in {self.our_state} says {message.kind}")
        data = frame or codec.encode(message)
        if self.our_state == "new":
            data = PREAMBLE + data
        self.our_state = after
        return data

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes as they were read from the peer.

        Raises
        ------
        RemoteProtocolError
            If more than `MAX_NOISE` bytes came and no preamble.
        """
        if self._noise is None:
            self._reader.feed(data)
            return
        self._noise += data
        at = self._noise.find(PREAMBLE)
        if at >= 0:
            self._reader.feed(self._noise[at + len(PREAMBLE) :])
            self._noise = None
        elif len(self._noise) > MAX_NOISE:
            first = bytes(self._noise[:80]).decode("utf-8", "replace").splitlines()[:1]
            raise RemoteProtocolError(f"the peer does not speak our protocol; it said {first}")

    def next(self) -> Message | None:
        """Return the next message of the peer, or None if bytes are missing.

        Raises
        ------
        RemoteProtocolError
            If the bytes are no frame, or the peer may not say this now.
        """
        frame = self._reader.next()
        if frame is None:
            return None
        message = codec.decode(*frame)
        after = _step(self.their_state, message.kind, self._they_say)
        if after is None:
            raise RemoteProtocolError(f"{self.their_role} in {self.their_state}: {message.kind}")
        self.their_state = after
        if self.their_role == "supervisor" and self.our_role == "client":
            self._check_run(message)
        return message

    def _check_run(self, message: Message) -> None:
        if not isinstance(message, _OF_A_RUN):
            return
        state, offset = self._runs.get(message.run, ("unknown", 0))
        after = RUN_ORDER[state].get(message.kind)
        if after is None:
            raise RemoteProtocolError(f"{message.kind} of a run that is {state}")
        if isinstance(message, messages.RunState):
            offset = offset if message.offset is None else message.offset
        elif isinstance(message, messages.Output):
            if message.start != offset or message.end <= offset:
                raise RemoteProtocolError(f"output from {message.start}, expected {offset}")
            offset = message.end
        elif isinstance(message, messages.End) and message.offset != offset:
            raise RemoteProtocolError(f"end at {message.offset}, but output went to {offset}")
        self._runs[message.run] = (after, offset)


def _step(state: str, kind: str, allowed: set[str]) -> str | None:
    if kind not in allowed or state == "closed":
        return None
    after = ORDER[state].get(kind, state if state == "open" else "error")
    return None if after == "error" else after
