"""What a run cost: where it was, how long each step took, and what it used there.

Figures come from the host's supervisor and worker (`wire.usage`) and from this side's clock. What
nobody could measure is None and is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .standing import span
from .tables import page_pairs
from .wire.plain import plain_line
from .wire.usage import KEY, Usage, from_json
from .wire.values.remote import format_size

#: The steps of a run in their order, as `Report.steps` names them, and in words.
STEPS = {
    "capture": "reading and pickling the inputs",
    "place": "choosing the host",
    "ship": "sending",
    "wait": "waiting for a slot and a worker",
    "load": "unpickling there",
    "run": "running",
    "dump": "pickling the results",
    "back": "bringing them back",
    "bind": "binding them here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run cost.

    Attributes
    ----------
    state
        How it ended.
    chip
        The host's, as the host says.
    simulated
        Whether the host only plays that machine.
    seconds
        Running time of the cell.
    shipped_bytes, reused_bytes, returned_bytes
        What went there, what was there from before and was not sent again, and what came back,
        pickled.
    steps
        Seconds by step, see `STEPS`; steps that were not measured are absent.
    usage
        What it used there.
    """

    run: str
    host: str
    state: str
    chip: str | None = None
    simulated: bool = False
    seconds: float | None = None
    shipped_bytes: int | None = None
    reused_bytes: int | None = None
    returned_bytes: int | None = None
    steps: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()  # noqa: RUF009 - frozen

    def to_json(self) -> dict[str, Any]:
        """Return what is known, as JSON has it."""
        plain = {name: value for name, value in asdict(self).items() if value not in (None, {})}
        usage = {name: value for name, value in plain["usage"].items() if value not in (None, ())}
        return {**plain, "usage": usage}

    def line(self) -> str:
        """Return it in one line, the figures that matter first."""
        usage = self.usage
        where = self.host + (" (simulated)" if self.simulated else "")
        took = [where] if self.seconds is None else [f"{where}: {lasting(self.seconds)}"]
        if self.state != "ok":
            took.append(self.state)
        took += used(usage)
        if usage.heat not in (None, "nominal"):
            took.append(f"thermal state {usage.heat}")
        if self.shipped_bytes and self.shipped_bytes > 1_000_000:
            took.append(f"{format_size(self.shipped_bytes)} sent")
        if self.reused_bytes and self.reused_bytes > 1_000_000:
            took.append(f"{format_size(self.reused_bytes)} there from before")
        if self.returned_bytes and self.returned_bytes > 1_000_000:
            took.append(f"{format_size(self.returned_bytes)} back")
        if (waited := self.steps.get("wait", 0.0)) >= 2.0:
            took.append(f"waited {span(waited)}")
        if usage.fallbacks:
            more = len(usage.fallbacks) - 1
            took.append(f"{usage.fallbacks[0]}{f' and {more} more' if more else ''} ran on the CPU")
        return plain_line(", ".join(took))

    def rows(self) -> list[tuple[str, str]]:
        """Return all that is known, as names and values in words."""
        usage, found = self.usage, [("run", self.run[:12]), ("host", self.host)]
        if self.chip:
            found.append(("chip", self.chip + (" (simulated)" if self.simulated else "")))
        found.append(("ended", self.state))
        for step, words in STEPS.items():
            if step in self.steps:
                found.append((words, lasting(self.steps[step])))
        found += [(name, text) for name, text in _figures(self, usage) if text]
        return [(plain_line(name), plain_line(text)) for name, text in found]

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return page_pairs(self.rows())


def report_of(
    run: str,
    host: str,
    state: str,
    summary: Mapping[str, Any],
    *,
    chip: str | None = None,
    simulated: bool = False,
    shipped: int | None = None,
    reused: int | None = None,
    returned: int | None = None,
    steps: Mapping[str, float] | None = None,
) -> Report:
    """Return a run's report from the summary of its end and what this side measured."""
    there = {
        name: value
        for name, value in dict(summary.get("timings") or {}).items()
        if name in STEPS and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    both = {**(steps or {}), **there}
    return Report(
        run=run,
        host=host,
        state=state,
        chip=chip,
        simulated=simulated,
        seconds=there.get("run"),
        shipped_bytes=shipped,
        reused_bytes=reused,
        returned_bytes=returned,
        steps={name: round(both[name], 6) for name in STEPS if name in both},
        usage=from_json(summary.get(KEY)),
    )


def used(usage: Usage) -> list[str]:
    """Return what was used of GPU, memory and energy, in words."""
    found = []
    if usage.gpu_mean is not None:
        peak = "" if usage.gpu_peak is None else f" (peak {usage.gpu_peak:.0%})"
        among = " with other runs" if usage.shared else ""
        found.append(f"GPU {usage.gpu_mean:.0%}{peak}{among}")
    largest = max(usage.gpu_peak_bytes or 0, usage.memory_peak_bytes or 0)
    if largest:
        found.append(f"{format_size(largest)} peak")
    energy = usage.machine_joules or usage.gpu_joules
    if energy is not None:
        whose = "machine" if usage.machine_joules else "GPU"
        found.append(f"{energy:.0f} J ({whose})")
    return found


def lasting(seconds: float) -> str:
    """Return a running time as a person says it: ``0.3 s``, ``12.4 s``, ``2 min 5 s``, ``3 h``."""
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"


def _figures(report: Report, usage: Usage) -> list[tuple[str, str]]:
    def size(nbytes: int | None) -> str:
        return "" if nbytes is None else f"{format_size(nbytes)} ({nbytes:,} bytes)"

    def number(value: float | None, form: str) -> str:
        return "" if value is None else form.format(value)

    return [
        ("sent", size(report.shipped_bytes)),
        ("there from before, not sent", size(report.reused_bytes)),
        ("came back", size(report.returned_bytes)),
        ("GPU, mean", number(usage.gpu_mean, "{:.1%}")),
        ("GPU, peak", number(usage.gpu_peak, "{:.1%}")),
        ("GPU time", number(usage.gpu_seconds, "{:.1f} s")),
        ("others ran at the same time", "yes" if usage.shared else ""),
        ("worker's memory, peak", size(usage.memory_peak_bytes)),
        ("GPU driver's memory for PyTorch", size(usage.driver_bytes)),
        ("MLX memory, peak", size(usage.mlx_peak_bytes)),
        ("CUDA memory, peak", size(usage.cuda_peak_bytes)),
        ("growth of swap", size(usage.swap_bytes) if usage.swap_bytes else ""),
        ("energy of the machine", number(usage.machine_joules, "{:.0f} J")),
        ("energy of the GPU", number(usage.gpu_joules, "{:.0f} J")),
        ("thermal state, worst", usage.heat or ""),
        ("operations that ran on the CPU", ", ".join(usage.fallbacks)),
    ]
