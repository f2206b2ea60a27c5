"""Where fleet files are looked for on this machine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from .problems import FILE_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders that count, as values, so that tests and servers may choose others.

    Attributes
    ----------
    user
        Folder of the user's configuration.
    site
        Folder of the administrator's.
    working
        The working folder of the notebook; None: no file of a working folder counts.
    site_owner
        Number of the user who must own what is in the site's folder.
    """

    user: Path
    site: Path
    working: Path | None = None
    site_owner: int = 0

    @property
    def user_file(self) -> Path:
        """The user's own fleet file."""
        return self.user / FILE_NAME

    @property
    def site_file(self) -> Path:
        """The administrator's fleet file."""
        return self.site / FILE_NAME

    @property
    def working_file(self) -> Path | None:
        """The fleet file of the working folder, unless that is one of the other folders."""
        if self.working is None:
            return None
        # The folder by its real path: what is allowed there holds whatever way leads to it.
        folder = Path(os.path.realpath(self.working))
        others = {os.path.realpath(self.user), os.path.realpath(self.site)}
        return None if str(folder) in others else folder / FILE_NAME


def places_here() -> Places:
    """Return the places of this machine, this user and the folder that the process is in."""
    try:
        working = Path.cwd()
    except OSError:
        working = None  # The folder was removed under the process: there is no file in it.
    return Places(user=user_folder(), site=site_folder(), working=working)


def user_folder() -> Path:
    """Return the folder of the user's configuration."""
    return platformdirs.user_config_path("macgpu", appauthor=False)


def site_folder() -> Path:
    """Return the folder of the administrator's configuration.

    It does not follow ``XDG_CONFIG_DIRS``: whoever sets a variable is not the administrator.
    """
    mac = sys.platform == "darwin"
    return Path("/Library/Application Support/macgpu" if mac else "/etc/macgpu")
