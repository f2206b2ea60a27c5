"""Changes to a fleet file that a command makes for the user.

Rule 1: only a file that would be read is changed, with the same suspicion.

Rule 2: what comes out is read again before it is kept. If it does not say what the file said and
the one thing more, nothing is changed, and the user is told what to write.

Rule 3: the file is replaced in one step, with its own mode; a link stays a link.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..wire.errors import ConfigError
from ..wire.policy import Limits
from .draft import Draft, read_draft
from .fields import fingerprint as read_fingerprint
from .fields import is_host_name
from .hosts import Host
from .layers import join
from .opening import Refused, read_owned
from .problems import FleetFileError, Problem
from .splice import Value, put


def pin_hostkey(file: Path, name: str, fingerprint: str) -> bool:
    """Write the fingerprint of a host's key into a fleet file; return whether that changed it.

    A host that stands in another file alone, or in ``~/.ssh/config``, gets an entry here, which
    lies over what is said there. A file that is not there is made.

    Parameters
    ----------
    file
        The fleet file, such as `Fleet.own`.
    name
        The host's name in the fleet.
    fingerprint
        ``SHA256:`` and 43 characters.

    Raises
    ------
    FleetFileError
        If anything in the file is wrong or others could have changed it. It is as it was.
    ConfigError
        If the key cannot be written there. The file is as it was.
    """
    pinned = read_fingerprint(fingerprint)
    if pinned is None or not is_host_name(name):
        raise _unchanged(file, f"{name[:60]!a} with {fingerprint[:60]!a} is no host with a key")
    return _change(file, name, lambda _: {"hostkey": pinned})


def add_host(file: Path, host: Host) -> None:
    """Add a host to a fleet file; it is made, with mode 0600, if it is not there.

    What the file's defaults say already is not repeated, nor what every host has.

    Raises
    ------
    FleetFileError
        If anything in the file is wrong or others could have changed it. It is as it was.
    ConfigError
        If a host of that name stands there, or it cannot be written. The file is as it was.
    """

    def said(draft: Draft) -> Mapping[str, Value]:
        if host.name in draft.hosts:
            raise _unchanged(file, f"a host {host.name} stands there already")
        if host.taints or host.policy != Limits():
            raise _unchanged(file, "taints and policy are written by hand")
        return _said_of(host, draft)

    _change(file, host.name, said)


def with_defaults(file: Path, host: Host) -> Host:
    """Return a host with what a fleet file's defaults would say of how it is reached.

    Raises
    ------
    FleetFileError
        If anything in the file is wrong or others could have changed it.
    """
    _, draft = _read(file)
    ways = ("user", "port", "identity_file", "python")
    missing = {key for key in ways if getattr(host, key) is None} & draft.defaults.keys()
    return replace(host, **{key: draft.defaults[key][0] for key in missing})


def _change(file: Path, name: str, say: Callable[[Draft], Mapping[str, Value]]) -> bool:
    with _alone_in(Path(os.path.realpath(file)).parent):
        content, draft = _read(file)
        before = draft.values()
        hosts = before["hosts"]
        said = say(draft)
        wanted = {**hosts, name: {**hosts.get(name, {}), **said}}
        if wanted == hosts:
            return False
        text = content.decode("utf-8-sig") or "version: 1\n"
        new = _edited(text, name, said, known=name in hosts) or ""
        _check_meaning(read_draft(new, str(file)), {**before, "hosts": wanted})
        mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
        _replace(file, mark + new.encode())
    return True


def _edited(text: str, name: str, said: Mapping[str, Value], *, known: bool) -> str | None:
    if not known:
        return put(text, ("hosts", name), said)
    new: str | None = text
    for key, value in said.items():
        new = put(new, ("hosts", name, key), value) if new is not None else None
    return new


def _check_meaning(changed: Draft, wanted: dict[str, Any]) -> None:
    """Refuse a text that says anything else than it should, or what no fleet can be."""
    if changed.problems or changed.values() != wanted:
        raise _unchanged(
            Path(changed.file), "the way it is written, with aliases perhaps, leaves no place"
        )
    join([changed])


def _read(file: Path) -> tuple[bytes, Draft]:
    """Return the content of a file, empty if there is none, and what it says.

    Raises
    ------
    FleetFileError
        If it would not be read either.
    """
    try:
        content = read_owned(file, {os.getuid(), 0})
    except Refused as refusal:
        raise FleetFileError(str(file), [Problem(line=0, key="", text=str(refusal))]) from refusal
    if content is None:
        return b"", Draft(file=str(file), origin="own")
    draft = read_draft(content, str(file))
    if draft.problems:
        raise FleetFileError(str(file), draft.problems)
    return content, draft


def _said_of(host: Host, draft: Draft) -> dict[str, Value]:
    """Return what must be said of a host, so that reading it gives that host again."""
    shared = {name: value for name, (value, _) in draft.defaults.items()}
    usual = {field.name: getattr(Host(name=host.name), field.name) for field in fields(Host)}
    said: dict[str, Value] = {}
    for field in fields(Host):
        value = getattr(host, field.name)
        if field.name == "labels":
            value = {
                key: each
                for key, each in value.items()
                if shared.get("labels", {}).get(key) != each
            }
            if value:
                said["labels"] = value
        elif field.name not in ("name", "taints", "policy") and value not in (
            None,
            shared.get(field.name, usual[field.name]),
        ):
            said[field.name] = value
    return said


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other changes out while one is made: the later of two would undo the earlier."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unchanged(folder, f"it cannot be written there ({error.strerror})") from error
    try:
        # Some network file systems lock no folders; the replacing itself needs no lock.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(file: Path, content: bytes) -> None:
    real = Path(os.path.realpath(file))
    try:
        before = real.stat() if real.exists() else None
        descriptor, name = tempfile.mkstemp(prefix=f".{real.name}-", dir=real.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                if before is not None:
                    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                    # For root, who changes the file of somebody else.
                    with contextlib.suppress(PermissionError):
                        os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fsync(descriptor)
            Path(name).replace(real)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unchanged(file, f"it cannot be written ({error.strerror})") from error


def _unchanged(file: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The fleet file {file} cannot be changed: {why}.",
        known="Nothing was run.",
        kept="The file is as it was.",
        next="Change it with an editor, then try again.",
    )
