"""Starting what is to outlive a login: real processes, and a stand-in for launchctl."""

from __future__ import annotations

import json
import os
import plistlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.mac import start, store
from jupyter_macgpu.transport.local import LocalTransport
from tests.faults import processes

PACKAGE = str(Path(__file__).parents[2])
#: Seconds that anything here may take before the test fails.
PATIENCE = 60.0
#: What is started: it tells how it finds itself, and stays.
CHILD = """
import json, os, resource, sys, time
mask = os.umask(0)
found = {
    "pid": os.getpid(), "session": os.getsid(0), "umask": mask, "cwd": os.getcwd(),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    "stdin": os.readlink("/proc/self/fd/0") if os.path.exists("/proc") else "/dev/null",
    "environment": dict(os.environ),
}
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(found, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""
#: What starts it: a door, in a session of its own.
DOOR = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from jupyter_macgpu.mac import start, store
start.start(store.Store(Path(sys.argv[2])), sys.argv[3:], os.environ)
print("started", flush=True)
time.sleep(600)
"""
#: Does with a job what launchd does, as far as it is counted on here.
LAUNCHCTL = """
import json, os, plistlib, subprocess, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "calls"), "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
domain = f"user/{os.getuid()}"
if sys.argv[1] == "bootstrap":
    assert sys.argv[2] == domain
    with open(sys.argv[3], "rb") as file:
        job = plistlib.load(file)
    path = os.path.join(here, job["Label"])
    if os.path.exists(path):
        sys.exit("Bootstrap failed: 5: Input/output error")
    with open(path, "wb") as file:
        plistlib.dump(job, file)
elif sys.argv[1] == "kickstart":
    with open(os.path.join(here, sys.argv[2].removeprefix(domain + "/")), "rb") as file:
        job = plistlib.load(file)
    with open(job["StandardOutPath"], "ab") as log, open(os.devnull) as nothing:
        subprocess.Popen(
            job["ProgramArguments"], env=job["EnvironmentVariables"], cwd=job["WorkingDirectory"],
            stdin=nothing, stdout=log, stderr=log, start_new_session=True,
        )
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[store.Store]:
    place = store.Store(tmp_path / "store")
    place.prepare()
    yield place
    processes.end_all(place.root)


@pytest.fixture
def launchctl(tmp_path: Path) -> Path:
    program = tmp_path / "launchd" / "launchctl"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{LAUNCHCTL}")
    program.chmod(0o700)
    return program


def environment(place: store.Store, **more: str) -> dict[str, str]:
    """Return what a door has, with a sign that the test's processes are known by."""
    return {**os.environ, "MACGPU_STATE": str(place.root), **more}


def command(place: store.Store) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", CHILD, str(place.root / "found")]


def found(place: store.Store) -> dict:
    """Wait until what was started has told how it finds itself."""
    path = place.root / "found"
    eventually(path.exists)
    return json.loads(path.read_text())


def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    return bool(store.process_start(pid))


def log(place: store.Store) -> str:
    return (place.root / "supervisor.log").read_text()


@pytest.fixture
def door(place: store.Store) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a door in a session of its own; it is killed in the end."""
    doors: list[subprocess.Popen[bytes]] = []

    def open_door(*words: str) -> subprocess.Popen[bytes]:
        whole = [sys.executable, "-I", "-S", "-c", DOOR, PACKAGE, str(place.root), *words]
        door = subprocess.Popen(
            whole, stdout=subprocess.PIPE, start_new_session=True, env=environment(place)
        )
        doors.append(door)
        assert door.stdout is not None
        assert door.stdout.readline() == b"started\n"
        return door

    yield open_door
    for each in doors:
        each.kill()
        each.wait()
        assert each.stdout is not None
        each.stdout.close()


@pytest.mark.parametrize("end", [signal.SIGHUP, signal.SIGKILL])
def test_what_has_a_session_of_its_own_outlives_the_door_and_its_session(place, door, end) -> None:
    opened = door(*command(place))
    child = found(place)
    os.killpg(opened.pid, end)
    opened.wait()
    time.sleep(0.3)
    assert lives(child["pid"])
    assert child["session"] == child["pid"] != opened.pid


def test_it_holds_nothing_of_the_login(place: store.Store) -> None:
    login = environment(
        place, SSH_AUTH_SOCK="/tmp/agent", SSH_CONNECTION="1 2 3 4", DISPLAY=":0", LANG="C.UTF-8"
    )
    start.start(place, command(place), login)
    child = found(place)
    assert (child["umask"], child["cwd"], child["stdin"]) == (0o077, "/", "/dev/null")
    assert child["core"] == [0, 0]
    assert child["files"] >= 256
    seen = child["environment"]
    assert seen["LANG"] == "C.UTF-8"
    assert not {"SSH_AUTH_SOCK", "SSH_CONNECTION", "DISPLAY"} & set(seen)
    assert seen[start.FOUNDER] == f"{os.getpid()} {store.process_start(os.getpid())}"
    assert log(place) == ""


@pytest.mark.parametrize(("before", "after"), [("256", "8192"), ("9000", "9000"), ("hard", "hard")])
def test_the_limit_of_open_files_is_raised_and_never_lowered(before: str, after: str) -> None:
    # As on macOS: 256 may be used, more may be asked for. `hard`: more may not be had.
    limit = {"hard": "ulimit -n 300"}.get(before, f"ulimit -S -n {before}")
    shell = f"{limit}; exec /bin/sh -c '{start.PRELUDE}' sh /bin/sh -c 'ulimit -S -n'"
    shown = subprocess.check_output(["/bin/sh", "-c", shell], text=True).strip()
    assert shown == {"hard": "300"}.get(after, after)


def test_what_is_attached_ends_with_its_door_and_takes_its_workers_along(place, door) -> None:
    start.write_way(place, start.ATTACHED)
    opened = door(*command(place))
    child = found(place)
    assert child["session"] == opened.pid
    worker = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    other = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    for name, process, began in [
        ("a", worker, store.process_start(worker.pid)),
        ("b", other, "an earlier process of that number"),
    ]:
        folder = place.worker(name)
        folder.mkdir()
        (folder / "process").write_text(json.dumps({"pid": process.pid, "start": began}))
    opened.kill()
    opened.wait()
    eventually(lambda: not lives(child["pid"]))
    assert worker.wait(PATIENCE) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()
    eventually(lambda: not processes.found(place.root))


def test_a_guard_ends_with_what_it_guards(place, door) -> None:
    start.write_way(place, start.ATTACHED)
    opened = door(*command(place))
    os.kill(found(place)["pid"], signal.SIGTERM)
    eventually(lambda: [each.pid for each in processes.found(place.root)] == [opened.pid])


def test_launchd_is_handed_a_job_and_told_to_start_it(place, launchctl) -> None:
    start.write_way(place, start.DOMAIN)
    for _ in range(2):  # the second time launchd knows the job already
        (place.root / "found").unlink(missing_ok=True)
        start.start(place, command(place), environment(place), launchctl=str(launchctl))
        child = found(place)
        os.kill(child["pid"], signal.SIGKILL)
    assert child["environment"]["MACGPU_STATE"] == str(place.root)
    assert child["core"] == [0, 0]
    lines = (launchctl.parent / "calls").read_text().splitlines()
    verbs = [json.loads(line)[0] for line in lines]
    assert verbs == ["bootstrap", "kickstart"] * 2
    assert list(place.root.glob("*.plist")) == []
    assert log(place) == ""


def test_a_job_says_all_that_launchd_has_to_know() -> None:
    words, variables = ["/bin/sh", "-c", "true"], {"LANG": "C"}
    job = plistlib.loads(start.job(words, variables, "/s/log"))
    assert job["ProgramArguments"] == words
    assert job["EnvironmentVariables"] == variables
    assert (job["RunAtLoad"], job["KeepAlive"], job["AbandonProcessGroup"]) == (False, False, True)
    assert job["ProcessType"] == "Interactive"
    assert job["StandardOutPath"] == job["StandardErrorPath"] == "/s/log"
    name = job["Label"]
    assert name == start.label(words, variables)
    assert name != start.label(words, {"LANG": "de"})
    assert start.calls("/bin/launchctl", 501, name, Path("/s/j.plist")) == (
        ["/bin/launchctl", "bootstrap", "user/501", "/s/j.plist"],
        ["/bin/launchctl", "kickstart", f"user/501/{name}"],
    )


@pytest.mark.parametrize("refusal", ["", "#!/bin/sh\necho no such domain >&2\nexit 125\n"])
def test_where_launchd_refuses_another_way_is_taken_and_the_log_says_so(
    place: store.Store, tmp_path: Path, refusal: str
) -> None:
    program = tmp_path / "refusing"
    if refusal:
        program.write_text(refusal)
        program.chmod(0o700)
    start.write_way(place, start.DOMAIN)
    start.start(place, command(place), environment(place), launchctl=str(program))
    child = found(place)
    assert child["session"] == child["pid"]
    assert "in a session of its own instead" in log(place)
    assert ("no such domain" in log(place)) == bool(refusal)


def test_a_way_that_is_asked_for_by_name_is_not_replaced(place: store.Store) -> None:
    with pytest.raises(OSError, match="launchctl"):
        start.start(
            place, command(place), environment(place), way="domain", launchctl="/no/launchctl"
        )
    assert processes.found(place.root) == []


def test_a_way_that_nobody_knows_is_passed_over_in_the_log(place: store.Store) -> None:
    start.write_way(place, "by magic")
    start.start(place, command(place), environment(place))
    child = found(place)
    assert child["session"] == child["pid"]
    assert log(place) == "macgpu: 'by magic' is no way to start; session is taken\n"


def test_a_supervisor_learns_that_another_way_was_chosen(place: store.Store) -> None:
    assert [start.next_way(way) for way in ("", *start.WAYS)] == [
        start.DOMAIN,
        start.DOMAIN,
        start.ATTACHED,
        start.ATTACHED,
    ]
    start.start(place, command(place), environment(place))
    seen = found(place)["environment"]
    assert not start.outdated(place, seen)
    assert not start.outdated(place, {})
    start.write_way(place, start.DOMAIN)
    assert start.read_way(place) == start.DOMAIN
    assert start.outdated(place, seen)


@pytest.mark.parametrize("way", [start.SESSION, start.ATTACHED])
def test_a_supervisor_stays_or_goes_with_its_first_door_as_the_way_says(
    state: Path, way: str
) -> None:
    place = store.Store(store.default_root())
    place.prepare()
    start.write_way(place, way)
    channel = LocalTransport().open()
    eventually(place.socket.exists)
    (opened,) = processes.found(state, "door")
    channel.close()
    eventually(lambda: not lives(opened.pid))
    if way == start.ATTACHED:
        eventually(lambda: not processes.found(state))
    else:
        time.sleep(0.5)
        assert processes.found(state, "supervisor")


def test_a_supervisor_without_workers_makes_room_for_one_that_is_started_another_way(
    state: Path,
) -> None:
    place = store.Store(store.default_root())
    channel = LocalTransport().open()
    eventually(place.socket.exists)
    (first,) = processes.found(state, "supervisor")
    start.write_way(place, start.ATTACHED)
    eventually(lambda: not lives(first.pid))
    channel.close()
    again = LocalTransport().open()
    eventually(lambda: len(processes.found(state, "supervisor")) == 2)  # one is the guard
    again.close()
    eventually(lambda: not processes.found(state))
