"""What became of a notebook's earlier runs: said at a kernel's first cell, and before a cell again.

The notebook side's record (`ledger`) says which runs began and whose end nobody here has seen; what
became of these only their hosts know.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .declined import same_cell
from .ledger import open_runs
from .moments import WAITING, starts
from .standing import span
from .wire.errors import MacGPUError, TransportError
from .wire.plain import plain_line
from .wire.states import FINAL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .fleet.hosts import Host
    from .job import Run
    from .pool import Pool

#: Seconds that runs are asked after; their hosts keep them for as long, unless told otherwise.
_LOOKED_BACK = 7 * 86400.0
#: Hosts that are asked at a kernel's first cell beside its own, and how long, in seconds.
_HOSTS, _PATIENCE = 4, 1.0
#: Runs that the line about them names.
_NAMED = 5


class LastRuns:
    """The runs that earlier kernels of this notebook began."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        entries = open_runs(pool.notebook, time.time() - _LOOKED_BACK)
        self._open = {str(entry["run"]): entry for entry in entries}

    def refuse_twice(self, cell: str, ours: Iterable[Run]) -> None:
        """Refuse a cell whose last run lives, or may live.

        Parameters
        ----------
        cell
            Its id in the notebook.
        ours
            The runs that this kernel handed in and does not wait for.

        Raises
        ------
        RunRefused
            It names the three ways out. Nothing was sent.
        """
        if not cell:
            return
        for run in ours:
            if run.cell == cell and not run.done():
                raise same_cell(run.run, run.state, run.host, None)
        for name, entry in list(self._open.items()):
            if entry["origin"].get("cell") == cell:
                self._look(name, entry)

    def _look(self, name: str, entry: dict[str, Any]) -> None:
        host = self._host(str(entry.get("host")))
        if host is None:
            return
        try:
            row = self._pool.lookouts.of(host).rows([name]).get(name)
        except TransportError:
            raise same_cell(name, "unknown", host.name, None) from None
        if row is not None and row["state"] not in FINAL:
            raise same_cell(name, str(row["state"]), host.name, float(row.get("age") or 0.0))
        del self._open[name]

    def lines(self, here: Host, ours: Collection[str]) -> list[str]:
        """Return what there is to say of runs that live, wait to be collected, or were purged.

        Parameters
        ----------
        here
            The host in use; it is asked in any case, others of which the record speaks if they
            answer at once.
        ours
            Runs of this kernel, of which nothing has to be said.
        """
        said = []
        for host in [here, *self._others(here)]:
            try:
                rows = self._pool.runs(host, self._pool.notebook)
            except MacGPUError:
                continue
            for row in rows:
                self._pool.lengths.told(row, self._pool.statuses.status(host))
            said += [
                text for row in rows if row["run"] not in ours and (text := _said(row, host.name))
            ]
        if not said:
            return []
        more = f"; {len(said) - _NAMED} more: %macgpu runs" if len(said) > _NAMED else ""
        return [f"runs of this notebook: {'; '.join(said[-_NAMED:])}{more}"]

    def _others(self, here: Host) -> list[Host]:
        names = dict.fromkeys(str(entry.get("host")) for entry in self._open.values())
        hosts = [host for name in names if (host := self._host(name)) and host.name != here.name]
        if not hosts:
            return []
        answers = self._pool.ask(hosts[-_HOSTS:], _PATIENCE)
        return [host for host in hosts if host.name in answers and not answers[host.name].error]

    def _host(self, name: str) -> Host | None:
        return next((host for host in self._pool.fleet.hosts if host.name == name), None)


def _said(row: dict[str, Any], host: str) -> str:
    options, detail = row.get("options") or {}, row.get("detail") or {}
    name = f" ({plain_line(str(options['name']))})" if options.get("name") else ""
    run = f"{str(row['run'])[:8]}{name}"
    attach = f"%macgpu attach {str(row['run'])[:8]}"
    if row["state"] not in FINAL:
        if options.get("parked") and not detail.get("proceeds"):
            return f"{run} was being moved to {host}: %macgpu move {str(row['run'])[:8]}"
        when = starts(options, detail.get("reason"), time.time()) if row["state"] in WAITING else ""
        return f"{run} {when or 'is ' + str(row['state'])} on {host}: {attach}"
    if detail.get("purged"):
        return f"{run} on {host} ended ({row['state']}) and was deleted, as nobody came for it"
    if row.get("collected") or detail.get("retried"):
        return ""
    kept = "" if row.get("kept") is None else f", kept for {span(max(0.0, float(row['kept'])))}"
    return f"{run} on {host} ended ({row['state']}){kept}: {attach}"
