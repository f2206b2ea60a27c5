"""Our code on a host: cut, killed, doubled, damaged, refused, and replaced by the next version."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.fleet.hosts import THIS_MACHINE
from jupyter_macgpu.link import Link
from jupyter_macgpu.mac import complete, store
from jupyter_macgpu.transport import archives, deploy
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.transport.preface import Said, Spoke
from jupyter_macgpu.transport.sockets import SocketChannel
from jupyter_macgpu.wire.errors import ConnectionLost, MacGPUError

from . import invariants, processes
from .cells import Flood
from .desk import Desk, token
from .login import Login, Release
from .relay import Relay, Toxics

root_alone = pytest.mark.skipif(os.getuid() != 0, reason="mounts a small disk: needs root")
linux_alone = pytest.mark.skipif(sys.platform != "linux", reason="mounts as Linux does")


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an interpreter that has no packages at all."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return str(folder / "bin" / "python")


@pytest.fixture
def login(state: Path, tmp_path: Path, bare_python: str, monkeypatch: pytest.MonkeyPatch) -> Login:
    # A machine that does much else is no host that stalls.
    monkeypatch.setattr("jupyter_macgpu.transport.sockets.STALL", 60.0)
    home = tmp_path / "home"
    home.mkdir()
    return Login(home=home, state=state, python=bare_python)


def folders(state: Path) -> set[str]:
    """Return the names of what is complete."""
    return {
        f"{kind}/{path.name}"
        for kind in ("code", "packages")
        for path in (state / kind).glob("*")
        if (path / complete.COMPLETE).exists()
    }


def ours() -> set[str]:
    """Return the names of what this notebook puts there."""
    return {f"code/{archives.code().digest}", f"packages/{archives.packages().digest}"}


def everything_is_well(login: Login) -> None:
    """Put our code there, and see that it is all of it, sound, and that nothing else is left."""
    login.install()
    assert ours() <= folders(login.state)
    for name in ours():
        assert complete.intact(login.state / name)
    assert list((login.state / "incoming").iterdir()) == []
    assert login.needs() == ""


def desk_of(login: Login) -> Desk:
    """Return a notebook on that host, whose workers need our packages."""
    desk = Desk(transport=login)
    session = desk.pool.session(THIS_MACHINE)
    session.environment = {"python": "", "packages": deploy.packages_digest()}
    return desk


# From nothing.


def test_an_empty_host_runs_cells_with_what_it_was_given(login: Login) -> None:
    assert login.needs() == "code"
    assert login.install() > 500_000
    assert login.install() == 0, "what is there does not travel again"
    desk = desk_of(login)
    shell = "from IPython import get_ipython\nshell = get_ipython()\n"
    assert desk.run("import sys\nwhere = sys.executable").state == "ok"
    assert desk.namespace["where"] == login.python
    assert desk.run("import asyncio\nawait asyncio.sleep(0.01)\nwaited = 1").state == "ok"
    told = desk.run(f"{shell}shell.system('echo from a shell')")
    assert b"".join(told.record.stream("stdout")).split() == b"from a shell".split()
    assert desk.run(f"{shell}spent = shell.run_line_magic('timeit', '-n1 -r1 -o -q 1+1').best")
    assert desk.namespace["spent"] > 0
    told = desk.run("def wrong(zero):\n    return 1 / zero\nwrong(0)")
    (error,) = [output for output in told.record.outputs if output.what == "error"]
    assert "return\x1b" in str(error.content["traceback"]) or "return" in str(error.content)
    told = desk.run(f"{shell}paths = [path for path in sys.path]")
    assert [Path(path).parent.name for path in desk.namespace["paths"][-2:]] == ["code", "packages"]
    desk.close()


def test_the_packages_of_the_user_come_first(login: Login, tmp_path: Path) -> None:
    login.install()
    venv.create(tmp_path / "theirs", with_pip=False)
    (site,) = (tmp_path / "theirs").glob("lib/python*/site-packages")
    (site / "cloudpickle").symlink_to(archives_folder(login) / "cloudpickle")
    (site / "jupyter_macgpu").mkdir()
    (site / "jupyter_macgpu" / "__init__.py").write_text("raise ImportError('another version')")
    desk = desk_of(login)
    session = desk.pool.session(THIS_MACHINE)
    session.environment["python"] = str(tmp_path / "theirs" / "bin" / "python")
    assert desk.run("import cloudpickle\nwhere = cloudpickle.__file__").state == "ok"
    assert desk.namespace["where"].startswith(str(site))
    desk.close()


def archives_folder(login: Login) -> Path:
    return login.state / "packages" / archives.packages().digest


def test_the_stored_door_is_the_same_program(login: Login) -> None:
    login.install()
    door = login.state / "door"
    assert door.stat().st_mode & 0o777 == 0o700
    for text in ("", "#!/bin/sh\nan older one\n"):
        door.unlink()
        if text:
            door.write_text(text)
        login.install()
        assert "say need code" in door.read_text()
    before = door.stat()
    login.install()
    assert door.stat() == before, "it is written when it differs"
    done = subprocess.run(
        [door],
        input=f"run {'0' * 64} - -\n".encode(),
        env={"HOME": str(login.home), "MACGPU_STATE": str(login.state)},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"\0macgpu-need code\n"


# Cut, killed, doubled.


def _cut_after(login: Login, limit: int) -> int:
    """Install over a line that carries `limit` bytes; return how many it would have been."""

    class Raw:
        name = login.name

        def open(self) -> Any:
            return login.raw()

        def close(self) -> None:
            return

        def rest(self) -> None:
            return

    relay = Relay(Raw(), Toxics(limit=limit))
    channel = relay.open()
    try:
        with suppress(ConnectionLost):
            deploy.install(channel, login.name, login.python)
    finally:
        channel.close()
    return sum(relay.carried.values())


PLACES = [0.0, 1e-6, 5e-5, 1e-3, 0.005, 0.01, 0.5, 0.99, 0.99999, 0.999999]


@pytest.mark.parametrize("place", PLACES)
def test_f56_an_upload_that_is_cut_leaves_nothing_half(login: Login, place: float) -> None:
    size = len(archives.code().packed()) + len(archives.packages().packed()) + 25_000
    _cut_after(login, int(size * place))
    for name in folders(login.state):
        assert complete.intact(login.state / name), "what has its name is whole"
    everything_is_well(login)


def test_f56_an_upload_that_is_cut_is_said_in_four_parts(login: Login) -> None:
    channel = login.raw()
    told: list[MacGPUError] = []

    def stop(sent: int, _size: int) -> None:
        if sent > 300_000:
            for each in processes.found(login.state):
                each.kill()

    try:
        deploy.install(channel, login.name, login.python, stop)
    except ConnectionLost as error:
        told.append(error)
    channel.close()
    invariants.said_in_four_parts(told[0])
    assert "far-away" in told[0].what


@pytest.mark.parametrize("seed", range(6))
def test_f54_an_installer_killed_at_any_moment_leaves_nothing_half(login: Login, seed: int) -> None:
    pause = random.Random(seed).uniform(0.0, 1.5)

    def kill() -> None:
        time.sleep(pause)
        for each in processes.found(login.state):
            each.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with suppress(ConnectionLost):
        login.install()
    killer.join()
    for name in folders(login.state):
        assert complete.intact(login.state / name)
    everything_is_well(login)


def test_f55_six_notebooks_at_once_on_an_empty_host(login: Login) -> None:
    barrier = threading.Barrier(6)
    told: list[BaseException | int] = []

    def work() -> None:
        barrier.wait()
        try:
            told.append(login.install())
        except BaseException as error:
            told.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each for each in told if isinstance(each, BaseException)] == []
    everything_is_well(login)
    alone(login.state)


def test_a_notebook_that_falls_silent_holds_up_nobody(login: Login) -> None:
    silent = login.raw()
    program = deploy._program()
    silent.send(deploy._line("put", login.python) + b"%d\n" % len(program) + program)
    assert b"want" in (silent.receive(20.0) or b"")
    silent.send(b"code 100000\nabc")
    everything_is_not_waiting(login)
    silent.close()


def everything_is_not_waiting(login: Login) -> None:
    begun = time.monotonic()
    login.install()
    assert time.monotonic() - begun < deploy.PATIENCE / 2
    assert ours() <= folders(login.state)


# Damaged.


class Stalling:
    """A channel whose host takes a piece not in time, and goes on taking after that."""

    def __init__(self, inner: SocketChannel, piece: int) -> None:
        self._inner = inner
        self._left = piece
        self.receive = inner.receive

    def send(self, data: bytes | memoryview) -> None:
        self._left -= 1
        if not self._left:
            raise ConnectionLost("It took nothing for 15 s.")
        self._inner.send(data)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("piece", [3, 10])
def test_a_host_that_stalls_in_an_installation_is_sent_no_archive_with_a_hole(
    login: Login, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "_LAST_WORDS", 1.0)
    channel = Stalling(login.raw(), piece)
    with pytest.raises(deploy.Stalled, match="took nothing more"):
        deploy.install(channel, login.name)
    channel.close()
    login.install()
    assert login.needs() == ""


@pytest.mark.parametrize("kind", ["code", "packages"])
@pytest.mark.parametrize("what", ["bit", "short", "gone", "link", "mark"])
def test_f57_what_was_damaged_is_put_there_again(login: Login, kind: str, what: str) -> None:
    login.install()
    (name,) = [name for name in ours() if name.startswith(kind)]
    module = {"code": "jupyter_macgpu/mac/serve.py", "packages": "IPython/core/magic.py"}[kind]
    path = login.state / name / (complete.COMPLETE if what == "mark" else module)
    data = path.read_bytes()
    if what in ("bit", "mark"):
        path.write_bytes(data[:99] + bytes([data[99] ^ 1]) + data[100:])
    elif what == "short":
        path.write_bytes(data[:-1])
    else:
        path.rename(login.home / "elsewhere")
        if what == "link":
            path.symlink_to(login.home / "elsewhere")
    assert login.needs() == kind
    assert login.install() > 0
    assert login.needs() == ""
    assert complete.intact(login.state / name)


def test_a_door_that_cannot_even_speak_is_mended_by_the_installer(login: Login) -> None:
    login.install()
    path = login.state / "code" / archives.code().digest / "jupyter_macgpu" / "mac" / "door.py"
    for bytecode in path.parent.glob("__pycache__/door.*"):
        bytecode.unlink()
    path.write_text("not Python")
    assert login.first() is None
    everything_is_well(login)


def test_damage_that_comes_while_the_supervisor_runs_is_found_before_it_is_used(
    login: Login,
) -> None:
    login.install()
    desk = desk_of(login)
    desk.pool.session(THIS_MACHINE).link.connect()
    (archives_folder(login) / "cloudpickle" / "__init__.py").write_text("planted = True")
    told = desk.run("1")
    assert told.state == "died"
    assert told.result is not None
    assert "is damaged" in str(told.result.summary)
    desk.close()
    assert login.needs() == "packages"
    login.install()
    desk = desk_of(login)
    assert desk.run("1").state == "ok"
    desk.close()


# What is not used any more.


def test_old_folders_are_removed_but_for_the_last_three_and_those_in_use(login: Login) -> None:
    login.install()
    old = []
    for number in range(6):
        folder = login.state / "code" / (str(number) * 64)
        complete.write(folder / "module.py", b"")
        complete.complete(folder)
        os.utime(folder / complete.COMPLETE, (number + 1, number + 1))
        old.append(folder)
    held = os.open(old[0] / complete.COMPLETE, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    login.install()
    os.close(held)
    kept = {folder.name for folder in (login.state / "code").iterdir()}
    assert kept == {archives.code().digest, old[0].name, old[4].name, old[5].name}


def test_a_worker_keeps_the_code_that_it_runs(login: Login) -> None:
    login.install()
    desk = desk_of(login)
    assert desk.run("1").state == "ok"
    for name in ours():
        assert not complete.unused(login.state / name / complete.COMPLETE)
    desk.close()


# Refused.


def refused(login: Login) -> str:
    """Return what the host says against it; it has four parts."""
    with pytest.raises(deploy.DeployError) as caught:
        login.install()
    invariants.said_in_four_parts(caught.value)
    return caught.value.what


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a disk of a megabyte; options as mount takes them."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.decode()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@root_alone
@linux_alone
@pytest.mark.parametrize("size", ["64k", "1m", "8m"])
def test_a_full_disk_is_said_with_its_path_and_leaves_no_half(
    login: Login, small_disk: Callable[[str], Path], size: str
) -> None:
    disk = small_disk(f"size={size},mode=700")
    full = Login(home=login.home, state=disk / "state", python=login.python)
    text = refused(full)
    assert "full" in text
    assert "MiB are free" in text
    assert str(disk) in text
    assert list((disk / "state" / "incoming").iterdir()) == []
    for name in folders(full.state):
        assert complete.intact(full.state / name)


@root_alone
@linux_alone
def test_a_read_only_disk_is_said(login: Login, small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("ro")
    text = refused(Login(home=login.home, state=disk / "state", python=login.python))
    assert "read-only" in text
    assert str(disk) in text


def _open_to_group(state: Path) -> Path:
    state.mkdir(mode=0o770)
    state.chmod(0o770)
    return state


def _linked(state: Path) -> Path:
    (state.parent / "elsewhere").mkdir(mode=0o700)
    state.symlink_to(state.parent / "elsewhere")
    return state


def _kind_linked(state: Path) -> Path:
    state.mkdir(mode=0o700)
    (state.parent / "elsewhere").mkdir(mode=0o700)
    (state / "packages").symlink_to(state.parent / "elsewhere")
    return state


def _incoming_open(state: Path) -> Path:
    state.mkdir(mode=0o700)
    (state / "incoming").mkdir()
    (state / "incoming").chmod(0o777)
    return state


def _open_parent(state: Path) -> Path:
    (state.parent / "shared").mkdir()
    (state.parent / "shared").chmod(0o777)
    return state.parent / "shared" / "state"


def _of_another(state: Path) -> Path:
    state.mkdir(mode=0o700)
    os.chown(state, 65534, 65534)
    return state


TRICKS: list[Callable[[Path], Path]] = [
    _open_to_group,
    _linked,
    _kind_linked,
    _incoming_open,
    _open_parent,
    pytest.param(_of_another, marks=root_alone),  # type: ignore[list-item]
]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_folder_that_others_could_change_is_refused(
    login: Login, trick: Callable[[Path], Path], tmp_path: Path
) -> None:
    other = Login(home=login.home, state=trick(tmp_path / "other"), python=login.python)
    assert "keeps nothing of ours there" in refused(other)
    if other.state.stat().st_uid != os.getuid():
        shutil.rmtree(other.state)


LINKS = ["door", "python", "installing", "code/{code}", "packages/{packages}", "incoming/x"]


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("to", ["file", "folder"])
def test_nothing_is_written_through_a_link(login: Login, name: str, to: str) -> None:
    login.install()
    path = login.state / name.format(
        code=archives.code().digest, packages=archives.packages().digest
    )
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    target = login.home / "mine"
    (target.mkdir if to == "folder" else target.touch)()
    path.symlink_to(target)
    with suppress(deploy.DeployError):
        login.install()
    left = list(target.iterdir()) if to == "folder" else target.read_bytes()
    assert not left
    if path.is_symlink():
        path.unlink()
    everything_is_well(login)


def test_an_archive_that_is_not_what_its_digest_says_is_refused(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = archives.Archive.packed
    monkeypatch.setattr(archives.Archive, "packed", lambda self: right(self)[:-9] + b"123456789")
    assert "did not arrive as it was sent" in refused(login)
    assert folders(login.state) == set()


def test_a_shell_that_says_nothing_and_one_that_says_much(login: Login, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text("#!/bin/sh\nexec /usr/bin/yes to all\n")
    noisy.chmod(0o755)
    error = refused(Login(home=login.home, state=login.state, shell=str(noisy)))
    assert "to all" in error


# Interpreters.


def fake(path: Path, text: str) -> Path:
    """Make something that stands where an interpreter would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_interpreter_is_found_by_its_place_and_not_by_path(login: Login) -> None:
    placed = login.home / ".local" / "share" / "uv" / "python" / "cpython-3.19.0-x" / "bin"
    fake(login.home / "path" / "python3.19", "exit 9")
    found = fake(placed / "python3.19", f'exec "{login.python}" "$@"')
    other = Login(home=login.home, state=login.state, variables={"PATH": f"{login.home}/path:/bin"})
    other.install()
    assert isinstance(other.first(), Spoke)
    (login.state / "python").write_text(f"{found}\n")
    found.unlink()
    assert other.first() == Said(word="need", text="python")
    other.install()
    assert isinstance(other.first(), Spoke)


OLD = sorted(Path.home().glob(".pyenv/versions/*/bin/python"))


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.10"])
def test_an_old_interpreter_is_said_with_its_version(login: Login, version: str) -> None:
    real = [path for path in OLD if path.parents[1].name.startswith(f"{version}.")]
    path = real[0] if real else fake(login.home / "old", f"echo {version}.")
    text = refused(Login(home=login.home, state=login.state, python=str(path)))
    if version == "2.7" and real:
        assert "does not run" in text, "it knows none of our options"
    else:
        assert f"found: {path} ({version})" in text


@pytest.mark.parametrize("text", ["exit 1", "echo; exit 0", "kill -9 $$", "echo 3.9000"])
def test_something_that_is_no_interpreter_is_said(login: Login, text: str) -> None:
    path = fake(login.home / "broken python", text)
    for shell in ("/bin/sh", "/bin/bash"):
        other = Login(home=login.home, state=login.state, python=str(path), shell=shell)
        assert str(path) in refused(other)


# Shells that speak where nobody listens.

START_UP = {
    "bash": ".bashrc",
    "zsh": ".zshenv",
    "fish": ".config/fish/config.fish",
    "csh": ".cshrc",
    "tcsh": ".tcshrc",
}
NOISES = {
    "prints": "echo Welcome; echo 'it is \"late\"'",
    "sleeps and leaves": "cd /; sleep 0.5",
    "prints much": "/usr/bin/head -c 60000 /dev/zero",
    "speaks like us": "printf '\\0macgpu-\\n\\0macgpu\\n'",
}


@pytest.fixture(params=sorted(START_UP))
def account(request: pytest.FixtureRequest, login: Login) -> tuple[Login, Path]:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"there is no {request.param}")
    file = login.home / START_UP[request.param]
    file.parent.mkdir(parents=True, exist_ok=True)
    # By this bash knows that it is sshd's child, and reads its file.
    variables = {"SSH_CLIENT": "192.0.2.1 50000 22", "SHELL": shell}
    other = Login(
        home=login.home, state=login.state, python=login.python, shell=shell, variables=variables
    )
    return other, file


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_f60_noise_of_start_up_files_is_passed_over(
    account: tuple[Login, Path], noise: str
) -> None:
    login, file = account
    file.write_text(noise + "\n")
    everything_is_well(login)
    link = Link(login, "client", "shells.ipynb")
    assert link.connect().role == "supervisor"
    link.close()


def test_f60_a_start_up_file_that_exits_is_said_with_its_words(
    account: tuple[Login, Path],
) -> None:
    login, file = account
    file.write_text("echo You shall not pass\nexit 1\n")
    if login.shell.endswith(("csh", "fish")):
        login.install()  # there it ends the file alone
        return
    with pytest.raises(ConnectionLost) as caught:
        login.install()
    assert "You shall not pass" in caught.value.what
    invariants.said_in_four_parts(caught.value)


# The next version.


@pytest.fixture
def releases(state: Path, tmp_path: Path) -> Callable[..., Release]:
    def release(version: str = "") -> Release:
        return Release(tmp_path / f"release {version} {len(list(tmp_path.iterdir()))}", version)

    return release


def supervisor() -> dict[str, Any]:
    """Return what the supervisor says of itself in its store."""
    place = store.Store(store.default_root())
    told: dict[str, Any] = json.loads((place.root / "version").read_bytes())
    return told


def alone(state: Path) -> None:
    """See that one supervisor is left: others were started, and found its lock."""
    deadline = time.monotonic() + 60.0
    while [each.pid for each in processes.found(state, "supervisor")] != [supervisor()["pid"]]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def meet(transport: Any) -> Link:
    """Connect once."""
    link = Link(transport, token(), token())
    assert link.connect().role == "supervisor"
    return link


class Running:
    """A notebook whose cell floods while something happens."""

    def __init__(self, desk: Desk, side: Path, **cell: Any) -> None:
        self.desk = desk
        self.flood = Flood(token=token(), side=side, **cell)
        self.told: list[Any] = []
        self.thread = threading.Thread(target=lambda: self.told.append(desk.run(self.flood.source)))

    def begin(self) -> None:
        """Start it, and wait until it shows something."""
        self.thread.start()
        deadline = time.monotonic() + 60.0
        while not self.desk.record.outputs:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> None:
        """Wait for its end: all shown, in order, with no gap, and run once."""
        self.thread.join(60)
        told = self.told[0]
        assert told.state == "ok", told.error
        assert self.flood.executions() == 1
        assert not [each for each in told.record.outputs if each.what == "gap"]
        assert told.record.stream("stdout") == [self.flood.stdout()]
        assert told.record.stream("stderr") == [self.flood.stderr()]
        invariants.nothing_lost(self.flood, told.record, whole=True)
        # A supervisor that retired behind the run's end closed the connection.
        self.desk.pool.session(THIS_MACHINE).link.close()
        invariants.ended_once(told, self.desk.rows()[told.run])


LONG = {"lines": 6000, "every": 100, "pause": 0.03}


def test_f58_a_newer_version_takes_over_a_run_that_prints(
    releases: Callable[..., Release], tmp_path: Path
) -> None:
    old = releases("0.0.9")
    desk = Desk(transport=old)
    running = Running(desk, tmp_path / "side", **LONG)
    running.begin()
    before = supervisor()
    assert before["version"] == "0.0.9"
    meet(LocalTransport()).close()
    after = supervisor()
    assert after["version"] != "0.0.9"
    assert after["pid"] != before["pid"]
    running.end()
    assert supervisor() == after, "an older door uses the newer supervisor as it is"
    assert desk.run("answer += 1").state == "ok"
    assert desk.namespace["answer"] == LONG["lines"] + 1
    desk.close()


def test_f58_ten_versions_in_a_row_lose_nothing(
    releases: Callable[..., Release], tmp_path: Path
) -> None:
    desk = Desk(transport=releases("0.0.1"))
    running = Running(desk, tmp_path / "side", **LONG)
    running.begin()
    for number in range(2, 12):
        meet(releases(f"0.0.{number}")).close()
        assert supervisor()["version"] == f"0.0.{number}"
    running.end()
    desk.close()


def test_f58_two_doors_of_the_new_version_at_once(
    releases: Callable[..., Release], tmp_path: Path, state: Path
) -> None:
    desk = Desk(transport=releases("0.0.9"))
    running = Running(desk, tmp_path / "side", **LONG)
    running.begin()
    links: list[Link] = []
    threads = [
        threading.Thread(target=lambda: links.append(meet(LocalTransport()))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(links) == 4
    alone(state)
    running.end()
    for link in links:
        link.close()
    desk.close()


def test_f58_a_killed_supervisor_of_an_older_version_is_taken_over_behind_a_gap(
    releases: Callable[..., Release], tmp_path: Path
) -> None:
    desk = Desk(transport=releases("0.0.9"))
    running = Running(desk, tmp_path / "side", **LONG)
    running.begin()
    os.kill(supervisor()["pid"], signal.SIGKILL)
    meet(LocalTransport()).close()
    running.thread.join(60)
    told = running.told[0]
    assert told.state == "ok"
    assert running.flood.executions() == 1
    invariants.nothing_lost(running.flood, told.record, whole=True)
    desk.close()


def test_the_same_build_is_left_alone(state: Path) -> None:
    meet(LocalTransport()).close()
    before = supervisor()
    for _ in range(3):
        meet(LocalTransport()).close()
    assert supervisor() == before
    assert len(processes.found(state, "supervisor")) == 1


def test_edited_source_takes_over_when_nobody_would_notice(
    releases: Callable[..., Release],
) -> None:
    source = releases()
    meet(source).close()
    first = supervisor()
    time.sleep(0.02)
    source.edit()
    busy = meet(source)
    second = supervisor()
    assert second["pid"] != first["pid"]
    assert second["build"] != first["build"]
    source.edit()
    meet(source).close()
    assert supervisor() == second, "somebody is connected"
    busy.close()
    deadline = time.monotonic() + 60.0
    while supervisor() == second:
        assert time.monotonic() < deadline
        meet(source).close()


def test_edited_source_leaves_a_run_alone(releases: Callable[..., Release], tmp_path: Path) -> None:
    source = releases()
    desk = Desk(transport=source)
    running = Running(desk, tmp_path / "side", **LONG)
    running.begin()
    before = supervisor()
    source.edit()
    meet(source).close()
    assert supervisor() == before
    running.end()
    desk.close()


def test_installed_code_takes_over_and_keeps_what_lives(
    login: Login, releases: Callable[..., Release]
) -> None:
    desk = Desk(transport=releases("0.0.9"), notebook="kept.ipynb")
    assert desk.run("import os\nworker = os.getpid()").state == "ok"
    login.install()
    meet(login).close()
    assert supervisor()["build"] == archives.code().digest
    assert desk.run("again = os.getpid()", inputs=("os",)).state == "ok"
    assert desk.namespace["again"] == desk.namespace["worker"], "its worker lives on"
    desk.close()
