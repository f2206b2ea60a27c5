"""What clients may ask of the supervisor, one method a message.

Runs on the Mac. Only Python and `wire` may be imported here. Pure: no IO, no clock.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from ..wire.blobs import are_sound
from ..wire.bundle import digest_of
from ..wire.order import LEAST, MOST
from . import effects as e
from .bounds import refusal
from .jobrequests import JobRequests
from .jobs import dated, flaw
from .leases import Waiting
from .records import Run, Session, asking, folder_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .book import Book
    from .reports import Reports

#: How a run can be stopped from outside.
STOPS = ("interrupt", "kill")
#: What is done with a session's folder; it needs no worker, and does not wait for one.
FILES = ("files", "have", "put", "get")
#: Bytes of inputs that nobody can mean to send.
_LARGEST = 2**50
PURGED = "nobody came for this run in time, and its output and result were deleted"
#: Ids of runs and sessions; they become names of files.
ID = re.compile(r"[0-9a-f]{32}")


class Requests:
    """Does what clients say."""

    def __init__(self, book: Book, reports: Reports) -> None:
        self._book = book
        self._counter = 0
        jobs = JobRequests(book)
        self._acts: dict[type[m.Message], Callable[[int, Any, float], None]] = {
            m.Submit: self._submit,
            m.Reserve: self._reserve,
            m.Release: self._release,
            m.Attach: self._attach,
            m.Cancel: self._cancel,
            m.InputReply: self._input_reply,
            m.Collected: self._collected,
            m.Comm: reports.comm,
            m.Fetch: self._fetch,
            m.ListRuns: self._list_runs,
            m.Operate: self._operate,
            m.Remove: self._remove,
            m.Detach: jobs.detach,
            m.Withdraw: jobs.withdraw,
            m.Proceed: jobs.proceed,
            m.Prioritise: jobs.prioritise,
        }

    def heed(self, client: int, message: m.Message, now: float) -> None:
        """Do what a client says."""
        act = self._acts.get(type(message))
        if act is None:
            self._book.refuse(client, message.kind, "", "not-available", "not available here")
        else:
            act(client, message, now)

    def answered(self, session: str, message: m.Operated) -> None:
        """Pass a worker's answer on to the client that asked."""
        client, operation, _ = self._book.operations.pop(message.operation, (-1, "", ""))
        if client in self._book.clients:
            self._answer(client, session, message, operation)

    def abandoned(self, session: str) -> None:
        """Tell those who asked a worker that is gone that it will not answer."""
        for inner, (client, operation, asked) in list(self._book.operations.items()):
            if asked == session:
                del self._book.operations[inner]
                if client in self._book.clients:
                    error = "the worker ended before it answered"
                    self._book.send(client, m.Operated(operation=operation, error=error))

    def _submit(self, client: int, message: m.Submit, now: float) -> None:
        flaw = _flaw(message)
        if flaw:
            self._book.refuse(client, "submit", message.run[:80], "bad-submit", flaw)
            return
        if message.run in self._book.removed:
            text = "this run has ended and was removed"
            self._book.refuse(client, "submit", message.run, "removed", text)
            return
        run = self._book.runs.get(message.run)
        if run is not None:
            self._submit_again(client, message, run)
            return
        if not self._refused(client, message, now):
            self._admit(client, message, now)

    def _reserve(self, client: int, message: m.Reserve, now: float) -> None:
        flaw = _flaw(message)
        if flaw:
            self._book.refuse(client, "reserve", message.run[:80], "bad-submit", flaw)
        elif not self._refused(client, message, now):
            self._book.reservations.make(client, _wanted(message), now)

    def _release(self, client: int, message: m.Release, now: float) -> None:
        self._book.reservations.release(client, message.run, now)

    def _refused(self, client: int, message: m.Submit | m.Reserve, now: float) -> bool:
        """Refuse what cannot run here, or not now; say whether that was so."""
        twin = self._twin(message)
        if twin is not None:
            text = f"run {twin.run} of this cell is still {twin.state}"
            detail = {"run": twin.run, "state": twin.state, "age": now - twin.since}
            self._book.refuse(client, message.kind, message.run, "same-cell", text, detail)
            return True
        word, text = self._forbidden(message)
        if word:
            self._book.refuse(client, message.kind, message.run, word, text)
        return bool(word)

    def _forbidden(self, message: m.Submit | m.Reserve) -> tuple[str, str]:
        """Return why a run can never begin here, by the host's policy or for want of another one.

        Two ``""`` where it can.
        """
        options = message.options
        for run, _whatever in options.get("after") or ():
            if run not in self._book.runs:
                text = f"it is to follow run {run[:8]}, which this host does not know"
                return "no-such-run", text
        return refusal(self._book.leases.bounds, options.get("mem") or 0, options.get("engine", ""))

    def _submit_again(self, client: int, message: m.Submit, run: Run) -> None:
        if run.digest != message.digest:
            text = "this run id was used before, for something else"
            self._book.refuse(client, "submit", message.run, "other-payload", text)
        elif run.purged:
            self._book.refuse(client, "submit", message.run, "purged", PURGED)
        elif run.state != "receiving":
            if run.detached:
                self._book.answer(client, run)
            else:
                self._book.follow(client, run, 0)
        elif run.detail["from"] != client:
            # It connected again before we saw its first connection end.
            self._receive(client, run, message)

    def _admit(self, client: int, message: m.Submit, now: float) -> None:
        inline = bool(message.buffers)
        if inline and digest_of(message.buffers) != message.digest:
            text = "the inputs arrived damaged"
            self._book.refuse(client, "submit", message.run, "damaged", text)
            return
        run = Run(
            run=message.run,
            session=message.session,
            digest=message.digest,
            size=message.size,
            blobs=sum(message.blobs.values()),
            origin=message.origin,
            options=dated(message.options, now + self._book.ahead),
            rank=message.rank,
            since=now,
        )
        run.detail["inline"] = inline
        self._book.add(run)
        self._open_session(client, message)
        self._book.do(e.OpenJournal(submit=message))
        self._book.do(e.Log(entry=run.entry()))
        if inline and not message.blobs:
            self._book.accept(run, now, client)
        else:
            self._receive(client, run, message)

    def _receive(self, client: int, run: Run, message: m.Submit) -> None:
        run.detail["from"] = client
        self._book.reservations.sent(run)
        self._book.follow(client, run, 0)
        self._book.do(
            e.Receive(
                client=client,
                run=run.run,
                size=run.size,
                digest=run.digest,
                # What stands in the journal is what came first.
                inline=run.detail["inline"],
                blobs=message.blobs,
                coming=message.coming,
                folder=self._book.sessions[run.session].folder,
            )
        )

    def _open_session(self, client: int, message: m.Submit) -> None:
        if message.session in self._book.sessions:
            return
        hello = self._book.clients[client]
        session = Session(
            session=message.session,
            client=hello.client,
            notebook=hello.notebook,
            environment=message.environment,
            own=bool(message.options.get("own")),
        )
        self._book.sessions[message.session] = session
        entry = {
            "session": session.session,
            "client": session.client,
            "notebook": session.notebook,
            "environment": session.environment,
            "own": session.own,
        }
        self._book.do(e.Log(entry=entry))

    def _twin(self, message: m.Submit | m.Reserve) -> Run | None:
        """Return a live run of the same cell of the same notebook, if that is to be refused."""
        where = (message.origin.get("notebook"), message.origin.get("cell"))
        if not all(where) or message.options.get("again"):
            return None
        group = message.options.get("group")
        for run in self._book.live():
            together = group and run.options.get("group") == group
            same = (run.origin.get("notebook"), run.origin.get("cell")) == where
            if same and not together:
                return run
        return None

    def _attach(self, client: int, message: m.Attach, _now: float) -> None:
        run = self._book.runs.get(message.run)
        if run is None or run.state == "receiving":
            # What is not all here is not accepted: its sender sends it again.
            text = "this host does not know that run"
            self._book.refuse(client, "attach", message.run, "unknown-run", text)
            return
        if run.purged:
            self._book.refuse(client, "attach", message.run, "purged", PURGED)
            return
        if run.live and not message.watch:
            run.epoch += 1
            self._book.do(e.Log(entry={"run": run.run, "epoch": run.epoch}))
            self._book.tell(run)
        self._book.follow(client, run, message.offset)

    def _cancel(self, client: int, message: m.Cancel, now: float) -> None:
        run = self._book.runs.get(message.run)
        if run is None or not run.live:
            return
        if message.epoch != run.epoch:
            text = "another notebook has attached to this run since"
            self._book.refuse(client, "cancel", run.run, "older-epoch", text)
        elif message.how not in STOPS:
            text = f"a run is stopped by {' or '.join(STOPS)}"
            self._book.refuse(client, "cancel", run.run, "not-available", text)
        elif run.state != "started":
            self._book.end(run, "cancelled", {"what": "cancelled before it was started"}, now)
            self._book.schedule(now)
        else:
            self._book.stop(run, message.how, now)

    def _input_reply(self, client: int, message: m.InputReply, _now: float) -> None:
        run = self._book.runs.get(message.run)
        if run is None or not run.asking:
            return
        if message.epoch != run.epoch:
            text = "another notebook has attached to this run since"
            self._book.refuse(client, "input-reply", run.run, "older-epoch", text)
            return
        run.asking = 0
        self._book.do(e.ToWorker(session=run.session, message=message))

    def _collected(self, _client: int, message: m.Collected, _now: float) -> None:
        run = self._book.runs.get(message.run)
        if run is not None and not run.live and not run.collected:
            run.collected = True
            self._book.do(e.Log(entry={"run": run.run, "collected": True}))
            is_file = run.size > m.INLINE or run.blobs or run.detail.get("file")
            if is_file and not message.keep:
                self._book.do(e.Forget(run=run.run))

    def _fetch(self, client: int, message: m.Fetch, _now: float) -> None:
        self._book.do(
            e.SendStored(
                client=client,
                stream=message.stream,
                subject=message.subject,
                what=message.what,
                offset=message.offset,
            )
        )

    def _list_runs(self, client: int, message: m.ListRuns, now: float) -> None:
        rows = [
            run.listed(now, self._book.leases.position(run.run)) for run in self._listed(message)
        ]
        self._book.send(client, m.Runs(buffers=(json.dumps(rows).encode(),)))

    def _listed(self, message: m.ListRuns) -> list[Run]:
        runs = self._book.runs
        if message.runs:
            return [runs[name] for name in map(str, message.runs) if name in runs]
        of = message.notebook
        return [run for run in runs.values() if not of or run.origin.get("notebook") == of]

    def _operate(self, client: int, message: m.Operate, _now: float) -> None:
        session = self._book.sessions.get(message.session)
        if message.action in FILES and ID.fullmatch(message.session):
            folder = folder_of(self._book.clients[client].notebook)
            self._book.do(e.Files(client=client, message=message, folder=folder))
        elif session is None or session.worker == "none":
            answer = m.Operated(operation=message.operation, error="this session has no worker")
            self._book.send(client, answer)
        elif message.action in ("restart", "close"):
            self._end_session(client, session, message)
        elif not session.listens:
            answer = m.Operated(operation=message.operation, error="its worker is not ready yet")
            self._book.send(client, answer)
        else:
            self._counter += 1
            inner = f"op-{self._counter}"
            self._book.operations[inner] = (client, message.operation, session.session)
            self._book.do(
                e.ToWorker(session=session.session, message=replace(message, operation=inner))
            )

    def _answer(self, client: int, session: str, message: m.Operated, operation: str) -> None:
        detail = dict(message.detail)
        if message.size and not message.buffers:
            detail["stored"] = message.operation
            self._book.do(e.Keep(session=session, subject=message.operation))
        self._book.send(client, replace(message, operation=operation, detail=detail))

    def _end_session(self, client: int, session: Session, message: m.Operate) -> None:
        run = self._book.holder(session.session)
        if run is not None:
            error = f"run {run.run} is still running there; cancel it first"
            self._book.send(client, m.Operated(operation=message.operation, error=error))
            return
        session.worker, session.reason = "ending", message.action
        self._book.do(e.EndWorker(session=session.session, polite=True))
        self._book.send(client, m.Operated(operation=message.operation))

    def _remove(self, client: int, message: m.Remove, _now: float) -> None:
        run = self._book.runs.get(message.run)
        if run is None:
            text = "this host does not know that run"
            self._book.refuse(client, "remove", message.run, "unknown-run", text)
        elif run.live:
            text = f"this run is still {run.state}; cancel it first"
            self._book.refuse(client, "remove", message.run, "live-run", text)
        else:
            self._book.drop(run)
            self._book.send(client, m.Removed(run=run.run))


def _wanted(message: m.Reserve) -> Waiting:
    """Return what the run to come asks the leases for."""
    coming = Run(
        run=message.run, session=message.session, digest="", size=0, options=message.options
    )
    return asking(coming)


def _flaw(message: m.Submit | m.Reserve) -> str:
    """Return what is wrong with a submission, or ``""``: it is kept, and read at each start."""
    if not (ID.fullmatch(message.run) and ID.fullmatch(message.session)):
        return "an id is 32 hexadecimal digits"
    if isinstance(message, m.Submit) and not 0 <= message.size <= _LARGEST:
        return "its size is no number of bytes"
    if isinstance(message, m.Submit) and not are_sound(message.blobs, message.coming):
        return "its blobs are no sizes by digest"
    for name in ("timeout", "wait"):
        if type(message.options.get(name, 0)) not in (int, float, type(None)):
            return f"{name} is a number of seconds"
    mem = message.options.get("mem")
    if mem is not None and (type(mem) is not int or mem < 0):
        return "mem is a number of bytes"
    priority = message.options.get("priority")
    if priority is not None and (type(priority) is not int or not LEAST <= priority <= MOST):
        return f"a priority is a whole number from {LEAST} to {MOST}"
    if not isinstance(message.options.get("engine", ""), str):
        return "an engine is a name"
    python = message.environment.get("python", "") if isinstance(message, m.Submit) else ""
    if not isinstance(python, str) or "\x00" in python:
        return "an environment's python is a path"
    return flaw(message.options)
