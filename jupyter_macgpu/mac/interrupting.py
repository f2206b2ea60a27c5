"""The file in a worker's folder that names the run which is to be interrupted; see `worker.gate`.

Runs on the Mac. Only Python and `wire` may be imported here.

A spare of its length is written while there is room, so that a run can be named on a full disk.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Length of a name, with blanks behind it.
_LENGTH = 64


def name(folder: Path, run: str, epoch: int) -> bool:
    """Name a run; say whether the disk took it."""
    named = folder / "interrupt"
    spare = named.with_suffix(".spare")
    try:
        fd = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(f"{run} {epoch}".ljust(_LENGTH).encode())
        spare.replace(named)
    except OSError:
        return False
    make_spare(folder)
    return True


def make_spare(folder: Path) -> None:
    """Take room for the next name, if there is any."""
    with contextlib.suppress(OSError):
        (folder / "interrupt.spare").write_text(" " * _LENGTH)
