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
  them, speeds as the Macs have measured them (5 % off), a length only where the same cell ran
  before (30 % off), and where its data are, which notebooks do not tell it yet. It asks the best
  four; where all that fit are busy it waits at those that come close, looks every two seconds for
  better ones (`swaps`), and takes the first free slot.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from jupyter_macgpu.placement import AT_ONCE, to_ask
from jupyter_macgpu.scheduling.needs import Needs
from jupyter_macgpu.scheduling.rank import rank
from jupyter_macgpu.scheduling.status import HostStatus
from jupyter_macgpu.swaps import change_for, waited_on

from .trace import WORKER, Cell
from .world import ONE_WAY, Host, Job, World

#: Seconds from one word of a host to the next, for those who watch.
WATCHED = 15.0
#: Seconds after which those who watch hear that a host's slots or queue have changed.
TOLD = 1.0
#: Seconds from one look for better hosts to the next, while a cell waits.
LOOKS = 2.0
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


def clairvoyant(world: World, *, knows: Literal["all", "before", "none"] = "all") -> Rule:
    """Take the host where the cell ends first.

    Parameters
    ----------
    knows
        Of which cells it knows how long they take: of all; what notebooks know, which is how long
        the same cell took before, if it ran; of none. It knows all else in any case. A cell of
        unknown length counts as an average one, and one that has lasted longer than was expected
        as if it lasted as long again. What that costs is what no rule can gain that is not told
        lengths and sends a cell at once.
    """
    average = sum(cell.work for cell in world.trace.cells) / len(world.trace.cells)

    def work(cell: Cell) -> float:
        if knows == "all":
            return cell.work
        return average if knows == "none" or cell.before is None else cell.before

    def left(host: Host) -> float:
        if (job := host.running) is None:
            return 0.0
        if knows == "all":
            return max(0.0, job.left)
        done = job.cell.work - job.left
        return work(job.cell) - done if done < work(job.cell) / 2 else done

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
        known = self._heard(cell)
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
            world.at(world.now + LOOKS, lambda: self._look_further(job))

    def _look_further(self, job: Job) -> None:
        """Have a cell that waits do so at what has become better."""
        world, cell = self._world, job.cell
        if job.chosen is not None:
            return
        known = self._heard(cell)
        asked = {host.mac.name: host for host in job.asked}
        views = [
            waited_on(view, world.stand(job, asked[view.name]) if view.name in asked else None)
            for view in self._views(known, cell)
        ]
        change = change_for(rank(views, self._needs(cell), world.now), asked, known, ())
        world.change(
            job, [world.named[name] for name in change.join], [asked[name] for name in change.leave]
        )
        world.at(world.now + LOOKS, lambda: self._look_further(job))

    def _heard(self, cell: Cell) -> dict[str, HostStatus]:
        """Return the hosts as a cell's client knows them."""
        known = self._known.setdefault(cell.client, {})
        for name, said in self._said.items():
            if name not in known or (known[name].seen or 0.0) < (said.seen or 0.0):
                known[name] = said
        return known

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
