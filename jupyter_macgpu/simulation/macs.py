"""The Macs that are simulated: what each is, and which recordings speak for it.

No Mac was recorded whole. Each is put together from recordings of the same or a like model; what a
recording leaves out is what Apple says of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from itertools import count, cycle, islice


@dataclass(frozen=True, slots=True, kw_only=True)
class Mac:
    """One Mac.

    Attributes
    ----------
    model, chip
        As `sysctl` says them.
    gib
        Main memory.
    gpu_cores
        How many.
    levels
        Kinds of processor cores, the fastest first, and how many there are.
    accelerator, system, pages
        The recordings of its GPU's node, of ``sw_vers`` and of ``vm_stat``.
    driver
        The class of the GPU's node where the recording is another chip's, and the recorded class
        would be wrong for this one.
    laptop
        Whether it has a battery.
    """

    model: str
    chip: str
    gib: int
    gpu_cores: int
    levels: tuple[tuple[str, int], ...]
    accelerator: str
    system: str
    pages: str = "vm_stat__macmini-32gb.txt"
    driver: str = ""
    laptop: bool = False


#: By the name that ``--mac`` takes. Different models come first, for small fleets.
MACS = {
    "m2-ultra": Mac(
        model="Mac14,14",
        chip="Apple M2 Ultra",
        gib=192,
        gpu_cores=76,
        levels=(("Performance", 16), ("Efficiency", 8)),
        accelerator="ioreg-accel__m2pro.txt",
        system="sw_vers__m3max-26.5.1.txt",
        driver="AGXAccelerator",
    ),
    "m4": Mac(
        model="Mac16,10",
        chip="Apple M4",
        gib=16,
        gpu_cores=10,
        levels=(("Performance", 4), ("Efficiency", 6)),
        accelerator="ioreg-accel__m4-macos27.txt",
        system="sw_vers__m4-27.0.txt",
    ),
    "m1-max": Mac(
        model="MacBookPro18,2",
        chip="Apple M1 Max",
        gib=64,
        gpu_cores=32,
        levels=(("Performance", 8), ("Efficiency", 2)),
        accelerator="ioreg-accel__m1max-64gb.txt",
        system="sw_vers__m3max-26.5.1.txt",
        laptop=True,
    ),
    "m3-ultra": Mac(
        model="Mac15,14",
        chip="Apple M3 Ultra",
        gib=96,
        gpu_cores=60,
        levels=(("Performance", 20), ("Efficiency", 8)),
        accelerator="ioreg-accel__m1max-64gb.txt",
        system="sw_vers__m4mini-26.3.txt",
        driver="AGXAccelerator",
    ),
    "m2-pro": Mac(
        model="Mac14,12",
        chip="Apple M2 Pro",
        gib=32,
        gpu_cores=16,
        levels=(("Performance", 6), ("Efficiency", 4)),
        accelerator="ioreg-accel__m2pro.txt",
        system="sw_vers__m3max-26.5.1.txt",
    ),
    "m5-max": Mac(
        model="Mac17,6",
        chip="Apple M5 Max",
        gib=128,
        gpu_cores=40,
        levels=(("Super", 6), ("Performance", 12)),
        accelerator="ioreg-accel__m5max-idle.txt",
        system="sw_vers__m4-27.0.txt",
        pages="vm_stat__m5pro-48gb-mte.txt",
        laptop=True,
    ),
}


def recording(name: str) -> str:
    """Return the text of a recording."""
    return files(__package__).joinpath("recordings", name).read_text(encoding="utf-8")


def named(number: int) -> dict[str, str]:
    """Return so many hosts, ``sim-m2-ultra`` and on, each with the Mac that it is.

    From the second of a kind on they are numbered.
    """
    rounds = (1 + turn // len(MACS) for turn in count())
    chosen = islice(zip(rounds, cycle(MACS), strict=False), number)
    return {f"sim-{mac}" + (f"-{turn}" if turn > 1 else ""): mac for turn, mac in chosen}
