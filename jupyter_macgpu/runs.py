"""The runs that hosts know: found by a prefix, listed, looked at, cancelled, forgotten."""

from __future__ import annotations

import codecs
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .declined import refusal_of
from .execution import Execution, Show
from .interrupts import Interrupts
from .moments import why_it_waits
from .recorder import Recorder
from .report import Report, report_of
from .screening import screen_for, screened_text
from .verbtable import NOTEBOOK_ONLY
from .wire import messages as m
from .wire.content import Joiner
from .wire.errors import MacGPUError, RunRefused, TransportError
from .wire.plain import plain
from .wire.states import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .fleet.hosts import Host
    from .link import Link
    from .pool import Pool
    from .session import Session


_VERB = re.compile(r"(?<!%)%(macgpu (\w+))")
#: Silent hosts that are named; the others are counted.
_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRun:
    """One run of one host's list; see `mac.records.Run.listed` for the row."""

    session: Session
    row: dict[str, Any]

    @property
    def run(self) -> str:
        """The run's id."""
        return str(self.row["run"])

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.row["state"] not in FINAL

    def shown(self) -> dict[str, Any]:
        """Return what lists show of it; the age in seconds since its last change."""
        origin, options = self.row.get("origin") or {}, self.row.get("options") or {}
        detail = self.row.get("detail") or {}
        return {
            "run": self.run,
            "name": options.get("name") or "",
            "host": self.session.host.name,
            "state": self.row["state"],
            "place": self.row.get("position"),
            "wait": self.row.get("wait"),
            "age": self.row.get("age"),
            "notebook": origin.get("notebook") or "",
            "cell": origin.get("cell") or "",
            "detached": bool(options.get("detach")),
            "after": [str(run) for run, _whatever in options.get("after") or ()],
            **why_it_waits(self.row, time.time()),
            "kept": self.row.get("kept"),
            "collected": bool(self.row.get("collected")),
            "purged": bool(detail.get("purged")),
            "retried": detail.get("retried") or "",
            "moved": detail.get("moved") or {},
        }


def known_runs(pool: Pool, notebook: str = "") -> list[KnownRun]:
    """Return the runs of all hosts that answer; see `heard_runs`."""
    return heard_runs(pool, notebook)[0]


def heard_runs(pool: Pool, notebook: str = "") -> tuple[list[KnownRun], list[str]]:
    """Return the runs of all hosts, oldest first on each, and the names of hosts that are silent.

    Parameters
    ----------
    notebook
        Whose runs; ``""``: all.

    Raises
    ------
    PlacementError, TransportError
        If no host can be reached.
    """
    found: list[KnownRun] = []
    answered: set[str] = set()
    hosts = pool.reachable()
    for host in hosts:
        session = pool.session(host)
        try:
            rows = pool.runs(host, notebook)
        except TransportError:
            if host is hosts[-1] and not answered:
                raise
            continue
        answered.add(host.name)
        found += [KnownRun(session=session, row=dict(row)) for row in rows]
    unique = {known.run: known for known in reversed(found)}
    silent = [host.name for host in pool.fleet.hosts if host.name not in answered]
    return list(reversed(unique.values())), silent


def list_runs(pool: Pool, tell: Callable[[str], object]) -> list[dict[str, Any]]:
    """Return what there is to show of all runs; hosts that are silent are told of."""
    found, silent = heard_runs(pool)
    if silent:
        tell(f"macgpu: {_silence(silent)}; {'their' if silent[1:] else 'its'} runs are not listed")
    return [known.shown() for known in found]


def _silence(silent: Sequence[str]) -> str:
    more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
    return f"{', '.join(silent[:_NAMED])}{more} {'do' if silent[1:] else 'does'} not answer"


def find_run(pool: Pool, wanted: str) -> KnownRun:
    """Return the run that a prefix, a name or ``last`` means.

    ``last`` is the newest run of this notebook; without one, the newest of all. A name means the
    newest run that has it. Of runs on several hosts the newest is the one that began last.

    Raises
    ------
    RunRefused
        If none or several fit.
    """
    runs, silent = heard_runs(pool)
    mine = [known for known in runs if known.shown()["notebook"] == pool.notebook]
    if wanted == "last":
        if not runs:
            raise RunRefused(
                "No host knows any run.",
                known="Nothing was done.",
                next="Run a %%macgpu cell first.",
            )
        return _newest(mine or runs)
    fitting = [known for known in runs if known.run.startswith(wanted)]
    if not fitting and (called := [run for run in runs if run.shown()["name"] == wanted]):
        return _newest(called)
    if len(fitting) == 1:
        return fitting[0]
    known = "Nothing was done."
    if not fitting:
        who, kept = ("host that answers", f"{_silence(silent)}. ") if silent else ("host", "")
        text, remedy = (
            f"No {who} knows a run {wanted[:40]!r}.",
            "%macgpu runs lists the runs that are known.",
        )
        raise RunRefused(text, known=known, next=kept + remedy)
    several = ", ".join(each.run[:12] for each in fitting[:6])
    text = f"{len(fitting)} runs begin with {wanted!r}: {several}."
    raise RunRefused(text, known=known, next="Write more of the id.")


def _newest(runs: Sequence[KnownRun]) -> KnownRun:
    """Return the newest run: a host lists its own in their order, hosts differ in their clocks.

    One that was moved is what it became, if that is among them.
    """
    ids = {known.run for known in runs}
    left = [known for known in runs if known.shown()["moved"].get("run") not in ids]
    of_hosts = {known.session.host.name: known for known in left}
    return min(of_hosts.values(), key=_begun)


def _begun(known: KnownRun) -> float:
    """Return how many seconds ago a run began, or was accepted if it has not begun."""
    return float(known.row.get("age") or 0.0) + float(known.row.get("ran") or 0.0)


class Printer:
    """Shows a run in a terminal: streams as they are, of displays the text.

    Parameters
    ----------
    host
        Where the run is. If its trust is ``data``, its text does nothing to the terminal.
    """

    def __init__(self, host: Host) -> None:
        self._joiner = Joiner()
        self._screen = screen_for(host.name, host.trust)
        # Records end where they end, also in the middle of a letter.
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: make("replace") for name in ("stdout", "stderr")}

    def output(self, output: m.Output) -> None:
        """Show one record."""
        content: dict[str, Any] | None = output.content
        if output.what != "stream":
            content = self._joiner.take(output.what, output.content, output.buffers)
        if content is None:
            return
        if output.what == "stream":
            name = "stderr" if content.get("name") == "stderr" else "stdout"
            text = self._decoders[name].decode(b"".join(output.buffers))
            if self._screen is not None:
                text = self._screen.stream(name, text)
            getattr(sys, name).write(text)
        elif output.what == "error":
            self._write("\n".join(map(str, content.get("traceback") or [])))
        elif output.what in ("display_data", "execute_result"):
            self._write(str((content.get("data") or {}).get("text/plain", "")))
        elif output.what == "notice":
            self.notice(str(content.get("text", "")))

    def state(self, state: m.RunState) -> None:
        """Show nothing: the list of runs has the states."""

    def notice(self, text: str) -> None:
        """Show a line of ours."""
        sys.stderr.write(f"macgpu: {plain(text)}\n")

    def _write(self, text: str) -> None:
        sys.stdout.write((text if self._screen is None else screened_text(text)) + "\n")

    def ask(self, prompt: str, password: bool) -> str:  # noqa: ARG002 (as `Show` has it)
        """Refuse: a run that is only looked at is not answered."""
        raise EOFError("the run waits for input; attach to it in a notebook to answer")


def logs(known: KnownRun, show: Show) -> None:
    """Show what a run has shown so far."""
    link = known.session.link
    for message in shown_so_far(link, known.run, is_live=known.live):
        if isinstance(message, m.Output):
            show.output(message)
        elif isinstance(message, m.Refused):
            raise refusal_of(message, link.host)
    link.close()


def recorded(known: KnownRun) -> list[dict[str, Any]]:
    """Return what a run has shown so far, as nbformat has it."""
    host = known.session.host
    recorder = Recorder(host.name, host.trust)
    logs(known, recorder)
    return recorder.outputs


def shown_so_far(link: Link, run: str, *, is_live: bool) -> Iterator[m.Output | m.End | m.Refused]:
    """Yield what a run has shown so far; nobody who drives it is disturbed.

    The last one is its `End` if it has ended, or the host's refusal.

    Parameters
    ----------
    is_live
        Whether it had not ended when its host was asked last. One that had is read to its end.

    Raises
    ------
    TransportError
        If the host cannot be reached.
    """
    link.connect()
    link.say(m.Attach(run=run, watch=True))
    at, end = 0, None
    while end is None or not is_live or at < end:
        message = link.await_message(
            lambda said: run in (getattr(said, "run", ""), getattr(said, "subject", ""))
        )
        if isinstance(message, m.RunState) and message.offset is not None:
            at, end = message.offset, int(message.detail.get("end", 0))
        elif isinstance(message, m.Output):
            at = message.end
            link.say(m.Ack(run=run, offset=at))
            yield message
        elif isinstance(message, (m.End, m.Refused)):
            yield message
            return


def detach(pool: Pool, known: KnownRun) -> None:
    """Let a run go on by itself; who waits for it is told to let go.

    Raises
    ------
    RunRefused
        If it has ended, or nobody waits for it.
    """
    if known.live and (known.row.get("options") or {}).get("detach"):
        raise RunRefused(
            f"Run {known.run[:8]} goes on by itself already.",
            known="Nothing was done.",
            next=f"%macgpu attach {known.run[:8]} shows it.",
        )
    pool.lookouts.of(known.session.host).tell(m.Detach(run=known.run), m.RunState)


def report(known: KnownRun) -> Report:
    """Return what a run has cost, as its host knows it.

    Raises
    ------
    RunRefused
        If it has not ended.
    """
    link = known.session.link
    if known.live:
        raise RunRefused(
            f"Run {known.run[:8]} has not ended: {known.row['state']}.",
            known="Its report is made at its end.",
            next="%macgpu status shows how its host is now.",
        )
    link.connect()
    link.say(m.Attach(run=known.run, offset=1 << 62, watch=True))
    end = link.await_message(lambda said: isinstance(said, m.End) and said.run == known.run)
    assert isinstance(end, m.End)
    link.close()
    host = known.session.host.name
    return report_of(known.run, host, end.state, end.summary, returned=end.size)


def follow(known: KnownRun, show: Show, interrupts: Interrupts) -> m.End:
    """Show a run until its end; its variables are not taken."""
    return Execution(known.session.link, known.run, show, interrupts).drive().end


def cancel(known: KnownRun) -> None:
    """Cancel a run from wherever it was started; an interrupt first, as from the notebook.

    Raises
    ------
    RunRefused
        If it has ended already.
    """
    if not known.live:
        raise RunRefused(
            f"Run {known.run[:8]} has ended already: {known.row['state']}.",
            known="Nothing was done.",
            next="%macgpu logs shows its output.",
        )
    link = known.session.link
    link.connect()
    link.say(m.Attach(run=known.run, offset=1 << 62))
    answer = link.await_message(
        lambda message: isinstance(message, m.RunState) and message.offset is not None
    )
    assert isinstance(answer, m.RunState)
    link.say(m.Cancel(run=known.run, epoch=answer.epoch, how="interrupt"))
    link.say(m.Ping(number=0))
    link.await_message(lambda message: isinstance(message, m.Pong))
    link.close()


def remove(known: KnownRun) -> None:
    """Have the host forget an ended run.

    Raises
    ------
    RunRefused
        If it lives.
    """
    link = known.session.link
    link.connect()
    link.say(m.Remove(run=known.run))
    answer = link.await_message(lambda message: isinstance(message, (m.Removed, m.Refused)))
    if isinstance(answer, m.Refused):
        raise RunRefused(f"{link.host}: {answer.text}.", known="Nothing was done.")


def worth_saying(error: MacGPUError) -> str:
    """Return an error's four parts as text for a terminal, with verbs as a shell has them."""
    parts = [part for part in (error.what, error.known, error.kept, error.next) if part]
    return _VERB.sub(
        lambda found: found[0] if found[2] in NOTEBOOK_ONLY else found[1], "\n".join(parts)
    )
