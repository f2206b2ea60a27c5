"""Trusting a host's key: its fingerprint is written where the user's word counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..wire.errors import ConfigError
from .editing import pin_hostkey
from .fields import fingerprint as read_fingerprint
from .hosts import Fleet, Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """A key that is pinned.

    Attributes
    ----------
    host
        The host's name in the fleet.
    fingerprint
        Its key's, as ``ssh-keygen -l`` prints it.
    before
        The fingerprint that was pinned for the host before; None if there was none.
    file
        Where it is written.
    changed
        Whether it was not written there yet.
    """

    host: str
    fingerprint: str
    before: str | None
    file: Path
    changed: bool


def trust(fleet: Fleet, name: str, fingerprint: str) -> Trusted:
    """Pin the key of a host, in the file that is the user's to change.

    A host of the site's file or of ``~/.ssh/config`` gets an entry in the user's own file. This
    says nothing about what may run here: the setting ``trust`` of the host stays as it is.

    Raises
    ------
    FleetFileError
        If the file is wrong, or others could have changed it. It is as it was.
    ConfigError
        If the host has no key, or the file is not the user's to change. It is as it was.
    """
    host = next((host for host in fleet.hosts if host.name == name), Host(name=name))
    if host.transport == "local":
        raise _refused(f"{name} is this machine; it is reached without a key.")
    if fleet.own is None:
        files = " and ".join(str(file) for file in fleet.files)
        raise _refused(
            f"{files} counts only as it was allowed, so no command changes it.",
            f"Write hostkey: {fingerprint} under hosts.{name} there, then run macgpu allow.",
        )
    changed = pin_hostkey(fleet.own, name, fingerprint)
    return Trusted(
        host=name,
        fingerprint=read_fingerprint(fingerprint) or fingerprint,
        before=host.hostkey,
        file=fleet.own,
        changed=changed,
    )


def _refused(what: str, next: str = "Name a host that is reached over ssh.") -> ConfigError:
    return ConfigError(what, known="Nothing was run.", kept="No file was changed.", next=next)
