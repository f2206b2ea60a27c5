"""``python -m bench [ONLY]``: run all benchmarks, or the one that is named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from . import flood, noop
from .report import Report

BENCHMARKS: dict[str, Callable[[], Report]] = {"noop": noop.measure, "flood": flood.measure}


def main(names: Sequence[str]) -> int:
    """Run benchmarks; each one's report is the last line of standard output so far."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"No benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        print(f"bench {name}", file=sys.stderr, flush=True)
        report = BENCHMARKS[name]()
        print(report.json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
