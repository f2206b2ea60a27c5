"""What must hold after every fault, whatever it was."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_macgpu.link import Link
from jupyter_macgpu.mac import store
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.wire import codec, frames
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.states import FINAL, OutputDigest

from . import processes

if TYPE_CHECKING:
    from jupyter_macgpu.wire.errors import MacGPUError

    from .cells import Flood
    from .desk import Desk, Record, Told

#: Bytes that may be missing at a declared gap.
GAP = 64 * 1024
#: Descriptors that a supervisor without clients and workers has: its own nine, and some room.
FDS = 14
#: Bytes that such a supervisor takes at most, whatever passed through it: 25 MB when it is new.
RSS = 100 * 10**6
#: Seconds after which a supervisor that has not answered is busy with something else.
DEAF = 10.0


def never_twice(cell: Flood, told: Told) -> None:
    """A run executes at most once; one that ended well, exactly once."""
    most = cell.executions()
    assert most <= 1, f"run {told.run} executed {most} times"
    if told.state == "ok":
        assert most == 1
    if told.state == "unsent":
        assert most == 0


def nothing_lost(cell: Flood, record: Record, *, whole: bool) -> None:
    """What was shown is what was written, from its beginning on, but for declared gaps.

    Parameters
    ----------
    whole
        Whether it must be all of it.
    """
    for name, written in (("stdout", cell.stdout()), ("stderr", cell.stderr())):
        pieces = record.stream(name)
        at = _follow(pieces, written)
        if whole:
            assert len(written) - at <= (GAP if len(pieces) > 1 else 0), f"{name} is cut"
    shown = [
        output.content["data"]["text/plain"]
        for output in record.outputs
        if output.what == "display_data"
    ]
    assert shown == cell.displays()[: len(shown)], "displays are told again until noted"
    if whole:
        assert len(shown) == len(cell.displays())


def _follow(pieces: list[bytes], written: bytes) -> int:
    """Find each piece behind the one before; return where the last one ends."""
    at = 0
    for number, piece in enumerate(pieces):
        start = written.find(piece, at, at + GAP + len(piece)) if number else 0
        assert start >= 0, f"piece {number} is not what was written, or {GAP} bytes are missing"
        assert written[start : start + len(piece)] == piece, "bytes changed, doubled or lost"
        at = start + len(piece)
    return at


def ended_once(told: Told, row: dict[str, Any]) -> None:
    """One final state, the same for the notebook, the supervisor and the journal.

    The journal's end has the digest of what stands before it.
    """
    assert row["state"] in FINAL
    ends = read_journal(told.run)
    assert [end.state for end, _ in ends] == [row["state"]]
    end, digest = ends[0]
    assert end.digest == digest
    if told.state != "unknown":
        assert told.state == row["state"]
    assert told.record.states.count("started") == 0 or "queued" not in _after_start(told)


def _after_start(told: Told) -> list[str]:
    states = told.record.states
    return states[states.index("started") :]


def read_journal(run: str) -> list[tuple[m.End, str]]:
    """Return each end in a run's journal and the digest of the output before it."""
    reader = frames.FrameReader()
    data = store.Store(store.default_root()).journal(run).read_bytes()
    reader.feed(data)
    digest, ends = OutputDigest(), []
    while (frame := reader.next()) is not None:
        message = codec.decode(*frame)
        if isinstance(message, m.Event):
            assert not ends, "output stands behind the end"
            digest.add(message.what, len(data) - len(reader), message.buffers)
        elif isinstance(message, m.End):
            ends.append((message, digest.hex()))
    return ends


def said_in_four_parts(error: MacGPUError) -> None:
    """An error says what happened, what is known, what was kept and what to do next."""
    lines = [error.what, error.known, error.kept, error.next]
    assert all(line.strip() for line in lines), lines
    assert str(error) == "\n".join(lines)


def nothing_left(state: Path, desk: Desk) -> None:
    """A closed kernel leaves the supervisor alone, and no bundles, sockets or locks."""
    desk.close()
    left = processes.wait_for_none(state, {"door", "worker", "child"}, 60.0)
    assert not left, f"left over: {[(each.role, each.process.cmdline()[-4:]) for each in left]}"
    deadline = time.monotonic() + 60.0
    # Others that were started beside it find its lock, and leave.
    while len(supervisors := processes.found(state, "supervisor")) != 1:
        assert time.monotonic() < deadline, supervisors
        time.sleep(0.05)
    # The supervisor sees the end of a worker that it did not start itself at its next look.
    while len(_sockets(state)) > 1 or supervisors[0].process.num_fds() > FDS:
        assert time.monotonic() < deadline, _sockets(state)
        time.sleep(0.05)
    assert supervisors[0].process.memory_info().rss < RSS


def _sockets(state: Path) -> list[Path]:
    # Not rglob: it fails if a folder is deleted under it, as the supervisor is about to.
    paths = [Path(folder, name) for folder, _, names in os.walk(state) for name in names]
    return [path for path in paths if path.is_socket()]


class Watch:
    """A client that only asks whether the supervisor answers, all the while."""

    def __init__(self) -> None:
        self.slowest = 0.0
        self.answers = 0
        self._link = Link(LocalTransport(), "watch", "watch")

    def ping(self) -> None:
        """Ask once; a connection that was cut is opened again, which does not count.

        Raises
        ------
        TransportError
            If there is no connection; it is opened at the next call.
        """
        self._link.connect()
        begun = time.monotonic()
        self._link.say(m.Ping(number=self.answers))
        self._link.await_message(lambda message: isinstance(message, m.Pong))
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.answers += 1

    def close(self) -> None:
        """Hang up."""
        self._link.close()
