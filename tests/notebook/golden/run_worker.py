"""Runs cells in a worker, with a driver that plays notebook and supervisor, and records them."""

from __future__ import annotations

import re

from jupyter_macgpu.wire import messages as m
from tests.unit.worker_driver import Driver

from .cells import Cell
from .run_plain import Recorded


def run(driver: Driver, cell: Cell) -> Recorded:
    """Run one cell; its inputs are the names that stand anywhere in its text."""
    words = set(re.findall(r"\w+", cell.source))
    reads = [name for name in driver.namespace if name in words and not name.startswith("__")]
    replies = [m.InputReply(run="", epoch=1, text=reply) for reply in cell.replies]
    free = ["device"] if "device" in words else []
    ran = driver.run(cell.source, reads=reads, answers=replies, free=free)
    if ran.finished.get("value"):
        driver.namespace["_"] = ran.finished["value"][0]
    asked = [o for o in ran.outputs if o["what"] == "input_request"]
    shown = [o for o in ran.outputs if o["what"] != "input_request"]
    return Recorded(
        outputs=[*asked, *shown],
        status=ran.status,
        payload=[payload["source"] for payload in ran.finished.get("payload", ())],
    )
