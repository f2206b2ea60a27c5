"""Real SSH servers on this machine: OpenSSH's own, each with keys, port and log of its own.

As root a server may have accounts that the system does not know, with any home and login shell:
it is started where /etc/passwd is another file. As another user it lets that user in.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.simulation.servers import free_port
from jupyter_macgpu.transport import deploy
from jupyter_macgpu.transport.sockets import SocketChannel
from tests.faults import processes
from tests.ssh_keys import ECDSA, ED25519, Keys, find
from tests.ssh_keys import why_none as why_none

#: Seconds in which a server answers on its port.
_PATIENCE = 60.0
#: OpenSSH drops its rights into this folder, and will not start without it.
_EMPTY = Path("/run/sshd")

#: Arguments of one mount(8), done where only the server and its children see it.
Mount = tuple[str, ...]


def why_no_mounts() -> str:
    """Return why no server can have accounts and mounts of its own; nothing if it can."""
    if sys.platform != "linux" or os.geteuid() or not find("unshare"):
        return "accounts and mounts of a server's own need root on Linux"
    tried = subprocess.run([find("unshare"), "--mount", "true"], capture_output=True)
    return "" if tried.returncode == 0 else "this container may not make mount namespaces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user that only one server knows. Needs root.

    Attributes
    ----------
    home
        Made if it is not there.
    shell
        Path of the login shell.
    uid
        0 unless rights are what is tested: other users cannot read pytest's folders.
    """

    home: Path
    name: str = "ada"
    shell: str = "/bin/sh"
    uid: int = 0

    def line(self) -> str:
        """Return the user's line in /etc/passwd."""
        return f"{self.name}:*:{self.uid}:{self.uid}::{self.home}:{self.shell}\n"


@dataclass(slots=True, kw_only=True)
class Sshd:
    """One server. `start` it, `stop` it, start it again with something changed.

    Attributes
    ----------
    keys
        Where its host keys and its users' keys come from.
    folder
        Its own: configuration, log, homes.
    state
        ``MACGPU_STATE`` of every session on it; None leaves the account its default.
    home
        ``HOME`` of the sessions, where there is no `account`.
    account
        The user to let in instead of the one who runs the tests.
    options
        Further lines of sshd_config, first value wins there.
    variables
        Further variables of its sessions.
    host_keys
        Kinds of host key that it offers; `host_name` chooses which of each kind.
    authorized
        Names of the user keys that it takes.
    command
        ``restrict,command="..."`` of these keys, if not empty.
    mounts
        Mounts that only its sessions see. Needs root.
    namespace
        Name of the network namespace that it listens in.
    address
        What it listens on.
    port
        What it listens on, from the first start on.
    pid
        Of the listening process; 0 while there is none.
    """

    keys: Keys
    folder: Path
    state: Path | None = None
    home: Path = field(init=False)
    account: Account | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    host_keys: Sequence[str] = (ED25519, ECDSA)
    host_name: str = "host"
    authorized: Sequence[str] = ("user",)
    command: str = ""
    mounts: Sequence[Mount] = ()
    namespace: str = ""
    address: str = "127.0.0.1"
    port: int = 0
    pid: int = 0
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.home = self.account.home if self.account else self.folder / "home"

    @property
    def log(self) -> Path:
        """What the server said."""
        return self.folder / "log"

    @property
    def user(self) -> str:
        """Name of the user that it lets in."""
        return self.account.name if self.account else psutil.Process().username()

    def start(self) -> Sshd:
        """Start it and wait until it answers.

        Raises
        ------
        AssertionError
            If it does not; with its log.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        if self.account and self.account.uid:
            os.chown(self.home, self.account.uid, self.account.uid)
        if os.geteuid() == 0:
            _EMPTY.mkdir(mode=0o755, exist_ok=True)
        self.port = self.port or _free_port(self.address)
        self._write()
        with self.log.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                self._words(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.pid = self._process.pid
        self._wait(before)
        return self

    def stop(self, *, sessions: bool = True) -> None:
        """Stop the listener, and its sessions unless they are to go on."""
        if self._process is None:
            return
        processes = _servers(self.pid) if sessions else []
        self._process.terminate()
        self._process.wait()
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process, self.pid = None, 0

    def connections(self) -> int:
        """Return how many connections it has, logged in or not."""
        try:
            return len(psutil.Process(self.pid).children())
        except psutil.NoSuchProcess:
            return 0

    def logins(self) -> int:
        """Return how many logins it took since its first start."""
        return self.log.read_text(errors="replace").count("Accepted publickey")

    def _words(self) -> list[str]:
        words = [find("sshd"), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        mounts = [shlex.join(("mount", *mount)) for mount in self.mounts]
        if self.account:
            file = self.folder / "passwd"
            file.write_text(Path("/etc/passwd").read_text() + self.account.line())
            mounts.append(shlex.join(("mount", "--bind", str(file), "/etc/passwd")))
        if mounts:
            script = " && ".join([*mounts, "exec " + shlex.join(words)])
            words = [find("unshare"), "--mount", "--propagation", "private", "sh", "-c", script]
        return [find("ip"), "netns", "exec", self.namespace, *words] if self.namespace else words

    def _write(self) -> None:
        limits = f'restrict,command="{_escaped(self.command)}" ' if self.command else ""
        keys = [f"{limits}{self.keys.public(name)}\n" for name in self.authorized]
        (self.folder / "authorized_keys").write_text("".join(keys))
        lines = [
            *(f"{name} {value}" for name, value in self.options.items()),
            f"Port {self.port}",
            f"ListenAddress {self.address}",
            *(f"HostKey {self.keys.private(self.host_name, kind)}" for kind in self.host_keys),
            f'AuthorizedKeysFile "{self.folder / "authorized_keys"}"',
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "UseDNS no",
            "LogLevel VERBOSE",
            *self._environment(),
        ]
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")

    def _environment(self) -> list[str]:
        # One line: of several, OpenSSH takes the first alone.
        settings: dict[str, object] = {} if self.account else {"HOME": self.home}
        settings |= self.variables
        if self.state:
            settings["MACGPU_STATE"] = self.state
        words = [f'"{name}={value}"' for name, value in settings.items()]
        return [f"SetEnv {' '.join(words)}"] if words else []

    def _wait(self, before: int) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _PATIENCE
        # What it said at an earlier start does not count.
        while b"port %d." % self.port not in self.log.read_bytes()[before:]:
            alive = self._process.poll() is None and time.monotonic() < deadline
            assert alive, f"sshd did not start: {self.log.read_text(errors='replace')}"
            time.sleep(0.01)


class Servers:
    """The servers of one test.

    Parameters
    ----------
    keys
        Shared by all of them.
    folder
        Where they have theirs.
    state
        ``MACGPU_STATE`` of their sessions, unless another is given.
    installed
        A state folder where our code was put.
    """

    def __init__(self, keys: Keys, folder: Path, state: Path, installed: Path) -> None:
        self.keys = keys
        self._folder = folder
        self._state = state
        self._installed = installed
        self._all: list[Sshd] = []

    def start(
        self,
        *,
        state: Path | str | None = "",
        account: Account | None = None,
        options: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        host_keys: Sequence[str] = (ED25519, ECDSA),
        host_name: str = "host",
        authorized: Sequence[str] = ("user",),
        command: str = "",
        mounts: Sequence[Mount] = (),
        namespace: str = "",
        address: str = "127.0.0.1",
        bare: bool = False,
    ) -> Sshd:
        """Start one more. The test is skipped where it cannot be.

        Parameters
        ----------
        bare
            Whether our code is not on the host yet. Putting it there takes seconds.

        The other words are those of `Sshd`.
        """
        if (account or mounts) and (reason := why_no_mounts()):
            pytest.skip(reason)
        folder = self._folder / f"sshd-{len(self._all)}"
        folder.mkdir()
        server = Sshd(
            keys=self.keys,
            folder=folder,
            state=self._state if state == "" else Path(state) if state else None,
            account=account,
            options=options or {},
            variables=variables or {},
            host_keys=host_keys,
            host_name=host_name,
            authorized=authorized,
            command=command,
            mounts=mounts,
            namespace=namespace,
            address=address,
        )
        self._all.append(server)
        if not bare and not mounts:
            self._install(server)
        return server.start()

    def _install(self, server: Sshd) -> None:
        state = server.state or server.home / ".local" / "state" / "macgpu"
        if (state / "code").exists():
            return
        for path in reversed([state, *state.parents]):
            if not path.exists():
                path.mkdir(mode=0o700)
        shutil.copytree(self._installed, state, dirs_exist_ok=True)

    def stop(self) -> None:
        """Stop them all, and end what cells had begun there."""
        for server in self._all:
            server.stop()
            processes.end_below(server.state or server.home)


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """Give a state folder where our code was put, by the door and by nothing else."""
    folder = Path(tempfile.mkdtemp(prefix="macgpu-installed-"))
    ours, theirs = socket.socketpair()
    with theirs:
        door = subprocess.Popen(
            ["/bin/sh", "-c", deploy.door_command()],
            stdin=theirs,
            stdout=theirs,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "MACGPU_STATE": str(folder)},
        )
    channel = SocketChannel(ours, "installed")
    deploy.install(channel, "installed", sys.executable)
    channel.close()
    door.wait()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def servers(keys: Keys, tmp_path: Path, state: Path, installed: Path) -> Iterator[Servers]:
    """Let a test start SSH servers, whose sessions share the test's state folder."""
    opened = Servers(keys, tmp_path, state, installed)
    yield opened
    opened.stop()


@pytest.fixture
def sshd(servers: Servers) -> Sshd:
    """Give a test a server as it comes out of the box."""
    return servers.start()


def _servers(listener: int) -> list[psutil.Process]:
    """Return the listener's own processes, not what runs in its sessions."""
    try:
        children = psutil.Process(listener).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = []
    for child in children:
        try:
            if child.name().startswith("sshd"):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def _escaped(command: str) -> str:
    return command.replace("\\", "\\\\").replace('"', '\\"')


def _free_port(address: str) -> int:
    # In another namespace the address may not be ours: any port is free there.
    try:
        return free_port(address)
    except OSError:
        return 2222
