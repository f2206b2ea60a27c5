"""How long cells take until their end, on fifty unequal Macs: our placement and others.

A discrete-event simulation (`world`) of seeded traces (`trace`) at 50, 80 and 95 % load, with the
real ranking and the real leases. Seconds are simulated, so that the figures do not depend on the
machine. The whole is the mean response at 80 %; parts have mean and 95th percentile at each load;
``ours, lengths known`` in the notes is what our rule would do if it knew how long each cell takes;
``all known but half of the lengths`` what the clairvoyant one does if it is told no other lengths
than ours, and ``all known but lengths`` what it does without any.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .report import Comparison, Report
from .rules import RULES, Ours, Rule, clairvoyant
from .trace import CELLS, trace
from .world import World

#: Seeds of the traces; `measure` takes the first ones. No weight was chosen by these.
SEEDS = (41, 42, 43, 44, 45, 46)
LOADS = (0.5, 0.8, 0.95)
MIDDLE = 0.8


def measure(rounds: int = 3, cells: int = CELLS) -> Report:
    """Simulate each rule on the same traces, one for each round and load."""
    rules: dict[str, Callable[[World], Rule]] = {
        **RULES,
        "ours, lengths known": partial(Ours, knows_lengths=True),
        "all known but half of the lengths": partial(clairvoyant, knows="before"),
        "all known but lengths": partial(clairvoyant, knows="none"),
    }
    found: dict[tuple[float, str], list[tuple[float, float]]] = {}
    for seed in SEEDS[:rounds]:
        for load in LOADS:
            for name, rule in rules.items():
                found.setdefault((load, name), []).append(simulate(rule, seed, load, cells))
    parts = {}
    for load in LOADS:
        for number, kind in enumerate(("mean", "p95")):
            parts[f"{kind} at {load:.0%}"] = _compared(found, load, number)
    notes: dict[str, object] = {"cells": cells, "traces a load": rounds}
    for name in [name for name in rules if name not in RULES]:
        ratios = {f"{load:.0%}": _ratio(found, load, name, "clairvoyant") for load in LOADS}
        notes[f"{name} / clairvoyant"] = ratios
    return Report(
        name="response",
        unit="s",
        whole=_compared(found, MIDDLE, 0),
        parts=parts,
        notes=notes,
    )


def simulate(
    rule: Callable[[World], Rule], seed: int, load: float, cells: int
) -> tuple[float, float]:
    """Return mean and 95th percentile of the seconds from a cell's coming to its end."""
    world = World(trace(seed, load, cells), seed)
    done = world.run(rule(world))
    took = sorted((job.ended or 0.0) - job.cell.at for job in done)
    return sum(took) / len(took), took[int(0.95 * len(took))]


def _compared(
    found: dict[tuple[float, str], list[tuple[float, float]]], load: float, number: int
) -> Comparison:
    sample = {name: [each[number] for each in found[load, name]] for name in RULES}
    return Comparison(ours=sample.pop("ours"), peers=sample)


def _ratio(
    found: dict[tuple[float, str], list[tuple[float, float]]], load: float, one: str, other: str
) -> list[float]:
    """Return the ratios of means and of 95th percentiles over all traces."""
    pairs = [zip(*found[load, name], strict=True) for name in (one, other)]
    return [round(sum(a) / sum(b), 3) for a, b in zip(*pairs, strict=True)]
