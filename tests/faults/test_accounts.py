"""Several accounts on one machine: real supervisors, under user ids of their own if possible."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu import doctor, overview
from jupyter_macgpu.fleet.hosts import Fleet, Host
from jupyter_macgpu.mac import tickets
from jupyter_macgpu.mac.leases import Waiting
from jupyter_macgpu.mac.sharing import PATIENCE, Sharing
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.transport.local import LocalTransport, login_environment
from jupyter_macgpu.transport.sockets import SocketChannel
from jupyter_macgpu.wire.policy import HostPolicy, Limits, render
from tests.faults import processes
from tests.faults.crowd import SECTION, Notebook
from tests.unit.supervisor_stage import R1, R2, S1, S2, Stage, submit

#: The first of the user ids that the accounts have; nobody is called that.
FIRST = 61000
#: Accounts, and notebooks of each.
ACCOUNTS = int(os.environ.get("MACGPU_ACCOUNTS", "5"))
NOTEBOOKS = int(os.environ.get("MACGPU_ACCOUNT_NOTEBOOKS", "4"))
HOST = Host(name="mac", hostname="localhost", transport="local")


def _as_account(account: int) -> list[str]:
    """Return the words that make what follows run under another user id.

    It may read what root may, since the tests' interpreter may lie in a folder of root's; it may
    write, delete, signal and lock what that user may.
    """
    words = ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups"]
    return [*words, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def _cannot() -> str:
    """Return why there can be no other accounts here, or ``""``."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        return "needs root and setpriv, to run supervisors under other user ids"
    words = [*_as_account(FIRST), sys.executable, "-c", "import os; print(os.getuid())"]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    return "" if said.stdout.strip() == str(FIRST) else f"setpriv does not do: {said.stderr}"


class AccountTransport(LocalTransport):
    """This machine, as another account of it sees it."""

    def __init__(self, account: int, settings: dict[str, str]) -> None:
        super().__init__("mac", settings)
        self._account = account

    def open(self) -> SocketChannel:
        ours, theirs = socket.socketpair()
        code = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); "
            "from jupyter_macgpu.mac.door import main; main()"
        )
        door = subprocess.Popen(
            [*_as_account(self._account), sys.executable, "-I", "-S", "-c", code],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            env=login_environment() | self._settings,
            start_new_session=True,
        )
        theirs.close()
        return SocketChannel(ours, self.name, lambda: door.wait(60.0))


class _Ways(Reach):
    def __init__(self, account: int, settings: dict[str, str]) -> None:
        super().__init__(nobody_to_ask)
        self._made = AccountTransport(account, settings)

    def transport(self, host: Host) -> LocalTransport:
        return self._made


class Machine:
    """One machine that accounts share: their homes, the queue's folder and the policy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue = folder / "queue"
        self.queue.mkdir()
        self.queue.chmod(0o1777)
        self.policy = folder / "host.yaml"
        self.oracle = folder / "oracle"
        self.oracle.mkdir()
        for name in ("oracle.lock", "oracle.log"):
            (self.oracle / name).touch()
            (self.oracle / name).chmod(0o666)
        self.opened: list[Notebook] = []

    def home(self, account: int) -> Path:
        """Return an account's folder, made at its first use."""
        home = self.folder / f"home-{account}"
        if not home.exists():
            home.mkdir(mode=0o700)
            os.chown(home, account, account)
        return home

    def notebook(self, account: int, name: str, fleet: Fleet | None = None) -> Notebook:
        """Open a notebook of an account."""
        home = self.home(account)
        settings = {
            "HOME": str(home),
            "MACGPU_STATE": str(home / "state"),
            "MACGPU_QUEUE": str(self.queue),
            "MACGPU_HOST_POLICY": str(self.policy),
        }
        made = Notebook(name, self.folder, (HOST,))
        made.pool.reach = _Ways(account, settings)
        if fleet is not None:
            made.pool.fleet = fleet
        self.opened.append(made)
        return made

    def section(self, notebook: Notebook, seconds: float = 0.0, **options: Any) -> None:
        """Begin a cell that has the machine for itself for some time."""
        source = SECTION.replace('os.environ["MACGPU_STATE"]', repr(str(self.oracle)))
        notebook.begin(source.format(name=notebook.name, seconds=seconds, gate=""), **options)

    def served(self) -> list[str]:
        """Return who had the machine, in order, as the cells wrote down themselves."""
        return (self.oracle / "oracle.log").read_text().split()

    def tickets(self) -> list[str]:
        """Return the names of the tickets that are there."""
        return sorted(path.name for path in self.queue.iterdir())

    def supervisor(self, account: int) -> processes.Found:
        """Return an account's supervisor."""
        (found,) = processes.found(self.home(account) / "state", "supervisor")
        return found


@pytest.fixture
def machine() -> Iterator[Machine]:
    if why := _cannot():
        pytest.skip(why)
    # Not pytest's own folder: that is for its user alone.
    folder = Path(tempfile.mkdtemp(prefix="macgpu-accounts-"))
    folder.chmod(0o755)
    made = Machine(folder)
    yield made
    for notebook in made.opened:
        notebook.interrupts.count()
    for notebook in made.opened:
        notebook.close()
    for home in folder.glob("home-*"):
        processes.end_all(home / "state")
    shutil.rmtree(folder)


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_accounts_are_served_in_the_order_in_which_they_came(machine: Machine) -> None:
    accounts = range(FIRST, FIRST + ACCOUNTS)
    turns = itertools.product(range(NOTEBOOKS), accounts)
    notebooks = [
        machine.notebook(account, f"nb{number:02}") for number, (_, account) in enumerate(turns)
    ]
    for notebook in notebooks:
        machine.section(notebook, 0.1)
        assert notebook.record.waits.wait(60)
    for notebook in notebooks:
        notebook.join()
        assert notebook.result is not None, notebook.error
        assert notebook.result.state == "ok", notebook.result.summary
    assert machine.served() == [notebook.name for notebook in notebooks]
    until(lambda: machine.tickets() == [])


def test_everybody_sees_who_has_the_machine_and_nothing_of_what_they_do(machine: Machine) -> None:
    first, second = machine.notebook(FIRST, "first"), machine.notebook(FIRST + 1, "second")
    machine.section(first, 600.0, mem=2 * 10**9, name="secret-name")
    until(lambda: machine.served() == ["first"])
    machine.section(second)
    until(lambda: second.record.lines and second.record.lines[-1]["reason"])
    assert second.record.lines[-1]["position"] == 0
    line = f"in use by user {FIRST} since [0-9]+ min, 2 GB"
    assert re.fullmatch(line, second.record.lines[-1]["reason"])
    third = machine.notebook(FIRST + 2, "third")
    (row,) = overview.status(third.pool)
    assert row["state"] == "busy"
    assert re.fullmatch(f"in use by user {FIRST} since [0-9]+ (s|min), 2 GB", row["reason"])
    check = next(each for each in doctor.examine(third.pool, HOST) if each.name == "accounts")
    assert check.state == "ok"
    assert "of others 1 cells run, 1 wait" in check.detail
    seen = "\n".join(path.read_text() + path.name for path in machine.queue.iterdir())
    assert "secret" not in seen
    for path in machine.queue.iterdir():
        assert json.loads(path.read_text()).keys() == {"kind", "mem", "priority"}
    first.interrupts.count()
    second.join()
    assert machine.served() == ["first", "second"]


@pytest.mark.parametrize(
    ("mode", "state", "said"),
    [(None, "note", "of this account alone"), (0o777, "failed", "must be open to all and sticky")],
)
def test_the_doctor_says_why_an_account_is_alone(
    mode: int | None, state: str, said: str, machine: Machine
) -> None:
    if mode is None:
        machine.queue.rmdir()
    else:
        machine.queue.chmod(mode)
    notebook = machine.notebook(FIRST, "alone")
    check = next(each for each in doctor.examine(notebook.pool, HOST) if each.name == "accounts")
    assert check.state == state
    assert said in check.detail
    assert str(machine.queue) in check.mend
    # Its cells run all the same.
    machine.section(notebook)
    notebook.join()
    assert machine.served() == ["alone"]


def test_the_tickets_of_a_supervisor_that_was_killed_are_passed_by(machine: Machine) -> None:
    first, second, third = (
        machine.notebook(FIRST + number, name)
        for number, name in enumerate(["first", "second", "third"])
    )
    machine.section(first, 600.0)
    until(lambda: machine.served() == ["first"])
    for notebook in (second, third):
        machine.section(notebook)
        assert notebook.record.waits.wait(60)
    until(lambda: third.record.lines and third.record.lines[-1]["position"] == 1)
    machine.supervisor(FIRST + 1).kill()
    until(lambda: third.record.lines[-1]["position"] == 0)
    first.interrupts.count()
    third.join()
    assert machine.served()[:2] == ["first", "third"]
    second.join()


def test_a_slot_is_kept_while_what_has_it_outlives_its_supervisor(machine: Machine) -> None:
    first, second = machine.notebook(FIRST, "first"), machine.notebook(FIRST + 1, "second")
    machine.section(first, 8.0)
    until(lambda: machine.served() == ["first"])
    machine.section(second)
    assert second.record.waits.wait(60)
    machine.supervisor(FIRST).kill()
    for notebook in (first, second):
        notebook.join()
        # The second one would fail at the oracle's lock if it began beside the first.
        assert notebook.result is not None, notebook.error
        assert notebook.result.state == "ok", notebook.result.summary
    assert machine.served() == ["first", "second"]


def test_neither_a_fleet_file_nor_an_option_gives_anybody_a_slot_more(machine: Machine) -> None:
    machine.policy.write_bytes(render(HostPolicy(slots=1, limits=Limits(max_time=60))))
    honest = machine.notebook(FIRST, "honest")
    greedy = [
        machine.notebook(
            FIRST + 1, f"greedy{number}", Fleet(hosts=(Host(**{**_fields(HOST), "slots": 8}),))
        )
        for number in range(2)
    ]
    machine.section(honest, 1.0)
    until(lambda: machine.served() == ["honest"])
    for notebook in greedy:
        machine.section(notebook, 0.2)
    for notebook in (honest, *greedy):
        notebook.join()
        assert notebook.result is not None, notebook.error
        # Two that overlap fail at the oracle's lock.
        assert notebook.result.state == "ok", notebook.result.summary
    assert machine.served()[0] == "honest"


def test_a_drain_holds_for_all_accounts(machine: Machine) -> None:
    machine.policy.write_bytes(render(HostPolicy(limits=Limits(drain=True))))
    notebooks = [machine.notebook(FIRST + number, f"nb{number}") for number in range(2)]
    for notebook in notebooks:
        machine.section(notebook)
        until(lambda one=notebook: one.record.lines and "drained" in one.record.lines[-1]["reason"])
    assert machine.tickets() == []
    machine.policy.unlink()
    for notebook in notebooks:
        notebook.join()
    assert sorted(machine.served()) == ["nb0", "nb1"]


def _fields(host: Host) -> dict[str, Any]:
    return {name: getattr(host, name) for name in ("name", "hostname", "transport")}


# The folder itself, and what strangers may put there.


def waiting(run: str = "r", **more: Any) -> Waiting:
    return Waiting(**{"run": run, "session": run, "kind": "gpu", **more})


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    path = tmp_path / "queue"
    path.mkdir()
    path.chmod(0o1777)
    return path


def name_of(number: int, state: str = "waiting") -> str:
    return f"{number:010}.{number:016x}.{state}"


def plant(queue: Path, number: int, content: bytes, state: str = "waiting") -> Path:
    path = queue / name_of(number, state)
    path.write_bytes(content)
    return path


GOOD = b'{"kind": "gpu", "mem": 0, "priority": 0}'
#: Contents that are no ticket's.
GARBAGE = {
    "empty": b"",
    "no JSON": b"\x00\xff garbage",
    "no object": b"[1, 2]",
    "deep": b"[" * 250,
    "huge": b" " * 300 + GOOD,
    "another kind": b'{"kind": "quantum"}',
    "kind of no type": b'{"kind": ["gpu"]}',
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_no_ticket(name: str, queue: Path) -> None:
    path = plant(queue, 1, GARBAGE[name])
    folder = tickets.Folder(queue)
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert folder.look() == []
        assert folder.look() == []
    folder.close()


def test_what_is_no_plain_file_is_no_ticket(queue: Path) -> None:
    real = plant(queue, 1, GOOD)
    os.mkfifo(queue / name_of(2))
    (queue / name_of(3)).symlink_to(real)
    (queue / name_of(4)).symlink_to("/etc/passwd")
    (queue / name_of(5)).mkdir()
    (queue / name_of(6)).symlink_to("nowhere")
    (queue / name_of(7)).hardlink_to(real)
    folder = tickets.Folder(queue)
    with real.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert [each.is_alive for each in folder.look()] == [True]
    folder.close()


def test_numbers_out_of_range_count_as_the_ends_of_it_and_dates_as_the_system_has_them(
    queue: Path,
) -> None:
    wild = b'{"kind": "gpu", "mem": -5, "priority": 99999999999999, "since": 0}'
    path = plant(queue, 1, wild)
    os.utime(path, (0, 0))
    ahead = plant(queue, 2, b'{"kind": "gpu", "mem": 1e300, "priority": true}')
    os.utime(ahead, (2**33, 2**33))
    folder = tickets.Folder(queue)
    before, now = time.time() - 60, time.time() + 1
    with path.open() as one, ahead.open() as other:
        for held in (one, other):
            fcntl.flock(held, fcntl.LOCK_EX)
        found = {each.place.number: each for each in folder.look()}
    assert (found[1].mem, found[1].place.priority) == (0, 5)
    assert (found[2].mem, found[2].place.priority) == (0, 1)
    assert all(before < each.place.since < now for each in found.values())
    folder.close()


def test_one_account_cannot_fill_the_queue_and_a_full_folder_is_said(queue: Path) -> None:
    folder = tickets.Folder(queue)
    with contextlib.ExitStack() as stack:
        for number in range(tickets.PER_ACCOUNT + 5):
            held = stack.enter_context(plant(queue, number, GOOD).open())
            fcntl.flock(held, fcntl.LOCK_EX)
        assert len(folder.look()) == tickets.PER_ACCOUNT
    for number in range(tickets.ENTRIES + 1):
        (queue / f"junk-{number}").touch()
    with pytest.raises(OSError, match="more than 4096 entries"):
        folder.look()
    folder.close()


def test_a_ticket_is_alive_as_long_as_its_lock_and_is_not_inherited(queue: Path) -> None:
    code = (
        "import subprocess, sys; from pathlib import Path\n"
        "from jupyter_macgpu.mac import tickets\n"
        "from jupyter_macgpu.mac.leases import Waiting\n"
        "folder = tickets.Folder(Path(sys.argv[1]))\n"
        "folder.take(Waiting(run='r', session='s', kind='gpu'))\n"
        "child = subprocess.Popen(['sleep', '600'], close_fds=False)\n"
        "print(child.pid, flush=True); sys.stdin.read()\n"
    )
    folder = tickets.Folder(queue)
    words = [sys.executable, "-c", code, str(queue)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        try:
            assert [each.is_alive for each in folder.look()] == [True]
            owner.send_signal(signal.SIGKILL)
            owner.wait()
            assert [each.is_alive for each in folder.look()] == [False]
        finally:
            os.kill(child, signal.SIGKILL)
    # It is its owner's, so that we may take it away.
    until(lambda: folder.look() == [])
    assert list(queue.iterdir()) == []
    folder.close()


def test_a_slot_is_taken_under_the_name_of_its_ticket(queue: Path) -> None:
    one, other = tickets.Folder(queue), tickets.Folder(queue)
    with one.turn() as has_it:
        assert has_it
        name = one.take(waiting(mem=7))
        with other.turn() as others:
            assert not others
        held = one.promote(name)
    (seen,) = other.look()
    assert (seen.name, seen.is_held, seen.is_alive, seen.mem) == (held, True, True, 7)
    one.drop(held)
    assert other.look() == []
    one.close()
    other.close()


#: Folders that cannot be the queue, and what is said.
UNSAFE: dict[str, tuple[Callable[[Path], object], str]] = {
    "not sticky": (lambda path: path.chmod(0o777), "open to all and sticky"),
    "not open": (lambda path: path.chmod(0o1755), "open to all and sticky"),
    "a file": (lambda path: (path.rmdir(), path.touch()), "no folder"),
    "a link": (
        lambda path: (path.rename(path.with_name("real")), path.symlink_to("real")),
        "no folder",
    ),
    "a folder that others could exchange": (lambda path: path.parent.chmod(0o777), "exchange"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_folder_is_not_used(name: str, queue: Path) -> None:
    assert tickets.flaw(queue) == ""
    spoil, said = UNSAFE[name]
    spoil(queue)
    assert said in tickets.flaw(queue)


def test_a_folder_that_fails_is_waited_for_and_then_done_without(queue: Path) -> None:
    stage = Stage()
    sharing = Sharing(stage.mind, lambda: stage.now, queue)

    def holding() -> list[str]:
        stage.keep(sharing.turn())
        return [each.run for each in stage.mind.having()]

    stage.keep(sharing.begin())
    stage.client()
    junk = [queue / f"junk-{number}" for number in range(tickets.ENTRIES + 1)]
    for path in junk:
        path.touch()
    stage.say(submit(R1, S1))
    assert holding() == []
    stage.now += PATIENCE - 1
    assert holding() == []
    stage.now += 1
    assert holding() == [R1]
    assert "more than 4096 entries" in sharing.said()["problem"]
    assert not sharing.said()["shared"]
    for path in junk:
        path.unlink()
    # It is used again as soon as it can be, for what runs too.
    stage.now += 1
    assert holding() == [R1]
    assert sharing.said()["shared"]
    stage.say(submit(R2, S2))
    assert holding() == [R1]
    assert sorted(path.suffix for path in queue.iterdir()) == [".held", ".waiting"]
    sharing.close()
    assert [path.suffix for path in queue.iterdir()] == [".held"]
