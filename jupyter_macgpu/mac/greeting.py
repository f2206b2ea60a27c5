"""What a supervisor says of itself and of its host when a client comes.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from . import build, mounts, store

if TYPE_CHECKING:
    from pathlib import Path

    from .condition import Condition
    from .supervisor import Supervisor


@cache
def _kind_of(root: Path) -> str:
    return mounts.kind_of(root)


def hello(place: store.Store, mind: Supervisor, condition: Condition, client: int) -> m.Hello:
    """Return the supervisor's hello.

    Parameters
    ----------
    condition
        How the host is, and what may run on it.
    client
        The number that the client has here; a further connection of its names it.
    """
    detail: dict[str, Any] = {
        "client": client,
        "host": socket.gethostname(),
        "system": sys.platform,
        # What this Python is made for: a translated one says it is an Intel machine.
        "machine": os.uname().machine,
        "pid": os.getpid(),
        "devices": condition.devices,
        "slots": mind.slots,
        "free": shutil.disk_usage(place.root).free,
        "state": str(place.root),
        "filesystem": (kind := _kind_of(place.root)),
        "network": mounts.is_network(kind),
        "policy": condition.policy.held().plain(),
        "telemetry": condition.greeted(),
        "version": build.ours().version,
        "live": sum(run.live for run in mind.runs.values()),
    }
    return m.Hello(
        role="supervisor",
        python=".".join(map(str, sys.version_info[:3])),
        boot=store.boot_id(),
        store=place.identity(),
        detail=detail,
    )
