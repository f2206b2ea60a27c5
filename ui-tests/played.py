"""A stream that tells of a fleet as a test wants it, into the real panel: all else is real."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from book import Front
from panel import Panel
from playwright.sync_api import Page, WebSocketRoute

LANE = {"slots": 1, "running": 1, "queued": 2, "wait": 60}
MEMORY = {"total": 64 << 30, "free": 20 << 30, "ours": 24 << 30, "others": 20 << 30, "limit": None}


def host(name: str, state: str, **more: Any) -> dict[str, Any]:
    """Return a host's row."""
    return {
        "name": name, "transport": "ssh", "state": state, "reason": "", "age": 100.0,
        "chip": "M2 Ultra", "simulated": False, "system": "macOS 15.1", "python": "3.12",
        "gpu": 0.5, "gpu_taken": None, "memory": MEMORY, "heat": 0, "watts": 20.0,
        "owner_present": None, "idle": None, "battery": {"on": None, "charge": None},
        "lanes": {"gpu": LANE, "cpu": LANE}, "holders": [], "labels": {}, "taints": [],
        "gpu_test": True, "trust": "full", **more,
    }  # fmt: skip


def run(number: int, **more: Any) -> dict[str, Any]:
    """Return the row of a run that waits."""
    return {
        "run": f"{number:032x}", "name": f"run {number}", "host": "mac-0", "state": "queued",
        "place": number, "wait": 60.0 * number, "age": 5.0, "started": None, "seconds": None,
        "notebook": "a.ipynb", "cell": "", "detached": True, "priority": 0, "after": [],
        "at": None, "reason": "", "final": False, "moved": {}, "kept": None, "collected": False,
        "cancelling": False, "mine": True, **more,
    }  # fmt: skip


def schedule(name: str, **more: Any) -> dict[str, Any]:
    """Return the row of a notebook that waits for its time."""
    return {
        "id": name, "path": "a.ipynb", "output": None, "on": None, "at": None,
        "cron": "0 3 * * *", "parameters": {}, "concurrency": "skip", "missed": "skip",
        "state": "waiting", "next": 1.8e9, "created": 1.7e9, "now": None, "last": None,
        "history": [], "missed_times": 0, "after": [], "awaits": [], "priority": 0, **more,
    }  # fmt: skip


@dataclass
class Stream:
    """What the server half would say, and has heard.

    Attributes
    ----------
    first
        The snapshot that each connection begins with.
    """

    first: dict[str, Any]
    _routes: list[WebSocketRoute] = field(default_factory=list)

    def begin(self, route: WebSocketRoute) -> None:
        """Take a connection."""
        self._routes.append(route)
        self.say(**self.first)

    def say(self, **message: Any) -> None:
        """Say something over the newest connection."""
        self._routes[-1].send(json.dumps(message))


def play(
    front: Front,
    hosts: Sequence[dict[str, Any]] = (),
    runs: Sequence[dict[str, Any]] = (),
    *,
    cells: Sequence[str] = ("1",),
    before: Callable[[Page], None] = lambda _page: None,
    **more: Any,
) -> tuple[Panel, Stream]:
    """Open a notebook and the panel, with a stream that tells of this fleet.

    Parameters
    ----------
    before
        Called with the page before anything is loaded.
    **more
        Further fields of the snapshot.
    """
    told = {"type": "snapshot", "revision": 1, "version": "0.1.0", "user": "me"}
    told |= {"hosts": list(hosts), "runs": list(runs), "schedules": [], "problems": []}
    stream = Stream({**told, **more})

    def prepare(page: Page) -> None:
        page.route_web_socket("**/stream*", stream.begin)
        before(page)

    return Panel(front.open(cells, before=prepare)), stream
