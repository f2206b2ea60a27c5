"""What it means for a cell that a host will not have its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .standing import span
from .wire.errors import RunRefused

if TYPE_CHECKING:
    from .wire import messages as m


def refusal_of(refused: m.Refused, host: str) -> RunRefused:
    """Return the error for a host's refusal to take a run, or to let one be attached to."""
    run = refused.subject[:8]
    if refused.reason == "same-cell":
        detail = refused.detail
        state, age = str(detail.get("state")), float(detail.get("age", 0.0))
        return same_cell(str(detail.get("run", "")), state, host, age)
    if refused.reason == "removed":
        return RunRefused(
            f"{host} removed run {run}.",
            known="It had ended; what it did is done.",
            kept="The notebook's variables are as before the cell.",
        )
    if refused.reason == "purged":
        return RunRefused(
            f"{host} has deleted the output and the result of run {run}.",
            known="It had ended, and nobody came for it in time; %macgpu runs says how it ended.",
            kept="What it wrote into files is still there.",
            next="Run the cell again; %macgpu config keep=30d lets results wait for longer.",
        )
    return RunRefused(
        f"{host} refuses the cell: {refused.text}.",
        next="Mend what it names, then run the cell again.",
    )


def same_cell(run: str, state: str, host: str, age: float | None) -> RunRefused:
    """Return the error for a cell whose last run lives, or may live.

    Parameters
    ----------
    state
        Its state, or ``unknown``.
    age
        Seconds since it came into that state; None is unknown.
    """
    run = run[:8]
    since = "" if age is None else f" ({span(age)})"
    said = f"unknown: {host} does not answer" if state == "unknown" else f"still {state} on {host}"
    return RunRefused(
        f"Run {run} of this cell is {said}{since}.",
        known="The cell was not started a second time.",
        next=f"%macgpu attach {run}, %macgpu cancel {run}, or run the cell with --again.",
    )
