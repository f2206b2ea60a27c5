"""A run that nobody waits for, as Python holds it: its state, its output, its result.

A `Run` asks its host when it is asked; it keeps no connection open and no thread. Its variables
stay on the host until `Run.bind`, and `Run.result` and `Run.values` give copies that share nothing
with the notebook's objects.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from .execution import Execution, Outcome
from .handed import Before
from .homecoming import Copies, catch_up, come_home, copies
from .interrupts import Interrupts
from .moments import why_it_waits
from .notebook import is_asked_now
from .recorder import Recorder
from .showing import MIME, as_html, as_text
from .verdicts import error_of
from .whereabouts import Whereabouts
from .wire import messages as m
from .wire.errors import RunRefused, TransportError
from .wire.states import FINAL
from .wire.values.imported import imports_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from .fleet.hosts import Host
    from .handed import Handed
    from .home import Errand, Home
    from .way import Result

#: Seconds between two looks at a run that is waited for: at first, and at most.
_SOON, _LATER = 0.02, 0.5
#: What a run is called of which its host does not answer.
UNKNOWN = "unknown"


class Run:
    """One run that goes on by itself.

    It can be awaited: ``await run`` is `result` without blocking the event loop.

    Attributes
    ----------
    name
        What ``--as`` called it, or the empty text.
    errand
        What this kernel waits for before it hands the run in, if anything.
    """

    def __init__(
        self,
        home: Home,
        run: str,
        host: Host,
        *,
        name: str = "",
        handed: Handed | None = None,
        row: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.errand: Errand | None = None
        self._home = home
        self._handed = handed
        self._at = Whereabouts(home.pool, run, host, {"state": "accepted", **(row or {})})
        self._recorder = self._fresh_recorder()
        self._outcome: Outcome | None = None
        self._copies: Copies | None = None

    @property
    def run(self) -> str:
        """Its id now."""
        return self._at.run

    @property
    def runs(self) -> list[str]:
        """Its ids: more than one if it was tried again or moved. The last one counts."""
        return self._at.runs

    @property
    def cell(self) -> str:
        """Id of its cell in the notebook, or the empty text."""
        return "" if self._handed is None else self._handed.cell.cell

    @property
    def host(self) -> str:
        """Name of the host that has it now."""
        return self._at.host.name

    @property
    def state(self) -> str:
        """What it is now; ``unknown`` if its host does not answer."""
        try:
            return str(self.look()["state"])
        except TransportError:
            return UNKNOWN

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """What it has shown so far, as nbformat has it.

        Raises
        ------
        RunRefused
            If it was purged or removed.
        TransportError
            If its host cannot be reached; what was seen before is kept.
        """
        if self._outcome is None:
            live = self.look()["state"] not in FINAL
            with self._at.lookout.link() as link:
                catch_up(link, self.run, self._recorder, live=live)
        return list(self._recorder.outputs)

    @property
    def ran(self) -> float | None:
        """Seconds that it was running, once it has ended; None if its host does not know."""
        return self._at.row.get("ran")

    def done(self) -> bool:
        """Say whether it has ended, well or not; a silent host's run has not.

        A run that is tried again has not ended.
        """
        return self.state in FINAL

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; return whether it has.

        Parameters
        ----------
        timeout
            Seconds to wait at most; None waits for ever. An interrupt ends the waiting, not the
            run.
        """
        until = None if timeout is None else time.monotonic() + timeout
        pause = _SOON
        while not self.done():
            if until is not None and time.monotonic() >= until:
                return False
            time.sleep(pause if until is None else max(0.0, min(pause, until - time.monotonic())))
            pause = min(_LATER, pause * 1.5)
        return True

    def result(self, timeout: float | None = None) -> object:
        """Return the value of the cell's last expression, when the run has ended well.

        It is a copy: nothing of the notebook changes. The host keeps it.

        Raises
        ------
        TimeoutError
            If the run has not ended within `timeout` seconds. It goes on.
        RemoteError
            What the cell raised.
        RunDied, RunLost, RunCancelled
            If it ended from outside.
        RunRefused
            If it was purged or removed.
        """
        self._await_end(timeout)
        return self._home_copies().value

    def values(self, timeout: float | None = None) -> dict[str, object]:
        """Return what the run bound, by name, as copies; raises as `result` does."""
        self._await_end(timeout)
        return dict(self._home_copies().values)

    def bind(self, timeout: float | None = None) -> None:
        """Bind the run's variables in the notebook, as its cell would have without ``--detach``.

        What the notebook has changed since is named in a line, and is the run's from now on. An
        error of the cell is raised when what it had bound before is here.

        Raises
        ------
        TimeoutError, RemoteError, RunDied, RunLost, RunCancelled, RunRefused
            As `result` says.
        """
        self._await_end(timeout)
        outcome = self._collect()
        home, host = self._home, self._at.host
        changed = () if self._handed is None else self._handed.before.changed(home.namespace)
        own = Before(home.namespace, changed, changed)
        with self._at.lookout.link() as link:
            link.connect()
            result = come_home(
                outcome, link, home.namespace, home.dialect, host.trust, self._handed
            )
            link.say(m.Collected(run=self.run))
        if self._at.row.get("options", {}).get("own"):
            at_home = home.pool.session(host)
            home.pool.owners.remember(self.run, at_home, str(self._at.row["session"]))
        if replaced := own.changed(home.namespace):
            home.notice(
                f"macgpu: {', '.join(replaced)} had changed here since the run was handed in; "
                "what is here now is the run's"
            )
        for note in result.notes:
            home.notice(f"macgpu: {note}")
        self._raise_if_bad(result)

    def cancel(self, *, kill: bool = False) -> None:
        """Stop it: `KeyboardInterrupt` in the cell, or with `kill` the end of its worker.

        Raises
        ------
        RunRefused
            If it has ended already.
        TransportError
            If its host cannot be reached. It goes on.
        """
        row = self.look()
        if self.errand is not None and self.errand.stop():
            return
        ended = "result() has its value, outputs what it showed."
        self._at.lookout.cancel({**row, "run": self.run}, kill=kill, ended=ended)

    def look(self) -> dict[str, Any]:
        """Ask the host, and return what it says; follow the run if it became another one.

        Raises
        ------
        TransportError
            If the host cannot be reached.
        """
        if self.errand is not None and (waits := self._waits(self.errand)) is not None:
            return waits
        known = self.run
        try:
            return self._at.look()
        finally:
            if self.run != known:
                self._recorder = self._fresh_recorder()

    def told(self, row: dict[str, Any]) -> None:
        """Take in what its host said of it when it was handed in."""
        self._at.told(row)

    def _waits(self, errand: Errand) -> dict[str, Any] | None:
        """Return what is known of a run that is not handed in yet, or never will be."""
        if errand.over and errand.error is None:
            self.errand = None
            return None
        state, why = "waiting", errand.reason
        if errand.over:
            assert errand.error is not None
            state, why = "cancelled", errand.error.what
        self._at.row = {**self._at.row, "state": state, "detail": {"reason": why}}
        return self._at.row

    def _fresh_recorder(self) -> Recorder:
        count = 0 if self._handed is None else self._handed.cell.count
        return Recorder(self._at.host.name, self._at.host.trust, count)

    def _await_end(self, timeout: float | None) -> None:
        if not self.wait(timeout):
            raise TimeoutError(f"run {self.run[:8]} has not ended within {timeout} s; it goes on")

    def _collect(self) -> Outcome:
        """Return the run's end and its result, with all its output in the recording."""
        if self.errand is not None and self.errand.error is not None:
            raise self.errand.error
        if self._outcome is not None and (self._outcome.parts or not self._outcome.end.size):
            return self._outcome
        self._recorder = self._fresh_recorder()
        if self._at.detail.get("removed"):
            raise RunRefused(
                f"{self.host} does not know run {self.run[:8]} any more.",
                known="It was removed there.",
                next="%macgpu runs lists the runs that are known.",
            )
        with self._at.lookout.link() as link:
            execution = Execution(link, self.run, self._recorder, Interrupts(), watch=True)
            outcome = execution.drive()
        # Its parts are fetched again for whoever wants them next: they may be gigabytes.
        self._outcome = Outcome(end=outcome.end, parts=[])
        self._at.is_settled = True
        return outcome

    def _home_copies(self) -> Copies:
        if self._copies is None:
            outcome = self._collect()
            home, host = self._home, self._at.host
            with self._at.lookout.link() as link:
                link.connect()
                self._copies = copies(outcome, link, home.dialect, host.trust, self._imports())
                link.say(m.Collected(run=self.run, keep=True))
        self._raise_if_bad(self._copies.result)
        return self._copies

    def _imports(self) -> Any:
        return {} if self._handed is None else imports_of(self._handed.cell.code)

    def _raise_if_bad(self, result: Result) -> None:
        error = error_of(result, self._recorder.error)
        if error is not None:
            raise error from None

    # Waiting without blocking.

    def __await__(self) -> Generator[Any, None, object]:
        """Return the result when the run has ended, and let other tasks run meanwhile."""
        return self._awaited().__await__()

    async def _awaited(self) -> object:
        pause = _SOON
        while not await asyncio.to_thread(self.done):
            await asyncio.sleep(pause)
            pause = min(_LATER, pause * 1.5)
        return await asyncio.to_thread(self.result)

    # Showing.

    def shown(self) -> dict[str, Any]:
        """Return what is known of it now, for people; see `showing`."""
        state, row = self.state, self._at.row
        return {
            "run": self.run,
            "name": self.name,
            "host": self.host,
            "state": state,
            "place": row.get("position"),
            "wait": row.get("wait"),
            **why_it_waits({**row, "state": state}, time.time()),
            "age": float(row.get("age") or 0.0) + time.monotonic() - self._at.asked
            if state not in FINAL
            else row.get("age"),
            "runs": list(self.runs),
            "kept": row.get("kept"),
            "purged": bool(self._at.detail.get("purged")),
        }

    def __repr__(self) -> str:
        return as_text(self.shown())

    def _repr_html_(self) -> str:
        return as_html(self.shown())

    def _repr_mimebundle_(self, **_chosen: object) -> dict[str, object]:
        """Name it in the cell that handed it in: front ends write what it shows behind that."""
        here = self._handed is not None and is_asked_now(self._handed.cell.request)
        return {MIME: {"run": self.run, "host": self.host}} if here else {}
