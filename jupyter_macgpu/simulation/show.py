"""``macgpu demo --fleet N``: simulated Macs, and how they are, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from .. import overview
from ..commands import table as aligned
from ..fleet.file import load_fleet
from ..pool import Pool
from ..reach import Reach, nobody_to_ask
from ..wire.errors import InputError
from .fleet import MOST, SimulatedFleet

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds between two tables, and between two looks at the weather.
_EVERY = 5.0
_ENACTED_EVERY = 0.5
#: Seconds in which all hosts should have told how they are.
_PATIENCE = 10.0
_COLUMNS = tuple("host state running waiting memory free heat age weather reason".split())


def main(number: int, *, seed: int = 0, once: bool = False) -> int:
    """Start hosts, say how to use them, show them until Ctrl-C, end them.

    Parameters
    ----------
    number
        How many, 1 to `fleet.MOST`.
    seed
        Of their weather.
    once
        Whether one table is enough.

    Raises
    ------
    InputError
        If `number` is out of bounds.
    """
    if not 1 <= number <= MOST:
        raise InputError(
            f"{number} simulated hosts cannot be had.", next=f"Write a number from 1 to {MOST}."
        )
    # A closed terminal and a plain kill leave as little behind as Ctrl-C does, and a shell's
    # background job, which is born deaf to that, hears it.
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.default_int_handler)
    with SimulatedFleet(number, seed=seed) as fleet, _chosen(fleet):
        print(_introduction(fleet), flush=True)
        _wait_for_probes(fleet)
        if once:
            print(table(fleet), flush=True)
            return 0
        with _weathered(fleet), contextlib.suppress(KeyboardInterrupt):
            while True:
                _draw(table(fleet))
                time.sleep(_EVERY)
    print("\nAll simulated hosts are ended, and their files deleted.")
    return 0


def table(fleet: SimulatedFleet) -> str:
    """Return the state of the hosts that ``MACGPU_FLEET`` names, as they say it, as text."""
    return aligned(_rows(fleet), _COLUMNS, "")


def _rows(fleet: SimulatedFleet) -> list[dict[str, Any]]:
    pool = Pool(load_fleet(), Reach(nobody_to_ask), "")
    try:
        rows = overview.status(pool)
    finally:
        pool.close()
    weather = fleet.weather()
    return [
        {**cells, "weather": weather[row["host"]]}
        for row, cells in zip(rows, overview.status_cells(rows), strict=True)
    ]


def _wait_for_probes(fleet: SimulatedFleet) -> None:
    """Wait until each host has told how it is: it begins to look when it is first asked."""
    deadline = time.monotonic() + _PATIENCE
    while any(not row["memory"] for row in _rows(fleet)) and time.monotonic() < deadline:
        time.sleep(_ENACTED_EVERY)


def _introduction(fleet: SimulatedFleet) -> str:
    count = len(fleet.hosts)
    way = "over SSH servers on loopback"
    if fleet.transport == "local":
        way = f"as processes here, without SSH: {fleet.why_local}"
    return (
        f"{count} simulated Macs, {way}.\n"
        "Cells run on this machine; models, load, heat, memory, owners, sleep and crashes are\n"
        "played from recordings. In another shell:\n\n"
        f"  MACGPU_FLEET={fleet.file} jupyter lab\n"
        f"  MACGPU_FLEET={fleet.file} macgpu status\n\n"
        "They end with this command.\n"
    )


@contextlib.contextmanager
def _chosen(fleet: SimulatedFleet) -> Iterator[None]:
    """Let this process see the simulated fleet alone."""
    before = os.environ.get("MACGPU_FLEET")
    os.environ["MACGPU_FLEET"] = str(fleet.file)
    try:
        yield
    finally:
        if before is None:
            del os.environ["MACGPU_FLEET"]
        else:
            os.environ["MACGPU_FLEET"] = before


@contextlib.contextmanager
def _weathered(fleet: SimulatedFleet) -> Iterator[None]:
    """Make the weather while the body runs; a table may wait long for a host that sleeps."""
    done = threading.Event()

    def enact() -> None:
        while not done.wait(_ENACTED_EVERY):
            fleet.enact()

    thread = threading.Thread(target=enact, name="macgpu-weather")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _draw(text: str) -> None:
    """Show a table in place of the last one; a pipe gets one behind the other."""
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[0J" + text + f"\x1b[{text.count(chr(10))}A\r")
    else:
        sys.stdout.write(text + "\n\n")
    sys.stdout.flush()
