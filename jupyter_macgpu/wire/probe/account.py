"""What the account has to work with: lines that the probe itself writes, and `df`."""

from __future__ import annotations

import re

from ..gauges import Disk, Setup, System
from ..telemetry import Telemetry
from .scan import count, number

_ROW = re.compile(r"\s([0-9]{1,15})\s+(-?[0-9]{1,15})\s+(-?[0-9]{1,15})\s+-?[0-9]{1,3}%\s")


def setup(text: str) -> Telemetry:
    """Read lines of a word and a value."""
    said = dict(re.findall(r"^(\w+) (\S[^\n\r]*?)\s*$", text, re.MULTILINE))
    return Telemetry(
        system=System(clock=number(said.get("clock"))),
        setup=Setup(
            uid=count(said.get("uid")),
            developer_tools=said.get("developer_tools"),
            uv=said.get("uv"),
            launchd=said.get("launchd"),
            open_files=count(said.get("open_files")),
            open_files_most=count(said.get("open_files_most")),
        ),
    )


def df(text: str) -> Telemetry:
    """Read ``df -Pk FOLDER``: blocks of 1024 bytes."""
    match = _ROW.search(text)
    if match is None:
        return Telemetry()
    free = max(0, int(match[3]))
    return Telemetry(disk=Disk(total_bytes=int(match[1]) * 1024, free_bytes=free * 1024))
