"""What it takes to watch a hundred hosts, and how old what is shown of them is.

The hosts are simulated Macs of this machine, each with an sshd and a supervisor of its own; the
monitor is the product's, in a process of its own, and its user looks once a second. Ages are those
of what hosts last said; CPU is the monitor's share of one core. While it is measured the hosts work
too, on the same cores. Connecting to all is the time until each has answered.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jupyter_macgpu.fleet.file import load_fleet
from jupyter_macgpu.monitor import Monitor
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.simulation import servers
from jupyter_macgpu.simulation.fleet import SimulatedFleet

from .report import Comparison, Report
from .sshd import NoServer

HOSTS, SECONDS = 100, 60
#: Seconds in which all hosts should have answered for the first time: each is given our code then.
PATIENCE = 400.0


def measure(rounds: int = SECONDS, hosts: int = HOSTS) -> Report:
    """Watch simulated hosts for so many seconds.

    Raises
    ------
    NoServer
        If this machine has no sshd.
    """
    if why := servers.why_none():
        raise NoServer(why)
    with tempfile.TemporaryDirectory(prefix="macgpu-") as state:
        os.environ["MACGPU_STATE"] = state
        with SimulatedFleet(hosts, seed=1) as fleet:
            found = _watched(fleet.file, rounds)
    return Report(
        name="fleet",
        unit="s",
        whole=Comparison(ours=found.pop("ages"), peers={}),
        notes={"hosts": hosts, "seconds": rounds, **found},
    )


def _watched(file: Path, seconds: int) -> dict[str, list[float]]:
    """Let a monitor watch from a process of its own; return what it measured."""
    environment = {**os.environ, "MACGPU_FLEET": str(file)}
    ran = subprocess.run(
        [sys.executable, "-m", "bench.monitor", str(seconds)],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, list[float]] = json.loads(ran.stdout)
    return found


def main(seconds: int) -> None:
    """Watch, and print what was measured."""
    hosts = load_fleet().hosts
    began = time.monotonic()
    monitor = Monitor.of(hosts, Reach(nobody_to_ask))
    monitor.start()
    while time.monotonic() - began < PATIENCE:
        if all(each.age is not None for each in monitor.view()):
            break
        time.sleep(0.2)
    connected = time.monotonic() - began
    ages: list[float] = []
    silent = 0
    since, used = time.monotonic(), time.process_time()
    for _ in range(seconds):
        time.sleep(1.0)
        seen = monitor.view()
        ages += [each.age for each in seen if each.age is not None]
        silent += sum(not each.is_connected for each in seen)
    share = (time.process_time() - used) / (time.monotonic() - since)
    ages.sort()
    monitor.stop()
    found = {
        "ages": ages,
        "age, 95th percentile": round(ages[int(0.95 * len(ages))], 2),
        "cpu of one core": round(share, 4),
        "seconds until all have answered": round(connected, 1),
        "looks at a host that was not connected": silent,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
