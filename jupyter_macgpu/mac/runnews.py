"""Who watches the runs of this account is told of each that is another.

Runs on the Mac. Only Python and `wire` may be imported here.

Which runs have changed is read off what the mind had done: their log entries, and what those who
follow them are told. Once a turn of the loop it is said, so that a change of many places is one
message; a client that does not take what it is sent is told later, and then how things are then.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..wire import messages as m

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .client import Client
    from .supervisor import Supervisor


class RunNews:
    """Those who watch, and what each has not been told yet.

    Parameters
    ----------
    mind
        What knows the runs.
    clients
        All clients, by number.
    """

    def __init__(self, mind: Supervisor, clients: dict[int, Client]) -> None:
        self._mind = mind
        self._clients = clients
        self._watchers: dict[int, set[str]] = {}

    def watch(self, client: int, now: float) -> None:
        """Say all runs to a client, and from now on what is another."""
        self.turn(now)
        self._watchers[client] = set()
        rows = self._mind.listed(self._mind.runs, now)
        self._clients[client].endpoint.send(m.Runs(buffers=(_json(rows),)))

    def turn(self, now: float) -> None:
        """Say what is another since the last time."""
        touched = self._mind.touched()
        if not self._watchers:
            return
        self._watchers = {n: own for n, own in self._watchers.items() if n in self._clients}
        for number, own in self._watchers.items():
            own |= touched
            client = self._clients[number]
            if own and not client.endpoint.congested:
                rows = self._mind.listed(own, now)
                gone = sorted(own - self._mind.runs.keys())
                client.endpoint.send(m.RunNews(gone=gone, buffers=(_json(rows),)))
                own.clear()


def _json(rows: Iterable[dict[str, Any]]) -> bytes:
    return json.dumps(list(rows)).encode()
