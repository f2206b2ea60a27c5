"""A fleet of this machine alone, so that no file of the user's decides what is measured."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def this_machine() -> Iterator[None]:
    """Let this process, and the kernels that it starts, know this machine only."""
    before = os.environ.get("MACGPU_FLEET")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "macgpu.yaml")
        file.touch(mode=0o600)  # A file that a group may write is refused.
        file.write_text("version: 1\nhosts: {this-machine: {transport: local}}\n")
        os.environ["MACGPU_FLEET"] = str(file)
        try:
            yield
        finally:
            if before is None:
                del os.environ["MACGPU_FLEET"]
            else:
                os.environ["MACGPU_FLEET"] = before
