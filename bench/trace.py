"""Cells that come to fifty unequal Macs: made from a seed, so that every rule gets the same ones.

What is made up and not measured: lengths are heavy-tailed (bounded Pareto, 15 s to two hours on an
M1, half of them below 27 s), cells come at random (Poisson) and just as fast as the wanted load
needs. Four in ten ask for memory. Every notebook has data that its cells read, from nothing to
gigabytes; where they were once, they need not be sent again. Others use the Macs too, by turns.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass

from jupyter_macgpu.scheduling.chips import prior_speed

GIB = 2**30
MACS, CELLS, NOTEBOOKS, CLIENTS = 50, 10_000, 400, 8
#: Chips with their GPU cores, the sizes they have (GiB), and how many of a hundred there are.
KINDS = (
    ("M1", 8, (16,), 14),
    ("M2", 10, (16, 24), 14),
    ("M4", 10, (24, 32), 16),
    ("M1 Pro", 16, (32,), 10),
    ("M3 Pro", 18, (36,), 10),
    ("M4 Pro", 20, (48, 64), 12),
    ("M1 Max", 32, (64,), 8),
    ("M4 Max", 40, (64, 128), 8),
    ("M2 Ultra", 60, (128, 192), 5),
    ("M3 Ultra", 80, (256,), 3),
)
SHORTEST, LONGEST, TAIL = 15.0, 7200.0, 1.2
#: Seconds that it takes to start a notebook's worker where it has none.
WORKER = 1.2
#: What the largest cell asks for, so that several Macs can take it.
MOST_ASKED = 80 * GIB
#: Seconds for which others' use of a Mac stays as it is, on average.
SPELL = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mac:
    """One Mac as it is.

    Attributes
    ----------
    speed
        How fast it is; an M1 is 1. The table of chips, which rules are not told, is off by 15 %.
    memory
        Bytes built in.
    link
        Bytes in a second on the way there.
    spells
        From when on others take which share of the GPU.
    """

    name: str
    speed: float
    memory: int
    link: float
    spells: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell, and when it comes.

    Attributes
    ----------
    work
        Seconds that it takes on a Mac of speed 1 that nobody else uses.
    before
        Seconds that the same cell took the last time, so scaled; None: it never ran.
    data
        Bytes that it reads.
    is_bound
        Whether it reads values that live where the notebook's last cell ran.
    """

    name: str
    at: float
    notebook: int
    client: int
    work: float
    before: float | None
    mem: int | None
    data: int
    is_bound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Macs, the cells that come to them in order of time, and how busy that keeps the Macs."""

    macs: tuple[Mac, ...]
    cells: tuple[Cell, ...]
    load: float


def trace(seed: int, load: float, cells: int = CELLS, macs: int = MACS) -> Trace:
    """Make a trace; the same seed gives the same Macs and the same cells at every load.

    Parameters
    ----------
    load
        Work that comes in a second, as a share of what all Macs together do in a second.
    """
    chance = random.Random(seed)
    works = [_length(chance) for _ in range(cells)]
    fleet = _fleet(chance, macs, horizon=4.0 * LONGEST)
    able = sum(mac.speed * (1 - _mean_taken(mac)) for mac in fleet)
    gaps = [chance.expovariate(1.0) for _ in range(cells)]
    # Stretched so that the load is met exactly: the sum of heavy-tailed lengths is far from sure.
    pace = (sum(works) / able + cells * WORKER / macs) / load / sum(gaps)
    times = itertools.accumulate(gap * pace for gap in gaps)
    data = [_data(chance) for _ in range(NOTEBOOKS)]
    made = []
    for i, (at, work) in enumerate(zip(times, works, strict=True)):
        notebook = chance.randrange(NOTEBOOKS)
        made.append(
            Cell(
                name=f"cell-{i}",
                at=at,
                notebook=notebook,
                client=notebook % CLIENTS,
                work=work,
                before=work * chance.lognormvariate(0, 0.3) if chance.random() < 0.5 else None,
                mem=_memory(chance),
                data=data[notebook],
                is_bound=chance.random() < 0.1,
            )
        )
    return Trace(macs=tuple(fleet), cells=tuple(made), load=load)


def _length(chance: random.Random) -> float:
    rest = (SHORTEST / LONGEST) ** TAIL
    return float(SHORTEST / (1 - chance.random() * (1 - rest)) ** (1 / TAIL))


def _memory(chance: random.Random) -> int | None:
    if chance.random() < 0.6:
        return None
    return int(min(MOST_ASKED, 6 * GIB * chance.lognormvariate(0, 0.9)))


def _data(chance: random.Random) -> int:
    return int(min(4e9, 1e7 * chance.lognormvariate(0, 2.0)))


def _fleet(chance: random.Random, count: int, horizon: float) -> list[Mac]:
    shares = [share for *_, share in KINDS]
    kinds = [_kind(shares, (i + 0.5) / count * sum(shares)) for i in range(count)]
    return [_mac(f"mac-{i:02}", KINDS[kind], chance, horizon) for i, kind in enumerate(kinds)]


def _kind(shares: list[int], place: float) -> int:
    return next(i for i, upto in enumerate(itertools.accumulate(shares)) if place < upto)


def _mac(
    name: str, kind: tuple[str, int, tuple[int, ...], int], chance: random.Random, horizon: float
) -> Mac:
    chip, cores, sizes, _ = kind
    prior = prior_speed(chip, cores)
    assert prior is not None
    spells, at = [], 0.0
    while at < horizon:
        is_used = chance.random() < 0.3
        spells.append((at, chance.uniform(0.1, 0.6) if is_used else chance.uniform(0, 0.04)))
        at += chance.expovariate(1 / SPELL)
    return Mac(
        name=name,
        speed=prior.value * math.exp(chance.gauss(0, 0.15)),
        memory=chance.choice(sizes) * GIB,
        link=chance.choice((25e6, 60e6, 110e6)),
        spells=tuple(spells),
    )


def _mean_taken(mac: Mac) -> float:
    ends = [start for start, _ in mac.spells[1:]]
    spans = zip(mac.spells, ends, strict=False)
    weighted = sum((end - start) * taken for (start, taken), end in spans)
    return weighted / ends[-1]
