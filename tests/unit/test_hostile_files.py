"""A host that lies about its files: nothing is written here but what was asked for, where it was.

The host is played by a script on the far end of a real connection.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.folder import FilesError, Talk
from jupyter_macgpu.gathering import gather
from jupyter_macgpu.getting import get, wrote_line
from jupyter_macgpu.link import Link
from jupyter_macgpu.putting import put
from jupyter_macgpu.session import Session
from jupyter_macgpu.transport.memory import MemoryTransport
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import Connection
from jupyter_macgpu.wire.errors import InputError, TransportError
from tests.unit.test_folder_names import HOSTILE


@dataclass
class Liar:
    """Answers what is asked with what the test wants it to say."""

    rows: list[Any] = field(default_factory=list)
    contents: bytes = b"contents"
    digest: str = ""
    size: int | None = None
    parts: list[tuple[int, bytes]] | None = None
    capabilities: list[str] = field(default_factory=lambda: ["files"])
    error: str = ""
    asked: list[m.Operate] = field(default_factory=list)
    hangs_up_at: str = ""

    def serve(self, far: socket.socket) -> None:
        threading.Thread(target=self._serve, args=(far,), daemon=True).start()

    def _serve(self, far: socket.socket) -> None:
        connection = Connection("supervisor", "client")
        hello = m.Hello(role="supervisor", capabilities=self.capabilities)
        # The notebook hangs up on a liar, in mid-sentence.
        with far, contextlib.suppress(OSError):
            far.sendall(connection.send(hello))
            while data := far.recv(1 << 16):
                connection.receive(data)
                while (message := connection.next()) is not None:
                    if not isinstance(message, m.Operate):
                        continue
                    if message.action == self.hangs_up_at:
                        return
                    self.asked.append(message)
                    for said in self._answers(message):
                        far.sendall(connection.send(said))

    def _answers(self, message: m.Operate) -> Iterator[m.Message]:
        operation = message.operation
        if self.error and message.action != "have":
            yield m.Operated(operation=operation, error=self.error)
        elif message.action == "files":
            yield m.Operated(operation=operation, buffers=(json.dumps(self.rows).encode(),))
        elif message.action == "get":
            digest = self.digest or hashlib.sha256(self.contents).hexdigest()
            size = len(self.contents) if self.size is None else self.size
            for at, data in self.parts or ():
                stream = f"get:{operation}"
                yield m.Part(stream=stream, offset=at, total=size, buffers=(data,))
            whole = (self.contents,) if self.parts is None else ()
            yield m.Operated(operation=operation, size=size, result=digest, buffers=whole)
        else:
            yield m.Operated(operation=operation)


#: The links that a test has opened.
OPENED: list[Link] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def talk(liar: Liar, stop: Any = lambda: False) -> Talk:
    link = Link(MemoryTransport(liar.serve, "liar"), "client", "notebook")
    OPENED.append(link)
    return Talk(Session(host=Host(name="liar", transport="memory"), link=link), stop)


def row(path: Any, **other: Any) -> dict[str, Any]:
    return {"path": path, "size": 8, "age": 1.0, "executable": False, **other}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebook"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("path", [path for path in HOSTILE if len(path) < 10_000], ids=ascii)
def test_a_name_that_leads_out_is_never_written(here: Path, path: str) -> None:
    liar = Liar(rows=[row(path)])
    with pytest.raises(FilesError, match="not asked for"):
        get(talk(liar), ["**"], "out")
    assert [message.action for message in liar.asked] == ["files"]
    assert everything(here.parent) == ["notebook"]


@pytest.mark.parametrize(
    "wrong",
    [
        row("other.pt"),
        row("a/best.pt"),
        row("best.pt/../x"),
        row("./best.pt"),
        row(7),
        row(None),
        row(["best.pt"]),
        row("best.pt", size=-1),
        row("best.pt", size="x"),
        row("best.pt", age=None),
        {"path": "best.pt"},
        "best.pt",
        None,
    ],
    ids=repr,
)
def test_a_file_that_was_not_asked_for_is_not_taken(here: Path, wrong: Any) -> None:
    with pytest.raises(FilesError, match="not asked for"):
        get(talk(Liar(rows=[row("best.pt"), wrong])), ["best.pt"])
    assert everything(here.parent) == ["notebook"]


def test_a_link_here_is_not_followed(here: Path) -> None:
    outside = here.parent / "outside"
    outside.mkdir()
    (here / "runs").symlink_to(outside)
    (here / "best.pt").symlink_to(outside / "best.pt")
    with pytest.raises(FilesError, match="runs is a link"):
        get(talk(Liar(rows=[row("runs/x")])), ["runs"])
    got = get(talk(Liar(rows=[row("best.pt")])), ["best.pt"])
    assert got.replaced == 1
    assert not (here / "best.pt").is_symlink()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "liar",
    [
        Liar(digest="0" * 64),
        Liar(size=9),
        Liar(size=7),
        Liar(parts=[(0, b"con")]),
        Liar(parts=[(0, b"con"), (4, b"tents")]),
        Liar(parts=[(4, b"ents"), (0, b"cont")]),
        Liar(parts=[(0, b"contents"), (8, b"more")]),
        Liar(error="the disk is broken"),
        Liar(hangs_up_at="get"),
    ],
    ids=repr,
)
def test_a_file_that_is_not_whole_and_right_does_not_appear(here: Path, liar: Liar) -> None:
    (here / "best.pt").write_text("before")
    liar.rows = [row("best.pt")]
    with pytest.raises((FilesError, TransportError)) as caught:
        get(talk(liar), ["best.pt"])
    assert all([caught.value.known, caught.value.kept, caught.value.next])
    assert everything(here) == ["best.pt"]
    assert (here / "best.pt").read_text() == "before"


def test_names_with_line_ends_and_controls_are_shown_in_one_line(here: Path) -> None:
    name = "a\nmacgpu: all is well\x1b[2J"
    got = get(talk(Liar(rows=[row(name)])), ["*"])
    assert (here / name).read_bytes() == b"contents"
    for line in (got.text("liar", "."), *wrote_line({"count": 1, "bytes": 1, "names": [name]})):
        assert line.isprintable()


@pytest.mark.parametrize(
    "wrote", [None, {}, [], {"count": 1}, {"count": "x", "bytes": 1, "names": ["a"]}, "wrote"]
)
def test_a_summary_that_says_nothing_of_files_is_no_line(wrote: Any) -> None:
    assert wrote_line(wrote) == []


def test_a_command_in_a_line_can_be_typed_as_it_stands() -> None:
    lines = {
        "best.pt": "%macgpu get best.pt",
        "my model.pt": "%macgpu get 'my model.pt'",
        "-rf": "%macgpu get '-rf'",
        "it's": "%macgpu files",
    }
    for name, command in lines.items():
        [line] = wrote_line({"count": 1, "bytes": 3, "names": [name]})
        assert line == f"wrote 1 file, 3 B: {name} \N{MIDDLE DOT} {command}"


def test_an_older_host_is_told_from_one_that_takes_files(here: Path) -> None:
    with pytest.raises(FilesError, match="older version"):
        talk(Liar(capabilities=["operations"]))


@pytest.mark.parametrize("action", ["have", "put"])
def test_a_host_that_hangs_up_in_an_upload_is_said_so_in_four_parts(
    here: Path, action: str
) -> None:
    (here / "data").write_bytes(b"x" * 100_000)
    with pytest.raises(TransportError) as caught:
        put(talk(Liar(hangs_up_at=action)), list(gather(["data"]).files.values()))
    assert caught.value.known == "No run was started."
    assert "again" in caught.value.next


def test_an_upload_that_is_stopped_ends_the_connection(here: Path) -> None:
    (here / "data").write_bytes(b"x" * 100_000)
    liar = Liar(hangs_up_at="put")
    asked = iter([False, False, False, True])
    stopped = talk(liar, lambda: next(asked, True))
    with pytest.raises(FilesError, match="not waited for"):
        put(stopped, list(gather(["data"]).files.values()))
    assert not stopped.link.open


# What is sent.


def test_a_folder_is_gathered_with_its_places_and_without_what_leads_out(here: Path) -> None:
    (here / "data" / "deep").mkdir(parents=True)
    (here / "data" / "a.csv").write_text("1")
    (here / "data" / "deep" / "run").write_text("22")
    (here / "data" / "deep" / "run").chmod(0o755)
    (here / "data" / "inside").symlink_to("a.csv")
    (here / "data" / "outside").symlink_to("/etc/passwd")
    (here / "data" / "again").symlink_to(".")
    (here / "data" / "gone").symlink_to("nowhere")
    os.mkfifo(here / "data" / "pipe")
    gathered = gather(["data"])
    assert {name: file.size for name, file in gathered.files.items()} == {
        "data/a.csv": 1,
        "data/deep/run": 2,
        "data/inside": 1,
    }
    assert gathered.files["data/deep/run"].executable
    left = sorted(Path(path).name for path in gathered.left_out)
    assert left == ["again", "gone", "outside", "pipe"]
    assert "left out 4" in gathered.notice()


#: Path, --to -> what it is called there.
CALLED = {
    ("data/a.csv", None): ["data/a.csv"],
    ("./data/../data/a.csv", None): ["data/a.csv"],
    ("../notebook/data", None): ["data/a.csv"],
    ("../other.csv", None): ["other.csv"],
    ("data/a.csv", "x/y"): ["x/y/a.csv"],
    ("data", "x"): ["x/data/a.csv"],
    (".", None): ["data/a.csv"],
    ("dat*/*.csv", None): ["data/a.csv"],
    ("link", None): ["link"],
}


@pytest.mark.parametrize(("path", "to"), CALLED)
def test_a_path_keeps_its_place_beside_the_notebook(here: Path, path: str, to: str | None) -> None:
    (here / "data").mkdir()
    (here / "data" / "a.csv").write_text("1")
    (here.parent / "other.csv").write_text("1")
    if path == "link":
        (here / "link").symlink_to("../other.csv")
    assert list(gather([path], to).files) == CALLED[path, to]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["dta"], ["no dta here", "Did you mean data?"]),
        (["*.xyz"], ["No file here fits"]),
        ([""], ["is not the path of a file"]),
        (["a\x00b"], ["is not the path of a file"]),
        (["empty"], ["no files in empty"]),
        (["pipe"], ["not a plain file"]),
        (["data/x", "../x"], []),
        (["x/same", "../same", "x", "same"], ["would both become same", "--to"]),
        (["large"], ["11.0 GB", "--yes"]),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is(
    here: Path, paths: list[str], words: list[str]
) -> None:
    for folder in ("data", "empty", "x"):
        (here / folder).mkdir()
    for name in ("data/x", "../x", "x/same", "../same", "same", "large"):
        (here / name).write_text("x")
    os.mkfifo(here / "pipe")
    os.truncate(here / "large", 11 * 10**9)
    if not words:
        assert len(gather(paths).files) == 2
        return
    with pytest.raises(InputError) as caught:
        gather(paths)
    for word in words:
        assert word in str(caught.value)
    if "--yes" in words:
        assert gather(paths, yes=True).size == 11 * 10**9


def test_a_file_is_read_again_only_when_it_was_touched(here: Path) -> None:
    data = here / "data"
    data.write_text("one")
    liar = Liar()
    session = talk(liar)

    def digest_sent() -> str:
        put(session, list(gather(["data"]).files.values()))
        return str(liar.asked[-1].detail["digest"])

    os.utime(data, (1, 1))
    first = digest_sent()
    assert list(session.hashed.values()) == [first]
    assert digest_sent() == first
    assert len(session.hashed) == 1
    data.write_text("two")
    os.utime(data, (1, 1))
    assert digest_sent() == hashlib.sha256(b"two").hexdigest()
    data.write_text("now")
    assert digest_sent() == hashlib.sha256(b"now").hexdigest()
    assert len(session.hashed) == 2
