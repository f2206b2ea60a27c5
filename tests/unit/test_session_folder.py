"""The host's side of a session's folder: nothing leads out of it, nothing is half in it."""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.mac import effects as e
from jupyter_macgpu.mac import transfers
from jupyter_macgpu.mac.client import Client
from jupyter_macgpu.mac.endpoint import Endpoint
from jupyter_macgpu.mac.folder import LOOKED_AT, Folder
from jupyter_macgpu.mac.store import Store
from jupyter_macgpu.mac.transfers import KEPT, Transfers, expired
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import Connection
from jupyter_macgpu.wire.folder import BadPath
from tests.unit.test_folder_names import HOSTILE

S1 = "1" * 32


class Host:
    """A store's transfers, and a client that is connected to them."""

    def __init__(self, root: Path) -> None:
        self.place = Store(root)
        self.place.prepare()
        self.now = 1_000_000_000.0
        self.transfers = Transfers(self.place, lambda: self.now)
        self.folder = self.transfers.folder(S1)
        self.path = self.place.folder(S1)
        self._near, self._far = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._heard = Connection("client", "supervisor")
        self._count = 0
        fd = self._far.detach()
        connection = Connection("supervisor", "client")
        endpoint = Endpoint(self._selector, fd, fd, connection, lambda: None)
        endpoint.send(m.Hello(role="supervisor"))
        self.client = Client(1, endpoint, None)
        assert isinstance(self._hear(), m.Hello)

    def close(self) -> None:
        self.client.streams.close()
        self.client.endpoint.close()
        self._near.close()
        self._selector.close()

    def _hear(self) -> m.Message:
        while (message := self._heard.next()) is None:
            self.client.endpoint.flush()
            self._heard.receive(self._near.recv(1 << 16))
        return message

    def say(self, action: str, buffers: tuple[bytes, ...] = (), **detail: Any) -> str:
        self._count += 1
        message = m.Operate(
            operation=f"o{self._count}", session=S1, action=action, detail=detail, buffers=buffers
        )
        self.transfers.do(self.client, e.Files(client=1, folder=S1, message=message))
        return message.operation

    def ask(self, action: str, buffers: tuple[bytes, ...] = (), **detail: Any) -> m.Operated:
        operation = self.say(action, buffers, **detail)
        answer = self._hear()
        assert isinstance(answer, m.Operated)
        assert answer.operation == operation
        return answer

    def put(self, path: str, data: bytes, **detail: Any) -> m.Operated:
        digest = hashlib.sha256(data).hexdigest()
        told = {"path": path, "size": len(data), "digest": digest, **detail}
        return self.ask("put", (data,) if data else (), **told)

    def part(self, operation: str, at: int, total: int, data: bytes) -> list[m.Message]:
        """Send one part; return what is said to it."""
        stream = f"put:{operation}"
        part = m.Part(stream=stream, offset=at, total=total, buffers=(data,))
        self.transfers.part(self.client, part)
        said = [self._hear()]
        if stream not in self.client.streams.incoming:
            said.append(self._hear())
        return said

    def leftovers(self) -> list[str]:
        folder = self.place.root / "sessions"
        return sorted(p.name for p in folder.iterdir() if p.suffix not in ("", ".stamp"))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    opened = Host(tmp_path / "store")
    yield opened
    opened.close()


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: ascii(path)[:30])
@pytest.mark.parametrize("action", ["put", "get", "files", "have"])
def test_a_hostile_path_is_refused_whatever_is_asked(host: Host, action: str, path: str) -> None:
    told = {"path": path, "size": 1, "digest": "d", "patterns": [path], "paths": [path]}
    answer = host.ask(action, (b"x",) if action == "put" else (), **told)
    assert HOSTILE[path].removeprefix("32 ") in answer.error
    assert list(host.path.iterdir()) == []
    assert host.leftovers() == []


def test_links_are_followed_neither_in_nor_out(host: Host, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    host.folder.use()
    (host.path / "folder").symlink_to(outside)
    (host.path / "file").symlink_to(outside / "secret")
    assert "link" in host.put("folder/new", b"x").error
    assert "link" in host.ask("get", path="folder/secret").error
    assert "link" in host.ask("get", path="file").error
    assert host.put("file", b"mine").error == ""
    assert (outside / "secret").read_text() == "s"
    assert sorted(p.name for p in outside.iterdir()) == ["secret"]
    rows = json.loads(bytes(host.ask("files").buffers[0]))
    assert [row["path"] for row in rows] == ["file"]


def test_what_is_no_plain_file_is_not_given(host: Host) -> None:
    host.folder.use()
    os.mkfifo(host.path / "pipe")
    (host.path / "folder").mkdir()
    assert "plain file" in host.ask("get", path="pipe").error
    assert "plain file" in host.ask("get", path="folder").error
    assert "no gone" in host.ask("get", path="gone").error
    assert "folder of that name" in host.put("folder", b"x").error
    assert json.loads(bytes(host.ask("files").buffers[0])) == []


@pytest.mark.parametrize("cut", [0, 1, 99, 100, 199])
def test_an_upload_that_is_cut_leaves_nothing(host: Host, cut: int) -> None:
    data = os.urandom(200)
    host.put("a/x", b"before")
    digest = hashlib.sha256(data).hexdigest()
    operation = host.say("put", path="a/x", size=200, digest=digest)
    for at in range(0, cut, 100):
        host.part(operation, at, 200, data[at : min(at + 100, cut)])
    assert (host.path / "a/x").read_bytes() == b"before"
    host.client.streams.close()
    assert host.leftovers() == []
    assert (host.path / "a/x").read_bytes() == b"before"


def test_the_half_of_an_upload_is_swept_at_the_next_start(host: Host) -> None:
    host.say("put", path="x", size=200, digest="d")
    host.transfers.begin(S1)
    assert host.leftovers() != []
    host.place.sweep()
    assert host.leftovers() == []
    assert host.path.is_dir()


def test_a_whole_upload_stands_there_at_once_and_is_known(host: Host) -> None:
    data = os.urandom(200)
    digest = hashlib.sha256(data).hexdigest()
    operation = host.say("put", path="a/x", size=200, digest=digest, executable=True)
    [credit] = host.part(operation, 0, 200, data[:100])
    assert isinstance(credit, m.Credit)
    assert host.ask("have", paths=["a/x"]).detail == {"known": {}}
    _credit, answer = host.part(operation, 100, 200, data[100:])
    assert isinstance(answer, m.Operated)
    assert answer.error == ""
    assert (host.path / "a/x").read_bytes() == data
    assert (host.path / "a/x").stat().st_mode & 0o777 == 0o700
    # Also by a supervisor that is started later.
    again = Transfers(host.place)
    assert again.folder(S1).known("a/x") == digest
    assert host.ask("have", paths=["a/x", "b"]).detail == {"known": {"a/x": digest}}


def test_a_file_that_was_touched_is_not_known_any_more(host: Host) -> None:
    assert host.put("x", b"one").error == ""
    before = (host.path / "x").stat()
    (host.path / "x").write_bytes(b"two")
    os.utime(host.path / "x", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert host.ask("have", paths=["x"]).detail == {"known": {}}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"digest": "0" * 64}, "damaged"),
        ({"size": 2}, "more arrived"),
        ({"size": -1}, "cannot be read"),
        ({"size": "much"}, "cannot be read"),
        ({"size": None}, "cannot be read"),
    ],
)
def test_a_wrong_upload_is_refused_and_leaves_nothing(
    host: Host, wrong: dict[str, Any], word: str
) -> None:
    assert word in host.put("x", b"one", **wrong).error
    assert list(host.path.iterdir()) == []
    assert host.leftovers() == []


def test_a_large_file_comes_in_parts_and_its_digest_behind_them(host: Host) -> None:
    data = os.urandom(m.INLINE + 5)
    host.folder.use()
    (host.path / "large").write_bytes(data)
    operation = host.say("get", path="large")
    download = host.client.streams.outgoing[f"get:{operation}"]
    got, answer = b"", None
    while answer is None:
        for message in download.more(0.0):
            if isinstance(message, m.Part):
                got += bytes(message.buffers[0])
                download.credit(len(got), 0.0)
            else:
                answer = message
    assert isinstance(answer, m.Operated)
    assert got == data
    assert answer.result == hashlib.sha256(data).hexdigest()
    assert download.over


def test_a_file_that_shrinks_while_it_is_sent_is_an_error(host: Host) -> None:
    host.folder.use()
    (host.path / "large").write_bytes(bytes(m.INLINE * 2))
    operation = host.say("get", path="large")
    download = host.client.streams.outgoing[f"get:{operation}"]
    sent = sum(len(part.buffers[0]) for part in download.more(0.0))
    os.truncate(host.path / "large", sent)
    download.credit(sent, 0.0)
    [answer] = download.more(0.0)
    assert isinstance(answer, m.Operated)
    assert "shorter" in answer.error


def test_a_long_list_comes_in_pages(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "_PAGE", 3)
    for number in range(7):
        host.put(f"f{number}", b"x")
    found, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        answer = host.ask("files", cursor=cursor)
        found += [row["path"] for row in json.loads(bytes(answer.buffers[0]))]
        cursor, pages = answer.detail.get("cursor", ""), pages + 1
    assert sorted(found) == [f"f{number}" for number in range(7)]
    assert pages == 3
    assert host.client.streams.lists == {}


def test_a_run_is_said_to_have_written_what_it_made_and_changed(host: Host) -> None:
    host.put("put", b"x")
    host.transfers.begin(S1)
    host.put("later", b"x")
    (host.path / "made").write_bytes(b"12345")
    (host.path / "put").write_bytes(b"yy")
    (host.path / "__pycache__").mkdir()
    (host.path / "__pycache__" / "x.pyc").write_bytes(b"1")
    wrote = {"count": 2, "bytes": 7, "names": ["made", "put"]}
    assert host.transfers.wrote(S1) == {"wrote": wrote}
    host.transfers.begin(S1)
    assert host.transfers.wrote(S1) == {}


def test_in_a_folder_of_very_many_files_nothing_is_said(host: Host) -> None:
    host.transfers.begin(S1)
    for number in range(LOOKED_AT + 1):
        (host.path / str(number)).touch()
    assert host.transfers.wrote(S1) == {}
    assert host.transfers.wrote("2" * 32) == {}
    for number in range(LOOKED_AT // 2):
        (host.path / str(number)).unlink()
    host.transfers.begin(S1)
    assert host.transfers.wrote(S1) == {}
    host.transfers.begin(S1)
    (host.path / "new").touch()
    assert host.transfers.wrote(S1)["wrote"]["names"] == ["new"]


def test_a_folder_is_deleted_a_week_after_its_last_use(host: Host) -> None:
    for session, age in ((S1, KEPT + 60), ("2" * 32, KEPT - 60), ("3" * 32, KEPT + 60)):
        folder = Folder(host.place, session)
        folder.use()
        (folder.path / "deep").mkdir()
        (folder.path / "deep" / "file").write_text("x")
        os.utime(host.place.stamp(session), (host.now - age, host.now - age))
    stamp = host.place.stamp("4" * 32)
    stamp.touch()
    os.utime(stamp, (host.now - KEPT - 1, host.now - KEPT - 1))
    sessions = host.place.root / "sessions"
    assert expired(sessions, host.now, {"3" * 32}) == [host.path]
    host.transfers.tidy({"3" * 32})
    assert sorted(path.name for path in sessions.iterdir() if path.is_dir()) == ["2" * 32, "3" * 32]
    assert sorted(path.stem for path in sessions.glob("*.stamp")) == ["2" * 32, "3" * 32]


def test_a_large_folder_is_deleted_bit_by_bit(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "_SLICE", 5)
    host.folder.use()
    for number in range(12):
        (host.path / str(number)).touch()
    os.utime(host.place.stamp(S1), (0, 0))
    sessions = host.place.root / "sessions"
    host.transfers.tidy(())
    # From the first bit on it is not the session's any more.
    assert not host.path.exists()
    assert len(list(sessions.rglob("*"))) > 5
    for _ in range(3):
        host.transfers.tidy(())
    assert list(sessions.iterdir()) == []


def test_a_store_of_before_has_folders_without_a_stamp(host: Host) -> None:
    host.path.mkdir()
    os.utime(host.path, (0, 0))
    assert expired(host.place.root / "sessions", KEPT - 1, ()) == []
    assert expired(host.place.root / "sessions", KEPT + 1, ()) == [host.path]


def test_a_folder_that_is_a_link_is_not_used(host: Host, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    host.path.symlink_to(tmp_path / "other")
    assert host.put("x", b"1").error != ""
    assert list((tmp_path / "other").iterdir()) == []
    with pytest.raises(BadPath):
        host.folder.open("../x")
