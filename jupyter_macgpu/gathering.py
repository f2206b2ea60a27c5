"""Which files of this machine a list of paths means, and what they are called on a host."""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .wire.errors import InputError
from .wire.folder import DEEPEST, BadPath, inside, is_pattern
from .words import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Bytes of files that are sent without being asked for twice.
WITHOUT_ASKING = 10 * 10**9
#: Files that are sent at once.
MOST = 50_000
#: Names of what was left out that a line holds.
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """One file that is to be sent.

    Attributes
    ----------
    path
        Where it is here.
    name
        Its path in the session's folder.
    size
        In bytes, when it was looked at.
    """

    path: str
    name: str
    size: int
    executable: bool


@dataclass(slots=True)
class Gathered:
    """What paths mean: files by their name there, and what is not sent."""

    files: dict[str, LocalFile] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def notice(self) -> str:
        """Return a line about what is left out; empty if that is nothing."""
        if not self.left_out:
            return ""
        more = len(self.left_out) - _NAMED
        names = ", ".join(shown(path) for path in self.left_out[:_NAMED])
        return (
            f"left out {len(self.left_out)} that are no plain files or lead out of their folder: "
            + names
            + (f" and {more} more" if more > 0 else "")
        )


def gather(paths: Sequence[str], to: str | None = None, *, yes: bool = False) -> Gathered:
    """Find the files that paths and patterns mean; folders with all that is in them.

    A path in the working folder keeps its place there; of any other the last name counts. A link
    that is named is followed; one inside a folder only to a file of that folder.

    Parameters
    ----------
    to
        Folder in the session's folder; a path then counts by its last name.
    yes
        Whether they may be more than `WITHOUT_ASKING` bytes.

    Raises
    ------
    InputError
        If a path does not exist, is no file, or the files are too many. Nothing was sent.
    """
    gathered = Gathered()
    for text in paths:
        for path in _meant(text):
            for file in _files(path, _name(path, to), gathered.left_out):
                _add(gathered, file)
    if not gathered.files:
        listed = ", ".join(shown(path) for path in paths)
        raise InputError(
            f"There are no files in {listed}.", next="Name files, or a folder of some."
        )
    if gathered.size > WITHOUT_ASKING and not yes:
        size = f"{gathered.size / 10**9:.1f} GB"
        text = f"The files are {size}, more than {WITHOUT_ASKING / 10**9:.0f} GB."
        raise InputError(text, next="Add --yes to send them all the same.")
    return gathered


def _meant(text: str) -> list[str]:
    path = str(Path(text).expanduser()) if text and "\x00" not in text else ""
    if not path:
        raise InputError(f"{shown(text)!r} is not the path of a file.", next="Write its path.")
    if os.path.lexists(path):
        return [path]
    if is_pattern(path):
        # Path.glob takes no absolute pattern.
        found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (as above)
        if found:
            return found
        raise InputError(f"No file here fits {shown(text)}.", next="Write another pattern.")
    folder = Path(path).parent
    try:
        near = nearest(Path(path).name, [each.name for each in folder.iterdir()])
    except OSError:
        near = None
    raise InputError(
        f"There is no {shown(text)} here (in {Path.cwd()}).",
        next=f"Did you mean {shown(str(folder / near))}?" if near else "Write its path.",
    )


def _name(path: str, to: str | None) -> str:
    """Return what a path is called in the session's folder; ``""`` for the folder itself."""
    absolute, here = _absolute(path), Path.cwd()
    if absolute == here:
        return to or ""
    if to is not None:
        return f"{to}/{absolute.name}"
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else absolute.name


def _absolute(path: str) -> Path:
    # Links stay what they are called: a name that was typed is the name that is wanted.
    return Path(os.path.normpath(Path(path).absolute()))


def _files(path: str, name: str, left_out: list[str]) -> Iterator[LocalFile]:
    try:
        info = Path(path).stat()
        if stat.S_ISDIR(info.st_mode):
            yield from _walk(path, f"{name}/" if name else "", os.path.realpath(path), left_out)
        elif stat.S_ISREG(info.st_mode):
            yield _file(path, name, info)
        else:
            what = f"{shown(path)} is not a plain file."
            raise InputError(what, next="Name files and folders.")
    except OSError as error:
        what = f"{shown(path)} cannot be read: {error.strerror or error}."
        raise InputError(what, next="Mend that, or leave it out.") from None


def _walk(folder: str, prefix: str, top: str, left_out: list[str]) -> Iterator[LocalFile]:
    if prefix.count("/") > DEEPEST:
        left_out.append(folder)
        return
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{prefix}{entry.name}/", top, left_out)
            continue
        # A link may lead anywhere, and what it leads to was not named.
        real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        stays = not entry.is_symlink() or real.startswith(top.rstrip("/") + "/")
        if stays and Path(real).is_file():
            yield _file(real, prefix + entry.name, Path(real).stat())
        else:
            left_out.append(entry.path)


def _file(path: str, name: str, info: os.stat_result) -> LocalFile:
    try:
        name = inside(name)
    except BadPath as error:
        raise InputError(
            f"{shown(name)}: {error}.", next="Rename it, or leave it out; --to names a folder."
        ) from None
    executable = bool(info.st_mode & stat.S_IXUSR)
    return LocalFile(path=path, name=name, size=info.st_size, executable=executable)


def _add(gathered: Gathered, file: LocalFile) -> None:
    other = gathered.files.setdefault(file.name, file)
    if _absolute(other.path) != _absolute(file.path):
        raise InputError(
            f"{shown(other.path)} and {shown(file.path)} would both become {shown(file.name)}.",
            next="Send them one after the other, each with its own --to.",
        )
    if len(gathered.files) > MOST:
        text = f"These are more than {MOST:,} files."
        raise InputError(text, next="Pack them into one archive, or name fewer.")
