"""Carries out what the supervisor decided: the only place where its effects become IO.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from . import backlog, streams
from . import effects as e
from .blobs import Blobs
from .intake import Intake
from .journal import Journal, RunLog
from .journals import Journals
from .lanes import Lanes
from .transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from . import store
    from .client import Client
    from .supervisor import Supervisor
    from .workers import Worker


class Carrier:
    """The supervisor's hands, and what they hold.

    Parameters
    ----------
    place
        The store.
    mind
        What decides.
    now
        The time in seconds.
    start_worker
        Starts the worker of a session in an environment.

    Attributes
    ----------
    clients, workers
        Who is connected, by number; the living workers, by session.
    journals, bundles
        Output on the disk; inputs that no worker has yet, by run.
    blobs
        What is kept of inputs, so that it need not be sent again.
    backlog
        What the disk did not take.
    """

    def __init__(
        self,
        place: store.Store,
        mind: Supervisor,
        now: Callable[[], float],
        start_worker: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self.place = place
        self.mind = mind
        self.now = now
        self.clients: dict[int, Client] = {}
        self.workers: dict[str, Worker] = {}
        self.journals = Journals(place)
        self.bundles: dict[str, m.Buffers] = {}
        self.files = Transfers(place)
        self.blobs = Blobs(place, now)
        self.intake = Intake(place, self.blobs, self._uploaded)
        self.lanes = Lanes(self.clients, self.files, self.intake.over)
        self.log = RunLog(place.log)
        self.backlog = backlog.Backlog()
        self.leaving = False
        self._frame = b""
        self._told: dict[str, int] = {}
        self._start_worker = start_worker

    def carry(self, effects: Iterable[e.Effect]) -> None:
        """Carry out effects in their order; what the disk does not take is kept for `retry`."""
        todo = self.backlog.pass_on(effects)
        while todo:
            try:
                self._carry(todo)
            except OSError as error:
                todo = self._keep_back(todo, error)

    def retry(self) -> None:
        """Try again what the disk did not take; when all of it is done, let everybody go on."""
        if not self.backlog:
            return
        self.blobs.make_room(0)
        waiting = self.backlog.take()
        try:
            self._carry(waiting)
        except OSError as error:
            self.carry(self.backlog.keep(waiting, error))
            return
        self._tell_trouble()
        for worker in list(self.workers.values()):
            worker.go_on()

    def _carry(self, todo: deque[e.Effect]) -> None:
        """Carry out effects; those that are done leave `todo`.

        Raises
        ------
        OSError
            If the disk does not take the first one that is left.
        """
        while todo:
            if isinstance(todo[0], e.Log):
                # Entries that meet are written at once.
                entries = backlog.first_entries(todo)
                self._log(entries)
                for _ in entries:
                    todo.popleft()
            else:
                self._do(todo[0])
                todo.popleft()

    def _do(self, effect: e.Effect) -> None:
        getattr(self, f"_{type(effect).__name__.lower()}")(effect)

    def _keep_back(self, todo: deque[e.Effect], error: OSError) -> deque[e.Effect]:
        """Keep what failed and what depends on it; return what may be done all the same."""
        first = not self.backlog
        past = self.backlog.keep(todo, error)
        if first:
            self._tell_trouble()
        return past

    def _tell_trouble(self) -> None:
        """Tell all who follow a run why it waits, or that it goes on."""
        followed = {run for client in self.clients.values() for run in client.streams.followers}
        for run in [self.mind.runs[run] for run in followed if run in self.mind.runs]:
            # The mind may be ahead: a newer epoch may be among what waits.
            epoch, detail = self._told.get(run.run, 1), {"trouble": self.backlog.trouble}
            self._tell(e.Tell(run=run.run, epoch=epoch, state=run.state, detail=detail))

    def _folder(self, session: str) -> str:
        """Return the name of a session's working folder."""
        known = self.mind.sessions.get(session)
        return session if known is None else known.folder

    def submit(self, client: Client, message: m.Submit, now: float) -> None:
        """Take a submission; a disk that cannot keep it refuses it whole."""
        if message.run not in self.mind.runs and (problem := self._full(message)):
            self._refuse(client.number, message.run, problem)
            return
        self._frame = client.endpoint.connection.frame
        try:
            self._begin(client.number, message.run, self.mind.message(client.number, message, now))
        finally:
            self._frame = b""

    def _begin(self, client: int, run: str, effects: Iterable[e.Effect]) -> None:
        """Carry out what a submission led to; unmake the run if that cannot be written down."""
        todo = self.backlog.pass_on(effects)
        try:
            self._carry(todo)
        except OSError as error:
            if not backlog.begins_with_record_of(todo, run):
                self.carry(self._keep_back(todo, error))
                return
            self.carry(backlog.without(todo, run))
            self.carry(self.mind.forget(run, self.now()))
            self._refuse(client, run, f"the run could not be written down: {error}")

    def _full(self, message: m.Submit) -> str:
        if self.backlog:
            return f"its disk takes nothing now ({self.backlog.trouble}): {self.place.root}"
        size = self.blobs.lacking(self._folder(message.session), message.blobs)
        return self.blobs.make_room(message.size + size)

    def _refuse(self, client: int, run: str, text: str) -> None:
        refused = m.Refused(about="submit", subject=run, reason="disk", text=text)
        self._send(e.Send(client=client, message=refused))

    def tidy(self) -> None:
        """Close the journals that nobody writes or reads; delete folders that nobody uses."""
        self.files.tidy({self._folder(session) for session in self.workers})
        self.blobs.tidy()
        self.journals.settle({run.run for run in self.mind.jobs()}, self.now())
        read = {run for client in self.clients.values() for run in client.streams.followers}
        self.journals.tidy(read)

    def close(self) -> None:
        """Let go of all descriptors."""
        for client in self.clients.values():
            client.streams.close()
            client.endpoint.close()
        for worker in self.workers.values():
            worker.close()
        self.journals.close()
        self.log.close()

    def journal(self, run: str) -> Journal:
        """Return a run's journal, opened once."""
        return self.journals.get(run)

    def _uploaded(self, run: str, problem: str) -> None:
        known = self.mind.runs.get(run)
        client = known.detail.get("from", -1) if known is not None else -1
        self._begin(client, run, self.mind.uploaded(run, self.now(), problem))

    # One method an effect.

    def _send(self, effect: e.Send) -> None:
        if effect.client in self.clients:
            self.clients[effect.client].endpoint.send(effect.message)

    def _log(self, effects: list[e.Log]) -> None:
        for effect in effects:
            if effect.durable:
                # The log must not know a run of which nothing else is left.
                self.journals.sync(effect.entry["run"])
                self.place.settle(effect.entry["run"])
        durable = any(effect.durable for effect in effects)
        at = round(time.time(), 3)
        self.log.append(*(effect.entry | {"at": at} for effect in effects), durable=durable)

    def _openjournal(self, effect: e.OpenJournal) -> None:
        journal = self.journals.new(effect.submit.run)
        journal.submit(effect.submit, self._frame)
        if effect.submit.buffers:
            self.bundles[effect.submit.run] = effect.submit.buffers

    def _copysubmit(self, effect: e.CopySubmit) -> None:
        self.blobs.copy(effect.source, effect.run)
        self.journals.copy(effect.run, effect.source, effect.options)

    def _append(self, effect: e.Append) -> None:
        if effect.run not in self.mind.runs:
            return  # it was removed while its output waited for the disk
        journal = self.journal(effect.run)
        event = m.Event(
            run=effect.run,
            mark=effect.mark,
            what=effect.what,
            content=effect.content,
            buffers=effect.buffers,
        )
        output = journal.append(event)
        if output is not None:
            self._spread(output)

    def _spread(self, output: m.Output) -> None:
        """Send a record that was just written to those who follow its run."""
        for client in self.clients.values():
            follower, _ = client.streams.followers.get(output.run, (None, 0))
            if follower is not None and not client.endpoint.congested:
                fresh = follower.fresh(output, self.now())
                if fresh is not None:
                    client.endpoint.send(fresh)

    def _finish(self, effect: e.Finish) -> None:
        if effect.run not in self.mind.runs:
            return
        journal = self.journal(effect.run)
        for output in journal.rest():
            self._spread(output)
        run = self.mind.runs[effect.run]
        if effect.path:
            self.journals.keep(run.session, effect.run)
        end = journal.finish(
            m.End(
                run=effect.run,
                epoch=run.epoch,
                state=effect.state,
                offset=0,
                digest="",
                summary=self.mind.meter.told(effect.run, effect.summary, self.now())
                | self.files.wrote(self._folder(run.session)),
                size=effect.size,
                result=effect.result,
                buffers=effect.buffers,
            )
        )
        self.bundles.pop(effect.run, None)
        self.intake.forget(effect.run)
        for client in self.clients.values():
            follower, epoch = client.streams.followers.get(effect.run, (None, 0))
            if follower is not None and not client.endpoint.congested and follower.ended(end):
                if epoch == end.epoch:
                    client.endpoint.send(end, journal.last)
                else:
                    client.endpoint.send(replace(end, epoch=epoch))
                client.endpoint.flush()

    def _receive(self, effect: e.Receive) -> None:
        self.intake.begin(self.clients[effect.client], effect)

    def _follow(self, effect: e.Follow) -> None:
        client = self.clients.get(effect.client)
        if client is None:
            return
        journal = self.journal(effect.run)
        follower = streams.Follower(journal, effect.offset)
        self._told[effect.run] = effect.epoch
        client.streams.followers[effect.run] = (follower, effect.epoch)
        client.endpoint.send(
            m.RunState(
                run=effect.run,
                epoch=effect.epoch,
                state=effect.state,
                position=effect.position,
                wait=effect.wait,
                offset=follower.position,
                detail={**effect.detail, "end": journal.end},
            )
        )

    def _tell(self, effect: e.Tell) -> None:
        self._told[effect.run] = effect.epoch
        for client in self.clients.values():
            if effect.run in client.streams.followers:
                client.endpoint.send(m.RunState(**effect.said()))

    def _sendstored(self, effect: e.SendStored) -> None:
        client = self.clients.get(effect.client)
        if client is None:
            return
        source, size = self.journals.stored(effect.subject, effect.what)
        if source is None:
            text = f"the {effect.what} of {effect.subject} are not kept here any more"
            refused = m.Refused(about="fetch", subject=effect.subject, reason="not-kept", text=text)
            client.endpoint.send(refused)
            return
        client.streams.outgoing[effect.stream] = streams.Outgoing(effect.stream, source, size)

    def _keep(self, effect: e.Keep) -> None:
        self.journals.keep(effect.session, effect.subject)

    def _files(self, effect: e.Files) -> None:
        if effect.client in self.clients:
            self.files.do(self.clients[effect.client], effect)

    def _startworker(self, effect: e.StartWorker) -> None:
        self._start_worker(effect.session, effect.environment)

    def _toworker(self, effect: e.ToWorker) -> None:
        if effect.session in self.workers:
            self.workers[effect.session].send(effect.message)

    def _execute(self, effect: e.Execute) -> None:
        run, worker = self.mind.runs.get(effect.run), self.workers.get(effect.session)
        if run is None or run.state != "started" or worker is None:
            return  # it ended while the record of its start waited for the disk
        apart = worker.hello is not None and "blobs" in worker.hello.capabilities
        inputs = self.journals.given(run, self.bundles.pop(effect.run, None), apart=apart)
        self.files.begin(self._folder(effect.session))
        worker.send(
            m.Execute(
                run=effect.run,
                epoch=effect.epoch,
                options=effect.options,
                **inputs,
            )
        )
        # At once: the cell waits for nothing that is still to be said to others.
        worker.flush()
        self.files.began(self._folder(effect.session))

    def _interrupt(self, effect: e.Interrupt) -> None:
        if effect.session in self.workers:
            self.workers[effect.session].interrupt(effect.run, effect.epoch)

    def _endworker(self, effect: e.EndWorker) -> None:
        worker = self.workers.get(effect.session)
        if worker is not None:
            worker.end(self.now(), polite=effect.polite)

    def _forget(self, effect: e.Forget) -> None:
        place = self.place
        place.inputs(effect.run).unlink(missing_ok=True)
        place.result(effect.run).unlink(missing_ok=True)
        self.intake.forget(effect.run)
        self.blobs.give_back(effect.run)
        if effect.journal:
            self._unfollow(effect.run)
            self._told.pop(effect.run, None)
            self.journals.drop(effect.run)

    def _unfollow(self, run: str) -> None:
        refused = m.Refused(
            about="attach", subject=run, reason="removed", text="this run was removed"
        )
        for client in self.clients.values():
            if client.streams.followers.pop(run, None) is not None:
                client.endpoint.send(refused)

    def _exit(self, _effect: e.Exit) -> None:
        self.leaving = True
