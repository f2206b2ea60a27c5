"""What we make on a disk is its owner's alone, whatever the umask."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.mac import store
from jupyter_macgpu.wire.errors import MacGPUError
from tests.faults import processes
from tests.inputs.shell import notebook
from tests.unit.caller import Caller

FLEET = "version: 1\nhosts:\n  here:\n    transport: local\n"


@pytest.fixture
def open_handed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a state folder that is still to be made, to a process that would let all read all."""
    state = tmp_path / "new" / "state"
    temporary = tmp_path / "tmp"
    temporary.mkdir(mode=0o700)
    for name in ("TMPDIR", "TMP", "TEMP"):
        monkeypatch.setenv(name, str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("MACGPU_STATE", str(state))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    before = os.umask(0)
    yield state
    os.umask(before)
    processes.end_all(state)


def open_to_others(folder: Path) -> list[str]:
    """Return what others could read, write or enter, with its mode."""
    found = []
    # IPython copies this one with its rights; the folders above it are closed.
    readme = "ipython/profile_default/startup/README"
    for path in [folder, *folder.rglob("*")]:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & 0o077 and not path.match(readme):
            found.append(f"{path.relative_to(folder.parent)} {stat.filemode(mode)}")
    return found


def test_s7_all_that_is_made_is_the_owners_alone(
    open_handed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = tmp_path / "working"
    working.mkdir(mode=0o700)
    monkeypatch.chdir(working)
    (working / "data.csv").write_text("1,2")
    (working / "macgpu.yaml").write_text(FLEET)
    (working / "macgpu.yaml").chmod(0o600)
    with notebook() as book:
        book.run("import numpy as np; big = np.zeros(200_000)").error_is(None)
        book.run("%%macgpu --files data.csv\nbig += 1\nopen('made.txt', 'w').close()\nbig * 2")
        book.run("%%macgpu\nimport os\nos.mkdir('made')\nos.abort()")
        book.run("%%macgpu\nwide = big + 1\nprint('x' * 300_000)").error_is(None)
        book.run("%macgpu get made.txt --to back").error_is(None)
        book.run("%macgpu put data.csv --to there").error_is(None)
    words = [sys.executable, "-m", "jupyter_macgpu.cli"]
    for verb in (["pause", "1s"], ["resume"], ["allow"], ["status"], ["doctor"]):
        command = [*words, *verb]
        subprocess.run(command, check=False, capture_output=True, timeout=100, cwd=working)
    assert open_to_others(open_handed) == []
    assert open_to_others(tmp_path / "config" / "macgpu") == []
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("spoil", ["link", "group", "others"])
def test_s7_a_state_folder_that_is_not_ours_alone_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    root = tmp_path / "state" / store.machine_id() / "main"
    root.parent.mkdir(parents=True, mode=0o700)
    if spoil == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        root.symlink_to(tmp_path / "elsewhere")
    else:
        root.mkdir()
        root.chmod(0o770 if spoil == "group" else 0o707)
    monkeypatch.setenv("MACGPU_STATE", str(tmp_path / "state"))
    with notebook() as book:
        ran = book.run("%%macgpu\n1").error_is(MacGPUError)
        assert str(ran.error)
    assert list((tmp_path / "elsewhere").iterdir() if spoil == "link" else root.iterdir()) == []


def test_s7_nothing_listens_on_the_network(state: Path) -> None:
    with Caller() as caller:
        caller.submit("1")
        caller.reaches("started")
        ours = [psutil.Process(each.pid) for each in processes.found(state)]
        assert ours
        assert [process.net_connections("inet") for process in ours] == [[]] * len(ours)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc who holds a file")
def test_s7_the_supervisors_lock_is_with_the_supervisor_alone(state: Path) -> None:
    with Caller() as caller:
        caller.submit(
            "import subprocess; child = subprocess.Popen(['sleep', '1'], close_fds=False)"
        )
        caller.reaches("started")
        holders = [
            each.role
            for each in processes.found(state)
            for fd in Path(f"/proc/{each.pid}/fd").iterdir()
            if fd.is_symlink() and fd.readlink().name == "lock"
        ]
        assert holders == ["supervisor"]
