"""Who sends each cell where: our placement, and the rules that it is measured against.

Every rule sends a cell to a host that has the memory, and one that reads values living on a host to
that one. All but ours are told what is true now, which no client can know: how many cells each host
has, and of the clairvoyant one more.

- ``random`` and ``round-robin`` look at nothing else.
- ``fewest-runs`` takes a host with the fewest cells running, waiting and on their way.
- ``clairvoyant`` knows how long each cell takes on each Mac, what is left of those that are there,
  how fast each Mac is and how much of it others take now, and what has to be sent. It takes the
  host where the cell ends first. What is yet to come it does not know, and it never moves a cell.
- ``ours`` is `scheduling.rank` with what a client knows: hosts as they were when it last heard of
  them, the table of chips, a length only where the same cell ran before, and where its data are.
  Notebooks know the last only of values that live on a host. It asks the best four, and where all
  that fit are busy waits at those that come close, and takes the first free slot.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from jupyter_macgpu.placement import AT_ONCE, to_ask
from jupyter_macgpu.scheduling.needs import Needs
from jupyter_macgpu.scheduling.rank import rank
from jupyter_macgpu.scheduling.status import HostStatus

from .trace import WORKER, Cell
from .world import ONE_WAY, Host, Job, World

#: Seconds from one word of a host to the next, for those who watch.
WATCHED = 15.0
#: Seconds after which those who watch hear that a host's slots or queue have changed.
TOLD = 1.0
#: What takes a job and sends it somewhere.
Rule = Callable[[Job], None]


def at_random(world: World) -> Rule:
    """Take any host that fits."""
    chance = random.Random(1)
    return lambda job: world.send(job, chance.choice(_possible(world, job.cell)))


def round_robin(world: World) -> Rule:
    """Take one after the other."""
    turn = [0]

    def arrive(job: Job) -> None:
        possible = set(map(id, _possible(world, job.cell)))
        while id(world.hosts[turn[0] % len(world.hosts)]) not in possible:
            turn[0] += 1
        host = world.hosts[turn[0] % len(world.hosts)]
        turn[0] += 1
        world.send(job, host)

    return arrive


def fewest_runs(world: World) -> Rule:
    """Take a host with the fewest cells, any of several."""
    chance = random.Random(1)

    def arrive(job: Job) -> None:
        possible = _possible(world, job.cell)
        least = min(host.count() for host in possible)
        world.send(job, chance.choice([host for host in possible if host.count() == least]))

    return arrive


def clairvoyant(world: World, *, knows_lengths: bool = True) -> Rule:
    """Take the host where the cell ends first.

    Parameters
    ----------
    knows_lengths
        Whether it knows how long cells take, and all else too. Without, it knows all else: each
        cell counts as an average one, and one that has lasted longer as if it lasted as long again.
        What that costs is what no rule can gain that is not told lengths and sends a cell at once.
    """
    average = sum(cell.work for cell in world.trace.cells) / len(world.trace.cells)

    def work(cell: Cell) -> float:
        return cell.work if knows_lengths else average

    def left(host: Host) -> float:
        if (job := host.running) is None:
            return 0.0
        return max(0.0, job.left) if knows_lengths else max(average, job.cell.work - job.left)

    def ends(host: Host, cell: Cell) -> float:
        host.progress(world.now)
        waiting = [each for each in host.jobs.values() if each is not host.running]
        before = left(host) + sum(work(each.cell) for each in (*waiting, *host.coming))
        sent = ONE_WAY + host.missing(cell) / host.mac.link
        worker = 0.0 if cell.notebook in host.warm else WORKER
        return max(before / host.pace, sent) + worker + work(cell) / host.pace

    def arrive(job: Job) -> None:
        possible = _possible(world, job.cell)
        world.send(job, min(possible, key=lambda host: ends(host, job.cell)))

    return arrive


class Ours:
    """The product's own rule, with what each client knows.

    Parameters
    ----------
    at_once
        Hosts that are asked, and waited at.
    knows_lengths
        Whether it is told how long each cell takes: to see what that would be worth.
    """

    def __init__(
        self, world: World, at_once: int = AT_ONCE, *, knows_lengths: bool = False
    ) -> None:
        self._world = world
        self._at_once = at_once
        self._knows_lengths = knows_lengths
        self._known: dict[int, dict[str, HostStatus]] = {}
        #: What hosts said last to all who watch.
        self._said = {host.mac.name: world.status(host) for host in world.hosts}
        self._due: set[str] = set()
        for number, host in enumerate(world.hosts):
            self._watch(host, WATCHED * number / len(world.hosts))
        world.changed = self._soon

    def __call__(self, job: Job) -> None:
        """Send a cell somewhere."""
        world, cell = self._world, job.cell
        known = self._known.setdefault(cell.client, {})
        for name, said in self._said.items():
            if name not in known or (known[name].seen or 0.0) < (said.seen or 0.0):
                known[name] = said
        needs = self._needs(cell)
        asked: set[str] = set()
        names = [host.mac.name for host in _possible(world, cell)]
        ranking = rank(self._views(known, cell), needs, world.now)
        for name in to_ask(ranking, (), ())[: self._at_once] or tuple(names[:1]):
            asked.add(name)
            known[name] = world.status(world.named[name])
        ranking = rank(self._views(known, cell), needs, world.now)
        chosen = [one for one in ranking.feasible if one.host in asked]
        if not chosen:
            world.send(job, world.named[names[0]], delay=2 * ONE_WAY)
            return
        best = chosen[0]
        hosts = [world.named[one.host] for one in ranking.to_ask(self._at_once) if one in chosen]
        if not best.must_wait or len(hosts) < 2:
            host = world.named[best.host]
            known[best.host] = replace(known[best.host], sent_since=known[best.host].sent_since + 1)
            world.send(job, host, delay=2 * ONE_WAY)
        else:
            world.reserve(job, hosts, delay=2 * ONE_WAY)

    def _watch(self, host: Host, delay: float) -> None:
        """Have a host say how it is, again and again."""

        def say() -> None:
            self._said[host.mac.name] = self._world.status(host)
            self._watch(host, WATCHED)

        self._world.at(self._world.now + delay, say)

    def _soon(self, host: Host) -> None:
        """Have a host say that its slots or its queue have changed, no more than once a second."""
        if host.mac.name in self._due:
            return
        self._due.add(host.mac.name)

        def say() -> None:
            self._due.discard(host.mac.name)
            self._said[host.mac.name] = self._world.status(host)

        self._world.at(self._world.now + TOLD, say)

    def _needs(self, cell: Cell) -> Needs:
        home = self._world.homes.get(cell.notebook)
        name = None if home is None else home.mac.name
        bound = cell.is_bound and name is not None
        return Needs(
            mem=cell.mem,
            input_bytes=cell.data,
            home=name,
            holders=frozenset({name}) if bound and name else frozenset(),
            seconds=cell.work if self._knows_lengths else cell.before,
        )

    def _views(self, known: dict[str, HostStatus], cell: Cell) -> Sequence[HostStatus]:
        there = self._world.named
        return [
            replace(status, inputs_there=cell.data) if cell.notebook in there[name].data else status
            for name, status in known.items()
        ]


def _possible(world: World, cell: Cell) -> list[Host]:
    home = world.homes.get(cell.notebook)
    if cell.is_bound and home is not None:
        return [home]
    return [host for host in world.hosts if host.fits(cell)]


RULES: dict[str, Callable[[World], Rule]] = {
    "ours": Ours,
    "random": at_random,
    "round-robin": round_robin,
    "fewest-runs": fewest_runs,
    "clairvoyant": clairvoyant,
}
