"""Hosts behind real SSH servers on this machine, with homes and states of their own.

Each host is OpenSSH's own server on a port of the loopback address, run by whoever runs the
benchmark. It has a state folder for itself, with our code in it, so that they are as different as
machines are. The notebook side gets a home too: nothing of the user's is read or changed.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.simulation.servers import free_port
from jupyter_macgpu.transport import deploy
from jupyter_macgpu.transport.sockets import SocketChannel
from jupyter_macgpu.transport.ssh.config import ClientConfig
from jupyter_macgpu.transport.ssh.connection import SshConnection
from jupyter_macgpu.transport.ssh.login import Keyring
from jupyter_macgpu.transport.ssh.route import route_to

ADDRESS = "127.0.0.1"
#: OpenSSH drops its rights into this folder, and will not start without it.
_EMPTY = Path("/run/sshd")
#: Seconds in which a server answers, or a process ends.
_PATIENCE = 10.0
#: What of the user's environment would decide what is measured.
_FOREIGN = ("SSH_AUTH_SOCK", "MACGPU_INSTANCE", "MACGPU_SLOTS", "JPY_SESSION_NAME")
_OF_HOME = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache", "XDG_STATE_HOME": ".state"}


class NoServer(RuntimeError):
    """There is no SSH server to start here; what needs one is left out."""


def why_none() -> str:
    """Return why no server can be started here; nothing if one can."""
    missing = [name for name in ("sshd", "ssh", "ssh-keygen") if not _find(name)]
    return f"there is no {' and no '.join(missing)} here" if missing else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One host.

    Attributes
    ----------
    port
        Where its SSH server listens.
    state
        Its state folder.
    """

    port: int
    state: Path

    def stop(self) -> None:
        """End its supervisor and its workers; what was put there stays."""
        stores = [note.parent for note in self.state.glob("*/*/version")]
        for store in stores:
            # First the one that would start or miss the others.
            for note in (store / "version", *store.glob("workers/*/process")):
                _end(note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """The hosts of one benchmark, and the notebook side's home.

    Attributes
    ----------
    folder
        All that is kept of them; gone at the end.
    hosts
        In no order.
    """

    folder: Path
    hosts: tuple[Machine, ...]

    def fleet(self, ports: Mapping[str, int]) -> Path:
        """Write a fleet file of hosts by their names, each on a port of this machine.

        Returns
        -------
        pathlib.Path
            What `MACGPU_FLEET` is to name.
        """
        entry = {"user": getpass.getuser(), "identity_file": str(self._key), "hostname": ADDRESS}
        entry["python"] = sys.executable
        hosts = {name: {**entry, "port": port} for name, port in ports.items()}
        file = self.folder / f"{len(list(self.folder.glob('*.yaml')))}.yaml"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"version": 1, "hosts": hosts}))  # YAML takes JSON
        return file

    def connect(self, port: int) -> SshConnection:
        """Open a connection as the notebook does: the same library, the same tuning."""
        host = Host(
            name="peer",
            hostname=ADDRESS,
            port=port,
            user=getpass.getuser(),
            identity_file=str(self._key),
        )
        return SshConnection(
            route_to(host, ClientConfig()), Keyring(_nobody), self.folder / "locks"
        )

    def openssh(self, port: int, *options: str) -> list[str]:
        """Return the words with which OpenSSH's client reaches a port; a command may follow."""
        words = [_find("ssh"), "-F", "none", "-p", str(port), "-i", str(self._key)]
        words += ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
        # It asks the system for the home, and not the environment.
        words += ["-o", f"UserKnownHostsFile={self.folder}/home/.ssh/known_hosts"]
        return [*words, *options, f"{getpass.getuser()}@{ADDRESS}"]

    @property
    def _key(self) -> Path:
        return self.folder / "user-key"


@contextmanager
def machines(count: int) -> Iterator[Machines]:
    """Start hosts that have our code, where nothing of ours runs; give this process a home.

    Raises
    ------
    NoServer
        If there is none to start here.
    RuntimeError
        If one does not start.
    """
    if why := why_none():
        raise NoServer(why)
    with ExitStack() as stack:
        # Threads of ours may be connecting at the end of an interrupted benchmark.
        made = tempfile.TemporaryDirectory(prefix="macgpu-bench-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))
        stack.enter_context(_home(folder))
        for name in ("host-key", "user-key"):
            words = [_find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f"]
            subprocess.run([*words, str(folder / name)], check=True)
        (folder / "authorized_keys").write_text(_public(folder / "user-key"))
        known = f"[{ADDRESS}]:* {_public(folder / 'host-key')}"
        (folder / "home" / ".ssh" / "known_hosts").write_text(known)
        installed = folder / "installed"
        _install(installed)
        hosts = []
        for number in range(count):
            state = folder / f"host-{number}" / "state"
            shutil.copytree(installed, state)
            hosts.append(Machine(port=free_port(), state=state))
            stack.enter_context(_serving(hosts[-1], folder))
            stack.callback(hosts[-1].stop)
        yield Machines(folder=folder, hosts=tuple(hosts))


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    wanted = {"HOME": str(home), "MACGPU_STATE": str(home / "state")}
    wanted |= {name: str(home / part) for name, part in _OF_HOME.items()}
    before = dict(os.environ)
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(wanted)
    try:
        yield
    finally:
        Machine(port=0, state=home / "state").stop()
        os.environ.clear()
        os.environ.update(before)


def _install(state: Path) -> None:
    """Put our code into a state folder, through the door as for any host."""
    state.mkdir(mode=0o700)
    ours, theirs = socket.socketpair()
    with theirs:
        door = subprocess.Popen(
            ["/bin/sh", "-c", deploy.door_command()],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            env={"PATH": os.environ["PATH"], "HOME": str(state), "MACGPU_STATE": str(state)},
        )
    channel = SocketChannel(ours, "this machine")
    deploy.install(channel, "this machine", sys.executable)
    channel.close()
    door.wait(timeout=_PATIENCE)


@contextmanager
def _serving(machine: Machine, folder: Path) -> Iterator[None]:
    own = machine.state.parent
    if os.geteuid() == 0:
        _EMPTY.mkdir(mode=0o755, exist_ok=True)
    (own / "home").mkdir(mode=0o700)
    lines = [
        f"Port {machine.port}",
        f"ListenAddress {ADDRESS}",
        f"HostKey {folder / 'host-key'}",
        f'AuthorizedKeysFile "{folder / "authorized_keys"}"',
        "StrictModes no",
        "UsePAM no",
        "PidFile none",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin yes",
        "UseDNS no",
        f'SetEnv "HOME={own / "home"}" "MACGPU_STATE={machine.state}"',
    ]
    (own / "sshd_config").write_text("\n".join(lines) + "\n")
    with (own / "log").open("wb") as log:
        words = [_find("sshd"), "-D", "-e", "-f", str(own / "sshd_config")]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait(process, machine)
        yield
    finally:
        process.terminate()
        process.wait(timeout=_PATIENCE)


def _wait(process: subprocess.Popen[bytes], machine: Machine) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, machine.port)):
            return
        time.sleep(0.01)
    log = (machine.state.parent / "log").read_text(errors="replace")
    raise RuntimeError(f"sshd does not answer on port {machine.port}: {log}")


def _end(note: Path) -> None:
    """End the process that a file of a store names, if it is one of ours still."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        pid = int(json.loads(note.read_bytes())["pid"])
        if "jupyter_macgpu" not in _shown(pid, "command"):
            return
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _PATIENCE
        # One that nobody reaps has ended too.
        while _shown(pid, "stat")[:1] not in ("", "Z") and time.monotonic() < deadline:
            time.sleep(0.01)


def _shown(pid: int, column: str) -> str:
    words = ["ps", "-o", f"{column}=", "-p", str(pid)]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def _find(program: str) -> str:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""


def _public(key: Path) -> str:
    return key.with_suffix(".pub").read_text()


def _nobody(prompt: str) -> str:
    raise EOFError(prompt)
