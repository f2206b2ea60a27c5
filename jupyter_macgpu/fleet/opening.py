"""Fleet files are opened with suspicion: they name machines, keys and programs."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Collection
from pathlib import Path

from .document import SIZE_LIMIT


class Refused(Exception):
    """A file is there and is not taken; the text says why and what would be right."""


def read_owned(file: Path, owners: Collection[int]) -> bytes | None:
    """Return the content of a file that nobody else can change, or None if there is none.

    What is checked is what was opened, so that nothing can be exchanged in between. The folder
    counts too: whoever can write there can put another file in its place. Where the file is a
    link, that holds for both folders. Folders further up are the user's own affair: homes that
    a group may write are common in containers.

    Parameters
    ----------
    file
        Its path.
    owners
        Numbers of the users who may own it.

    Raises
    ------
    Refused
        If it cannot be read, is too large, or somebody else could have written it.
    """
    try:
        content, status = _read(file)
        _check(file, status, owners, "file")
        real = Path(os.path.realpath(file))
        for folder in dict.fromkeys((file.absolute().parent, real.parent)):
            _check(folder, folder.stat(), owners, "folder")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _failed(error) from error
    return content


def read_any(file: Path) -> bytes | None:
    """Return the content of a file, whoever wrote it, or None if there is none.

    Raises
    ------
    Refused
        If it cannot be read or is too large.
    """
    try:
        return _read(file)[0]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _failed(error) from error


def _read(file: Path) -> tuple[bytes, os.stat_result]:
    # Without O_NONBLOCK a named pipe would keep us until somebody writes to it.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Refused("it cannot be read: it is not a file with content")
        content = stream.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise Refused(f"the file is larger than {SIZE_LIMIT >> 20} MiB")
    return content, status


def _check(path: Path, status: os.stat_result, owners: Collection[int], kind: str) -> None:
    # In a sticky folder such as /tmp nobody can replace what belongs to others.
    guarded = kind == "folder" and status.st_mode & stat.S_ISVTX
    if others_write(status) and not guarded:
        raise Refused(
            f"others can change it; take that right away with: chmod go-w {shlex.quote(str(path))}"
        )
    if status.st_uid not in owners and not guarded:
        wanted = "root" if set(owners) == {0} else "you or root"
        raise Refused(f"{path} belongs to user {status.st_uid}; it must belong to {wanted}")


def others_write(status: os.stat_result) -> bool:
    """Return whether the rights of a file or folder let others than its owner change it."""
    return bool(status.st_mode & (0o002 if _is_private_group(status) else 0o022))


def _is_private_group(status: os.stat_result) -> bool:
    """Return whether a group has the user alone in it, as each user's own group on most Linuxes.

    There the usual umask is 002, so that a folder or file just made would be refused. Others
    whose first group it is cannot be listed; that it is called like the user must do.
    """
    if not status.st_mode & 0o020 or status.st_uid != os.getuid():
        return False
    try:
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    own = group.gr_gid == user.pw_gid and group.gr_name == user.pw_name
    return own and set(group.gr_mem) <= {user.pw_name}


def _failed(error: OSError | ValueError) -> Refused:
    # ValueError: a path with a null character.
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Refused(f"it cannot be read ({reason or type(error).__name__})")
