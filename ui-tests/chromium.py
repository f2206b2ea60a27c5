"""The browser that is on this machine, and how it is started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: What it is called where a package manager put it, and where macOS has it.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
#: It stays on this machine: no updates, no reports. Root has no sandbox.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find() -> str:
    """Return the path of a Chromium or Chrome; nothing if there is none."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named) or ""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return found or (str(_MAC) if _MAC.exists() else "")


def why_none() -> str:
    """Return why there is no browser here; nothing if there is one."""
    if find():
        return ""
    if named := os.environ.get("CHROMIUM"):
        return f"CHROMIUM={named} is no program"
    return "there is no Chromium here: install it, or name one in CHROMIUM"
