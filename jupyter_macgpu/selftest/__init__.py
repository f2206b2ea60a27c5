"""``macgpu selftest``: what this machine can do for us, as a report that can be pasted.

The looking is done by a process of its own, the program `mac/selftest`: it is what runs on the
host, and it must see the machine as the supervisor does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from ..wire.errors import InputError, MacGPUError
from . import show

_SHOWN = {"report": show.report, "detach": show.detached, "collect": show.collected}


def main(*, detached: bool = False, collect: bool = False, as_json: bool = False) -> int:
    """Look, print what was found, and return the command's exit code: 1 if anything failed.

    Parameters
    ----------
    detached
        Start what looks again after this login has ended, and say what to do.
    collect
        Print what that found, and have supervisors started in the way that works.
    as_json
        Print the findings as JSON.

    Raises
    ------
    InputError
        If both are asked for.
    MacGPUError
        If the looking itself failed.
    """
    if detached and collect:
        raise InputError(
            "--detached and --collect cannot stand together: an end of the login lies between.",
            next="Write macgpu selftest --detached, end the login, and --collect in the next one.",
        )
    action = "detach" if detached else "collect" if collect else "report"
    found = _look(action)
    print(json.dumps(found, indent=2) if as_json else _SHOWN[action](found))
    return 1 if show.failed(found) else 0


def _look(action: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "jupyter_macgpu.mac.selftest", action],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "".join(done.stderr.strip().splitlines()[-1:])
        raise MacGPUError(
            f"The self-test ended with {done.returncode}: {last}",
            known="Nothing was changed.",
            next="Look at the state folder's rights and at the disk, then try again.",
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
