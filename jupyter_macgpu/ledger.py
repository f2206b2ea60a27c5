"""The notebook side's own record of runs: written before anything is sent.

One JSON line a run: which, where, of which cell. It says where to ask after a run when no host
answers; what became of it only its host knows.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .wire.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .wire import messages as m

#: Bytes of the file that are read, from its end, to find the runs of a notebook.
_LOOKED_AT = 2 * 2**20
#: Bytes of a long line.
_LINE = 1024
#: What every line about a run's work has in it.
_WORK = b'"work": '


def state_folder() -> Path:
    """Return the folder of all our state on this machine; hosts' stores are in it too."""
    if "MACGPU_STATE" in os.environ:
        return Path(os.environ["MACGPU_STATE"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "macgpu"
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "macgpu"


def ledger_path() -> Path:
    """Return the file."""
    return state_folder() / "ledger"


def recent_runs(most: int = 50) -> list[str]:
    """Return names and ids of the runs that this account began last, the newest first.

    Parameters
    ----------
    most
        How many runs are looked at.
    """
    try:
        with ledger_path().open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most * _LINE))
            lines = file.read().splitlines()[-most:]
    except OSError:
        return []
    found: dict[str, None] = {}
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            found |= dict.fromkeys(filter(None, (entry.get("name"), entry["run"][:8])))
    return list(found)


def open_runs(notebook: str, since: float) -> list[dict[str, Any]]:
    """Return the entries of a notebook's runs whose end nobody here has seen, oldest first.

    Parameters
    ----------
    since
        Seconds since 1970; what began earlier is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for line in _tail(_LOOKED_AT):
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            if entry.get("over"):
                found.pop(entry["run"], None)
            elif entry["origin"]["notebook"] == notebook and entry["at"] >= since:
                found[entry["run"]] = entry
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A run that ended well, and the work that it was: seconds on a machine of speed 1."""

    run: str
    origin: dict[str, Any]
    work: float


def past_work(notebook: str) -> list[Worked]:
    """Return a notebook's runs of which it is known how long they took, oldest first."""
    found = []
    for line in _tail(_LOOKED_AT):
        if _WORK not in line:
            continue  # most lines: reading them would cost a kernel's first cell its time
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            if entry["origin"]["notebook"] == notebook:
                work = float(entry["work"])
                found.append(Worked(run=str(entry["run"]), origin=entry["origin"], work=work))
    return found


def _tail(size: int) -> list[bytes]:
    try:
        with ledger_path().open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read().splitlines()
    except OSError:
        return []


class Ledger:
    """The file, opened at its first use and kept open: each cell writes one line."""

    def __init__(self) -> None:
        self._fd = -1

    def record(self, message: m.Submit, host: str) -> None:
        """Write down that a run is about to be sent.

        Raises
        ------
        InputError
            If it cannot be written. Nothing was sent.
        """
        entry = {
            "run": message.run,
            "host": host,
            "session": message.session,
            "origin": message.origin,
            "digest": message.digest,
            "name": message.options.get("name"),
            "at": round(time.time(), 3),
        }
        try:
            self._write(entry)
        except OSError as error:
            raise InputError(
                f"The run could not be written down here: {error}.",
                next="Make room or give write access, then run it again.",
            ) from error

    def over(self, run: str) -> None:
        """Write down that a run's end was seen here; where that fails, its host is asked again."""
        with contextlib.suppress(OSError):
            self._write({"run": run, "over": True})

    def worked(self, run: str, origin: Mapping[str, Any], work: float) -> None:
        """Write down how long a run took; where that fails, nobody knows it later."""
        said = {name: origin[name] for name in ("notebook", "cell", "text") if name in origin}
        with contextlib.suppress(OSError):
            self._write({"run": run, "work": work, "origin": said})

    def _write(self, entry: dict[str, Any]) -> None:
        if self._fd < 0:
            path = ledger_path()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self._fd, json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
