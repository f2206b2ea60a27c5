"""Allowing the fleet file of a folder: a cloned repository must not choose where data goes.

What is allowed is one content at one place. The record is a file beside the user's own fleet
file, named for the place, which holds the digest; whoever can write there can write the user's
fleet file too.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..wire.errors import ConfigError
from .draft import read_draft
from .hosts import Host
from .layers import join
from .opening import Refused, read_any
from .places import user_folder
from .problems import FILE_NAME, VARIABLE

#: Whether a content is allowed, another one of the same place was, or none.
Standing = Literal["allowed", "changed", "new"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What was allowed.

    Attributes
    ----------
    file
        The fleet file, in the real path of its folder.
    digest
        SHA-256 of its content, in hexadecimal digits.
    hosts
        Where cells may go from now on, and how far what comes back is trusted.
    """

    file: Path
    digest: str
    hosts: tuple[Host, ...]


def allow(path: Path | None = None, folder: Path | None = None) -> Allowed:
    """Let the fleet file of a folder count when a notebook works in that folder.

    It counts until it is changed. Allowing it again replaces what was allowed before.

    Parameters
    ----------
    path
        The folder, or its ``macgpu.yaml``; the working folder if not given.
    folder
        Folder of the user's configuration; the platform's own if not given.

    Raises
    ------
    FleetFileError
        If anything in the file is wrong. Nothing was allowed.
    ConfigError
        If there is no such file, it has another name, or nothing can be written down.
    """
    file = _place(path)
    try:
        content = read_any(file)
    except Refused as refusal:
        raise _not_done(f"{file} cannot be allowed: {refusal}.") from refusal
    if content is None:
        raise _not_done(f"There is no {file}.")
    hosts = join([read_draft(content, str(file), "folder")])
    digest = hashlib.sha256(content).hexdigest()
    try:
        _write(_record(file, folder or user_folder()), {"file": str(file), "sha256": digest})
    except OSError as error:
        raise _not_done(f"That {file} is allowed cannot be written down: {error}.") from error
    return Allowed(file=file, digest=digest, hosts=hosts)


def standing(file: Path, content: bytes, folder: Path) -> Standing:
    """Return whether a content of a file is allowed.

    Parameters
    ----------
    file
        The file, in the real path of its folder.
    content
        What stands in it. It is not read here again: it could change in between.
    folder
        Folder of the user's configuration.
    """
    record = _read(_record(file, folder))
    if record.get("file") != str(file):
        return "new"
    return "allowed" if record.get("sha256") == hashlib.sha256(content).hexdigest() else "changed"


def _place(path: Path | None) -> Path:
    place = Path(path or ".")
    if place.is_dir():
        place = place / FILE_NAME
    if place.name != FILE_NAME:
        raise _not_done(
            f"{place} is not called {FILE_NAME}, so it never counts by itself.",
            f"Name it with {VARIABLE}: then it needs no allowing.",
        )
    # Only the folder is resolved: that the file is a link changes nothing, its content counts.
    return Path(os.path.realpath(place.parent)) / FILE_NAME


def _record(file: Path, folder: Path) -> Path:
    return folder / "allowed" / hashlib.sha256(os.fsencode(file)).hexdigest()


def _read(record: Path) -> dict[str, str]:
    """Return a record; nothing if there is none, or another user could have made it."""
    try:
        for path in (record.parent, record):
            status = path.lstat()
            if (
                status.st_uid != os.getuid()
                or status.st_mode & 0o022
                or stat.S_ISLNK(status.st_mode)
            ):
                return {}
        read = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _write(record: Path, content: dict[str, str]) -> None:
    # The mode is that of the last folder alone.
    record.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    record.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".", dir=record.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        Path(name).replace(record)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _not_done(
    what: str, next: str = "Look at the file and its folder, and try again."
) -> ConfigError:
    return ConfigError(what, known="Nothing was allowed.", kept="No file was changed.", next=next)
