"""2 place: this kernel's sessions, one a host, kept while they are of use."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from types import MappingProxyType
from typing import TYPE_CHECKING

from .lengths import Lengths
from .link import Link
from .lookout import Lookouts
from .owners import Owners
from .parting import at_once
from .placement import (
    Placement,
    Wish,
    among,
    best_of,
    elsewhere,
    held_by,
    holding,
    hoped,
    is_broken,
    may_have,
    nobody,
    reason_for,
    to_ask,
    unreachable,
    well_in,
)
from .scheduling.rank import rank
from .scheduling.status import State
from .scouting import Scouts, glance
from .session import Session
from .statuses import FRESH, Statuses, sample_of, tells
from .swaps import change_for, waited_on
from .wire import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from .fleet.hosts import Fleet, Host
    from .placement import Answer
    from .reach import Reach
    from .scheduling.rank import Candidate, Ranking
    from .swaps import Stand

#: Seconds without use after which a connection is closed: a Mac takes 42 SSH sessions in all.
IDLE = 60.0
#: Seconds within which every step to a host has ended, well or not.
_ALL = 120.0
#: Seconds between two looks for such connections.
_ROUND = 5.0
#: How often all hosts that a cell waits on may be lost before it goes to the best one as it is.
_LOSSES = 3
#: Fleets of at most so many hosts are ranked in whole for a cell that stays where it was.
_WHOLE = 16
#: Seconds that hosts have to end our sessions, all at the same time.
_PARTING = 15.0


class Pool:
    """The hosts that this kernel may use, and its sessions on them.

    Parameters
    ----------
    fleet
        The hosts.
    reach
        The way to each of them.
    notebook
        Name of the notebook; ``""`` if it has none that outlives the kernel.
    """

    def __init__(self, fleet: Fleet, reach: Reach, notebook: str) -> None:
        self.fleet = fleet
        self.client = secrets.token_hex(16)
        self.notebook = notebook or self.client
        self.current: Session | None = None
        #: What the notebook was told to use: a host or a selector; None leaves it open.
        self.uses: str | None = None
        self.reach = reach
        self.statuses = Statuses()
        self.lookouts = Lookouts(self._beside)
        self.owners = Owners()
        self.lengths = Lengths(self.notebook)
        self._hellos: dict[str, m.Hello] = {}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._scouts = Scouts(lambda host: self.session(host).link, self._heard)
        self._closed = threading.Event()
        self._resting: threading.Thread | None = None
        self._pid = os.getpid()

    def lease(
        self,
        wish: Wish,
        say: Callable[[str], None],
        wait: Callable[[Sequence[Session]], Session | None] | None = None,
    ) -> tuple[Session, Placement]:
        """Return the session in which a cell is to run, and why there.

        Parameters
        ----------
        say
            Told if the notebook moves to another host.
        wait
            Called where several hosts may be waited on, with the sessions there, the best one
            first: returns the one that has a slot for the cell, or None if all of them were lost.
            Not called where the notebook stays on its host: its state is there.

        Raises
        ------
        PlacementError
            If no host will do. Nothing was sent.
        """
        before = self.current
        placement = self.decide(wish)
        for _ in range(_LOSSES):
            if wait is None or not placement.among:
                break
            won = wait([self.session(host) for host in self._named(placement.among)])
            if won is not None:
                placement = elsewhere(placement, won.host)
                break
            placement = self.decide(wish)
        self.current = self.session(placement.host)
        if before is not None and before is not self.current and before.announced:
            left = "its working folder and what lives in its worker stay there"
            say(f"from {before.host.name} to {placement.host.name}; {left}")
        return self.current, placement

    def decide(self, wish: Wish) -> Placement:
        """Choose the host of a cell, after asking those that come into question.

        Raises
        ------
        PlacementError
            If no host will do. Nothing was sent.
        """
        if (kept := self._kept(wish)) is not None:
            return kept
        self.statuses.look(self.fleet.hosts)
        ranking = self.ranking(wish)
        possible = [*ranking.feasible, *hoped(ranking, self._unheard(wish))]
        if len(possible) == 1 and not is_broken(possible[0]):
            return self._placement(possible[0], ranking, wish)
        asked: dict[str, Answer | None] = {}
        while names := to_ask(ranking, asked, self._unheard(wish)):
            asked |= dict.fromkeys(names)
            asked |= self._ask(names)
            ranking = self.ranking(wish)
            if best := best_of(ranking, well_in(asked)):
                return self._placement(best, ranking, wish, well_in(asked))
        while silent := [name for name, answer in asked.items() if answer is None]:
            asked |= self._ask(silent)
            ranking = self.ranking(wish)
            if best := best_of(ranking, well_in(asked)):
                return self._placement(best, ranking, wish, well_in(asked))
        raise nobody(ranking, self.fleet)

    def further(
        self, wish: Wish, waits: Mapping[str, Stand], refused: Collection[str]
    ) -> tuple[list[Session], Sequence[str]]:
        """Return sessions to wait in too, the best one first, and names of hosts to leave for them.

        `waits` has how the cell stands with each host. Better ones are connected to meanwhile.
        """
        self.statuses.look(self.fleet.hosts)
        hosts = [host for host in self.fleet.hosts if host.name not in refused]
        ready = {*waits, *(each.host.name for each in self.sessions() if each.link.is_ready)}
        self._refresh(host for host in hosts if host.name in ready and host.name not in waits)
        change = change_for(self.ranking(wish, hosts, waits), waits, ready, self._unheard(wish))
        self._scouts.send(self._named(change.connect))
        return [self.session(host) for host in self._named(change.join)], change.leave

    def ranking(
        self,
        wish: Wish,
        hosts: Sequence[Host] | None = None,
        waits: Mapping[str, Stand] = MappingProxyType({}),
    ) -> Ranking:
        """Put hosts in order for a cell by what is known of them now; nobody is asked."""
        self._learn()
        of = self.fleet.hosts if hosts is None else hosts
        there = self._there(wish)
        seen = (waited_on(self.statuses.status(host), waits.get(host.name)) for host in of)
        statuses = (holding(status, there.get(status.name)) for status in seen)
        return rank(statuses, wish.needs, self.statuses.now())

    def label_keys(self) -> set[str]:
        """Return the keys of labels that are known of hosts."""
        self._learn()
        self.statuses.look(self.fleet.hosts)
        return {key for host in self.fleet.hosts for key in self.statuses.status(host).labels}

    def labels_of(self, name: str) -> Mapping[str, str]:
        """Return what is known of a host's labels; none of one that the fleet no longer has."""
        return next((self.statuses.status(host).labels for host in self._named((name,))), {})

    def ask(self, hosts: Sequence[Host], patience: float = _ALL) -> dict[str, Answer]:
        """Ask hosts at once, and return the answers of `patience` seconds, errors included."""
        answers = self._scouts.answers(hosts, fresh=patience)
        for host in [host for host in hosts if host.name not in answers]:
            self.statuses.slow(host, patience)
        return answers

    def settle(self, hosts: Sequence[Host], patience: float) -> None:
        """Have connected hosts say how they are now, for people who look.

        Parameters
        ----------
        patience
            Seconds that one host's tools may take.
        """
        # All begin before the first one is waited for.
        self._refresh(hosts)
        self._refresh(hosts, patience)

    def reachable(self) -> list[Host]:
        """Return the hosts that answer.

        Raises
        ------
        PlacementError
            If none does; each one's reason is in it.
        """
        answers = self.ask(self.fleet.hosts)
        names = well_in(answers)
        well = [host for host in self.fleet.hosts if host.name in names]
        if not well:
            raise unreachable(self.fleet.hosts, answers)
        return well

    def warm(self) -> None:
        """Begin to connect to the hosts that a first cell would ask, in the background."""
        self.statuses.look(self.fleet.hosts)
        names = to_ask(self.ranking(Wish()), (), self._unheard(Wish()))
        self._scouts.send([host for host in self._named(names) if host.transport == "ssh"])

    def session(self, host: Host) -> Session:
        """Return this kernel's session on a host, made at its first use."""
        with self._lock:
            session = self._sessions.get(host.name)
            if session is not None and session.host is not host:
                session = self._renewed(session, host)
            if session is None:
                link = Link(self.reach.transport(host), self.client, self.notebook)
                environment = self.reach.environment(host)
                session = Session(host=host, link=link, environment=environment)
                self._sessions[host.name] = session
                if host.transport == "ssh" and self._resting is None:
                    self._resting = threading.Thread(target=self._rest, daemon=True)
                    self._resting.start()
            return session

    def sessions(self) -> list[Session]:
        """Return the sessions that were used, newest last."""
        return list(self._sessions.values())

    def runs(self, host: Host, notebook: str) -> list[dict[str, object]]:
        """Return the runs that a host knows: of one notebook, or of all for ``""``."""
        wish = m.ListRuns(notebook=notebook)
        answer = self.session(host).link.ask(wish, lambda message: isinstance(message, m.Runs))
        return list(json.loads(bytes(answer.buffers[0])))

    def close(self, patience: float = _PARTING) -> None:
        """End this kernel's sessions within `patience` seconds; runs that live go on."""
        if os.getpid() != self._pid:
            return
        self._closed.set()
        self.lookouts.close()
        self.lengths.close()
        at_once([session.leave for session in self._sessions.values()], patience)

    def _kept(self, wish: Wish) -> Placement | None:
        """Return the notebook's own host if it answers and can take the cell."""
        home = next((host for host in self.fleet.hosts if host.name == wish.needs.home), None)
        if home is None or not wish.stays or len(self.fleet.hosts) == 1:
            return None
        among = self.fleet.hosts if len(self.fleet.hosts) <= _WHOLE else (home,)
        first = self.ranking(wish, among)
        if home.name not in {one.host for one in (*first.feasible, *hoped(first, ()))}:
            return None
        before = self.statuses.version
        answers = self._ask([home.name])
        ranking = first if self.statuses.version == before else self.ranking(wish, among)
        best = best_of(ranking, well_in(answers))
        return None if best is None else self._placement(best, ranking, wish)

    def _ask(self, names: Collection[str]) -> dict[str, Answer]:
        hosts = self._named(tuple(names))
        self._refresh(hosts)
        return self._scouts.answers(hosts)

    def _refresh(self, hosts: Iterable[Host], settle: float = 0.0) -> None:
        """Ask those that are connected how they are, where that was said a while ago."""
        self._learn()
        for host in hosts:
            session = self._sessions.get(host.name)
            heard = self.statuses.known(host).heard
            since = heard.sampled if settle else heard.seen
            is_new = since is not None and self.statuses.now() - since < FRESH
            if session is None or is_new or not session.link.open or not tells(session.link.hello):
                continue
            sample = glance(session.link, settle)
            if sample is not None:
                self.statuses.told(host, sample)

    def _there(self, wish: Wish) -> dict[str, int]:
        return held_by({each.host.name: each.link.held for each in self.sessions()}, wish.blobs)

    def _learn(self) -> None:
        """Take in what the hellos said that came since."""
        for session in self.sessions():
            self._greeted(session)

    def _greeted(self, session: Session) -> None:
        hello, name = session.link.hello, session.host.name
        if hello is None:
            return
        with self._lock:
            if self._hellos.get(name) is hello:
                return
            self._hellos[name] = hello
        ago = time.monotonic() - session.link.greeted
        self.statuses.told(session.host, sample_of(hello), ago)

    def _heard(self, host: Host, answer: Answer) -> None:
        if answer.error is not None:
            self.statuses.failed(host, answer.error)
        elif (session := self._sessions.get(host.name)) is not None:
            self._greeted(session)
            if self.statuses.known(host).heard.state is not State.READY:
                # It is connected still, and another kernel or a look in between thought otherwise.
                self.statuses.answered(host)

    def _named(self, names: Sequence[str]) -> list[Host]:
        hosts = {host.name: host for host in self.fleet.hosts}
        return [hosts[name] for name in names if name in hosts]

    def _unheard(self, wish: Wish) -> set[str]:
        return {
            host.name
            for host in self.fleet.hosts
            if self.statuses.known(host).heard.seen is None and may_have(host, wish.needs)
        }

    def _placement(
        self, chosen: Candidate, ranking: Ranking, wish: Wish, well: Collection[str] = ()
    ) -> Placement:
        (host,) = self._named((chosen.host,))
        return Placement(
            host=host,
            reason=reason_for(chosen, ranking, wish),
            ranking=ranking,
            among=among(ranking, well),
            past=wish.past,
            there=self._there(wish),
        )

    def _renewed(self, session: Session, host: Host) -> Session | None:
        """Let a session follow its entry in the fleet file; None if it is another machine now."""
        if session.host.is_reached_as(host):
            session.host = host
            return session
        session.link.drop()
        if self.current is session:
            self.current = None
        return None

    def _beside(self, host: Host) -> Link:
        """Return one more link to a host, over the same way."""
        link = self.session(host).link
        return Link(link.transport, self.client, self.notebook, held=link.held)

    def _rest(self) -> None:
        while not self._closed.wait(_ROUND):
            for session in self.sessions():
                if self.lookouts.rest(session.host.name, IDLE):
                    session.link.rest(IDLE)
