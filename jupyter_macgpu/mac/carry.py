"""Carries out what the supervisor decided: the only place where its effects become IO.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import messages as m
from . import effects as e
from . import streams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .serve import Client, Server


#: What may stand in a file's name: a run's id or an operation's.
NAME = re.compile(r"[0-9a-f]{32}|op-[0-9]{1,12}")


class ClientStreams:
    """What is under way to and from one client."""

    def __init__(self) -> None:
        self.followers: dict[str, tuple[streams.Follower, int]] = {}
        self.outgoing: dict[str, streams.Outgoing] = {}
        self.incoming: dict[str, streams.Incoming] = {}

    def close(self) -> None:
        """Close all files."""
        for stream in (*self.outgoing.values(), *self.incoming.values()):
            stream.close()


class Carrier:
    """The supervisor's hands."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def carry(self, effects: Iterable[e.Effect]) -> None:
        """Carry out effects in their order."""
        for effect in effects:
            getattr(self, f"_{type(effect).__name__.lower()}")(effect)

    def submit(self, client: Client, message: m.Submit, now: float) -> None:
        """Take a submission; a disk that cannot keep it refuses it whole."""
        server = self._server
        try:
            server.do(server.mind.message(client.number, message, now))
        except OSError as error:
            server.do(server.mind.forget(message.run))
            text = f"the run could not be written down: {error}"
            refused = m.Refused(about="submit", subject=message.run, reason="disk", text=text)
            client.endpoint.send(refused)

    def bulk(self, client: Client, message: m.Message, now: float) -> None:
        """Take an acknowledgement, a credit, or bytes of an upload."""
        on = client.streams
        if isinstance(message, m.Ack):
            if message.run in on.followers:
                on.followers[message.run][0].acknowledge(message.offset, now)
        elif isinstance(message, m.Credit):
            if message.stream in on.outgoing:
                on.outgoing[message.stream].credit(message.offset, now)
                if on.outgoing[message.stream].done:
                    on.outgoing.pop(message.stream).close()
        elif isinstance(message, m.Part) and message.stream in on.incoming:
            self._part(client, message, now)

    def pump(self, client: Client, now: float) -> None:
        """Send a client what it has room for."""
        if client.endpoint.gone or client.endpoint.congested:
            return
        for run, (follower, epoch) in list(client.streams.followers.items()):
            for message in follower.more(epoch, now):
                client.endpoint.send(message)
            if follower.finished:
                del client.streams.followers[run]
        for stream in client.streams.outgoing.values():
            for message in stream.more(now):
                client.endpoint.send(message)

    def tidy(self) -> None:
        """Close the journals that nobody writes or reads."""
        server = self._server
        read = {run for client in server.clients.values() for run in client.streams.followers}
        for run in [run for run, file in server.journals.items() if file.closed]:
            if run not in read:
                server.journals.pop(run).close()

    def _part(self, client: Client, message: m.Part, now: float) -> None:
        incoming = client.streams.incoming[message.stream]
        run = message.stream.removeprefix("in:")
        try:
            problem = incoming.take(message)
            if not problem and incoming.done:
                problem = incoming.finish()
        except OSError as error:
            problem = f"the inputs could not be written: {error}"
        client.endpoint.send(m.Credit(stream=message.stream, offset=incoming.offset))
        if problem or incoming.done:
            client.streams.incoming.pop(message.stream).close()
            self._server.do(self._server.mind.uploaded(run, now, problem))

    # One method an effect.

    def _send(self, effect: e.Send) -> None:
        if effect.client in self._server.clients:
            self._server.clients[effect.client].endpoint.send(effect.message)

    def _log(self, effect: e.Log) -> None:
        self._server.log.append(effect.entry, effect.durable)

    def _openjournal(self, effect: e.OpenJournal) -> None:
        journal = self._server.new_journal(effect.submit.run)
        journal.submit(effect.submit)
        if effect.submit.buffers:
            self._server.bundles[effect.submit.run] = effect.submit.buffers

    def _append(self, effect: e.Append) -> None:
        journal = self._server.journal(effect.run)
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
        for client in self._server.clients.values():
            follower, _ = client.streams.followers.get(effect.run, (None, 0))
            if follower is not None and not client.endpoint.congested:
                fresh = follower.fresh(output, self._server.now())
                if fresh is not None:
                    client.endpoint.send(fresh)

    def _finish(self, effect: e.Finish) -> None:
        server = self._server
        journal = server.journal(effect.run)
        if journal.dropped:
            text = f"{journal.dropped:,} bytes of output are over the limit and not kept"
            self._append(e.Append(run=effect.run, what="notice", content={"text": text}))
        if effect.path:
            session = server.mind.runs[effect.run].session
            self._keep(e.Keep(session=session, subject=effect.run))
        end = journal.finish(
            m.End(
                run=effect.run,
                epoch=0,
                state=effect.state,
                offset=0,
                digest="",
                summary=effect.summary,
                size=effect.size,
                result=effect.result,
                buffers=effect.buffers,
            )
        )
        server.bundles.pop(effect.run, None)
        for client in server.clients.values():
            if (upload := client.streams.incoming.pop(f"in:{effect.run}", None)) is not None:
                upload.close()
            follower, epoch = client.streams.followers.get(effect.run, (None, 0))
            if follower is not None and not client.endpoint.congested and follower.ended(end):
                client.endpoint.send(replace(end, epoch=epoch))

    def _receive(self, effect: e.Receive) -> None:
        client = self._server.clients[effect.client]
        path = self._server.place.inputs(effect.run)
        stream = f"in:{effect.run}"
        client.streams.incoming[stream] = streams.Incoming(path, effect.size, effect.digest)

    def _follow(self, effect: e.Follow) -> None:
        client = self._server.clients.get(effect.client)
        if client is None:
            return
        journal = self._server.journal(effect.run)
        follower = streams.Follower(journal, effect.offset)
        client.streams.followers[effect.run] = (follower, effect.epoch)
        client.endpoint.send(
            m.RunState(
                run=effect.run,
                epoch=effect.epoch,
                state=effect.state,
                position=effect.position,
                offset=follower.position,
                detail={**effect.detail, "end": journal.end},
            )
        )

    def _tell(self, effect: e.Tell) -> None:
        for client in self._server.clients.values():
            if effect.run in client.streams.followers:
                client.endpoint.send(
                    m.RunState(
                        run=effect.run,
                        epoch=effect.epoch,
                        state=effect.state,
                        position=effect.position,
                        detail=effect.detail,
                    )
                )

    def _sendstored(self, effect: e.SendStored) -> None:
        client = self._server.clients.get(effect.client)
        if client is None:
            return
        source, size = self._stored(effect.subject, effect.what)
        if source is None:
            text = f"the {effect.what} of {effect.subject} are not kept here any more"
            refused = m.Refused(about="fetch", subject=effect.subject, reason="not-kept", text=text)
            client.endpoint.send(refused)
            return
        client.streams.outgoing[effect.stream] = streams.Outgoing(effect.stream, source, 0, size)

    def _keep(self, effect: e.Keep) -> None:
        place = self._server.place
        source = place.worker(effect.session) / "results" / f"{effect.subject}.result"
        # A supervisor that died behind this line took it already.
        with contextlib.suppress(FileNotFoundError):
            source.replace(place.result(effect.subject))

    def _stored(self, subject: str, what: str) -> tuple[Any, int]:
        place = self._server.place
        if not NAME.fullmatch(subject) or what not in ("result", "inputs"):
            return None, 0
        path = {"result": place.result, "inputs": place.inputs}[what](subject)
        if path.exists():
            return path, path.stat().st_size
        if what == "inputs" and place.journal(subject).exists():
            whole = b"".join(self._server.journal(subject).first().buffers)
            return (memoryview(whole), len(whole)) if whole else (None, 0)
        return None, 0

    def _startworker(self, effect: e.StartWorker) -> None:
        self._server.start_worker(effect.session, effect.environment)

    def _toworker(self, effect: e.ToWorker) -> None:
        if effect.session in self._server.workers:
            self._server.workers[effect.session].send(effect.message)

    def _execute(self, effect: e.Execute) -> None:
        server = self._server
        path = server.place.inputs(effect.run)
        buffers = server.bundles.pop(effect.run, None)
        if buffers is None and not path.exists():
            buffers = server.journal(effect.run).first().buffers
        server.workers[effect.session].send(
            m.Execute(
                run=effect.run,
                epoch=effect.epoch,
                path="" if buffers is not None else str(path),
                size=0 if buffers is not None else path.stat().st_size,
                options=effect.options,
                buffers=buffers or (),
            )
        )

    def _interrupt(self, effect: e.Interrupt) -> None:
        if effect.session in self._server.workers:
            self._server.workers[effect.session].interrupt(effect.run, effect.epoch)

    def _endworker(self, effect: e.EndWorker) -> None:
        worker = self._server.workers.get(effect.session)
        if worker is not None:
            worker.end(self._server.now(), polite=effect.polite)

    def _forget(self, effect: e.Forget) -> None:
        place = self._server.place
        place.inputs(effect.run).unlink(missing_ok=True)
        place.result(effect.run).unlink(missing_ok=True)
        if effect.journal:
            if effect.run in self._server.journals:
                self._server.journals.pop(effect.run).close()
            # With it the half of an upload that an earlier supervisor left.
            for path in place.journal(effect.run).parent.glob(f"{effect.run}*"):
                path.unlink(missing_ok=True)

    def _exit(self, _effect: e.Exit) -> None:
        self._server.leaving = True
