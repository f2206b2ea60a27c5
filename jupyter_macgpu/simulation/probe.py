"""``python -m jupyter_macgpu.simulation.probe --mac m2-ultra --seed 7``: the probe of such a Mac.

It is run in place of ``/bin/sh -s``: a supervisor whose ``MACGPU_PROBE`` names it hands it the
script on its standard input, from which it takes the mark of the sections.
"""

from __future__ import annotations

import argparse
import re
import sys
import time

from .macs import MACS
from .replay import output
from .weather import ASLEEP, state_at, weather_at

#: Where the script, its nonce put in, says what marks a section.
_NONCE = re.compile(r"^section\(\) \{ printf '\\n(\w{1,64}) ", re.MULTILINE)
_OWN_NONCE = "simulated"
#: A script is shorter, in characters.
_LONGEST = 65536


def main(arguments: list[str] | None = None) -> int:
    """Print what ``probe.sh`` would; return 1, with nothing printed, while the Mac is down."""
    read = argparse.ArgumentParser(prog="python -m jupyter_macgpu.simulation.probe")
    read.add_argument("--mac", choices=MACS, required=True, help="which Mac")
    read.add_argument("--seed", type=int, default=0, help="of its weather")
    read.add_argument("--since", type=float, help="when it began, in seconds since 1970")
    read.add_argument("--at", type=float, help="seconds since it began, instead of the clock")
    read.add_argument("--state", action="store_true", help="print the state alone")
    asked = read.parse_args(arguments)
    if asked.state:
        print(state_at(asked.seed, _age(asked, time.time())))
        return 0
    nonce = _nonce()
    while asked.at is None and state_at(asked.seed, _age(asked, time.time())) == ASLEEP:
        time.sleep(1.0)
    now = time.time()
    weather = weather_at(asked.seed, _age(asked, now))
    if not weather.answers:
        return 1
    sys.stdout.write(output(MACS[asked.mac], weather, nonce, now))
    return 0


def _age(asked: argparse.Namespace, now: float) -> float:
    """Return the seconds since it began; without a beginning it begins now."""
    if asked.at is not None:
        return float(asked.at)
    return 0.0 if asked.since is None else now - float(asked.since)


def _nonce() -> str:
    """Return the nonce of the script on the standard input, if one is handed there."""
    if sys.stdin is None or sys.stdin.isatty():
        return _OWN_NONCE
    found = _NONCE.search(sys.stdin.read(_LONGEST))
    return found[1] if found else _OWN_NONCE


if __name__ == "__main__":
    sys.exit(main())
