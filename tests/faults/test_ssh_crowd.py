"""Many notebooks and one host: all are served, and they do not stay longer than they must.

``MACGPU_CLIENTS=100`` sets how many log in at once, and how many there are in all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ssh_home import Home
from tests.sshd import Sshd

from .away import desk_at
from .desk import Desk

CLIENTS = int(os.environ.get("MACGPU_CLIENTS", "20"))
#: SSH sessions that a Mac takes in all, and the processes that share them.
SESSIONS, PROCESSES = 42, 75
#: One client in a process of its own: it says when it is ready, and begins when it is told to.
_CLIENT = """
import secrets
import sys
from pathlib import Path
from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.link import Link
from jupyter_macgpu.reach import nobody_to_ask
from jupyter_macgpu.transport.ssh.transport import Ways
port, user, key, python, locks = sys.argv[1:]
host = Host(name="studio", hostname="127.0.0.1", port=int(port), user=user, identity_file=key,
            python=python)
link = Link(Ways(nobody_to_ask, Path(locks)).to(host), secrets.token_hex(16), "crowd")
print("ready", flush=True)
sys.stdin.readline()
print(link.connect().role, flush=True)
sys.stdin.readline()
link.close()
"""

pytestmark = pytest.mark.timeout(300 + 3 * CLIENTS)


@pytest.mark.parametrize("who", ["one account", "an account each"])
def test_f13_all_who_log_in_at_once_are_served(
    sshd: Sshd, home: Home, tmp_path: Path, who: str
) -> None:
    home.know(sshd)
    first = desk_at(home, sshd)
    assert first.run("pass").state == "ok"
    clients = [
        _start(sshd, tmp_path / ("one" if who == "one account" else str(number)))
        for number in range(CLIENTS)
    ]
    try:
        for client in clients:
            assert _line(client) == "ready"
        for client in clients:
            _nod(client)
        answers = [_line(client) for client in clients]
        turned_away = [answer for answer in answers if answer != "supervisor"]
        assert not turned_away, turned_away[0]
        shared = sshd.connections() - 1
        fits = shared == CLIENTS if who == "an account each" else shared <= CLIENTS / 2
        assert fits, f"{CLIENTS} clients have {shared} connections"
        for client in clients:
            _nod(client)
        for client in clients:
            said, complaints = client.communicate(timeout=60)
            assert (said, complaints) == ("", "")
    finally:
        for client in clients:
            client.kill()
            client.communicate()
        first.close()


def _start(server: Sshd, account: Path) -> subprocess.Popen[str]:
    locks = str(account / "handshakes")
    words = [str(server.port), server.user, str(server.keys.private()), sys.executable, locks]
    return subprocess.Popen(
        [sys.executable, "-c", _CLIENT, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def _line(client: subprocess.Popen[str]) -> str:
    assert client.stdout is not None
    assert client.stderr is not None
    return client.stdout.readline().strip() or client.stderr.read()


def _nod(client: subprocess.Popen[str]) -> None:
    assert client.stdin is not None
    client.stdin.write("\n")
    client.stdin.flush()


def test_who_does_nothing_gives_the_connection_back(
    sshd: Sshd, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the processes work all the while, the others now and then.

    Here a minute is half a second.
    """
    monkeypatch.setattr("jupyter_macgpu.pool.IDLE", 0.5)
    monkeypatch.setattr("jupyter_macgpu.pool._ROUND", 0.05)
    home.know(sshd)
    users = max(4, CLIENTS // 4)
    desks = [desk_at(home, sshd, f"{number}.ipynb") for number in range(3 * users)]
    busy, idle = desks[:users], desks[users:]
    over = threading.Event()
    workers = [threading.Thread(target=_keep_asking, args=(desk, over)) for desk in busy]
    most = 0
    try:
        for worker in workers:
            worker.start()
        for desk in idle:
            desk.rows()
            most = max(most, sshd.connections())
            time.sleep(0.2)
        _wait(lambda: sshd.connections() <= users)
        assert all(desk.pool.session(desk.host).link.open for desk in busy)
        assert most < SESSIONS * len(desks) / PROCESSES
        idle[0].rows()
    finally:
        over.set()
        for worker in workers:
            worker.join()
        for desk in desks:
            desk.close()


def _keep_asking(desk: Desk, over: threading.Event) -> None:
    while not over.wait(0.1):
        desk.rows()


def _wait(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
