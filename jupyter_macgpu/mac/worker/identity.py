"""Which process this is: a process id alone may be somebody else's by now."""

from __future__ import annotations

import os
import sys

from ..store import process_start


def facts() -> dict[str, object]:
    """Return what a supervisor notes about this process."""
    return {"pid": os.getpid(), "start": process_start(os.getpid()), "python": sys.version}
