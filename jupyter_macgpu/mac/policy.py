"""The host's policy: where its file is, and whether it may be believed.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..wire.policy import SIZE_LIMIT, HostPolicy, PolicyError, read

#: Names another file, for tests and for hosts where nobody is root.
VARIABLE = "MACGPU_HOST_POLICY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a host holds.

    Attributes
    ----------
    path
        Where the policy is looked for.
    policy
        What it says; that nothing is laid down, where there is no file or it cannot be read.
    problem
        Why the file that is there is not obeyed; empty if it is, or there is none.
    """

    path: str
    policy: HostPolicy = HostPolicy()  # noqa: RUF009 - frozen
    problem: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it as a hello has it."""
        return {"path": self.path, "policy": self.policy.plain(), "problem": self.problem}


class PolicyFile:
    """The file, read again when it has changed.

    Parameters
    ----------
    path
        The file; the host's own if not given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._named = path is not None or bool(os.environ.get(VARIABLE))
        self.path = path or place()
        self._stamp: tuple[int, ...] | None = None
        self._held = Held(path=str(self.path))

    def held(self) -> Held:
        """Return what holds now. One look at the file's times, as long as it is as it was."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            self._held = self._read() if stamp else Held(path=str(self.path))
        return self._held

    def _look(self) -> tuple[int, ...]:
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            return (-1, error.errno or 0)
        return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _read(self) -> Held:
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(self.path, flags), "rb") as stream:
                self._trust(os.fstat(stream.fileno()), self.path.parent.stat())
                content = stream.read(SIZE_LIMIT + 1)
            return Held(path=str(self.path), policy=read(content))
        except (PolicyError, PermissionError, OSError) as error:
            said = getattr(error, "strerror", None) or str(error)
            return Held(path=str(self.path), problem=f"{self.path} is not obeyed: {said}")

    def _trust(self, *statuses: os.stat_result) -> None:
        """Refuse what somebody else than the administrator could have written."""
        owners = {0, os.getuid()} if self._named else {0}
        for status in statuses:
            if status.st_uid not in owners:
                raise PermissionError(f"it, or its folder, belongs to user {status.st_uid}")
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PermissionError("it, or its folder, can be written by others")


def place() -> Path:
    """Return where this host's policy is."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if sys.platform == "darwin":
        return Path("/Library/Application Support/macgpu/host.yaml")
    return Path("/etc/macgpu/host.yaml")
