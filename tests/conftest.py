"""What all tests share: no test touches the user's own state, and none leaves a process."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.faults import processes
from tests.faults.tcp_relay import relays
from tests.network import network
from tests.ssh_home import home
from tests.ssh_keys import keys
from tests.sshd import installed, servers, sshd

# Examples take as long as the machine lets them.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

#: Fixtures that several folders use.
__all__ = ["home", "installed", "keys", "network", "relays", "servers", "sshd"]

#: Settings of the person who runs the tests; the tests have their own.
_FOREIGN = ("MACGPU_FLEET", "MACGPU_INSTANCE", "MACGPU_QUEUE", "MACGPU_SLOTS", "JPY_SESSION_NAME")


def pytest_addoption(parser: pytest.Parser) -> None:
    # Here and not beside the tests that read it: pytest asks only conftest files that it
    # finds before it collects.
    parser.addoption(
        "--k8s-cases", type=Path, metavar="FILE", help="cases for tests/conformance/test_k8s.py"
    )


@pytest.fixture(scope="session", autouse=True)
def own_state() -> Iterator[Path]:
    """Give the whole run a state folder of its own, for the tests that share one."""
    patch = pytest.MonkeyPatch()
    # Not pytest's own folder: a socket's path must stay short to be bound as it is.
    folder = Path(tempfile.mkdtemp(prefix="macgpu-"))
    patch.setenv("MACGPU_STATE", str(folder))
    patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    for name in _FOREIGN:
        patch.delenv(name, raising=False)
    yield folder
    processes.end_all(folder)
    patch.undo()
    shutil.rmtree(folder)


@pytest.fixture(scope="module", autouse=True)
def nothing_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """See to it that no test of a file leaves a process of ours behind in its folders."""
    base = tmp_path_factory.getbasetemp()
    yield
    left = processes.end_below(base)
    assert not left, left


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a test its own state folder, and see to it that nothing of it is left."""
    folder = tmp_path / "state"
    monkeypatch.setenv("MACGPU_STATE", str(folder))
    before = _descriptors()
    yield folder
    _await_lanes()
    processes.end_all(folder)
    assert _unfinished(folder) == []
    complaints = _complaints(folder)
    assert not complaints, complaints
    # Connections are closed by threads of their own.
    deadline = time.monotonic() + 60.0
    while _descriptors() > before + 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _descriptors() <= before + 5


def _await_lanes() -> None:
    """Wait for what a slow machine still opens: a channel that comes late starts a supervisor."""
    for thread in threading.enumerate():
        if thread.name == "macgpu-lane":
            thread.join(60.0)


def _descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def _unfinished(state: Path) -> list[str]:
    """Return the files that should have got their final name, or be gone."""
    endings = {".new", ".part"}
    return [str(path) for path in state.rglob("*") if path.suffix in endings]


def _complaints(state: Path) -> str:
    """Return what supervisors wrote to their logs: they have nothing to say there."""
    return "".join(path.read_text() for path in state.rglob("supervisor.log"))
