"""What a benchmark found, as one line of JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

PACKAGES = ("jupyter-macgpu", "ipython", "ipykernel", "ipyparallel", "jupyter-client", "pyzmq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same work done by us and by others.

    Attributes
    ----------
    ours
        How long it took, once for each round, in the report's unit.
    peers
        The same for each peer by name, from the same rounds.
    """

    ours: Sequence[float]
    peers: Mapping[str, Sequence[float]]

    def as_json(self) -> dict[str, object]:
        """Return medians, quartiles, and the ratios of medians (ours / peer)."""
        ours = statistics.median(self.ours)
        ratios = {name: ours / statistics.median(sample) for name, sample in self.peers.items()}
        return {
            "ours": _summary(self.ours),
            "peers": {name: _summary(sample) for name, sample in self.peers.items()},
            "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of one benchmark.

    Attributes
    ----------
    name, unit
        What was measured, and in what.
    whole
        The comparison that the goal is about.
    parts
        What the whole is made of, by name; may be empty.
    notes
        Facts that a reader needs to judge the figures, by name.
    """

    name: str
    unit: str
    whole: Comparison
    parts: Mapping[str, Comparison] = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)

    def json(self) -> str:
        """Return the report as one line of JSON."""
        report: dict[str, object] = {"name": self.name, "unit": self.unit, **self.whole.as_json()}
        if self.parts:
            report["parts"] = {name: part.as_json() for name, part in self.parts.items()}
        if self.notes:
            report["notes"] = self.notes
        versions = {package: version(package) for package in PACKAGES}
        report["versions"] = {
            "python": platform.python_version(),
            "system": platform.platform(terse=True),
            **versions,
        }
        report["date"] = datetime.now(UTC).isoformat(timespec="seconds")
        return json.dumps(report)


def _summary(sample: Sequence[float]) -> dict[str, float]:
    p25, median, p75 = statistics.quantiles(sample, n=4, method="inclusive")
    return {
        "median": round(median, 4),
        "p25": round(p25, 4),
        "p75": round(p75, 4),
        "n": len(sample),
    }
