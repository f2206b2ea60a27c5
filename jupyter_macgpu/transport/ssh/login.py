"""Who we are for a host: keys of the agent and key files, tried in OpenSSH's order."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
from paramiko.agent import AgentSSH
from paramiko.auth_strategy import AuthStrategy, InMemoryPrivateKey

from ...wire.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .route import Route

#: Keys that are offered at most: a server hangs up after six (MaxAuthTries).
_OFFERS = 5
#: What paramiko calls a failed login too: a line that is dead or silent.
_UNANSWERED = ("Authentication failed: transport shut down", "Authentication timeout")
#: How OpenSSH's own private keys begin (PROTOCOL.key).
_MAGIC = b"openssh-key-v1\0"


class LoginRefused(TransportError):
    """The host will have none of our keys. Nothing was sent."""

    lasting = True


class Keyring:
    """Key files that were opened in this process, so that a passphrase is asked for once.

    Parameters
    ----------
    ask
        Asks the user for a passphrase; raises if there is nobody to ask.
    """

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask
        self._keys: dict[str, paramiko.PKey] = {}

    def open(self, path: str) -> paramiko.PKey:
        """Return the private key of a file.

        Raises
        ------
        LoginRefused
            If it is encrypted and nobody can be asked, it is no key that we can read, or others
            can read it too: ``ssh`` does not use such a key either.
        """
        if path in self._keys:
            return self._keys[path]
        try:
            status = Path(path).stat()
            if status.st_uid == os.getuid() and status.st_mode & 0o077:
                raise LoginRefused(
                    f"The key {path} can be read by others than you.", next=f"chmod 600 {path}"
                )
            key = self._decrypted(path)
        except (paramiko.SSHException, ValueError, TypeError, OSError) as error:
            raise LoginRefused(
                f"The key {path} cannot be read: {error}",
                next="Check identity_file; `ssh-keygen -yf PATH` says whether OpenSSH reads it.",
            ) from error
        self._keys[path] = key
        return key

    def _decrypted(self, path: str) -> paramiko.PKey:
        try:
            return paramiko.PKey.from_path(path)
        except paramiko.PasswordRequiredException:
            pass
        except TypeError:  # cryptography's way to say the same
            pass
        try:
            secret = self._ask(f"Passphrase of {path}: ")
        except Exception as error:  # whatever a front end raises that cannot ask
            raise LoginRefused(
                f"The key {path} has a passphrase, and nobody can be asked for it here.",
                next=f"Run `ssh-add {path}` before, so that the agent has the key.",
            ) from error
        return paramiko.PKey.from_path(path, secret.encode())  # type: ignore[arg-type]


class Keys(AuthStrategy):  # type: ignore[misc,unused-ignore]
    """The keys that one login offers.

    Parameters
    ----------
    route
        Where and as whom.
    keyring
        The opened key files of this process.
    """

    def __init__(self, route: Route, keyring: Keyring) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self.tried: list[str] = []
        self.problems: list[LoginRefused] = []
        self._route = route
        self._keyring = keyring
        self._agent = Agent(agent_place(route.agent))

    def close(self) -> None:
        """Hang up on the agent."""
        self._agent.close()

    def get_sources(self) -> Iterator[InMemoryPrivateKey]:
        """Yield keys: the agent's that are also named, its others, then the named files."""
        files = [path for path in self._route.identities if Path(path).is_file()]
        public = {blob: path for path in files if (blob := _public(path))}
        agent = self._agent.get_keys()
        first = [key for key in agent if key.asbytes() in public]
        others = [] if self._route.only_these else [key for key in agent if key not in first]
        held = {public[key.asbytes()] for key in first}
        for key in [*first, *others][: _OFFERS - 1]:
            yield self._source(key, f"{key.get_name()} of the agent")
        for path in [path for path in files if path not in held][:_OFFERS]:
            try:
                yield self._source(self._keyring.open(path), path)
            except LoginRefused as error:
                self.problems.append(error)

    def _source(self, key: paramiko.PKey, name: str) -> InMemoryPrivateKey:
        self.tried.append(name)
        return InMemoryPrivateKey(self._route.user, key)


def is_refusal(answer: object) -> bool:
    """Say whether a key's trial ended with the server's no, and not with the line's end."""
    refused = isinstance(answer, paramiko.AuthenticationException)
    return refused and not str(answer).startswith(_UNANSWERED)


def refusal(route: Route, keys: Keys, allowed: list[str]) -> LoginRefused:
    """Return the error for a login that was refused.

    Parameters
    ----------
    allowed
        Ways to log in that the server names.
    """
    if keys.problems and not keys.tried:
        return keys.problems[0]
    if not keys.tried:
        named = ", ".join(route.identities) or "none is named"
        return LoginRefused(
            f"{route.name}: there is no key to log in with (looked for {named}, and the agent's).",
            next="Make one with `ssh-keygen -t ed25519`, and bring it to the Mac with "
            f"`ssh-copy-id {route.user}@{route.address}`.",
        )
    ways = f" It takes {', '.join(allowed)}." if allowed and "publickey" not in allowed else ""
    return LoginRefused(
        f"{route.name} refuses the login of {route.user} with {', '.join(keys.tried)}.{ways}",
        next=f"Check user and identity_file, or bring the key there: `ssh-copy-id {route.user}@"
        f"{route.address}`. A Mac with FileVault that has just started takes no key until "
        "somebody has logged in at it.",
    )


def _public(path: str) -> bytes:
    """Return a key file's public blob, as its ``.pub`` or the file itself says it; else nothing."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return base64.b64decode(Path(path + ".pub").read_bytes().split()[1], validate=True)
    with contextlib.suppress(OSError, ValueError, struct.error):
        return _public_part(Path(path).read_bytes())
    return b""


def _public_part(text: bytes) -> bytes:
    """Return the public blob in OpenSSH's own format of private keys, encrypted or not.

    The format is that of ``PROTOCOL.key``: a magic word; the names of cipher and key derivation
    and its options, strings all; the number of keys; and the first public one.
    """
    lines = [line for line in text.splitlines() if not line.startswith(b"-----")]
    data = base64.b64decode(b"".join(lines))
    if not data.startswith(_MAGIC):
        return b""
    at = len(_MAGIC)
    for _ in range(3):
        at += 4 + struct.unpack_from(">I", data, at)[0]
    (length,) = struct.unpack_from(">I", data, at + 4)
    return data[at + 8 : at + 8 + length]


def agent_place(named: str) -> str:
    """Return the path of the agent's socket; empty for none."""
    if named == "none":
        return ""
    if named in ("", "SSH_AUTH_SOCK", "$SSH_AUTH_SOCK"):
        return os.environ.get("SSH_AUTH_SOCK", "")
    return named


class Agent(AgentSSH):
    """The agent at one socket. paramiko's own looks at SSH_AUTH_SOCK alone."""

    def __init__(self, place: str) -> None:
        super().__init__()
        if not place:
            return
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(5.0)
        try:
            link.connect(place)
            self._connect(link)  # type: ignore[attr-defined]
        except (OSError, paramiko.SSHException):
            link.close()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._close()  # type: ignore[attr-defined]
