"""What a supervisor says of itself and of its host when a client comes.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from . import build, store

if TYPE_CHECKING:
    from .policy import PolicyFile
    from .supervisor import Supervisor


def hello(
    place: store.Store, mind: Supervisor, devices: list[str], policy: PolicyFile, client: int
) -> m.Hello:
    """Return the supervisor's hello.

    Parameters
    ----------
    devices
        Kinds of device for tensors, the best first.
    client
        The number that the client has here; a further connection of its names it.
    """
    detail: dict[str, Any] = {
        "client": client,
        "host": socket.gethostname(),
        "system": sys.platform,
        "pid": os.getpid(),
        "devices": devices,
        "slots": mind.slots,
        "free": shutil.disk_usage(place.root).free,
        "state": str(place.root),
        "policy": policy.held().plain(),
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
