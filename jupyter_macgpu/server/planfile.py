"""The file of plans: whole or not at all, and one server's at a time.

It belongs to the folder that the server shows: another server of the same folder sees the plans and
does nothing about them, so that no notebook runs twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING

from ..ledger import state_folder
from ..wire.errors import ConfigError
from .timetable import Plan, read_plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class PlanFile:
    """The plans of one folder.

    Parameters
    ----------
    root
        The folder.

    Attributes
    ----------
    is_ours
        Whether this server acts on them.
    """

    def __init__(self, root: str) -> None:
        name = hashlib.sha256(root.encode()).hexdigest()[:32]
        self.path: Path = state_folder() / "schedules" / f"{name}.json"
        self.is_ours = False
        self._lock = -1

    def claim(self) -> bool:
        """Try to become the one that acts on the plans; say whether that is so now.

        Raises
        ------
        OSError
            If the state folder cannot be written to.
        """
        if not self.is_ours:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(
                self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.is_ours, self._lock = True, lock
            except OSError:
                os.close(lock)
        return self.is_ours

    def read(self) -> list[Plan]:
        """Return the plans; none if there is no file.

        Raises
        ------
        ConfigError
            If the file cannot be understood. It is left as it is.
        """
        try:
            data = json.loads(self.path.read_bytes())
            return [read_plan(each) for each in data["plans"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(
                f"The schedules cannot be read: {error}.",
                known="No notebook is started.",
                kept=f"{self.path} is as it was.",
                next="Mend the file or put it elsewhere, then start the server again.",
            ) from None

    def write(self, plans: Iterable[Plan]) -> None:
        """Write the plans down.

        Raises
        ------
        ConfigError
            If that cannot be done. The file is as it was.
        """
        content = json.dumps({"version": 1, "plans": [plan.plain() for plan in plans]}, indent=1)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise ConfigError(
                f"The schedule could not be written down: {error.strerror or error}.",
                known="Nothing was scheduled.",
                next="Make room or give write access, then try again.",
            ) from None

    def close(self) -> None:
        """Leave the plans to another server."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock, self.is_ours = -1, False
