"""Hosts that are this machine several times over, each with a supervisor and a store of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path


def several(path: Path, names: Sequence[str]) -> Path:
    """Write a fleet file of such hosts, all well."""
    since = int(time.time())
    lines = ["version: 1", "hosts:"]
    for name in names:
        labels = (
            f'simulated: "true", simulated-mac: m1-max, simulated-seed: "1", '
            f'simulated-since: "{since}"'
        )
        lines.append(f"  {name}: {{transport: local, labels: {{{labels}}}}}")
    path.write_text("\n".join(lines) + "\n")
    return path
