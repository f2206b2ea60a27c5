"""Putting our code on a host: cut anywhere, killed at any moment, done by two at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.mac.complete import intact
from jupyter_macgpu.transport.ssh.channel import SshChannel
from jupyter_macgpu.wire.errors import ConnectionLost
from tests.ssh_home import Home
from tests.sshd import Account, Servers

from . import invariants, processes
from .away import Away, desk_at
from .tcp_relay import Relays


@pytest.fixture
def empty(servers: Servers, home: Home, relays: Relays) -> Iterator[Away]:
    """Give a notebook on a host that has nothing of ours, behind a relay."""
    server = servers.start(bare=True)
    relay = relays.before(server.address, server.port)
    home.know(server, name=f"[{relay.address}]:{relay.port}")
    away = Away(server=server, home=home, relay=relay, desk=desk_at(home, server, port=relay.port))
    yield away
    away.desk.close()


def nothing_half(state: Path) -> None:
    """What has its name is whole."""
    for kind in ("code", "packages"):
        for folder in (state / kind).glob("*"):
            assert intact(folder), f"{folder} is there in part"


def works(away: Away, state: Path) -> None:
    """The next cell mends what is left to mend, and runs once."""
    told = away.desk.run("notes.append(6 * 7)")
    assert told.state == "ok", told.error
    assert away.desk.namespace["notes"] == [42]
    nothing_half(state)
    assert list((state / "incoming").iterdir()) == []


@pytest.mark.parametrize("part", [0.01, 0.5, 0.999])
def test_f54_f56_a_deployment_that_is_cut(
    empty: Away, state: Path, installed: Path, part: float
) -> None:
    size = _packed()
    cut = threading.Thread(target=_cut, args=(empty, int(size * part)))
    cut.start()
    told = empty.desk.run("notes.append(6 * 7)")
    cut.join()
    nothing_half(state)
    if told.state != "ok":
        assert told.error is not None
        invariants.said_in_four_parts(told.error)
        assert empty.desk.namespace["notes"] == []
        works(empty, state)


def _cut(away: Away, size: int) -> None:
    # Logging in is not what is to be cut: from the login on, bytes are counted.
    while not away.server.logins():
        time.sleep(0.002)
    away.relay.cut_after(size)


def _packed() -> int:
    from jupyter_macgpu.transport import archives

    return len(archives.code().packed()) + len(archives.packages().packed())


@pytest.mark.parametrize("moment", [0.0, 1.0])
def test_f54_an_installer_that_is_killed(empty: Away, state: Path, moment: float) -> None:
    killed: list[int] = []

    def kill() -> None:
        while not (state / "incoming").exists():
            time.sleep(0.005)
        time.sleep(moment)
        for each in processes.found(state, "child"):
            if "macgpu-install" in " ".join(each.process.cmdline()):
                killed.extend([each.pid] * each.kill())

    killer = threading.Thread(target=kill)
    killer.start()
    told = empty.desk.run("notes.append(6 * 7)")
    killer.join()
    nothing_half(state)
    if told.state != "ok":
        assert killed
        assert told.error is not None
        invariants.said_in_four_parts(told.error)
        works(empty, state)


def test_f55_two_notebooks_find_an_empty_host_at_once(empty: Away, state: Path) -> None:
    desks = [empty.another(f"{number}.ipynb") for number in range(2)]
    states: list[str] = []

    def run(number: int) -> None:
        states.append(desks[number].run(f"notes.append({number})").state)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == ["ok", "ok"]
    assert [desk.namespace["notes"] for desk in desks] == [[0], [1]]
    for desk in desks:
        desk.close()
    nothing_half(state)
    assert len(processes.found(state, "supervisor")) == 1
    assert [len(list((state / kind).iterdir())) for kind in ("code", "packages")] == [1, 1]


def test_a_key_that_may_only_open_the_door(servers: Servers, home: Home, state: Path) -> None:
    """The same with ``restrict,command=...``: the command that we send is not looked at."""
    open_ = servers.start()
    home.know(open_)
    first = desk_at(home, open_, "first.ipynb")
    assert first.run("notes.append(1)").state == "ok"
    locked = servers.start(command=f'"{state}/door"')
    home.know(locked)
    desk = desk_at(home, locked, "locked.ipynb")
    desk.namespace["big"] = bytes(2_000_000)
    assert desk.run("print('x' * 100_000)\nbig = big[1:]\nnotes.append(len(big))").state == "ok"
    assert desk.namespace["notes"] == [1_999_999]
    desk.close()
    first.close()


def test_a_host_behind_another_one(servers: Servers, home: Home) -> None:
    bastion, hidden = servers.start(), servers.start()
    home.know(bastion)
    home.know(hidden)
    home.by_bastion("inner", hidden, bastion)
    desk = desk_at(home, hidden, hostname="inner", port=None, user=None, identity_file=None)
    assert desk.run("notes.append(6 * 7)").state == "ok"
    assert desk.namespace["notes"] == [42]
    assert (bastion.logins(), hidden.logins()) == (1, 1)
    desk.close()


def test_a_host_that_stalls_in_an_installation_is_given_it_anew(
    empty: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, pieces = SshChannel.send, iter(range(10))

    def stall_once(channel: SshChannel, data: bytes | memoryview) -> None:
        if next(pieces, None) == 9:
            raise ConnectionLost("It took nothing for 15 s.")
        send(channel, data)

    monkeypatch.setattr(SshChannel, "send", stall_once)
    monkeypatch.setattr("jupyter_macgpu.transport.deploy._LAST_WORDS", 1.0)
    told = empty.desk.run("pass")
    assert told.state == "ok", told.error
    assert next(pieces, None) is None


def test_the_interpreter_is_found_and_the_home_is_used(
    servers: Servers, home: Home, tmp_path: Path
) -> None:
    account = Account(home=tmp_path / "ada")
    server = servers.start(account=account, state=None, bare=True)
    home.know(server)
    desk = desk_at(home, server, python=None)
    told = desk.run("import sys, os\nnotes.append([os.getcwd(), sys.executable])")
    desk.close()
    state = account.home / ".local" / "state" / "macgpu"
    _end(state)
    assert told.state == "ok", told.error
    ((folder, python),) = desk.namespace["notes"]
    assert folder.startswith(str(state))
    assert Path(python).is_absolute()


def _end(state: Path) -> None:
    """End what was started there: it has no MACGPU_STATE to be known by."""
    for process in psutil.process_iter():
        try:
            if str(state) in " ".join(process.cmdline()):
                process.kill()
                process.wait(5.0)
        except (psutil.Error, psutil.TimeoutExpired):
            continue
