"""Journals and the log of runs: whatever is cut off their ends, the rest is whole."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.mac import journal as journals
from jupyter_macgpu.mac.journal import Journal, RunLog, compact
from jupyter_macgpu.mac.store import Store
from jupyter_macgpu.mac.streams import Follower, Incoming, Outgoing
from jupyter_macgpu.wire import codec
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.states import OutputDigest

RUN = "a" * 32
SUBMIT = m.Submit(run=RUN, epoch=1, session="b" * 32, size=6, digest="d", buffers=(b"inputs",))
END = m.End(run=RUN, epoch=0, state="ok", offset=0, digest="", size=6, buffers=(b"result",))


def event(number: int) -> m.Event:
    return m.Event(
        run=RUN, mark=number, what="stream", content={"name": "stdout"}, buffers=(b"<%d>" % number,)
    )


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], Journal]:
    files = []

    def reopen() -> Journal:
        files.append(Journal(tmp_path / "run.journal", RUN))
        return files[-1]

    yield reopen
    for file in files:
        file.close()


@pytest.fixture
def written(opened: Callable[[], Journal]) -> Journal:
    """Return a journal of three records of output."""
    file = opened()
    file.submit(SUBMIT)
    for number in (1, 2, 3):
        file.append(event(number))
    return file


def test_records_follow_each_other_and_the_end_says_where(written: Journal) -> None:
    end = written.finish(END)
    *outputs, last = written.read(0)
    starts = [written.base, *(output.end for output in outputs)]
    assert [output.start for output in outputs] == starts[:-1]
    assert end.offset == starts[-1]
    assert bytes(last.buffers[0]) == b"result"
    digest = OutputDigest()
    for output in outputs:
        digest.add(output.what, output.end, output.buffers)
    assert last.digest == end.digest == digest.hex()


def test_a_submission_is_kept_in_the_bytes_that_it_came_in(opened: Callable[[], Journal]) -> None:
    frame = codec.encode(SUBMIT)
    file = opened()
    file.submit(SUBMIT, frame)
    assert file.base == len(frame)
    assert opened().first() == SUBMIT


def test_an_end_is_kept_in_the_bytes_that_are_sent(written: Journal) -> None:
    end = written.finish(END)
    assert written.last == codec.encode(end)
    assert written.finish(END).offset == end.offset


def test_a_journal_that_is_opened_again_goes_on_as_if_it_never_closed(
    written: Journal, opened: Callable[[], Journal]
) -> None:
    again = opened()
    assert (again.base, again.end, again.mark) == (written.base, written.end, 3)
    assert again.first().run == RUN
    assert again.append(event(4)) == written.append(event(4))
    assert again.finish(END) == written.finish(END)


def test_cut_at_every_byte_it_keeps_the_whole_records(written: Journal, tmp_path: Path) -> None:
    written.finish(END)
    path, data = tmp_path / "run.journal", (tmp_path / "run.journal").read_bytes()
    ends = [
        written.base,
        *(record.end for record in written.read(0) if isinstance(record, m.Output)),
    ]
    for length in range(len(data)):
        path.write_bytes(data[:length])
        cut = Journal(path, RUN)
        whole = [end for end in [0, *ends] if end <= length]
        assert (cut.end, cut.closed) == (whole[-1], False)
        assert path.stat().st_size == whole[-1]
        assert len(list(cut.read(0))) == max(0, len(whole) - 2)
        cut.close()


def test_what_follows_a_damaged_record_is_cut_off(written: Journal, tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    first = next(written.read(0))
    data = bytearray(path.read_bytes())
    data[first.end + 20] ^= 1
    path.write_bytes(data)
    cut = Journal(path, RUN)
    assert (cut.end, cut.mark) == (first.end, 1)
    cut.close()


def test_an_ended_journal_takes_nothing_and_ends_once(
    written: Journal, opened: Callable[[], Journal]
) -> None:
    end = written.finish(END)
    again = opened()
    assert again.append(event(4)) is None
    died = m.End(run=RUN, epoch=0, state="died", offset=0, digest="")
    assert again.finish(died).state == "ok"
    assert list(again.read(end.offset))[-1].state == "ok"


def test_a_submission_that_was_never_logged_makes_room_for_the_next(
    written: Journal, opened: Callable[[], Journal]
) -> None:
    again = opened()
    again.submit(SUBMIT)
    output = again.append(event(1))
    assert (output.start, again.base) == (written.base, written.base)
    assert list(opened().read(0)) == list(again.read(0))


def test_an_attachment_begins_at_a_record_wherever_it_asks(written: Journal) -> None:
    outputs = list(written.read(0))
    written.finish(END)
    allowed = [output.start for output in outputs] + [outputs[-1].end]
    for offset in range(-1, written.end + 50):
        follower = Follower(written, offset)
        assert follower.position == max([at for at in allowed if at <= offset], default=allowed[0])
        assert isinstance(follower.more(1, 0.0)[-1], m.End)


def test_a_follower_waits_for_what_was_acknowledged(written: Journal) -> None:
    for number in range(4, 2000):
        written.append(event(number))
    written.finish(END)
    follower, taken, rounds = Follower(written, 0), [], 0
    while not follower.finished:
        records = follower.more(7, float(rounds))
        assert records
        taken += records
        if isinstance(records[-1], m.Output):
            follower.acknowledge(records[-1].end, float(rounds))
        rounds += 1
    assert rounds > 3
    assert b"".join(bytes(record.buffers[0]) for record in taken[:-1]) == b"".join(
        b"<%d>" % number for number in range(1, 2000)
    )
    assert taken[-1].epoch == 7


def test_a_follower_of_a_removed_run_is_told_nothing(written: Journal) -> None:
    follower = Follower(written, 0)
    written.close()
    assert follower.more(1, 0.0) == []


def test_output_over_the_quota_is_cut_with_its_end_kept_and_errors_all(
    written: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "QUOTA", 10)
    monkeypatch.setattr(journals, "TAIL", 5)
    first = written.append(event(4))
    assert first is not None
    assert first.what == "notice"
    assert [written.append(event(number)) for number in range(5, 9)] == [None] * 4
    assert written.append(m.Event(run=RUN, mark=9, what="error")) is not None
    rest = list(written.rest())
    assert [output.what for output in rest] == ["notice", "stream", "stream"]
    assert "9 bytes of output are left out" in rest[0].content["text"]
    assert "the last 6 follow" in rest[0].content["text"]
    assert [output.content["mark"] for output in rest[1:]] == [7, 8]
    assert list(written.rest()) == []


def test_a_tail_that_the_disk_did_not_take_is_written_later(
    written: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "QUOTA", 10)
    for number in (4, 5):
        written.append(event(number))
    write, calls = os.pwrite, iter(range(9))

    def full(fd: int, data: memoryview, at: int) -> int:
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, "full")
        return write(fd, data, at)

    monkeypatch.setattr(os, "pwrite", full)
    rest = written.rest()
    assert next(rest).what == "notice"
    with pytest.raises(OSError, match="full"):
        next(rest)
    assert [output.content["mark"] for output in written.rest()] == [4, 5]


# Uploads.


def test_an_upload_is_whole_or_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.inputs"
    digest = hashlib.sha256(b"inputs").hexdigest()
    parts = [m.Part(stream="s", offset=0, total=6, buffers=(b"inp",))]
    parts.append(m.Part(stream="s", offset=3, total=6, buffers=(b"uts",)))
    cut, other = Incoming(path, 6, digest), Incoming(path, 6, digest)
    assert [cut.take(parts[0]), *(other.take(part) for part in parts)] == ["", "", ""]
    assert (other.done, other.finish(), path.read_bytes()) == (True, "", b"inputs")
    cut.close()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "part",
    [
        m.Part(stream="s", offset=-1, total=6, buffers=(b"x",)),
        m.Part(stream="s", offset=0, total=7, buffers=(b"x",)),
        m.Part(stream="s", offset=0, total=6, buffers=(b"toolong",)),
    ],
    ids=["before it", "another length", "too much"],
)
def test_a_wrong_part_is_named(part: m.Part, tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / "run.inputs", 6, "")
    assert incoming.take(part)
    incoming.close()
    assert list(tmp_path.iterdir()) == []


def _part(offset: int, data: bytes, total: int = 6) -> m.Part:
    return m.Part(stream="s", offset=offset, total=total, buffers=(data,))


def test_parts_of_several_channels_find_their_places(tmp_path: Path) -> None:
    path = tmp_path / "run.inputs"
    incoming = Incoming(path, 6, hashlib.sha256(b"inputs").hexdigest())
    assert [incoming.take(_part(4, b"ts")), incoming.offset, incoming.done] == ["", 0, False]
    # What was sent once more is not written over what is there: that may be hashed by now.
    assert [incoming.take(_part(0, b"inp")), incoming.take(_part(1, b"XX"))] == ["", ""]
    assert [incoming.offset, incoming.done, path.exists()] == [3, False, False]
    assert [incoming.take(_part(2, b"XuX")), incoming.done] == ["", True]
    assert [incoming.finish(), path.read_bytes()] == ["", b"inputs"]


def test_an_upload_with_a_hole_leaves_nothing(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / "run.inputs", 6, hashlib.sha256(b"inputs").hexdigest())
    assert [incoming.take(_part(0, b"in")), incoming.take(_part(3, b"uts"))] == ["", ""]
    assert not incoming.done
    incoming.close()
    assert list(tmp_path.iterdir()) == []


def _taken(outgoing: Outgoing, whole: bytearray, now: float) -> int:
    size = 0
    for part in outgoing.more(now):
        assert isinstance(part, m.Part)
        for buffer in part.buffers:
            whole[part.offset : part.offset + len(buffer)] = buffer
            size += len(buffer)
    return size


def test_a_stream_is_shared_and_a_lost_share_goes_to_the_others(tmp_path: Path) -> None:
    stored, whole = os.urandom(100_000), bytearray(100_000)
    (tmp_path / "stored").write_bytes(stored)
    own = Outgoing("s", tmp_path / "stored", len(stored))
    lost, kept = own.beside(), own.beside()
    assert lost is not None
    assert kept is not None
    counts, now = {own: 0, kept: 0}, 0.0
    assert _taken(lost, bytearray(100_000), now)
    lost.close()
    while not own.done:
        now += 0.01
        for share in counts:
            counts[share] += _taken(share, whole, now)
            share.credit(counts[share], now)
    assert bytes(whole) == stored
    assert all(counts.values())
    own.close()
    assert own.beside() is None
    kept.close()


def test_damaged_inputs_are_not_kept(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / "run.inputs", 1, "0" * 64)
    incoming.take(m.Part(stream="s", offset=0, total=1, buffers=(b"x",)))
    assert incoming.finish() == "the inputs arrived damaged"
    assert list(tmp_path.iterdir()) == []


# The log of runs.

NEW = {"run": RUN, "session": "b" * 32, "digest": "d", "size": 6}
ACCEPTED = {"run": RUN, "state": "accepted"}
STARTED = {"run": RUN, "state": "started"}


@pytest.fixture
def place(tmp_path: Path) -> Store:
    place = Store(tmp_path / "store")
    place.prepare()
    return place


def write(place: Store, *entries: dict[str, Any]) -> None:
    log = RunLog(place.log)
    for entry in entries:
        log.append(entry, durable=True)
    log.close()


def test_a_log_comes_back_and_goes_on(place: Store) -> None:
    write(place, NEW, ACCEPTED)
    assert compact(place.log) == [NEW, ACCEPTED]
    write(place, STARTED)
    assert compact(place.log) == [NEW, ACCEPTED, STARTED]
    assert compact(place.root / "none") == []


def test_entries_that_are_written_at_once_are_lines_like_others(place: Store) -> None:
    write(place, NEW, ACCEPTED, STARTED)
    apart = place.log.read_bytes()
    place.log.unlink()
    log = RunLog(place.log)
    log.append(NEW, ACCEPTED, STARTED, durable=True)
    log.close()
    assert place.log.read_bytes() == apart


def test_a_log_cut_at_every_byte_keeps_its_whole_lines(place: Store) -> None:
    write(place, NEW, ACCEPTED, STARTED)
    data = place.log.read_bytes()
    lengths = [len(line) for line in data.splitlines(keepends=True)]
    for length in range(len(data) + 1):
        place.log.write_bytes(data[:length])
        whole = [sum(lengths[: n + 1]) - 1 <= length for n in range(3)]
        assert compact(place.log) == [NEW, ACCEPTED, STARTED][: sum(whole)]
        write(place, STARTED)
        assert compact(place.log)[-1] == STARTED


@pytest.mark.parametrize("at", [0, 8, 12, -2])
def test_a_damaged_last_line_is_left_out(place: Store, at: int) -> None:
    write(place, NEW, ACCEPTED)
    first, last = place.log.read_bytes().splitlines()
    damaged = bytearray(last)
    damaged[at] ^= 1
    place.log.write_bytes(first + b"\n" + bytes(damaged) + b"\n")
    assert compact(place.log) == [NEW]


#: What was logged, and what is left of it.
REMOVALS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "what never arrived is forgotten": ([NEW, {"run": RUN, "removed": True, "ended": False}], []),
    "what came again after that is kept": (
        [NEW, {"run": RUN, "removed": True, "ended": False}, NEW, ACCEPTED, STARTED],
        [NEW, ACCEPTED, STARTED],
    ),
    "of what had ended the id is kept": (
        [NEW, STARTED, {"run": RUN, "removed": True, "ended": True}],
        [{"run": RUN, "removed": True, "ended": True}],
    ),
}


@pytest.mark.parametrize("name", REMOVALS)
def test_what_a_removal_leaves(place: Store, name: str) -> None:
    logged, left = REMOVALS[name]
    write(place, *logged)
    assert compact(place.log) == left
    assert compact(place.log) == left
