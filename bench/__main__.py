"""``python -m bench [NAME...] [--rounds N] [--hosts N]``: run all benchmarks, or those named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from . import (
    browsers,
    cold,
    flood,
    frames,
    link,
    monitor,
    noop,
    placement,
    response,
    reuse,
    widgets,
)
from .report import Report
from .sshd import NoServer

BENCHMARKS: dict[str, Callable[..., Report]] = {
    "noop": noop.measure,
    "flood": flood.measure,
    "cold": cold.measure,
    "link": link.measure,
    "reuse": reuse.measure,
    "placement": placement.measure,
    "fleet": monitor.measure,
    "widgets": widgets.measure,
    "response": response.measure,
    "browsers": browsers.measure,
    "frames": frames.measure,
}


def main(argv: Sequence[str]) -> int:
    """Run benchmarks; each one's report is the last line of standard output so far."""
    parser = argparse.ArgumentParser(prog="python -m bench", allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, help="how often everything is measured, from 2 on")
    parser.add_argument("--hosts", type=int, help="hosts, for cold, fleet, browsers and frames")
    parser.add_argument("--cells", type=int, help="cells of a trace, for response")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        print(f"No benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    rounds = {} if options.rounds is None else {"rounds": max(2, options.rounds)}
    for name in options.names or BENCHMARKS:
        print(f"bench {name}", file=sys.stderr, flush=True)
        takes_hosts = name in ("cold", "fleet", "browsers", "frames") and options.hosts is not None
        more = {"hosts": options.hosts} if takes_hosts else {}
        if name == "response" and options.cells is not None:
            more = {"cells": options.cells}
        try:
            report = BENCHMARKS[name](**rounds, **more)
        except NoServer as error:
            print(f"  left out: {error}", file=sys.stderr, flush=True)
            continue
        print(report.json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
