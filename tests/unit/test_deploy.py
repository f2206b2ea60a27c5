"""What travels to a host that has nothing of ours, and what is believed of what lies there."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_macgpu.mac import build, complete, door, handover, install
from jupyter_macgpu.mac.merge import Merger, Written
from jupyter_macgpu.transport import archives, complaints, deploy
from jupyter_macgpu.transport.preface import Noisy, Preface, Said, Spoke, Verdict
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import MAX_NOISE, PREAMBLE
from jupyter_macgpu.wire.errors import ConfigError, ConnectionLost

SHELLS = ["sh", "dash", "bash", "zsh", "fish", "csh", "tcsh", "ksh"]
A, B = "a" * 64, "b" * 64


# The preface.


def read(*pieces: bytes) -> Verdict | None:
    preface = Preface()
    verdicts = [preface.feed(piece) for piece in pieces]
    assert all(verdict is None for verdict in verdicts[:-1])
    return verdicts[-1]


NOISE = [b"", b"Welcome\n", b"\x1b[1mhi\x1b[0m\r\n\x00\x00macgpu\n", b"\0macgpu\n\0macgpu-\n"]
ENDINGS = {
    b"\0macgpu-need code\n": Said(word="need", text="code"),
    b"\0macgpu-error disk-full 3 MiB at /a b\nmore": Said(
        word="error", text="disk-full 3 MiB at /a b", rest=b"more"
    ),
    b"\0macgpu-again\n": Said(word="again", text=""),
    PREAMBLE + b"\0\1\2": Spoke(data=PREAMBLE + b"\0\1\2"),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("said", ENDINGS)
def test_a_word_is_found_behind_any_noise(noise: bytes, said: bytes) -> None:
    assert read(noise + said) == ENDINGS[said]


@pytest.mark.parametrize("said", ENDINGS)
def test_a_word_is_found_in_any_cut(said: bytes) -> None:
    text = b"noise\n" + said
    whole = ENDINGS[said]
    for cut in range(len(text)):
        preface = Preface()
        verdict = preface.feed(text[:cut]) or preface.feed(text[cut:])
        assert type(verdict) is type(whole)
        if isinstance(whole, Said) and isinstance(verdict, Said):
            assert (verdict.word, verdict.text) == (whole.word, whole.text)


def test_too_much_noise_is_said_with_its_first_line() -> None:
    verdict = read(b"\n\x1b[31mNo \x07soup\x1b[0m for you\r\n", b"x" * (MAX_NOISE + 1))
    assert verdict == Noisy(line="No soup for you")


def test_noise_up_to_the_limit_passes() -> None:
    noise = b"x" * (MAX_NOISE - 1) + b"\n"
    assert read(noise, PREAMBLE) == Spoke(data=PREAMBLE)


def test_a_word_without_an_end_is_noise_in_the_end() -> None:
    assert isinstance(read(b"\0macgpu-error " + b"x" * 100_000), Noisy)


# The command.


def test_the_command_is_one_line_that_no_login_shell_reads_otherwise() -> None:
    command = deploy.door_command()
    assert command is deploy.door_command()
    program = command.removeprefix("exec /bin/sh -c '").removesuffix("'")
    assert len(program) == len(command) - len("exec /bin/sh -c ''")
    assert not set(program) & set("'!\n\t")
    assert "\\\\" not in program, "fish takes one of them away"
    assert program.isascii()


@pytest.mark.parametrize("name", SHELLS)
def test_each_shell_runs_the_command_and_takes_one_line(name: str, tmp_path: Path) -> None:
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"there is no {name}")
    code = tmp_path / "st ate" / "code" / A
    (code / "jupyter_macgpu" / "mac").mkdir(parents=True)
    (code / "complete").touch()
    for part in ("", "mac"):
        (code / "jupyter_macgpu" / part / "__init__.py").touch()
    (code / "jupyter_macgpu" / "mac" / "door.py").write_text(
        "import os\ndef main(packages): print(packages, os.read(0, 99).decode())"
    )
    line = f"run {A} - {sys.executable}\nwhat follows"
    assert _door(shell, line, tmp_path / "st ate") == "- what follows\n"
    assert _door(shell, f"run {B} - -\n", tmp_path / "st ate") == "\0macgpu-need code\n"


def _door(shell: str, said: str, state: Path) -> str:
    environment = {"HOME": str(state.parent), "MACGPU_STATE": str(state), "PATH": "/nowhere"}
    done = subprocess.run(
        [shell, "-c", deploy.door_command()],
        input=said.encode(),
        capture_output=True,
        env=environment,
        check=False,
        timeout=60,
    )
    assert not done.stderr, done.stderr
    return done.stdout.decode()


HOSTILE = [
    "",
    "run",
    "run a",
    "run a ",
    "run ../code -",
    f"run {A}/.. -",
    f"run {A} ../../x",
    "stop a b -",
    "run $(id) `id` ;id",
    "put ;touch${IFS}x & |",
    "run \"a\" 'b' -",
]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_line_that_is_none_of_ours_opens_nothing(line: str, tmp_path: Path) -> None:
    said = _door("/bin/sh", line + "\n", tmp_path / "state")
    assert said.startswith(("\0macgpu-error bad-line ", "\0macgpu-need code\n"))
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_is_cut_opens_nothing(tmp_path: Path) -> None:
    line = f"put {A} {B} -"
    for cut in range(len(line) + 1):
        assert _door("/bin/sh", line[:cut], tmp_path / "state") == ""


@pytest.mark.parametrize("path", ["python3", "~x/python", "/a\nput x", "-c", "/a\x07", "../python"])
def test_an_interpreter_is_an_absolute_path(path: str) -> None:
    with pytest.raises(deploy.DeployError) as caught:
        deploy.greeting(path)
    assert str(caught.value).count("\n") == 3


def test_the_greeting_names_what_is_needed() -> None:
    words = deploy.greeting("/opt/a b/python").decode().split(" ", 3)
    assert words[0] == "run"
    assert words[1:3] == [archives.code().digest, deploy.packages_digest()]
    assert words[3] == "/opt/a b/python\n"


@pytest.mark.parametrize("word", [*complaints._KNOWN, "nonsense", ""])
def test_each_complaint_says_what_happened_and_what_to_do(word: str) -> None:
    error = deploy.refusal(Said(word="error", text=f"{word} /the/{{detail}}"), "studio-1")
    parts = str(error).split("\n")
    assert len(parts) == 4
    assert all(parts)
    assert "studio-1" in parts[0]
    assert not isinstance(error, ConnectionLost)


# The archives.


def test_the_code_is_all_that_a_host_runs_and_nothing_else() -> None:
    files = archives.code().files
    tops = {name.split("/")[1] for name in files}
    assert tops == {"__init__.py", "mac", "wire"}
    assert "jupyter_macgpu/mac/door.sh" in files
    assert "jupyter_macgpu/wire/values/graph.py" in files
    assert all(name.endswith((".py", ".sh")) for name in files)


def test_the_packages_are_plain_and_small() -> None:
    files = archives.packages().files
    tops = {name.split("/")[0] for name in files}
    assert {"IPython", "traitlets", "cloudpickle", "typing_extensions.py"} <= tops
    assert not tops & {"psutil", "wcwidth", "prompt_toolkit", "jedi", "jupyter_macgpu", "numpy"}
    assert not [name for name in files if name.startswith("/") or ".." in name.split("/")]
    assert not [name for name in files if name.endswith((".so", ".pyc"))]
    assert len(archives.packages().packed()) < 3 * 2**20


def test_an_archive_depends_on_contents_alone(tmp_path: Path) -> None:
    files = {}
    for number in range(3):
        path = tmp_path / f"file{number}"
        path.write_text(str(number))
        path.chmod(0o644 >> number)
        files[f"package/{2 - number}.py"] = str(path)
    first = archives._tar(files)
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o400)
    assert archives._tar(dict(reversed(files.items()))) == first
    (tmp_path / "file0").chmod(0o600)
    (tmp_path / "file0").write_text("other")
    assert archives._tar(files) != first


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(archives, "_cache_folder", lambda: tmp_path / "macgpu")
    return tmp_path / "macgpu"


def test_the_digests_are_noted_privately_and_believed_while_the_files_are_the_same(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = archives._archive("packages", archives._package_files)
    (note,) = fresh_cache.iterdir()
    assert note.stat().st_mode & 0o777 == 0o600
    assert fresh_cache.stat().st_mode & 0o777 == 0o700

    def nothing() -> dict[str, Path]:
        raise AssertionError("what is noted holds")

    assert archives._archive("packages", nothing) == first
    monkeypatch.setattr(archives, "_stat", lambda path: (1, 1))
    with pytest.raises(AssertionError):
        archives._archive("packages", nothing)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"digest": 1, "files": {"a": 2}}', "\0"])
def test_a_note_that_is_none_is_made_again(fresh_cache: Path, text: str) -> None:
    first = archives._archive("code", archives._our_files)
    (note,) = fresh_cache.iterdir()
    note.write_text(text)
    assert archives._archive("code", archives._our_files) == first


def test_without_a_cache_folder_it_works_all_the_same(fresh_cache: Path) -> None:
    fresh_cache.write_text("a file in its place")
    assert archives._archive("code", archives._our_files).digest == archives.code().digest


def test_files_that_changed_meanwhile_are_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("1")
    files = {"a.py": str(path)}
    digest = hashlib.sha256(archives._tar(files)).hexdigest()
    archive = archives.Archive(kind="code", digest=digest, files=files)
    assert archive.packed()
    path.write_text("2")
    with pytest.raises(ConfigError):
        archive.packed()
    path.unlink()
    with pytest.raises(ConfigError):
        archive.packed()


# What is believed of what lies there.


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / A
    complete.write(folder / "package" / "module.py", b"value = 1\n" * 50)
    complete.write(folder / "package" / "data.txt", b"some data")
    complete.complete(folder)
    return folder


def test_a_folder_is_intact_as_it_was_made(shelf: Path) -> None:
    assert list(shelf.rglob("*.pyc"))
    assert complete.intact(shelf)
    assert complete.intact(shelf)


@pytest.mark.parametrize("seed", range(40))
def test_one_flipped_bit_anywhere_makes_it_absent(shelf: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = chance.choice([path for path in sorted(shelf.rglob("*")) if path.is_file()])
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    assert not complete.intact(shelf)
    assert not (shelf / complete.COMPLETE).exists(), "it counts as missing from now on"


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _link(path: Path) -> None:
    twin = path.with_name("twin")
    path.rename(twin)
    path.symlink_to(twin)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("harm", [Path.unlink, _shorten, _link, _pipe])
@pytest.mark.parametrize("name", ["package/module.py", "package/data.txt", "complete"])
def test_whatever_else_is_done_to_a_file_makes_it_absent(
    shelf: Path, harm: Callable[[Path], object], name: str
) -> None:
    harm(shelf / name)
    assert not complete.intact(shelf)


def test_a_folder_that_is_a_link_makes_it_absent(shelf: Path, tmp_path: Path) -> None:
    (shelf / "package").rename(tmp_path / "elsewhere")
    (shelf / "package").symlink_to(tmp_path / "elsewhere")
    assert not complete.intact(shelf)
    assert (tmp_path / "elsewhere" / "module.py").exists(), "what a link leads to is left alone"


def test_what_does_not_belong_there_is_deleted(shelf: Path) -> None:
    planted = [shelf / "os.py", shelf / "package" / "__pycache__" / "module.cpython-399.pyc"]
    for path in planted:
        path.write_text("raise SystemExit")
    assert complete.intact(shelf)
    assert not any(path.exists() for path in planted)


def test_who_uses_a_folder_keeps_it(shelf: Path) -> None:
    os.utime(shelf / complete.COMPLETE, (1, 1))
    assert complete.unused(shelf / complete.COMPLETE)
    held = complete.use(shelf)
    assert (shelf / complete.COMPLETE).stat().st_mtime > 1
    assert not complete.unused(shelf / complete.COMPLETE)
    os.close(held)
    assert complete.unused(shelf / complete.COMPLETE)


# Archives that somebody made for us.


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


BAD_MEMBERS = {
    "absolute": _member("/etc/passwd"),
    "up": _member("../../outside"),
    "up inside": _member("a/../../outside"),
    "dot": _member("./a"),
    "double slash": _member("a//b"),
    "symbolic link": _member("a", tarfile.SYMTYPE, "/etc"),
    "hard link": _member("a", tarfile.LNKTYPE, "/etc/passwd"),
    "folder": _member("a", tarfile.DIRTYPE),
    "device": _member("a", tarfile.CHRTYPE),
    "pipe": _member("a", tarfile.FIFOTYPE),
    "the mark itself": _member("complete"),
    "empty name": _member(""),
}


@pytest.mark.parametrize("member", BAD_MEMBERS.values(), ids=BAD_MEMBERS)
def test_an_archive_with_anything_but_plain_files_is_refused(
    member: tarfile.TarInfo, tmp_path: Path
) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(member)
    with pytest.raises(install.Refused) as caught:
        install._unpack(target.getvalue(), tmp_path / "new")
    assert caught.value.word == "broken-archive"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_archive_with_one_name_twice_is_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(_member("a"))
        archive.addfile(_member("a"))
    with pytest.raises(FileExistsError):
        install._unpack(target.getvalue(), tmp_path / "new")


# Who takes whose place.


def _build(version: str, digest: str) -> build.Build:
    return build.Build(version=version, build=digest)


@pytest.mark.parametrize(
    ("mine", "theirs", "quiet", "taken"),
    [
        (("0.2.0", A), ("0.1.9", B), False, True),
        (("0.10.0", A), ("0.9.0", B), False, True),
        (("0.1.0", A), ("0.2.0", B), True, False),
        (("0.1.0", A), ("0.1.0", B), False, False),
        (("0.1.0", A), ("0.1.0", B), True, True),
        (("0.1.0", A), ("0.1.0", A), True, False),
        (("0.1.0.dev3", A), ("0.1.0", A), True, False),
    ],
)
def test_the_newer_takes_the_place(
    mine: tuple[str, str], theirs: tuple[str, str], quiet: bool, taken: bool
) -> None:
    assert _build(*mine).replaces(_build(*theirs), quiet=quiet) is taken


@pytest.mark.parametrize("value", [None, [], {}, {"version": 1, "build": "x"}, {"version": "1"}])
def test_what_is_no_build_is_none(value: object) -> None:
    assert build.parse(value) is None


# What a supervisor leaves to the next.


def _output(
    mergers: list[Merger], pieces: list[tuple[str, bytes]], ways: list[int]
) -> list[object]:
    """Feed pieces, and hand on to a new merger before those of the numbers in `ways`."""
    merger = mergers[-1]
    out: list[object] = []
    for number, (name, data) in enumerate(pieces):
        if number in ways:
            merger = Merger.restored("nonce", merger.state())
            for mark in EVENTS:
                if mark not in {item.mark for item in out if isinstance(item, m.Event)}:
                    merger.event(EVENTS[mark])
        merger.feed(name, data)
        out += merger.take()
    return out + list(merger.drain())


EVENTS = {mark: m.Event(run="r", mark=mark, what="display_data") for mark in (2, 4)}


def _mark(number: int) -> bytes:
    return b"\x1b]macgpu;nonce;%d;%s\x07" % (number, b"e" if number in EVENTS else b"s")


@settings(max_examples=200, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 200), max_size=6),
    ways=st.lists(st.integers(0, 12), max_size=3),
    turns=st.randoms(use_true_random=False),
)
def test_nothing_is_lost_or_turned_round_however_often_it_is_handed_on(
    cuts: list[int], ways: list[int], turns: random.Random
) -> None:
    texts = {
        "stdout": b"one" + _mark(1) + _mark(2) + b"two" + _mark(3) + _mark(4) + b"end",
        "stderr": _mark(1) + b"\x1b]oops" + _mark(2) + _mark(3) + b"three" + _mark(4),
    }
    pieces = []
    for name, text in texts.items():
        places = sorted({0, len(text), *(cut % len(text) for cut in cuts)})
        pieces.append([(name, text[a:b]) for a, b in itertools.pairwise(places)])
    mixed = []
    while any(pieces):
        mixed.append(turns.choice([each for each in pieces if each]).pop(0))
    merger = Merger("nonce")
    for event in EVENTS.values():
        merger.event(event)
    out = _output([merger], mixed, ways)
    shown = [item.mark for item in out if isinstance(item, m.Event)]
    assert shown == [2, 4]
    for name, wanted in (("stdout", b"onetwoend"), ("stderr", b"\x1b]oopsthree")):
        written = [item.data for item in out if isinstance(item, Written) and item.name == name]
        assert b"".join(written) == wanted
    order = [item.mark if isinstance(item, m.Event) else item.name for item in out]
    before = b"".join(i.data for i in out[: order.index(2)] if isinstance(i, Written))
    assert b"one" in before
    assert b"two" not in before


def test_what_was_left_is_for_that_process_and_for_one_time(tmp_path: Path) -> None:
    (tmp_path / "process").write_text('{"pid": 1, "start": "2"}')
    state = {"pid": 1, "start": "2", "noted": 3}
    handover.leave(tmp_path, state)
    assert handover.take(tmp_path) == state
    assert handover.take(tmp_path) is None
    handover.leave(tmp_path, {**state, "start": "3"})
    assert handover.take(tmp_path) is None
    (tmp_path / handover.FILE).write_text("not JSON")
    assert handover.take(tmp_path) is None


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_the_door_is_the_same_program_as_a_file(shell: str, tmp_path: Path) -> None:
    """A key that may run nothing else runs the file, whose lines are not squeezed into one."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell}")
    words = [found, str(Path(door.__file__).with_name("door.sh"))]
    environment = {"HOME": str(tmp_path), "MACGPU_STATE": str(tmp_path / "state")}
    for line, answer in (
        (b"run aa bb -\n", b"\0macgpu-need code\n"),
        (b"run ../aa bb -\n", b"\0macgpu-error bad-line"),
        (b"put aa bb /no/python\n", b"\0macgpu-error bad-python /no/python\n"),
        (b"put aa bb -\n2\n\n\n", b""),
    ):
        ran = subprocess.run(words, input=line, env=environment, capture_output=True, timeout=60)
        assert ran.stdout.startswith(answer), ran
        assert ran.stderr == b""
