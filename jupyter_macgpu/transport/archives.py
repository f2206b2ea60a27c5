"""The two archives that a host is given: our code for it, and the packages that its workers need.

An archive's digest is the SHA-256 of its tar, which is the same wherever it is made of the same
files; it is packed only when a host asks for it. What the digests were made of is noted in the
cache folder, so that a kernel looks at the files' times and sizes and reads none of them.

The packages come from the notebook's own environment: pure Python alone, so they run on any system
and version. They are what IPython needs to run cells where nobody types.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import re
import sys
import tarfile
import tempfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..wire.errors import ALL_KEPT, NOTHING_SENT, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What a worker imports itself.
ROOTS = ("ipython", "cloudpickle", "matplotlib-inline", "typing-extensions")
#: What these ask for and a worker does without: line editing, completion, and what is compiled.
LEFT_OUT = frozenset({"jedi", "parso", "prompt-toolkit", "psutil", "wcwidth"})
#: The parts of our own package that a host runs.
_OURS = ("mac", "wire")
_PACKAGE = Path(__file__).resolve().parents[1]
#: Folders and endings of what a worker does not need, or could not use on another system.
_NOT_NEEDED = frozenset({"tests", "sphinxext", "__pycache__"})
_NOT_FOR_ALL = (".so", ".dylib", ".pyd", ".dll", ".pyc", ".pyi", ".c", ".h", "py.typed")

#: Path in the archive: path here, size, time of the last change in ns.
_Files = dict[str, tuple[str, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What one folder on a host is made of.

    Attributes
    ----------
    kind
        ``code`` or ``packages``.
    digest
        SHA-256 of the tar, in hexadecimal digits.
    files
        Path of each file here, by its path in the archive.
    """

    kind: str
    digest: str
    files: dict[str, str]

    def packed(self) -> bytes:
        """Return the archive as gzip'd tar.

        Raises
        ------
        ConfigError
            If the files are not any more what the digest was made of.
        """
        tar = None
        with suppress(OSError):
            tar = _tar(self.files)
        if tar is None or hashlib.sha256(tar).hexdigest() != self.digest:
            raise ConfigError(
                "Files of jupyter-macgpu or IPython were changed since this kernel began.",
                known=NOTHING_SENT,
                kept=ALL_KEPT,
                next="Restart the kernel.",
            )
        deflate = zlib.compressobj(level=6, wbits=31)
        return deflate.compress(tar) + deflate.flush()


@cache
def code() -> Archive:
    """Return the archive of our own code, made once a process."""
    return _archive("code", _our_files)


@cache
def packages() -> Archive:
    """Return the archive of the packages that a worker needs, made once a process.

    Raises
    ------
    ConfigError
        If one of them is not to be found in the notebook's environment.
    """
    return _archive("packages", _package_files)


def _archive(kind: str, find: Callable[[], dict[str, Path]]) -> Archive:
    note = _cache_folder() / f"{kind}-{_environment()}.json"
    known = _noted(note)
    # New files of our own are seen by looking; those of a package come with a new RECORD.
    files = known[1] if known and kind == "packages" else _stats(find())
    if known is None or files != known[1]:
        members = {name: entry[0] for name, entry in files.items()}
        known = hashlib.sha256(_tar(members)).hexdigest(), files
        _note(note, *known)
    members = {name: path for name, (path, _, _) in files.items() if not name.startswith("/")}
    return Archive(kind=kind, digest=known[0], files=members)


def _tar(files: dict[str, str]) -> bytes:
    """Return a tar that depends on names and contents alone."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(name for name in files if not name.startswith("/")):
            data = Path(files[name]).read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


# Which files.


def _our_files() -> dict[str, Path]:
    found = [_PACKAGE / "__init__.py"]
    for part in _OURS:
        found += [path for path in (_PACKAGE / part).rglob("*") if path.suffix in (".py", ".sh")]
    return {path.relative_to(_PACKAGE.parent).as_posix(): path for path in found}


def _package_files() -> dict[str, Path]:
    """Return the files to take, and under absolute names those that tell of an update."""
    found: dict[str, Path] = {}
    for distribution in _distributions():
        for name, path in _members(distribution):
            if _is_needed(name):
                found[name] = path
        record = distribution.locate_file(
            f"{distribution.name.replace('-', '_')}-{distribution.version}.dist-info/RECORD"
        )
        if Path(str(record)).is_file():
            found[str(record)] = Path(str(record))
    return found


def _distributions() -> Iterator[importlib.metadata.Distribution]:
    waiting, seen = list(ROOTS), set(LEFT_OUT)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in ROOTS:
                raise _absent(name) from None
            continue  # for another system or another version of Python
        yield distribution
        for requirement in distribution.requires or ():
            word = re.match(r"[A-Za-z0-9._-]+", requirement)
            if word is not None and "extra ==" not in requirement:
                waiting.append(re.sub(r"[-_.]+", "-", word[0]).lower())


def _members(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, Path]]:
    """Yield the files of a package, by its list of files or by where its modules are."""
    listed = [
        (file.as_posix(), Path(str(distribution.locate_file(file))))
        for file in distribution.files or ()
        if file.parts[0] != ".." and not file.parts[0].endswith((".dist-info", ".pth"))
    ]
    if listed:
        yield from listed
        return
    tops = (distribution.read_text("top_level.txt") or distribution.name.replace("-", "_")).split()
    for top in tops:
        spec = importlib.util.find_spec(top)
        if spec is None or spec.origin is None:
            raise _absent(distribution.name)
        origin = Path(spec.origin)
        if not spec.submodule_search_locations:
            yield origin.name, origin
            continue
        for path in origin.parent.rglob("*"):
            if path.is_file():
                yield path.relative_to(origin.parents[1]).as_posix(), path


def _is_needed(name: str) -> bool:
    return not name.endswith(_NOT_FOR_ALL) and not _NOT_NEEDED & set(name.split("/"))


def _absent(name: str) -> ConfigError:
    return ConfigError(
        f"The notebook's environment has no {name}, which a worker elsewhere needs.",
        next=f"Install it: {sys.executable} -m pip install {name}",
    )


# What is noted.


def _stats(files: dict[str, Path]) -> _Files:
    # Absolute: a cell of the notebook may change the working folder.
    return {name: (str(path.absolute()), *_stat(str(path))) for name, path in sorted(files.items())}


def _stat(path: str) -> tuple[int, int]:
    info = os.stat(path)  # noqa: PTH116 - a tenth of a kernel's time for this is the Path objects
    return info.st_size, info.st_mtime_ns


def _environment() -> str:
    """Return a name for what decides which files are found."""
    words = [__file__, *_stat(__file__), sys.version, sys.prefix, *sys.path]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]


def _cache_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "macgpu"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "macgpu"


def _noted(note: Path) -> tuple[str, _Files] | None:
    """Return what was noted, if every file is still as it was."""
    try:
        noted = json.loads(note.read_bytes())
        files: _Files = {name: tuple(entry) for name, entry in noted["files"].items()}
        if any(_stat(path) != (size, time) for path, size, time in files.values()):
            return None
        digest = noted["digest"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return (digest, files) if re.fullmatch(r"[0-9a-f]{64}", str(digest)) else None


def _note(note: Path, digest: str, files: _Files) -> None:
    """Write it down, whole or not at all; without a cache it is found out again."""
    with suppress(OSError):
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, fresh = tempfile.mkstemp(dir=note.parent)
        with os.fdopen(fd, "w") as file:
            json.dump({"digest": digest, "files": files}, file)
        Path(fresh).replace(note)
