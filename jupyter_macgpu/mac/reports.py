"""What workers say and write: into the journal of their run, or to who listens between runs.

Runs on the Mac. Only Python and `wire` may be imported here. Pure: no IO, no clock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from . import effects as e

if TYPE_CHECKING:
    from .book import Book
    from .records import Run, Session


class Reports:
    """Takes what workers say, in the order of their output."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._early: list[m.Comm] = []

    def event(self, session_id: str, event: m.Event, now: float) -> None:
        """Write down what a worker tells of its run; between runs, tell the session's listener."""
        if not event.run:
            self._show(session_id, event.what, event.content, event.buffers)
            return
        run = self._book.runs.get(event.run)
        if run is None or run.state != "started" or run.session != session_id:
            return
        if event.what == "finished":
            self._finish(run, event, now)
            return
        if event.what == "input_request":
            run.asking = event.mark
        self._book.do(
            e.Append(
                run=run.run,
                what=event.what,
                content=event.content,
                buffers=event.buffers,
                mark=event.mark,
            )
        )

    def wrote(self, session_id: str, name: str, data: bytes) -> None:
        """Do the same with what a worker wrote."""
        run = self._book.running(session_id)
        if run is None:
            self._show(session_id, "stream", {"name": name}, (data,))
        else:
            self._book.do(
                e.Append(run=run.run, what="stream", content={"name": name}, buffers=(data,))
            )

    def comm(self, client: int, message: m.Comm, now: float) -> None:
        """Pass on what a front end says to the comms of a session's worker."""
        session = self._book.sessions.get(message.session)
        if session is None or session.worker != "ready":
            self._book.send(client, m.Comm(session=message.session, action="gone"))
            return
        session.idle_since = now
        if message.action == "listen":
            session.listener = client
        elif message.action != "piece" and (run := self._book.running(session.session)):
            content = {"number": message.content.get("number")}
            busy = replace(message, run=run.run, action="busy", content=content, buffers=())
            self._book.send(client, busy)
        self._early.append(message)
        self.pass_on()

    def pass_on(self) -> None:
        """Hand workers what came for them; one that was just found alive gets it a bit later."""
        early, self._early = self._early, []
        for message in early:
            session = self._book.sessions.get(message.session)
            if session is not None and session.listens:
                self._book.do(e.ToWorker(session=session.session, message=message))
            elif session is not None and session.silent:
                self._early.append(message)

    def left(self, client: int) -> None:
        """Forget a client that may have listened."""
        for session in self._book.sessions.values():
            if session.listener == client:
                session.listener = 0

    def gone(self, session: Session) -> None:
        """Tell a session's listener that its worker is gone, and its comms with it."""
        if session.listener:
            self._book.send(session.listener, m.Comm(session=session.session, action="gone"))

    def _show(self, session_id: str, what: str, content: dict[str, Any], raw: m.Buffers) -> None:
        session = self._book.sessions.get(session_id)
        if session is not None and session.listener:
            said = {"what": what, "content": content}
            shown = m.Comm(session=session_id, action="shown", content=said, buffers=raw)
            self._book.send(session.listener, shown)

    def _finish(self, run: Run, event: m.Event, now: float) -> None:
        content = event.content
        interrupted = (content.get("error") or {}).get("ename") == "KeyboardInterrupt"
        state = "ok" if content.get("status") == "ok" else "error"
        if state == "error" and run.stopping and interrupted:
            state = "cancelled"
        session = self._book.sessions[run.session]
        session.values = int(content.get("live") or 0)
        summary = {**content, "stopping": run.stopping}
        self._book.end(run, state, summary, now, event)
        if session.own and not session.values:
            self._book.retire(session)
        self._book.schedule(now)
