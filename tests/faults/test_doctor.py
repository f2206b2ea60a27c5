"""The doctor on real servers with one fault planted in each: the check that it fails, the cure."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jupyter_macgpu import cli, doctor
from jupyter_macgpu.findings import Check
from jupyter_macgpu.fleet.file import load_fleet
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.simulation.macs import MACS
from jupyter_macgpu.simulation.replay import output
from jupyter_macgpu.simulation.weather import weather_at
from tests.network import Network
from tests.ssh_home import Home
from tests.sshd import Account, Servers, Sshd

from .test_ssh_hosts import hidden, pythons, speaking

WELL = '{"state": "ok", "line": "torch 9 on mps", "device": "mps"}'


@dataclass
class Ward:
    """A host, and what is planted on it before it is started."""

    servers: Servers
    home: Home
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def start(self, **words: object) -> Sshd:
        """Start a server that replays a Mac, and make it the fleet."""
        settings = dict(self.variables)
        if "MACGPU_PROBE" not in settings:
            settings["MACGPU_PROBE"] = self.replay()
        server = self.servers.start(variables=settings, **words)  # type: ignore[arg-type]
        self.home.know(server)
        self.home.write_fleet({"studio": server})
        return server

    def replay(self, later: float = 0.0, **changed: str) -> str:
        """Return a command that prints a calm Mac's probe, its clock and some lines changed."""
        text = output(MACS["m4"], weather_at(7, 0), "n", 0)
        for old, new in changed.items():
            assert old in text
            text = text.replace(old, new)
        file = self.folder / "probe.txt"
        file.write_text(text)
        clock = f"s/^clock .*/clock $(($(date +%s) + {later:.0f}))/"
        return str(self.program("probe", f'sed "{clock}" {shlex.quote(str(file))}'))

    def program(self, name: str, text: str) -> Path:
        """Write a shell program, and return it."""
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file


@pytest.fixture
def ward(servers: Servers, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ward:
    # A real cell all the same; what the real one imports takes seconds.
    monkeypatch.setattr(doctor, "_TENSOR", "('nothing much', 'mps', 6 * 7 == 42)")
    made = Ward(servers=servers, home=home, folder=tmp_path)
    made.variables["MACGPU_GAUGE"] = str(made.program("gauge", f"echo 'macgpu-gauge {WELL}'"))
    return made


def examined() -> dict[str, Check]:
    """Examine the one host of the fleet."""
    fleet = load_fleet()
    pool = Pool(fleet, Reach(nobody_to_ask), "")
    try:
        return {check.name: check for check in doctor.examine(pool, fleet.hosts[0])}
    finally:
        pool.close()


def failing(found: dict[str, Check]) -> set[str]:
    return {name for name, check in found.items() if check.state == "failed"}


TENSOR = doctor._TENSOR


def test_a_healthy_host_passes_all(
    ward: Ward, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.start()
    monkeypatch.setattr(doctor, "_TENSOR", TENSOR)
    found = examined()
    assert "on cpu" in found["tensor"].detail or "on mps" in found["tensor"].detail
    assert failing(found) == set(), found
    assert list(found) == [
        *("configuration", "name", "port", "host key", "login", "interpreter", "version"),
        *("architecture", "clock", "disk", "home", "sleep", "accounts", "leftovers"),
        *("GPU test", "tensor"),
    ]
    states = {name: check.state for name, check in found.items()}
    # A machine of one account needs no shared queue, and this one has no GPU for the tensor.
    assert {name for name, state in states.items() if state != "ok"} <= {
        *("sleep", "accounts", "tensor")
    }, found
    assert "skipped" not in states.values()
    assert cli.main(["doctor", "studio", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["studio"]
    assert [each["name"] for each in shown] == list(found)


# The way there.


def test_remote_login_is_off(ward: Ward) -> None:
    ward.start().stop()
    found = examined()
    assert failing(found) == {"port"}
    assert "refused" in found["port"].detail
    assert "systemsetup -setremotelogin on" in found["port"].mend
    assert found["login"].state == found["tensor"].state == "skipped"


def test_an_unknown_host_key(ward: Ward) -> None:
    ward.start()
    ward.home.known_hosts.write_text("")
    found = examined()
    assert failing(found) == {"host key"}
    assert "is not known" in found["host key"].detail
    assert "macgpu trust studio" in found["host key"].mend


def test_a_changed_host_key(ward: Ward) -> None:
    server = ward.start()
    server.stop()
    server.host_name = "other-host"
    server.start()
    found = examined()
    assert failing(found) == {"host key"}
    assert "has changed" in found["host key"].detail
    assert "ssh-keygen -R" in found["host key"].mend
    assert "macgpu trust studio" in found["host key"].mend


def test_a_refused_login(ward: Ward) -> None:
    ward.start(authorized=("other-user",))
    found = examined()
    assert failing(found) == {"login"}
    assert "ssh-copy-id" in found["login"].mend
    assert "FileVault" not in found


def test_a_mac_that_has_started_anew_and_waits_for_its_disk(ward: Ward) -> None:
    server = ward.start()
    assert failing(examined()) == set()
    server.stop()
    keys = server.folder / "authorized_keys"
    before = keys.read_text()
    server.authorized = ()
    server.start()
    found = examined()
    assert failing(found) == {"login", "FileVault"}
    at = f"-p {server.port} {server.user}@{server.address}"
    assert f"ssh -o PubkeyAuthentication=no {at}" in found["FileVault"].mend
    # Before macOS 26, its port stays closed.
    server.stop()
    found = examined()
    assert failing(found) == {"port"}
    assert found["FileVault"].state == "note"
    server.authorized = ("user",)
    server.start()
    assert keys.read_text() == before
    assert failing(examined()) == set()


def test_the_local_network_is_kept_from_us(
    ward: Ward, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ward.start(namespace=network.far, address=network.address)
    # What macOS answers then, a Linux without a route does; the advice is for macOS.
    network.unreachable(server.address)
    monkeypatch.setattr("jupyter_macgpu.transport.dial.sys.platform", "darwin")
    with network.inside():
        found = examined()
    assert failing(found) == {"port"}
    assert "No route to host" in found["port"].detail
    assert "Privacy_LocalNetwork" in found["port"].mend


def test_something_else_answers(ward: Ward) -> None:
    server = ward.start()
    with speaking(lambda peer: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        ward.home.write_fleet({"studio": server}, port=port)
        found = examined()
    assert failing(found) == {"port"}
    assert "does not speak SSH" in found["port"].detail


# Its interpreter.


def test_no_python_in_any_place(ward: Ward, tmp_path: Path) -> None:
    account = Account(home=tmp_path / "ada")
    server = ward.start(account=account, mounts=hidden(*pythons()), state=None)
    ward.home.write_fleet({"studio": server}, python=None)
    found = examined()
    assert failing(found) == {"interpreter"}
    assert "no Python 3.11 or newer" in found["interpreter"].detail
    assert "brew install python" in found["interpreter"].mend


def test_an_old_python(ward: Ward, tmp_path: Path) -> None:
    old = ward.program("old-python", "echo 3.9. arm64")
    mounts = [("--bind", str(old), str(path)) for path in pythons()]
    server = ward.start(account=Account(home=tmp_path / "ada"), mounts=mounts, state=None)
    ward.home.write_fleet({"studio": server}, python=None)
    found = examined()
    assert failing(found) == {"interpreter"}
    assert "(3.9)" in found["interpreter"].detail


def test_a_named_python_that_is_not_there(ward: Ward) -> None:
    server = ward.start()
    ward.home.write_fleet({"studio": server}, python="/opt/nowhere/python3")
    found = examined()
    assert failing(found) == {"interpreter"}
    assert "python:" in found["interpreter"].mend


@pytest.mark.parametrize(
    ("python", "said"),
    [("/nowhere/python3", "No such file or directory: '/nowhere/python3'"), ("/bin/sh", "-P")],
)
def test_a_named_python_of_this_machine_that_is_none(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str, said: str
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"version: 1\nhosts:\n  here: {{transport: local, python: {python}}}\n")
    file.chmod(0o600)
    monkeypatch.setenv("MACGPU_FLEET", str(file))
    found = examined()
    assert failing(found) == {"tensor"}
    assert "here: the worker did not start" in found["tensor"].detail
    assert said in found["tensor"].detail
    assert "python:" in found["tensor"].mend


def test_a_python_for_intel_on_apple_silicon_is_refused(ward: Ward, tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    ward.program("shims/sysctl", "echo 1")
    intel = ward.program("intel-python", "echo 3.12 x86_64")
    # A Mac, by the folder that tells one; only the sessions of this server see it.
    system = tmp_path / "system"
    (system / "Library" / "CoreServices").mkdir(parents=True)
    Path("/System").mkdir(exist_ok=True)
    ward.variables["PATH"] = f"{shims}:{os.environ['PATH']}"
    try:
        server = ward.start(
            account=Account(home=tmp_path / "ada"),
            mounts=[("--bind", str(system), "/System")],
            state=None,
        )
        ward.home.write_fleet({"studio": server}, python=str(intel))
        found = examined()
    finally:
        Path("/System").rmdir()
    assert failing(found) == {"interpreter"}
    assert "Rosetta" in found["interpreter"].detail
    assert "arch -arm64 brew install python" in found["interpreter"].mend


# How it is.


@contextmanager
def planted(ward: Ward, **variables: str) -> Iterator[dict[str, Check]]:
    ward.variables.update(variables)
    ward.start()
    yield examined()


def test_a_disk_that_is_nearly_full(ward: Ward, tmp_path: Path) -> None:
    account = Account(home=tmp_path / "ada")
    disk = ("-t", "tmpfs", "-o", "size=200m", "tmpfs", str(account.home))
    ward.start(account=account, mounts=[disk], state=None)
    found = examined()
    assert failing(found) == {"disk"}, found
    assert "du -sh" in found["disk"].mend


def test_a_clock_that_is_wrong(ward: Ward) -> None:
    with planted(ward, MACGPU_PROBE=ward.replay(later=7200)) as found:
        assert failing(found) == {"clock"}
        assert "2 h ahead" in found["clock"].detail
        assert "sntp" in found["clock"].mend


def test_a_mac_that_falls_asleep(ward: Ward) -> None:
    changed = {" womp                 1": " womp                 0"}
    with planted(ward, MACGPU_PROBE=ward.replay(**changed)) as found:
        assert failing(found) == {"sleep"}
        assert "sudo pmset -a sleep 0" in found["sleep"].mend


def test_a_queue_for_all_accounts_that_cannot_be_trusted(ward: Ward, tmp_path: Path) -> None:
    folder = tmp_path / "queue"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with planted(ward, MACGPU_QUEUE=str(folder)) as found:
        assert failing(found) == {"accounts"}
        assert f"sudo chmod 1777 {folder}" in found["accounts"].mend


GPUS = {
    "exec sleep 500": "no answer within 2 s",
    "echo 'RuntimeError: Metal is gone' >&2; exit 1": "Metal is gone",
    """echo 'macgpu-gauge {"state": "failed", "line": "the result is 3"}'""": "the result is 3",
}


@pytest.mark.parametrize("fault", GPUS, ids=["hangs", "fails", "is wrong"])
def test_a_gpu_that_does_not_compute(fault: str, ward: Ward) -> None:
    program = ward.program("broken", fault)
    with planted(ward, MACGPU_GAUGE=str(program), MACGPU_GAUGE_LIMIT="2") as found:
        assert failing(found) == {"GPU test"}
        assert GPUS[fault] in found["GPU test"].detail
        assert "macgpu selftest" in found["GPU test"].mend
        assert found["tensor"].state == "skipped"


def test_processes_that_outlived_their_worker(ward: Ward, tmp_path: Path) -> None:
    ward.start()
    left = tmp_path / "left"
    fleet = load_fleet()
    pool = Pool(fleet, Reach(nobody_to_ask), "")
    try:
        run = pool.session(fleet.hosts[0])
        hello = run.link.connect()
        worker = Path(str(hello.detail["state"])) / "workers" / "gone"
        # As a worker's child that has a session of its own, and whose worker is no more.
        words = [sys.executable, "-c", "import time; time.sleep(500)"]
        pid = os.spawnve(
            os.P_NOWAIT, sys.executable, words, {**os.environ, "MACGPU_WORKER": str(worker)}
        )
        left.write_text(str(pid))
        time.sleep(0.5)
        found = examined()
        assert failing(found) == {"leftovers"}
        assert f"kill {pid}" in found["leftovers"].mend
    finally:
        pool.close()
        os.kill(int(left.read_text()), signal.SIGKILL)
        os.waitpid(int(left.read_text()), 0)


def test_a_tensor_that_takes_too_long(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    ward.start()
    monkeypatch.setattr(doctor, "_LIMIT", 0.5)
    monkeypatch.setattr(doctor, "_TENSOR", "import time\nwhile True: time.sleep(0.01)")
    found = examined()
    assert failing(found) == {"tensor"}
    assert "not done within 0.5 s" in found["tensor"].detail
    assert "shutdown -r now" in found["tensor"].mend
