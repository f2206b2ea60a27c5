"""The keys of the test servers and their users: made once, by OpenSSH's own program."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ED25519, ECDSA = "ed25519", "ecdsa"


def find(program: str) -> str:
    """Return the path of a program, of those for admins too; nothing if it is not there."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""


def why_none() -> str:
    """Return why no server can be started here; nothing if one can."""
    missing = [name for name in ("sshd", "ssh-keygen") if not find(name)]
    return f"there is no {' and no '.join(missing)} here" if missing else ""


@dataclass(frozen=True, slots=True)
class Keys:
    """Host keys of both kinds, twice, and the keys of two users; made once.

    Parameters
    ----------
    folder
        Where they are.
    """

    folder: Path

    def make(self) -> None:
        """Make them all."""
        for name in ("host", "other-host", "user", "other-user"):
            for kind in (ED25519, ECDSA):
                words = [
                    "-q",
                    "-t",
                    kind,
                    "-N",
                    "",
                    "-C",
                    name,
                    "-f",
                    str(self.private(name, kind)),
                ]
                subprocess.run([find("ssh-keygen"), *words], check=True)

    def private(self, name: str = "user", kind: str = ED25519) -> Path:
        """Return the file of a private key."""
        return self.folder / f"{name}-{kind}"

    def public(self, name: str = "user", kind: str = ED25519) -> str:
        """Return a public key as it stands in known_hosts and authorized_keys: type and base64."""
        words = self.private(name, kind).with_suffix(".pub").read_text().split()
        return " ".join(words[:2])

    def fingerprint(self, name: str = "host", kind: str = ED25519) -> str:
        """Return a key's ``SHA256:...`` as ssh-keygen prints it."""
        words = [find("ssh-keygen"), "-lf", str(self.private(name, kind))]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[1]


@pytest.fixture(scope="session")
def keys() -> Iterator[Keys]:
    """Give all tests the same keys."""
    if reason := why_none():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="macgpu-keys-"))
    made = Keys(folder)
    made.make()
    yield made
    shutil.rmtree(folder)
