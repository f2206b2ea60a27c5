"""What a refused login depends on: who mends it changes one of these."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hosts import Host


def mark_of(host: Host) -> str:
    """Return a digest of a host's entry and of the times of the files of SSH and of its key."""
    files = list(Path("~/.ssh").expanduser().glob("*"))
    if host.identity_file:
        key = Path(host.identity_file).expanduser()
        files += [key, key.with_name(key.name + ".pub")]
    stamps = []
    for file in sorted(files):
        with contextlib.suppress(OSError):
            status = file.stat()
            stamps.append((str(file), status.st_mtime_ns, status.st_size))
    return hashlib.sha256(repr((host, stamps)).encode()).hexdigest()
