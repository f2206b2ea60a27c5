"""The notebook side's home: known_hosts, ssh_config, keys and fleet file, as a user has them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.fleet.hosts import Host
from tests.sshd import ED25519, Sshd


class Home:
    """A home folder. It is the process's own from `use` on.

    Parameters
    ----------
    folder
        Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ssh = folder / ".ssh"
        self.ssh.mkdir(parents=True, mode=0o700)
        self.config.touch(mode=0o600)
        self.known_hosts.touch(mode=0o600)

    @property
    def config(self) -> Path:
        """The ssh_config."""
        return self.ssh / "config"

    @property
    def known_hosts(self) -> Path:
        """The host keys that the user has accepted."""
        return self.ssh / "known_hosts"

    @property
    def fleet(self) -> Path:
        """The fleet file; made by `write_fleet`."""
        return self.folder / "macgpu.yaml"

    def use(self, patch: pytest.MonkeyPatch) -> Home:
        """Make it this process's home, without an agent."""
        patch.setenv("HOME", str(self.folder))
        patch.setenv("MACGPU_FLEET", str(self.fleet))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        return self

    def know(self, sshd: Sshd, kinds: Iterable[str] = (ED25519,), *, name: str = "") -> None:
        """Write a server's host keys into known_hosts.

        Parameters
        ----------
        name
            What it is known as, instead of its address and port.
        """
        with self.known_hosts.open("a") as file:
            for kind in kinds:
                key = sshd.keys.public(sshd.host_name, kind)
                file.write(f"{name or f'[{sshd.address}]:{sshd.port}'} {key}\n")

    def host(self, sshd: Sshd, name: str = "studio", **changed: Any) -> Host:
        """Return a server as a host of the fleet; `changed` are attributes of it."""
        return Host(**({"name": name} | self._entry(sshd) | {"transport": "ssh"} | changed))

    def write_fleet(self, hosts: Mapping[str, Sshd], **changed: Any) -> None:
        """Write the fleet file; a changed value of None leaves the key away."""
        lines = ["version: 1", "hosts:"]
        for name, sshd in hosts.items():
            lines.append(f"  {name}:")
            entry = {"transport": "ssh"} | self._entry(sshd) | changed
            lines += [f"    {key}: {value}" for key, value in entry.items() if value is not None]
        self.fleet.write_text("\n".join(lines) + "\n")

    def write_config(self, text: str) -> None:
        """Write the ssh_config."""
        self.config.write_text(text)

    def by_bastion(self, alias: str, sshd: Sshd, bastion: Sshd) -> None:
        """Add a host to the ssh_config that is reached through another one."""
        with self.config.open("a") as file:
            for name, server, more in (
                (alias, sshd, f"ProxyJump {alias}-bastion"),
                (f"{alias}-bastion", bastion, ""),
            ):
                file.write(
                    f"Host {name}\n  HostName {server.address}\n  Port {server.port}\n"
                    f"  User {server.user}\n  IdentityFile {server.keys.private()}\n  {more}\n"
                )

    def openssh(self, sshd: Sshd, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a command as OpenSSH's own client would, with this home's files."""
        words = [
            *("-F", str(self.config), "-p", str(sshd.port), "-i", str(sshd.keys.private())),
            *("-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", "GlobalKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes"),
            *(*options, f"{sshd.user}@{sshd.address}", command),
        ]
        ssh = shutil.which("ssh")
        assert ssh
        return subprocess.run([ssh, *words], capture_output=True, text=True, timeout=60)

    def _entry(self, sshd: Sshd) -> dict[str, Any]:
        return {
            "hostname": sshd.address,
            "port": sshd.port,
            "user": sshd.user,
            "identity_file": str(sshd.keys.private()),
            # It has numpy; what a host without it does is another test.
            "python": sys.executable,
        }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give a test a home of its own on the notebook side."""
    return Home(tmp_path / "notebook-home").use(monkeypatch)
