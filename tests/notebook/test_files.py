"""Files beside the cells: put, got, listed, named in errors and after runs."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from jupyter_macgpu import cli
from jupyter_macgpu.link import Link
from jupyter_macgpu.mac.records import folder_of
from jupyter_macgpu.mac.store import Store, default_root
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import Connection
from jupyter_macgpu.wire.errors import MacGPUError, RemoteError
from tests.inputs.shell import Notebook, notebook


@pytest.fixture(scope="module")
def opened(own_state):
    with notebook() as book:
        yield book


@pytest.fixture
def book(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return opened


def session(book: Notebook) -> str:
    extension = book.shell.magics_manager.registry["MacGPUMagics"].extension
    return extension.pool.current.session


def notebook_of(book: Notebook) -> str:
    return book.shell.magics_manager.registry["MacGPUMagics"].extension.pool.notebook


def folder(book: Notebook) -> Path:
    """Return the notebook's folder, which the tests may look into: it is on this machine."""
    return Store(default_root()).folder(folder_of(notebook_of(book)))


def halves(beside: Path, name: str) -> list[str]:
    """Return the files that are on their way into a session's folder."""
    return [path.name for path in beside.glob(f"{name}.*") if path.suffix != ".stamp"]


def test_files_are_put_used_and_brought_back(book, tmp_path):
    Path("data/deep").mkdir(parents=True)
    Path("data/a.csv").write_text("1,2\n")
    Path("data/deep/run.sh").write_text("#!/bin/sh\necho it ran\n")
    Path("data/deep/run.sh").chmod(0o755)
    large = os.urandom(3_000_000)
    Path("large.bin").write_bytes(large)
    ran = book.run("%macgpu put data large.bin").error_is(None)
    assert "put 3 files, 2.86 MiB, on this-machine: data/a.csv (4 B)" in ran.text
    ran = book.run(
        "%%macgpu\nprint(open('data/a.csv').read())\n"
        "import hashlib, subprocess\n"
        "digest = hashlib.sha256(open('large.bin', 'rb').read()).hexdigest()\n"
        "print(subprocess.run(['data/deep/run.sh'], capture_output=True, text=True).stdout)\n"
        "copied = open('copy.bin', 'wb').write(open('large.bin', 'rb').read())"
    ).error_is(None)
    assert "1,2" in ran.text
    assert "it ran" in ran.text
    assert "wrote 1 file, 2.86 MiB: copy.bin \N{MIDDLE DOT} %macgpu get copy.bin" in ran.text
    ran = book.run("%macgpu get copy.bin data --to back").error_is(None)
    assert "got 3 files" in ran.text
    assert Path("back/copy.bin").read_bytes() == large
    assert Path("back/data/deep/run.sh").stat().st_mode & 0o100
    assert not Path("back/data/a.csv").stat().st_mode & 0o100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "data", "large.bin"]
    assert "2 were there and are replaced" in book.run("%macgpu get data --to back").text


def test_what_is_there_unchanged_is_not_sent_again(book):
    Path("same.csv").write_text("same")
    Path("other.csv").write_text("other")
    assert "put 2 files" in book.run("%macgpu put *.csv").text
    assert "2 files are on this-machine already" in book.run("%macgpu put *.csv").text
    Path("other.csv").write_text("OTHER")
    ran = book.run("%macgpu put *.csv")
    assert "put 1 file, 5 B, on this-machine: other.csv (5 B); 1 unchanged" in ran.text
    book.run("%%macgpu\nwritten = open('same.csv', 'w').write('SAME')").error_is(None)
    assert "same.csv (4 B); 1 unchanged" in book.run("%macgpu put *.csv").text


def test_a_cell_brings_its_files_and_says_only_what_was_sent(book):
    Path("input.txt").write_text("hello")
    cell = "%%macgpu --files input.txt\nprint(open('input.txt').read())"
    ran = book.run(cell).error_is(None)
    assert "put 1 file" in ran.text
    assert "hello\n" in ran.text
    assert "wrote" not in ran.text
    assert book.run(cell).error_is(None).text == "hello\n"
    Path("input.txt").write_text("changed")
    assert "changed\n" in book.run(cell).error_is(None).text
    dry = book.run("%%macgpu --files input.txt --dry-run\n1").error_is(None)
    assert "would put 1 file there, 7 B" in dry.text


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("here.csv", "here.csv, or --files here.csv"),
        ("with blanks.csv", "'with blanks.csv', or --files 'with blanks.csv'"),
        ("sub/deep.csv", "sub/deep.csv, or --files sub/deep.csv"),
        ("../up.csv", "../up.csv, and open it there as 'up.csv'"),
    ],
)
def test_a_file_that_is_here_and_not_there_is_named_in_the_error(book, tmp_path, name, typed):
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    os.chdir(work)
    Path(name).write_bytes(b"x" * 2048)
    ran = book.run(f"%%macgpu\nopen({name!r})").error_is(FileNotFoundError)
    assert f"{name} (2 KiB) exists here, not on this-machine: %macgpu put {typed}" in ran.text
    book.run(f"%macgpu put '{name}'").error_is(None)
    there = Path(name).name if name.startswith("..") else name
    book.run(f"%%macgpu\nsize = len(open({there!r}).read())").error_is(None)
    assert book.names["size"] == 2048


@pytest.mark.parametrize(
    "body",
    [
        "open('nowhere.csv')",
        "raise FileNotFoundError('here.csv')",
        "raise FileNotFoundError(2, 'no', b'here.csv\\xff')",
        "raise FileNotFoundError(2, 'no', 7)",
        "raise FileNotFoundError(2, 'no', 'x' * 70000)",
        "raise FileNotFoundError(2, 'no', 'a\\0b')",
        "raise OSError(5, 'broken', 'here.csv')",
        "raise ValueError('here.csv')",
    ],
)
def test_another_error_gets_no_such_line(book, body):
    Path("here.csv").write_text("x")
    ran = book.run(f"%%macgpu\n{body}").error_is(RemoteError)
    assert "exists here" not in ran.text


def test_pandas_and_os_name_the_file_too(book):
    Path("only.csv").write_text("x")
    Path("folder").mkdir()
    ran = book.run("%%macgpu\nimport pathlib\npathlib.Path('only.csv').stat()")
    assert "only.csv (1 B) exists here" in ran.error_is(FileNotFoundError).text
    ran = book.run("%%macgpu\nimport os\nos.listdir('folder')").error_is(FileNotFoundError)
    assert "folder (a folder) exists here" in ran.text
    ran = book.run("%%macgpu\nimport pandas\npandas.read_csv('only.csv')")
    assert "only.csv (1 B) exists here" in ran.error_is(FileNotFoundError).text


def test_the_list_shows_sizes_and_ages(book):
    book.run("%%macgpu\nwritten = open('listed.bin', 'wb').write(bytes(4096))").error_is(None)
    lines = book.run("%macgpu files 'listed.*'").error_is(None).text.splitlines()
    assert lines[0].split() == ["path", "size", "age"]
    assert lines[1].split()[:3] == ["listed.bin", "4", "KiB"]
    [row] = json.loads(book.run("%macgpu files listed.bin --json").text)
    assert row["path"] == "listed.bin"
    assert row["size"] == 4096
    assert 0 <= row["age"] < 600
    assert "No files" in book.run("%macgpu files nothing*").text


def test_the_folder_outlives_its_worker(book):
    book.run("%%macgpu\nimport os\nfirst, kept = os.getpid(), open('kept', 'w').write('k')")
    book.run("%macgpu restart").error_is(None)
    book.run("%%macgpu\nimport os\nsecond, text = os.getpid(), open('kept').read()").error_is(None)
    assert book.names["text"] == "k"
    assert book.names["second"] != book.names["first"]
    book.run("%%macgpu\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)").error_is(
        MacGPUError
    )
    book.run("%%macgpu\nos_text = open('kept').read()").error_is(None)
    assert book.names["os_text"] == "k"


def test_what_a_failed_run_wrote_is_named(book):
    ran = book.run("%%macgpu\nopen('part.bin', 'w').write('12')\n1 / 0")
    assert "wrote 1 file, 2 B: part.bin" in ran.error_is(ZeroDivisionError).text
    ran = book.run(
        "%%macgpu\nimport os, signal\n"
        "with open('checkpoint.bin', 'w') as file:\n    n = file.write('123')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert "wrote 1 file, 3 B: checkpoint.bin" in ran.error_is(MacGPUError).text


@pytest.mark.parametrize("name", ["-rf", "a\nb", "schön", "--files", "$(id)", "\u202egnp", "*"])
def test_odd_names_go_there_and_back(book, name):
    Path(name).write_text(name)
    Path("all").mkdir()
    Path(name).rename(Path("all", name))
    book.run("%macgpu put all").error_is(None)
    book.run(f"%%macgpu\nread = open({'all/' + name!r}).read()").error_is(None)
    assert book.names["read"] == name
    book.run("%macgpu get all --to back").error_is(None)
    assert Path("back/all", name).read_text() == name


def test_before_the_first_cell_there_is_a_folder(own_state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("first.txt").write_text("first")
    with notebook() as fresh:
        assert "No files" in fresh.run("%macgpu files").error_is(None).text
        fresh.run("%macgpu put first.txt").error_is(None)
        fresh.run("%%macgpu\nfirst = open('first.txt').read()").error_is(None)
        assert fresh.names["first"] == "first"


@pytest.mark.parametrize("cut", [0, 1, 65_536, 1_000_000])
def test_an_upload_that_is_cut_at_any_byte_leaves_nothing(book, cut):
    book.run("%%macgpu\n1").error_is(None)
    channel = LocalTransport().open()
    connection = Connection("client", "supervisor")
    channel.send(
        connection.send(m.Hello(role="client", client="other", notebook=notebook_of(book)))
    )
    put = m.Operate(
        operation="o",
        session=session(book),
        action="put",
        detail={"path": "cut.bin", "size": 2_000_000, "digest": "0" * 64},
    )
    part = m.Part(stream="put:o", offset=0, total=2_000_000, buffers=(bytes(900_000),))
    said = connection.send(put)
    told = connection.send(part) * (1 if cut < 900_000 else 2)
    channel.send(said + told[:cut])
    beside = folder(book).parent
    until = time.monotonic() + 60.0
    while not halves(beside, folder(book).name) and time.monotonic() < until:
        time.sleep(0.01)
    assert halves(beside, folder(book).name)
    channel.close()
    while halves(beside, folder(book).name) and time.monotonic() < until:
        time.sleep(0.01)
    assert halves(beside, folder(book).name) == []
    assert not (folder(book) / "cut.bin").exists()


def test_an_interrupt_ends_an_upload_and_the_next_one_is_whole(book, monkeypatch):
    book.run("%%macgpu\n1").error_is(None)
    interrupted, say = threading.Event(), Link.say

    def say_and_wait(link: Link, message: m.Message) -> None:
        """Send no second part before the interrupt has come, however slow the watcher is."""
        say(link, message)
        if isinstance(message, m.Part):
            assert interrupted.wait(60.0)

    monkeypatch.setattr(Link, "say", say_and_wait)
    size = 80_000_000
    with Path("stopped.bin").open("wb") as file:
        file.truncate(size)
    beside, name = folder(book).parent, folder(book).name

    def interrupt() -> None:
        until = time.monotonic() + 60.0
        while not halves(beside, name) and time.monotonic() < until:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        interrupted.set()

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    ran = book.run("%macgpu put stopped.bin")
    watcher.join()
    ran.error_is(KeyboardInterrupt)
    assert not (folder(book) / "stopped.bin").exists()
    book.run("%macgpu put stopped.bin").error_is(None)
    assert (folder(book) / "stopped.bin").stat().st_size == size
    assert halves(beside, name) == []


def test_a_shell_has_no_notebook_whose_files_it_could_mean(book, capsys):
    for verb in (["put", "x"], ["get", "x"], ["files"]):
        assert cli.main(verb) == 2
        assert f"%macgpu {verb[0]}" in capsys.readouterr().err


def test_another_kernel_of_the_notebook_finds_its_files(tmp_path, monkeypatch, own_state):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "again.ipynb"))
    with notebook() as book:
        book.run("%%macgpu\nopen('kept.txt', 'w').write('kept')").error_is(None)
    with notebook() as again:
        again.run("%%macgpu\nkept = open('kept.txt').read()").error_is(None)
        assert again.names["kept"] == "kept"
        assert "kept.txt" in again.run("%macgpu files").error_is(None).text
