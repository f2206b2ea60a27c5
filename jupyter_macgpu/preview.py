"""``--dry-run``: what a cell would send, and where it would run."""

from __future__ import annotations

import builtins
import time
from typing import TYPE_CHECKING, Any

from .gathering import gather
from .moments import meant, shown
from .placement import rows_of
from .placing import wish_for
from .scheduling.explain import table
from .way import read
from .wire.values.refusals import type_name
from .wire.values.remote import format_size

if TYPE_CHECKING:
    from .cell import Cell
    from .options import CellOptions
    from .pool import Pool

_ROWS = 30


def preview(cell: Cell, namespace: dict[str, Any], options: CellOptions, pool: Pool) -> str:
    """Return the bill of a cell, a line each; nothing is sent.

    Raises
    ------
    InputError, PlacementError
        As running it would.
    """
    inputs = read(cell, namespace, options)
    placement = pool.decide(wish_for(cell, inputs, options, pool))
    capture = inputs.capture
    total = sum(capture.nbytes.values()) + len(capture.stream)
    lines = [f"would run on {placement.host.name} ({placement.reason})"]
    if options.at:
        now = time.time()
        lines.append(f"would start at {shown(meant(options.at, now), now)}")
    if placement.past is not None:
        lines.append(placement.past.text())
    if len(placement.ranking.candidates) > 1:
        lines += table(rows_of(placement.ranking)).splitlines()
    there = placement.there.get(placement.host.name)
    known = f", of which {format_size(there)} are there from before" if there else ""
    number = _count(len(capture.names), "variable")
    lines.append(f"would send {number}, {format_size(total)}{known}")
    largest = sorted(capture.nbytes.items(), key=lambda item: -item[1])
    for name, size in largest[:_ROWS]:
        lines.append(f"  {name}: {type_name(type(namespace[name]))}, {format_size(size)}")
    if len(largest) > _ROWS:
        lines.append(f"  and {len(largest) - _ROWS} more")
    if options.files:
        gathered = gather(options.files, yes=options.yes)
        what = f"{_count(len(gathered.files), 'file')} there, {format_size(gathered.size)}"
        lines.append(f"would put {what}, if they have changed")
    lines += [f"  note: {note}" for note in capture.notes]
    lacking = [name for name in inputs.free if not hasattr(builtins, name)]
    if lacking:
        lines.append(f"reads, but not here: {', '.join(lacking)}")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
