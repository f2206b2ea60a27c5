"""Names of files in a session's folder: which of them either side accepts, what a pattern means.

Both sides check every name: the host trusts no client, and a notebook writes nothing outside the
folder that it was told, whatever a host says.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

#: Longest path inside the folder, in bytes. macOS takes 1024 for the whole of it.
LONGEST = 800
#: Longest name of one file or folder, in bytes, on every system that we know.
LONGEST_NAME = 255
#: Folders inside folders.
DEEPEST = 32
_PATTERN = re.compile(r"[*?\[]")


class BadPath(ValueError):
    """A path does not lead to a file inside the folder; its text says why."""


def inside(path: str) -> str:
    """Return a path inside the folder in its one form: names joined by single slashes.

    Names may hold anything that a file system takes: blanks, line ends, a leading hyphen.

    Raises
    ------
    BadPath
        If it leads out of the folder, or cannot be the name of a file everywhere.
    """
    if path.startswith("/"):
        raise BadPath("it is an absolute path; paths are relative to the session's folder")
    if "\x00" in path:
        raise BadPath("it holds a zero byte")
    names = [name for name in path.split("/") if name not in ("", ".")]
    if not names:
        raise BadPath("it names no file")
    if ".." in names:
        raise BadPath("it leads out of the session's folder")
    if len(names) > DEEPEST:
        raise BadPath(f"it is more than {DEEPEST} folders deep")
    try:
        sizes = [len(name.encode("utf-8", "surrogateescape")) for name in names]
    except UnicodeEncodeError:
        raise BadPath("it holds half of a character") from None
    if max(sizes) > LONGEST_NAME or sum(sizes) + len(sizes) > LONGEST:
        raise BadPath("it is too long")
    return "/".join(names)


def is_pattern(text: str) -> bool:
    """Say whether a text holds ``*``, ``?`` or ``[``."""
    return _PATTERN.search(text) is not None


def matches(path: str, pattern: str) -> bool:
    """Say whether a pattern means a file, as a shell would read it.

    ``*``, ``?`` and ``[...]`` stay within one name and skip names with a leading dot; ``**``
    stands for any number of folders. A pattern that fits a folder means all that is in it.

    Parameters
    ----------
    path, pattern
        In the form that `inside` returns.
    """
    wanted = pattern.split("/")
    places = _reachable({0}, wanted)
    for name in path.split("/"):
        fitting = [at for at in places if at < len(wanted) and _fits(name, wanted[at])]
        after = {at + 1 for at in fitting} | {at for at in fitting if wanted[at] == "**"}
        places = _reachable(after, wanted)
        if len(wanted) in places:
            return True
    return False


def _reachable(places: set[int], wanted: list[str]) -> set[int]:
    """Return `places` and those behind each ``**`` there, which may stand for no folder."""
    found = set(places)
    for at in range(len(wanted) - 1):
        if at in found and wanted[at] == "**":
            found.add(at + 1)
    return found


def _fits(name: str, wanted: str) -> bool:
    if name == wanted:
        return True
    if name.startswith(".") and not wanted.startswith("."):
        return False
    return wanted == "**" or fnmatchcase(name, wanted)
