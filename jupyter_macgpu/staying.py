"""2 place, where a notebook stays on its busy host: what keeps its cell there, and who is free.

A notebook's worker, the values that live in it and its files are on one host, so its cells wait
there however long that takes. While one does, this says so, and names a host where the cell is
expected to end sooner. To go there is the user's to say: what lives here stays here.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from .placement import AT_ONCE
from .swaps import Stand
from .wire.values.remote import RemoteValue, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from .conversation import Show
    from .placement import Wish
    from .pool import Pool
    from .wire import messages as m

#: Seconds between two looks at other hosts.
ROUND = 2.0
#: Seconds after which it is not believed any more that a host is free.
_BELIEVED = 30.0
#: Names of values that are told.
_NAMED = 3
#: Bytes from which on it is told that they have to be sent.
_TOLD = 2**20


class Staying:
    """Shows a run, and what keeps it where it waits. It is also told that time passes.

    Parameters
    ----------
    show
        Where all is shown.
    look
        Given how the cell stands in the queue, returns what keeps it there; nothing if there is
        nothing to be said.
    clock
        Seconds.
    """

    def __init__(
        self,
        show: Show,
        look: Callable[[Stand], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show = show
        self._look = look
        self._clock = clock
        self._queued: m.RunState | None = None
        self._look_at = 0.0
        self._said = ""

    def state(self, state: m.RunState) -> None:
        """Show where the run is now."""
        self._queued = state if state.state == "queued" else None
        if self._queued is None:
            self._show.state(state)
        else:
            self._say(state)

    def tick(self) -> None:
        """Look at other hosts from time to time while the run waits."""
        if self._queued is None or self._clock() < self._look_at:
            return
        before = self._said
        self._said = self._look(Stand(before=self._queued.position, wait=self._queued.wait))
        self._look_at = self._clock() + ROUND
        if self._said != before:
            self._say(self._queued)

    def moved(self, stage: str, done: int, total: int) -> None:
        """Note bytes on their way: they say nothing of the queue."""

    def output(self, output: m.Output) -> None:
        """Show one record."""
        self._show.output(output)

    def notice(self, text: str) -> None:
        """Show a line of ours."""
        self._show.notice(text)

    def ask(self, prompt: str, password: bool) -> str:
        """Return what the user answers a cell's `input()`."""
        return self._show.ask(prompt, password)

    def _say(self, state: m.RunState) -> None:
        self._show.state(replace(state, detail={**state.detail, "stays": self._said}))


def reason_to_stay(pool: Pool, wish: Wish, reads: Collection[str], host: str, stand: Stand) -> str:
    """Return what keeps a cell in its host's queue, and which other host would be sooner.

    Other hosts are asked as for a cell that waits on several, `AT_ONCE` of them at most; nobody is
    waited for.

    Parameters
    ----------
    wish
        What the cell asks.
    reads
        Keys of the values that it reads and that live in a worker alone.
    stand
        How it stands in the queue.
    """
    alive = RemoteValue.names_on(host)
    if reads:
        return told(host, sorted({alive[key] for key in reads if key in alive}), is_bound=True)
    names = sorted({*alive.values()})
    waits = {host: stand}
    others = [each for each in pool.sessions() if each.host.name != host and each.link.is_ready]
    if len(others) < AT_ONCE:
        pool.further(wish, waits, ())
    else:
        pool.settle([each.host for each in others], 0.0)
    for one in pool.ranking(wish, None, waits).feasible:
        if one.host == host:
            break
        known = {term.name: term.value for term in one.terms}
        age, missing = known["news"], known["data"]
        if not one.must_wait and isinstance(age, float) and age <= _BELIEVED:
            return told(host, names, free=one.host, missing=int(missing or 0))
    return told(host, names)


def told(
    host: str, names: Sequence[str], *, free: str = "", missing: int = 0, is_bound: bool = False
) -> str:
    """Return in words what keeps a cell on its host.

    Parameters
    ----------
    names
        Values of the notebook that live there alone.
    free
        A host that would begin the cell sooner.
    missing
        Bytes that would have to be sent to it.
    is_bound
        Whether the cell reads these, so that it can be nowhere else.
    """
    few = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    live = f"{few}{more} {'live' if len(names) > 1 else 'lives'} on {host}" if names else ""
    if is_bound:
        return f"{live} alone" if live else ""
    if not free:
        return live
    sent = f" once {format_size(missing)} are sent," if missing >= _TOLD else ""
    left = ("them" if len(names) > 1 else "it") if names else f"the files on {host}"
    tie = live or f"this notebook is on {host}"
    return f"{tie}; {free} is free: --on {free} begins there{sent} without {left}"
