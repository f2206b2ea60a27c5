"""Another account of the same machine: it can reach none of our files and sockets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import processes
from tests.unit.caller import Caller

#: The account that owns nothing.
NOBODY = 65534
TRY = """
import json, os, signal, socket, sys
reached = []
def attempt(what, act, *arguments):
    try:
        act(*arguments)
    except OSError:
        return
    reached.append(what)
def talk(path):
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
for path in json.loads(sys.stdin.read())["paths"]:
    attempt("read " + path, lambda: os.close(os.open(path, os.O_RDONLY)))
    attempt("write " + path, lambda: os.close(os.open(path, os.O_WRONLY)))
    attempt("list " + path, os.listdir, path)
    attempt("connect " + path, talk, path)
    attempt("remove " + path, os.unlink, path)
for pid in map(int, sys.argv[1:]):
    attempt(f"signal {pid}", os.kill, pid, signal.SIGTERM)
    attempt(f"environment of {pid}", lambda: open(f"/proc/{pid}/environ").close())
    attempt(f"files of {pid}", os.listdir, f"/proc/{pid}/fd")
print(json.dumps(reached))
"""


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a state folder where everybody may look for it."""
    if os.getuid() != 0:
        pytest.skip("only root can be another account")
    folder = Path(tempfile.mkdtemp(prefix="macgpu-shared-"))
    folder.chmod(0o755)
    monkeypatch.setenv("MACGPU_STATE", str(folder / "state"))
    yield folder / "state"
    processes.end_all(folder / "state")
    shutil.rmtree(folder)


def tried(paths: list[str], pids: list[int], account: int) -> list[str]:
    done = subprocess.run(
        # Not the tests' own interpreter, which may be in a folder that the account cannot enter.
        [shutil.which("python3", path="/usr/bin") or sys.executable, "-c", TRY, *map(str, pids)],
        input=json.dumps({"paths": paths}),
        capture_output=True,
        text=True,
        check=False,
        user=account,
        group=account,
        extra_groups=[],
        cwd="/",
        timeout=60,
    )
    if done.returncode:
        pytest.skip(f"that account can run nothing here: {done.stderr[-200:]}")
    return list(json.loads(done.stdout))


def test_s7_another_account_reaches_nothing(state: Path) -> None:
    with Caller() as caller:
        caller.submit("open('made.txt', 'w').close(); import time; time.sleep(30)")
        caller.reaches("started")
        paths = [str(path) for path in [state, *state.rglob("*")]]
        pids = [each.pid for each in processes.found(state)]
        assert len(paths) > 10
        assert len(pids) >= 2
        assert any(path.endswith("socket") for path in paths)
        assert tried(paths, pids, NOBODY) == []
        # The same tries succeed for whoever may: else they would show nothing.
        assert len(tried([str(state / "..")], pids, 0)) > len(pids)
