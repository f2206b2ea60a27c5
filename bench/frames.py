"""The panel with 200 Macs and 1,000 runs in a browser: how long its frames take.

JupyterLab and its panel are real, in the Chromium of this machine without a screen; what the server
half would tell is played into the page (`ui-tests/frames.py`, a process of its own). Ten times a
second the loads of all Macs and twenty runs are others, while the sections of the Macs and of the
runs are scrolled, 40 pixels a frame. At 60 Hz a frame is due every 16.7 ms: a longer one is late.
A panel with few Macs and runs is measured in turn: what is late there too is this machine's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .report import Comparison, Report
from .sshd import NoServer

HOSTS, RUNS, ROUNDS = 200, 1000, 5
#: What it is compared with: the same panel with few of both.
FEW = "3 Macs, 30 runs"
#: Milliseconds after which a frame is one that people notice to be missing.
STUTTER = 50.0
_ROOT = Path(__file__).parents[1]
_PANEL = _ROOT / "jupyter_macgpu" / "labextension"


def measure(rounds: int = ROUNDS, hosts: int = HOSTS) -> Report:
    """Scroll through both sections once a round.

    Raises
    ------
    NoServer
        If there is no browser here, or the panel has not been built.
    """
    if not (_PANEL / "package.json").exists():
        raise NoServer("the panel is not built: make labextension")
    with tempfile.TemporaryDirectory(prefix="macgpu-") as folder:
        found = _browse(Path(folder), rounds, hosts)
    many, few = found["many"]["frames"], found["few"]["frames"]
    parts = {kind: Comparison(ours=many[kind], peers={FEW: few[kind]}) for kind in many}
    return Report(
        name="frames",
        unit="ms",
        whole=Comparison(ours=_all(many), peers={FEW: _all(few)}),
        parts=parts,
        notes={
            "hosts": hosts,
            "runs": RUNS,
            "frames": {kind: _late(part) for kind, part in many.items()},
            f"frames, {FEW}": {kind: _late(part) for kind, part in few.items()},
            "elements of the panel": found["many"]["elements"],
            "browser": found["browser"],
            "load of this machine": round(os.getloadavg()[0], 1),
        },
    )


def _browse(folder: Path, rounds: int, hosts: int) -> dict[str, Any]:
    """Have the panel scrolled; its files are where the server of this environment looks."""
    extensions = folder / "share" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "jupyter-macgpu").symlink_to(_PANEL)
    words = [sys.executable, str(_ROOT / "ui-tests" / "frames.py"), str(folder)]
    words += ["--hosts", str(hosts), "--runs", str(RUNS), "--rounds", str(rounds)]
    environment = {**os.environ, "JUPYTER_PATH": str(folder / "share")}
    ran = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    if why := found.get("left out"):
        raise NoServer(why)
    return found


def _all(frames: dict[str, list[float]]) -> list[float]:
    return [each for part in frames.values() for each in part]


def _late(frames: list[float]) -> dict[str, float]:
    """Return the slowest frames of a section, and how many people would notice."""
    ordered = sorted(frames)
    return {
        "95th percentile": round(ordered[len(ordered) * 95 // 100], 1),
        "99th percentile": round(ordered[len(ordered) * 99 // 100], 1),
        "worst": round(ordered[-1], 1),
        f"over {STUTTER:.0f} ms": sum(each > STUTTER for each in ordered),
    }
