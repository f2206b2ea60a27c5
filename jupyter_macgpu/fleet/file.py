"""The fleet files: which of them count, and what results.

``MACGPU_FLEET`` names one file, which then stands alone. Else ``macgpu.yaml`` of the working
folder stands alone, if the user has allowed it (`allowing`). Else the user's own file lies over
the administrator's (`layers`). Without any of them it is this machine.

A file of the working folder stands alone so that what was read before it was allowed is all that
counts: laid over the user's, it could give another machine the name of one of the user's.

Nothing that a file says is ignored: a key of a later version is an error too, because a limit or
a check that somebody wrote down must not be skipped silently.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .allowing import Standing, standing
from .draft import Draft, Origin, read_draft, unreadable
from .hosts import THIS_MACHINE, Fleet
from .layers import join, join_profiles, parse_fleet
from .opening import Refused, read_any, read_owned
from .places import Places, places_here
from .problems import FILE_NAME, VARIABLE, FleetFileError

__all__ = ["FILE_NAME", "VARIABLE", "FleetFileError", "load_fleet", "parse_fleet"]


def load_fleet(environment: Mapping[str, str] | None = None, places: Places | None = None) -> Fleet:
    """Read the user's fleet, or take this machine alone where there is no file.

    A file that ``MACGPU_FLEET`` names must be there: to run somewhere else than the
    user said, because of a typing error in a path, would be the worse surprise.

    Parameters
    ----------
    environment
        Where ``MACGPU_FLEET`` is looked up; the process's own if not given.
    places
        The folders that count; those of this machine if not given.

    Raises
    ------
    FleetFileError
        If a file cannot be read, others could have changed it, or anything in it is wrong.
    """
    places = places or places_here()
    named = (os.environ if environment is None else environment).get(VARIABLE, "")
    if named:
        # os.path leaves a ~name that nobody has as it is; Path.expanduser raises.
        file = Path(os.path.expanduser(named))  # noqa: PTH111
        missing = f"there is no such file ({VARIABLE} names it)"
        draft = _draft(file, "own", places) or unreadable(str(file), "own", missing)
        return _fleet([draft], files=(file,), own=file)
    working, state, content = _working_file(places)
    if working is not None and state == "allowed":
        return _fleet([read_draft(content, str(working), "folder")], files=(working,))
    return _layered(places, _not_allowed(working, state))


def _fleet(
    drafts: Sequence[Draft], files: tuple[Path, ...], own: Path | None = None, notice: str = ""
) -> Fleet:
    hosts = join(drafts)
    return Fleet(hosts=hosts, files=files, own=own, notice=notice, profiles=join_profiles(drafts))


def _layered(places: Places, hint: str) -> Fleet:
    files: list[tuple[Path, Origin]] = [(places.user_file, "own"), (places.site_file, "site")]
    found = [
        (file, draft)
        for file, origin in files
        if (draft := _draft(file, origin, places)) is not None
    ]
    if found:
        return _fleet(
            [draft for _, draft in found],
            files=tuple(file for file, _ in found),
            own=places.user_file,
            notice=hint,
        )
    looked = f"No fleet file found (looked at {places.user_file} and {places.site_file})"
    notice = f"{looked}: running on this machine. {hint}".rstrip()
    return Fleet(hosts=(THIS_MACHINE,), own=places.user_file, notice=notice)


def _draft(file: Path, origin: Origin, places: Places) -> Draft | None:
    owners = {places.site_owner} if origin == "site" else {os.getuid(), 0}
    try:
        content = read_owned(file, owners)
    except Refused as refusal:
        return unreadable(str(file), origin, str(refusal))
    return None if content is None else read_draft(content, str(file), origin)


def _working_file(places: Places) -> tuple[Path | None, Standing, bytes]:
    """Return the working folder's file, whether the user allowed it, and what was looked at.

    Who owns it does not matter: what counts is the content that was allowed.
    """
    file = places.working_file
    try:
        content = None if file is None else read_any(file)
    except Refused:
        return file, "new", b""
    if file is None or content is None:
        return None, "new", b""
    return file, standing(file, content, places.user), content


def _not_allowed(file: Path | None, state: Standing) -> str:
    if file is None:
        return ""
    since = " since it was changed" if state == "changed" else ""
    shown = file if str(file).isprintable() else ascii(str(file))
    return f"{shown} is not used{since}: read it, then allow it with macgpu allow."
