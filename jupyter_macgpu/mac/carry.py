"""Carries out what the supervisor decided: the only place where its effects become IO.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from . import effects as e
from . import streams
from .journal import Journal, RunLog
from .lanes import Lanes
from .transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from . import store
    from .client import Client
    from .supervisor import Supervisor
    from .workers import Worker


#: What may stand in a file's name: a run's id or an operation's.
NAME = re.compile(r"[0-9a-f]{32}|op-[0-9]{1,12}")


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
        What is open, by run; inputs that no worker has yet.
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
        self.journals: dict[str, Journal] = {}
        self.bundles: dict[str, m.Buffers] = {}
        self.files = Transfers(place)
        self.lanes = Lanes(self.clients, self.files, self._uploaded)
        self.log = RunLog(place.log)
        self.leaving = False
        self._spare = -1
        self._frame = b""
        # Texts, since each step of a `Path` costs more than the renaming that it is for.
        self._spare_path = str(place.spare)
        self._runs = str(place.spare.parent)
        self._start_worker = start_worker

    def carry(self, effects: Iterable[e.Effect]) -> None:
        """Carry out effects in their order; entries of the log that meet are written at once."""
        for kind, alike in itertools.groupby(effects, type):
            if kind is e.Log:
                self._log(list(alike))  # type: ignore[arg-type]
                continue
            act = getattr(self, f"_{kind.__name__.lower()}")
            for effect in alike:
                act(effect)

    def _folder(self, session: str) -> str:
        """Return the name of a session's working folder."""
        known = self.mind.sessions.get(session)
        return session if known is None else known.folder

    def submit(self, client: Client, message: m.Submit, now: float) -> None:
        """Take a submission; a disk that cannot keep it refuses it whole."""
        self._frame = client.endpoint.connection.frame
        try:
            self.carry(self.mind.message(client.number, message, now))
        except OSError as error:
            self.carry(self.mind.forget(message.run))
            text = f"the run could not be written down: {error}"
            refused = m.Refused(about="submit", subject=message.run, reason="disk", text=text)
            client.endpoint.send(refused)
        finally:
            self._frame = b""

    def pump(self, client: Client, now: float) -> None:
        """Send a client what it has room for."""
        if client.endpoint.gone or client.endpoint.congested:
            return
        for run, (follower, epoch) in list(client.streams.followers.items()):
            for message in follower.more(epoch, now):
                client.endpoint.send(message)
            if follower.finished:
                del client.streams.followers[run]
        for stream in list(client.streams.outgoing.values()):
            for message in stream.more(now):
                client.endpoint.send(message)
            if stream.over:
                client.streams.outgoing.pop(stream.stream).close()

    def tidy(self) -> None:
        """Close the journals that nobody writes or reads; delete folders that nobody uses."""
        self.files.tidy({self._folder(session) for session in self.workers})
        read = {run for client in self.clients.values() for run in client.streams.followers}
        for run in [run for run, file in self.journals.items() if file.closed]:
            if run not in read:
                self.journals.pop(run).close()

    def close(self) -> None:
        """Let go of all descriptors."""
        for client in self.clients.values():
            client.streams.close()
            client.endpoint.close()
        for worker in self.workers.values():
            worker.close()
        for journal in self.journals.values():
            journal.close()
        self.log.close()
        if self._spare >= 0:
            os.close(self._spare)

    # Journals.

    def journal(self, run: str) -> Journal:
        """Return a run's journal, opened once."""
        if run not in self.journals:
            self.journals[run] = Journal(self.place.journal(run), run)
        return self.journals[run]

    def new_journal(self, run: str) -> Journal:
        """Return the journal of a run that is new."""
        path, fd = f"{self._runs}/{run}.journal", self._spare
        self._spare = -1
        if fd >= 0:
            try:
                # Renaming a file costs a seventh of making one.
                os.rename(self._spare_path, path)  # noqa: PTH104
            except OSError:
                os.close(fd)
                fd = -1
        self.journals[run] = file = Journal(path, run, fd)
        return file

    def make_spare(self) -> None:
        """Make the next journal's file while nobody waits for it."""
        if self._spare < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with contextlib.suppress(OSError):
                self._spare = os.open(self._spare_path, flags, 0o600)

    def _uploaded(self, run: str, now: float, problem: str) -> None:
        self.carry(self.mind.uploaded(run, now, problem))

    # One method an effect.

    def _send(self, effect: e.Send) -> None:
        if effect.client in self.clients:
            self.clients[effect.client].endpoint.send(effect.message)

    def _log(self, effects: list[e.Log]) -> None:
        for effect in effects:
            if effect.durable and effect.entry["run"] in self.journals:
                # The log must not know a run of which nothing else is left.
                self.journals[effect.entry["run"]].sync()
        durable = any(effect.durable for effect in effects)
        self.log.append(*(effect.entry for effect in effects), durable=durable)

    def _openjournal(self, effect: e.OpenJournal) -> None:
        journal = self.new_journal(effect.submit.run)
        journal.submit(effect.submit, self._frame)
        if effect.submit.buffers:
            self.bundles[effect.submit.run] = effect.submit.buffers

    def _append(self, effect: e.Append) -> None:
        journal = self.journal(effect.run)
        event = m.Event(
            run=effect.run,
            mark=effect.mark,
            what=effect.what,
            content=effect.content,
            buffers=effect.buffers,
        )
        output = journal.append(event)
        if output is None:
            return
        for client in self.clients.values():
            follower, _ = client.streams.followers.get(effect.run, (None, 0))
            if follower is not None and not client.endpoint.congested:
                fresh = follower.fresh(output, self.now())
                if fresh is not None:
                    client.endpoint.send(fresh)

    def _finish(self, effect: e.Finish) -> None:
        journal = self.journal(effect.run)
        if journal.dropped:
            text = f"{journal.dropped:,} bytes of output are over the limit and not kept"
            self._append(e.Append(run=effect.run, what="notice", content={"text": text}))
        run = self.mind.runs[effect.run]
        session = run.session
        if effect.path:
            self._keep(e.Keep(session=session, subject=effect.run))
        end = journal.finish(
            m.End(
                run=effect.run,
                epoch=run.epoch,
                state=effect.state,
                offset=0,
                digest="",
                summary=effect.summary | self.files.wrote(self._folder(session)),
                size=effect.size,
                result=effect.result,
                buffers=effect.buffers,
            )
        )
        self.bundles.pop(effect.run, None)
        for client in self.clients.values():
            if (upload := client.streams.incoming.pop(f"in:{effect.run}", None)) is not None:
                upload.close()
            follower, epoch = client.streams.followers.get(effect.run, (None, 0))
            if follower is not None and not client.endpoint.congested and follower.ended(end):
                if epoch == end.epoch:
                    client.endpoint.send(end, journal.last)
                else:
                    client.endpoint.send(replace(end, epoch=epoch))
                client.endpoint.flush()

    def _receive(self, effect: e.Receive) -> None:
        client = self.clients[effect.client]
        path = self.place.inputs(effect.run)
        stream = f"in:{effect.run}"
        client.streams.taken.pop(stream, None)
        client.streams.incoming[stream] = streams.Incoming(path, effect.size, effect.digest)

    def _follow(self, effect: e.Follow) -> None:
        client = self.clients.get(effect.client)
        if client is None:
            return
        journal = self.journal(effect.run)
        follower = streams.Follower(journal, effect.offset)
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
        for client in self.clients.values():
            if effect.run in client.streams.followers:
                client.endpoint.send(
                    m.RunState(
                        run=effect.run,
                        epoch=effect.epoch,
                        state=effect.state,
                        position=effect.position,
                        wait=effect.wait,
                        detail=effect.detail,
                    )
                )

    def _sendstored(self, effect: e.SendStored) -> None:
        client = self.clients.get(effect.client)
        if client is None:
            return
        source, size = self._stored(effect.subject, effect.what)
        if source is None:
            text = f"the {effect.what} of {effect.subject} are not kept here any more"
            refused = m.Refused(about="fetch", subject=effect.subject, reason="not-kept", text=text)
            client.endpoint.send(refused)
            return
        client.streams.outgoing[effect.stream] = streams.Outgoing(effect.stream, source, size)

    def _keep(self, effect: e.Keep) -> None:
        place = self.place
        source = place.worker(effect.session) / "results" / f"{effect.subject}.result"
        # A supervisor that died behind this line took it already.
        with contextlib.suppress(FileNotFoundError):
            source.replace(place.result(effect.subject))

    def _stored(self, subject: str, what: str) -> tuple[Any, int]:
        place = self.place
        if not NAME.fullmatch(subject) or what not in ("result", "inputs"):
            return None, 0
        path = {"result": place.result, "inputs": place.inputs}[what](subject)
        if path.exists():
            return path, path.stat().st_size
        if what == "inputs" and place.journal(subject).exists():
            whole = b"".join(self.journal(subject).first().buffers)
            return (memoryview(whole), len(whole)) if whole else (None, 0)
        return None, 0

    def _files(self, effect: e.Files) -> None:
        if effect.client in self.clients:
            self.files.do(self.clients[effect.client], effect)

    def _startworker(self, effect: e.StartWorker) -> None:
        self._start_worker(effect.session, effect.environment)

    def _toworker(self, effect: e.ToWorker) -> None:
        if effect.session in self.workers:
            self.workers[effect.session].send(effect.message)

    def _execute(self, effect: e.Execute) -> None:
        buffers, path, size = self.bundles.pop(effect.run, None), "", 0
        if buffers is None:
            file = self.place.inputs(effect.run)
            if file.exists():
                path, size = str(file), file.stat().st_size
            else:
                buffers = self.journal(effect.run).first().buffers
        worker = self.workers[effect.session]
        self.files.begin(self._folder(effect.session))
        worker.send(
            m.Execute(
                run=effect.run,
                epoch=effect.epoch,
                path=path,
                size=size,
                options=effect.options,
                buffers=buffers or (),
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
        if effect.journal:
            self._unfollow(effect.run)
            if effect.run in self.journals:
                self.journals.pop(effect.run).close()
            place.journal(effect.run).unlink(missing_ok=True)

    def _unfollow(self, run: str) -> None:
        refused = m.Refused(
            about="attach", subject=run, reason="removed", text="this run was removed"
        )
        for client in self.clients.values():
            if client.streams.followers.pop(run, None) is not None:
                client.endpoint.send(refused)

    def _exit(self, _effect: e.Exit) -> None:
        self.leaving = True
