"""Fuzz one decoder by coverage: ``make fuzz ONLY=fleet TIME=600``.

What is new to the decoder is kept in a folder outside the repository (``FOUND``), and what breaks
it beside that; what is worth keeping is copied into ``corpus/`` by hand.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["jupyter_macgpu", "paramiko.config"]):
    from tests.fuzz.targets import CORPUS, TARGETS


def main() -> None:
    """Fuzz the target that is named, for so many seconds."""
    target, seconds = sys.argv[1], int(sys.argv[2])
    found = Path(os.environ.get("FOUND") or tempfile.mkdtemp(prefix=f"macgpu-{target}-"))
    found.mkdir(parents=True, exist_ok=True)
    print(f"{target}: what is found is kept in {found}", flush=True)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={found}/broken-",
    ]
    atheris.Setup([sys.argv[0], *options, str(found), str(CORPUS / target)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
