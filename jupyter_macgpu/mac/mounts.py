"""What kind of file system a path is on: a lock over a network may not be one.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath

#: Seconds that the system's own tool may take.
_PATIENCE = 2.0
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|afpfs|webdav|ftp|9p|afs|ceph|glusterfs|lustre|gpfs|ncpfs"
    r"|osxfuse|macfuse|fuse\..*"
)
_MAC = re.compile(r".* on (?P<point>/.*) \((?P<kind>[^,)]+)[,)]")
_OCTAL = re.compile(r"\\([0-7]{3})")


def kind_of(path: Path) -> str:
    """Return the kind of the file system that a path is on, such as ``apfs``; ``""`` is unknown."""
    try:
        where = path.resolve()
        if sys.platform == "darwin":
            words = ["/sbin/mount"]
            said = subprocess.run(words, capture_output=True, timeout=_PATIENCE, check=True).stdout
            return kind_in(where, mounts_of_mac(said.decode("utf-8", "replace")))
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        return kind_in(where, mounts_of_linux(mounts))
    except (OSError, subprocess.SubprocessError):
        return ""


def is_network(kind: str) -> bool:
    """Say whether a kind of file system is reached over a network, or through a stranger's code."""
    return _NETWORK.fullmatch(kind) is not None


def kind_in(where: PurePath, mounts: Iterator[tuple[str, str]]) -> str:
    """Return the kind of the mount that a path is in; where two are in one place, of the last."""
    depth, found = -1, ""
    for point, kind in mounts:
        parts = len(PurePath(point).parts)
        if where.is_relative_to(point) and parts >= depth:
            depth, found = parts, kind
    return found


def mounts_of_linux(text: str) -> Iterator[tuple[str, str]]:
    """Read ``/proc/self/mountinfo``: mount points and kinds."""
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if dash and len(fields) > 4 and after:
            point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
            yield point, after.split(" ")[0]


def mounts_of_mac(text: str) -> Iterator[tuple[str, str]]:
    """Read what ``mount`` prints on macOS: mount points and kinds."""
    for line in text.splitlines():
        match = _MAC.fullmatch(line) or _MAC.match(line)
        if match is not None:
            yield match["point"], match["kind"]
