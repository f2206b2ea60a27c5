"""What is known of hosts now, and what a host says when it is asked what goes on in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..fleet.hosts import select
from ..fleet.seen import Seen
from ..fleet.status import shown_state
from ..inside import is_in_cell, live_values
from ..overview import PATIENCE, SETTLE
from ..placement import Wish
from ..wire import messages as m
from ..wire.errors import MacGPUError
from ..wire.plain import plain_values
from ..wire.states import FINAL
from . import readings
from .readings import Inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..fleet.hosts import Host
    from ..link import Link
    from ..pool import Pool

#: Seconds that a host has to answer a question after what goes on in it.
_PATIENCE = 3.0


def chosen_host(pool: Pool, name: str = "") -> Host:
    """Return the host that is meant: the named one, or the one in use, or the best one now.

    Raises
    ------
    PlacementError
        If the fleet has no such host. Nothing was sent.
    """
    hosts = {host.name: host for host in pool.fleet.hosts}
    if name:
        return select(pool.fleet.hosts, name, pool.fleet.notice)
    if pool.current is not None and pool.current.host.name in hosts:
        return hosts[pool.current.host.name]
    if pool.uses in hosts:
        return hosts[pool.uses]
    pool.statuses.look(pool.fleet.hosts)
    best = pool.ranking(Wish()).feasible
    return hosts[best[0].host] if best else pool.fleet.hosts[0]


def last_seen(pool: Pool, hosts: Sequence[Host]) -> tuple[Seen, ...]:
    """Return hosts as this account last saw them; nobody is asked."""
    pool.statuses.look(hosts)
    found = []
    for host in hosts:
        status, known = pool.statuses.status(host), pool.statuses.known(host)
        state, reason = shown_state(status, known.heard.said)
        age = known.age(pool.statuses.now())
        said = dict(known.heard.said)
        seen = Seen(host=host, state=state, reason=reason, age=age, status=status, said=said)
        found.append(seen)
    return tuple(found)


def worker_of(pool: Pool, host: Host) -> str:
    """Return the session that this notebook has on a host; nothing if no cell ran there yet."""
    known = [each for each in pool.sessions() if each.host.name == host.name]
    found = [each.session for each in known if each.announced]
    return found[-1] if found else ""


def look_inside(link: Link, session: str) -> Inside:
    """Ask a host for the cells of this account, and a session's worker for what it holds.

    A worker that is in a cell is not asked: it would answer only after it.

    Raises
    ------
    TransportError
        If the host does not answer.
    """
    answer = link.ask(m.ListRuns(), lambda said: isinstance(said, m.Runs), _PATIENCE)
    rows = plain_values(json.loads(bytes(answer.buffers[0])))
    live = [row for row in rows if row.get("state") not in FINAL]
    live.sort(key=lambda row: row.get("state") != "started")
    if not session:
        return Inside(cells=live)
    if is_in_cell(live, session):
        return Inside(cells=live, note="values are listed again when the cell has ended")
    return Inside(cells=live, values=live_values(link, session, _PATIENCE))


def device_of(pool: Pool, seen: Seen, inside: Inside) -> dict[str, Any]:
    """Return what is shown of one host of a notebook's pool."""
    telemetry = pool.statuses.known(seen.host).heard.telemetry
    return readings.device(
        seen,
        telemetry,
        inside,
        notebook=pool.notebook,
        chosen=pool.uses == seen.host.name,
    )


def device_now(pool: Pool, name: str = "") -> dict[str, Any]:
    """Ask a host how it is, and return what is shown of it.

    Parameters
    ----------
    name
        As `chosen_host` has it.

    Raises
    ------
    PlacementError
        If the fleet has no such host.
    """
    host = chosen_host(pool, name)
    answer = pool.ask((host,), PATIENCE).get(host.name)
    inside = Inside()
    if answer is not None and answer.error is None:
        pool.settle((host,), SETTLE)
        try:
            inside = look_inside(pool.session(host).link, worker_of(pool, host))
        except MacGPUError as error:
            inside = Inside(note=error.what)
    return device_of(pool, last_seen(pool, (host,))[0], inside)
