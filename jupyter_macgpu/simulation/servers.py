"""SSH servers of simulated hosts: OpenSSH's own, on loopback, as whoever runs this.

Each has a host key and a state folder of its own; one key, made for them, opens all. Nothing of the
user's own SSH set-up is read or changed by a server.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import processes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ADDRESS = "127.0.0.1"
#: Below those that systems hand out by themselves: what is free here now stays so until it is used.
_PORTS = range(10_000, 32_000)
#: OpenSSH drops root's rights into this folder, and does not start without it.
_EMPTY = Path("/run/sshd")
#: Seconds in which a server answers and a first login is through, on a machine that does much else.
_PATIENCE = 60.0


class NoServerError(Exception):
    """No SSH server can be had here; the message says why."""


@dataclass(slots=True, kw_only=True)
class Server:
    """One host's server.

    Attributes
    ----------
    folder
        All that is its own: host key, configuration, log, home and state.
    key
        The user's key; its public half stands beside it.
    port
        Where it listens; free when it was chosen.
    settings
        Variables of each session.
    """

    folder: Path
    key: Path
    settings: Mapping[str, str]
    port: int = field(default_factory=lambda: free_port())
    _process: subprocess.Popen[bytes] | None = None
    _mute: list[socket.socket] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """``MACGPU_STATE`` of its sessions."""
        return self.folder / "state"

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its host key."""
        words = [_find("ssh-keygen"), "-l", "-E", "sha256", "-f", str(self.folder / "key.pub")]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[1]

    @property
    def pids(self) -> set[int]:
        """Its own process, and those of the sessions that are open."""
        return set() if self._process is None else processes.below([self._process.pid])

    def prepare(self) -> None:
        """Make its folder, key and configuration."""
        for part in ("home", "state"):
            (self.folder / part).mkdir(parents=True, mode=0o700)
        make_key(self.folder / "key")
        # A policy of its own: it would be drained by the policy of the machine that plays it.
        said = {
            "HOME": str(self.folder / "home"),
            "MACGPU_STATE": str(self.state),
            "MACGPU_HOST_POLICY": str(self.folder / "policy" / "host.yaml"),
            **self.settings,
        }
        lines = [
            f"Port {self.port}",
            f"ListenAddress {ADDRESS}",
            f'HostKey "{self.folder / "key"}"',
            f'AuthorizedKeysFile "{self.key.with_suffix(".pub")}"',
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "UseDNS no",
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in said.items()),
        ]
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start it, and wait until it listens.

        Raises
        ------
        NoServerError
            If it does not.
        """
        if os.geteuid() == 0:
            _EMPTY.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_find("sshd"), "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the one who started it, who then ends it in order.
                start_new_session=True,
            )
        deadline = time.monotonic() + _PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((ADDRESS, self.port)):
                return
            time.sleep(0.02)
        told = (self.folder / "log").read_text(errors="replace").strip().rpartition("\n")[2]
        raise NoServerError(f"sshd does not start: {told or 'no answer'}")

    def try_login(self) -> None:
        """Log in once, as OpenSSH's client does.

        Raises
        ------
        NoServerError
            If that does not work.
        """
        words = [_find("ssh"), "-F", "none", "-p", str(self.port), "-i", str(self.key)]
        for option in ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no"):
            words += ["-o", option]
        words += ["-o", "UserKnownHostsFile=/dev/null", f"{getpass.getuser()}@{ADDRESS}", "true"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise NoServerError("a login on loopback takes too long") from error
        if done.returncode:
            raise NoServerError(f"a login on loopback fails: {done.stderr.strip()[-200:]}")

    def mute(self) -> None:
        """Let its port answer nothing at all, as that of a machine that sleeps; sessions stay.

        A queue of one that is full is in its place: the system drops whatever else comes.
        """
        self.end(spare=[] if self._process is None else self.pids - {self._process.pid})
        listener = socket.socket()
        self._mute = [listener, socket.socket()]
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listener.bind((ADDRESS, self.port))
            listener.listen(0)
            self._mute[1].connect((ADDRESS, self.port))

    def end(self, spare: Collection[int] = ()) -> None:
        """Kill it and its sessions, and all that these started but the processes `spare`."""
        for link in self._mute:
            link.close()
        self._mute = []
        if self._process is not None:
            processes.end(self.pids.difference(spare))
            self._process.wait()
            self._process = None


def why_none() -> str:
    """Return why no server can be had here; nothing if one might."""
    missing = [name for name in ("sshd", "ssh", "ssh-keygen") if not _find(name)]
    return f"there is no {' and no '.join(missing)}" if missing else ""


def make_key(path: Path) -> None:
    """Make a key without a passphrase; its public half gets the ending ``.pub``."""
    words = [_find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "macgpu-demo"]
    subprocess.run([*words, "-f", str(path)], check=True, stdin=subprocess.DEVNULL)


def _find(program: str) -> str:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""


def free_port(address: str = ADDRESS) -> int:
    """Return a port of an address at which nobody listens, for a server that is started soon.

    Raises
    ------
    OSError
        If the address is not one of this machine.
    """
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
            else:
                return port
