"""Which code this is, and which the living supervisor runs: what an upgrade is decided by.

Runs on the Mac. Only Python and `wire` may be imported here.

A supervisor writes down what it is. A newer one takes its place at any time, since workers and
journals are handed on; one of the same version from other source only while nobody would notice: no
run lives and no notebook is connected. An older one never does.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__

if TYPE_CHECKING:
    from . import store

#: With these an environment has all that a worker needs: what they need came with them.
_OWN = ("IPython", "cloudpickle")
#: The folder that holds our package.
HOME = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One state of our code.

    Attributes
    ----------
    version
        The package's version.
    build
        Digest of the installed code, or, where it runs in place, when its source was changed
        last.
    """

    version: str
    build: str

    def replaces(self, other: Build, *, quiet: bool) -> bool:
        """Say whether a supervisor of this build is to take the place of one of another.

        Parameters
        ----------
        quiet
            Whether nobody would notice.
        """
        mine, theirs = _numbers(self.version), _numbers(other.version)
        return mine > theirs or (quiet and mine == theirs and self.build != other.build)


def installed() -> bool:
    """Say whether this code was put here by the installer, and is not part of an environment."""
    return (HOME / "complete").exists()


def bootstrap(packages: str) -> str:
    """Return the program that a worker begins with.

    It waits for a word on its standard input: a supervisor that dies before it has written
    down whom it started leaves nobody behind.

    Parameters
    ----------
    packages
        As for `settle`.
    """
    return (
        "import os, sys; os.read(0, 1) or os._exit(0); "
        "os.dup2(os.open(os.devnull, os.O_RDONLY), 0); "
        # Another version of ours may be among the user's packages: this one is found first,
        # once, and its modules from then on.
        f"sys.path.insert(0, {str(HOME)!r}); import jupyter_macgpu; sys.path.pop(0); "
        "from jupyter_macgpu.mac import build; "
        f"build.settle({packages!r}); "
        "from jupyter_macgpu.mac.worker.process import main; sys.exit(main())"
    )


def keep() -> None:
    """Keep this code from being removed while this process lives, if it was installed."""
    if installed():
        from .complete import use

        use(HOME)


def settle(packages: str) -> None:
    """Put this code and a worker's packages last on the path, and keep both from being removed.

    The user's own packages come before them; where they have all that a worker needs, ours are
    not looked at. Called in a worker, first of all.

    Parameters
    ----------
    packages
        Their folder, or the empty text if the worker's own environment has them.

    Raises
    ------
    ImportError
        If the packages are not as they were installed. They count as missing from now on.
    """
    sys.path.append(str(HOME))
    keep()
    if packages and not all(map(find_spec, _OWN)):
        from .complete import intact, use

        if not intact(Path(packages)):
            raise ImportError(f"{packages} is damaged; connect again, and it is replaced")
        use(Path(packages))
        sys.path.append(packages)


@cache
def ours() -> Build:
    """Return what this process runs."""
    return Build(version=__version__, build=HOME.name if installed() else str(_changed()))


def write(place: store.Store, build: Build, process: dict[str, Any]) -> None:
    """Note what the supervisor of a store is. Called while its lock is held.

    A full disk does not keep it: then nothing is noted, which doors take for their own.
    """
    fresh, known = place.root / "version.new", place.root / "version"
    try:
        fresh.write_text(json.dumps({**asdict(build), **process}))
        fresh.replace(known)
    except OSError:
        fresh.unlink(missing_ok=True)
        known.unlink(missing_ok=True)


def read(place: store.Store) -> Build | None:
    """Return what the supervisor of a store is, or None if that is not known."""
    try:
        return parse(json.loads((place.root / "version").read_bytes()))
    except (OSError, ValueError):
        return None


def parse(value: Any) -> Build | None:
    """Return the build in a JSON value, if there is one."""
    if not isinstance(value, dict):
        return None
    version, build = value.get("version"), value.get("build")
    if not (isinstance(version, str) and isinstance(build, str)):
        return None
    return Build(version=version, build=build)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(word) for word in re.findall(r"\d{1,9}", version)[:3])


def _changed() -> int:
    """Return when a source file of ours was changed last, in ns."""
    newest = 0
    for part in ("mac", "wire"):
        for folder, _, files in os.walk(HOME / "jupyter_macgpu" / part):
            for file in files:
                if file.endswith((".py", ".sh")):
                    newest = max(newest, Path(folder, file).stat().st_mtime_ns)
    return newest
