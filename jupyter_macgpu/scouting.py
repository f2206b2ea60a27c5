"""Connecting to several hosts at once, so that a cell never waits for the slowest of them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .placement import Answer
from .wire import messages as m
from .wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from .fleet.hosts import Host
    from .link import Link

#: Seconds that a host has to answer, counted from when it was asked, once another one has.
FRESH = 0.3
#: Seconds that a connected host has to say how it is.
GLANCE = 0.3
#: Seconds between two looks at whether somebody wants to stop waiting.
_BLINK = 0.1


def glance(link: Link, settle: float = 0.0) -> Mapping[str, Any] | None:
    """Ask a connected host how it is; None if it does not say so at once.

    As `Link`, for one thread at a time.

    Parameters
    ----------
    settle
        Seconds that are waited for a newer sample, where the host says that one is on its way.
    """
    now = time.monotonic()
    deadline, found = now + GLANCE, None
    try:
        link.say(m.Watch())
        while (left := deadline - time.monotonic()) > 0:
            message = link.listen(left)
            if not isinstance(message, m.Telemetry):
                continue
            found = message.sample
            if not settle or not found.get("probing"):
                break
            deadline = now + settle
    except MacGPUError:
        return found  # the link is closed; whoever needs it opens it again
    return found


class Scouts:
    """One thread a host that is being connected to; what they found.

    Parameters
    ----------
    link_to
        Gives the link to a host.
    heard
        Told of each answer, by the thread that got it.
    """

    def __init__(
        self, link_to: Callable[[Host], Link], heard: Callable[[Host, Answer], None]
    ) -> None:
        self._link_to = link_to
        self._heard = heard
        self._news = threading.Condition()
        self._answers: dict[str, Answer] = {}
        #: Since when each host is being connected to.
        self._out: dict[str, float] = {}

    def send(self, hosts: Sequence[Host]) -> None:
        """Begin to connect to those hosts that are not being connected to already."""
        for host in hosts:
            with self._news:
                if host.name in self._out:
                    continue
                self._out[host.name] = time.monotonic()
                self._answers.pop(host.name, None)
            threading.Thread(
                target=self._go, args=(host,), name=f"macgpu-{host.name}", daemon=True
            ).start()

    def answers(self, hosts: Sequence[Host], fresh: float = FRESH) -> dict[str, Answer]:
        """Ask hosts, and return what is known when one has answered and the others had time.

        Parameters
        ----------
        fresh
            Seconds that the others have to answer, once one has; those that have been silent
            for so long before are not waited for.
        """
        self.send(hosts)
        with self._news:
            while True:
                known = {h.name: self._answers[h.name] for h in hosts if h.name in self._answers}
                well = [answer for answer in known.values() if answer.error is None]
                since = [self._out[h.name] for h in hosts if h.name in self._out]
                left = max(since, default=0.0) + fresh - time.monotonic()
                if len(known) == len(hosts) or (well and left <= 0):
                    return known
                self._news.wait(min(_BLINK, left) if well else _BLINK)

    def _go(self, host: Host) -> None:
        try:
            hello = self._link_to(host).connect()
            answer = Answer(live=int(hello.detail.get("live", 0)))
        except MacGPUError as error:
            answer = Answer(error=error)
        self._heard(host, answer)
        with self._news:
            self._out.pop(host.name, None)
            self._answers[host.name] = answer
            self._news.notify_all()
