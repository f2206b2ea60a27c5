"""What lives on hosts for one notebook alone: its sessions there are asked, between their cells."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..inside import is_in_cell, live_values
from ..wire import messages as m
from ..wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..fleet.hosts import Host
    from ..lookout import Lookouts
    from .board import Board
    from .rows import Row

#: Seconds that a host has for each answer.
PATIENCE = 3.0
#: Sessions of one notebook that a host is asked about, the newest first, and values that are told.
SESSIONS, VALUES = 8, 200
#: Hosts that are asked at the same time.
_AT_ONCE = 8
#: States of a host in which it is not asked.
_AWAY = frozenset({"asleep", "unreachable", "refused", "unusable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Asks for live values. May be used by any thread.

    Attributes
    ----------
    board
        Says which hosts have runs of a notebook; only those are asked.
    lookouts
        Returns the ways to the hosts.
    """

    board: Board
    lookouts: Callable[[], Lookouts]

    def of(self, path: str, whole: str, hosts: Iterable[Host]) -> Row:
        """Return what lives anywhere for a notebook, the largest first, and what is not known.

        Only what this account has there is asked for. A host that does not answer is named with
        the reason; the others' values are told all the same.

        Parameters
        ----------
        path, whole
            The notebook as the browser calls it, and its whole path, as kernels do.
        """
        wanted = [host for host in hosts if host.name in self.board.hosts_of(path)]
        values: list[Row] = []
        unknown: list[Row] = []
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="macgpu-holdings") as threads:
            asked = zip(wanted, threads.map(partial(self._ask, whole), wanted), strict=True)
            for host, (found, why) in asked:
                values += [{**each, "host": host.name} for each in found]
                unknown += [{"host": host.name, "reason": why}] if why else []
        values.sort(key=lambda each: -(each["size"] or 0))
        left_out = max(0, len(values) - VALUES)
        return {"values": values[:VALUES], "left_out": left_out, "unknown": unknown}

    def _ask(self, notebook: str, host: Host) -> tuple[list[Row], str]:
        row = self.board.host(host.name)
        if row is not None and row["state"] in _AWAY:
            return [], row["reason"] or row["state"]
        found: list[Row] = []
        why = ""
        try:
            with self.lookouts().of(host).link() as link:
                answer = link.ask(
                    m.ListRuns(notebook=notebook), lambda said: isinstance(said, m.Runs), PATIENCE
                )
                rows = json.loads(bytes(answer.buffers[0]))
                for session in _sessions(rows):
                    if is_in_cell(rows, session):
                        why = "a cell runs there"
                    else:
                        found += map(_value, live_values(link, session, PATIENCE) or ())
        except MacGPUError as error:
            return found, error.what
        return found, why


def _sessions(rows: Iterable[Row]) -> list[str]:
    """Return sessions of runs, those that were used last first."""
    newest = sorted(rows, key=lambda row: float(row.get("age") or 0))
    return list(dict.fromkeys(str(row["session"]) for row in newest))[:SESSIONS]


def _value(said: dict[str, Any]) -> Row:
    size = said.get("nbytes")
    return {
        "name": str(said.get("name") or ""),
        "type": str(said.get("type") or ""),
        "size": size if isinstance(size, int) else None,
    }
