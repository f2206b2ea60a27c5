"""The fleet files, read again when they change: cheap enough to look at before each cell."""

from __future__ import annotations

import os
from collections.abc import Callable

from .file import load_fleet
from .hosts import Fleet
from .places import Places, places_here
from .problems import VARIABLE, FleetFileError

#: What differs once a file was written, replaced, linked elsewhere or taken away.
_Stamp = tuple[int, ...]
#: What decides which files count, beside the working folder.
_DECIDING = (VARIABLE, "HOME", "XDG_CONFIG_HOME")


class FleetFile:
    """The user's fleet, as the files say it now.

    A broken edit changes nothing: what was read last goes on, and it is said once. There is no
    thread; who uses the fleet looks, which takes a handful of `stat` calls.

    Parameters
    ----------
    places
        Returns the folders that count; those of this machine if not given.

    Attributes
    ----------
    problem
        What is wrong with the files as they are now; empty if they could be read.
    """

    def __init__(self, places: Callable[[], Places] = places_here) -> None:
        self.problem = ""
        self._places = places
        self._fleet: Fleet | None = None
        self._stamp: tuple[object, ...] | None = None
        self._notice = ""
        self._where: object = None
        self._files: tuple[str, ...] = ()

    def fleet(self) -> Fleet:
        """Return the fleet.

        Raises
        ------
        FleetFileError
            If the files cannot be used and never could be since this began.
        """
        # Before reading: what changes in between is seen at the next look.
        stamp = self._look()
        if self._fleet is not None and stamp == self._stamp:
            return self._fleet
        try:
            new = load_fleet(places=self._places())
        except FleetFileError as error:
            self.problem = error.what
            if self._fleet is None:
                raise
            self._stamp = stamp
            lines = error.what.splitlines()
            self._notice = "\n".join(["macgpu: the fleet is as it was before an edit.", *lines])
            return self._fleet
        before, self._fleet, self._stamp, self.problem = self._fleet, new, stamp, ""
        self._notice = _told(before, new)
        return new

    def notice(self) -> str:
        """Return what the user is to be told since this was last asked; mostly nothing."""
        notice, self._notice = self._notice, ""
        return notice

    def _look(self) -> tuple[object, ...]:
        where = tuple(map(os.environ.get, _DECIDING)), _working()
        if where != self._where:
            self._where, self._files = where, self._found()
        return (where, *map(_stamp, self._files))

    def _found(self) -> tuple[str, ...]:
        """Return the files whose change may change the fleet. Some of them need not be there."""
        if named := os.environ.get(VARIABLE, ""):
            return (os.path.expanduser(named),)  # noqa: PTH111 - as in `file`
        places = self._places()
        # Allowing a file makes another file in that folder.
        files = [places.user_file, places.site_file, places.user / "allowed", places.working_file]
        return tuple(str(file) for file in files if file is not None)


def _working() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - this is asked before each cell
    except OSError:
        return ""


def _stamp(file: str) -> _Stamp:
    try:
        status = os.stat(file)  # noqa: PTH116 - as above
    except (OSError, ValueError) as error:
        return (getattr(error, "errno", None) or 0,)
    # The time of change too: it moves when rights do, and a file may be refused for its rights.
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _told(before: Fleet | None, now: Fleet) -> str:
    """Return one line on what changed, or nothing where no host came or went or is another."""
    if before is None:
        return ""
    old = {host.name: host for host in before.hosts}
    new = {host.name: host for host in now.hosts}
    parts = [
        ("new", [name for name in new if name not in old]),
        ("gone", [name for name in old if name not in new]),
        ("changed", [name for name in new if name in old and new[name] != old[name]]),
    ]
    said = [f"{word}: {', '.join(names[:10])}" for word, names in parts if names]
    return f"macgpu: the fleet file was read again ({'; '.join(said)})" if said else ""
