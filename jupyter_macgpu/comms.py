"""Remote widgets in this kernel: each comm of a worker is a comm of the kernel's own.

What a worker's comm says comes with its run's output, or over the session's line (`commline`)
between runs; it is said to the front end by a real comm of the same id. What the front end answers
goes to the worker, which calls the widget's callbacks. As with a local widget, the kernel waits
for them, and what they print belongs to the front end's message; a worker that is in a run hears it
when that has ended, and nobody waits.

The worker numbers what its comms say. So the two ways can be put into one order, and where a number
is missing, the widgets are asked for their state.
"""

from __future__ import annotations

import contextvars
import itertools
import json
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from .commline import CommLine
from .link import Link
from .outputs import Publisher
from .widgetstates import CONTROL, WIDGET, WidgetState, add_states, merged
from .wire import messages as m
from .wire.content import PIECE, cut
from .wire.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

#: Seconds that a missing number may take, since it comes another way.
_GAP = 0.5


class Remote:
    """One comm of a worker, in this kernel.

    Attributes
    ----------
    late
        Number of what the front end said and the worker has not heard yet, or 0.
    pending
        What the front end has said since.
    """

    def __init__(self, line: CommLine, comm: Any) -> None:
        self.line = line
        self.comm = comm
        self.widget = WidgetState()
        self.late = 0
        self.pending: list[dict[str, Any]] = []


class Comms:
    """The remote comms of this kernel.

    Parameters
    ----------
    shell
        The notebook's shell, in a kernel.
    notice
        Shows a line of ours.
    """

    def __init__(self, shell: InteractiveShell, notice: Callable[[str], None]) -> None:
        self._shell: Any = shell
        self._notice = notice
        self._remotes: dict[str, Remote] = {}
        self._lines: dict[str, CommLine] = {}
        self._publishers: dict[str, Publisher] = {}
        self._next: dict[str, int] = {}
        self._order = threading.Condition()
        self._numbers = itertools.count(1)
        #: What the front end said and the worker has not done, oldest first.
        self._undone: dict[int, tuple[Remote, dict[str, Any]]] = {}
        self._said: set[str] = set()
        self._local_control: Any = None

    def take(self, link: Link, content: dict[str, Any], buffers: m.Buffers) -> None:
        """Do what a record of kind ``comm`` in the output of a run over `link` says."""
        session = str(content.get("session"))
        line = self._lines.get(session)
        if line is None or line.over:
            own = Link(link.transport, link.client, link.notebook)
            line = self._lines[session] = CommLine(own, session, self._hear)
            self._publishers[session] = Publisher(self._shell, self._notice)
            self._publishers[session].comm = partial(self._apply, line)
        self._apply(line, content, buffers)
        line.start()

    def close(self) -> None:
        """End all lines; the workers' own ends are closed with the workers."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.close()

    # What comes from the worker.

    def _hear(self, line: CommLine, message: m.Comm) -> None:
        if message.action == "gone":
            self._end(line)
        elif message.action == "busy":
            number = int(message.content.get("number") or 0)
            self._say_once(
                message.run,
                f"{line.link.host} is in run {message.run[:8]}: widgets wait for its end",
            )
            line.settle(number, "busy")
        elif message.action == "shown":
            parent = next((p for r, p in self._undone.values() if r.line is line), None)
            contextvars.copy_context().run(self._show, line, message, parent)

    def _show(self, line: CommLine, message: m.Comm, parent: dict[str, Any] | None) -> None:
        """Show a record as an answer to the front end's message `parent`."""
        if parent is not None:
            self._shell.set_thread_parent(parent)
            self._shell.kernel._shell_parent.set(parent)
        what, content = str(message.content.get("what")), message.content.get("content") or {}
        publisher = self._publishers[line.session]
        record = m.Output(
            run="", start=0, end=0, what=what, content=content, buffers=message.buffers
        )
        try:
            publisher.output(record)
            publisher.settle()
        except RemoteProtocolError:
            self._ask_for_states(line)  # a piece of it was missed

    def _apply(self, line: CommLine, content: dict[str, Any], buffers: m.Buffers) -> None:
        sender, number = str(content.get("sender")), int(content.get("number") or 0)
        with self._order:
            self._order.wait_for(lambda: number <= self._next.get(sender, number), _GAP)
            missed = number > self._next.get(sender, number)
            self._next[sender] = max(self._next.get(sender, 0), number + 1)
            act = getattr(self, f"_{content.get('action')}", None)
            if act is not None:
                act(line, content, list(buffers))
            self._order.notify_all()
        if missed:
            self._ask_for_states(line)

    def _open(self, line: CommLine, content: dict[str, Any], buffers: list[Any]) -> None:
        import comm

        comm_id, target = str(content["comm"]), str(content.get("target") or "")
        if comm_id in self._remotes:
            return  # this kernel has seen this run before
        real = comm.create_comm(
            comm_id=comm_id,
            target_name=target,
            target_module=content.get("module"),
            data=content.get("data"),
            metadata=content.get("metadata"),
            buffers=buffers,
        )
        remote = self._remotes[comm_id] = Remote(line, real)
        real.on_msg(partial(self._answer, remote, "msg"))
        real.on_close(partial(self._closed_here, remote))
        if target == WIDGET:
            remote.widget.take(content.get("data"), buffers)
            self._take_control(comm.get_comm_manager())

    def _msg(self, _line: CommLine, content: dict[str, Any], buffers: list[Any]) -> None:
        remote = self._remotes.get(str(content["comm"]))
        if remote is not None:
            remote.widget.take(content.get("data"), buffers)
            remote.comm.send(content.get("data"), content.get("metadata"), buffers)

    def _close(self, _line: CommLine, content: dict[str, Any], buffers: list[Any]) -> None:
        remote = self._remotes.pop(str(content["comm"]), None)
        if remote is not None:
            remote.comm.close(content.get("data"), content.get("metadata"), buffers)

    def _done(self, line: CommLine, content: dict[str, Any], _buffers: list[Any]) -> None:
        self._settle(line, int(content.get("cause") or 0))

    def _here(self, line: CommLine, content: dict[str, Any], _buffers: list[Any]) -> None:
        """Give up waiting for what was said before the connection was lost: it was heard or not."""
        said_to = int(content.get("cause") or 0)
        undone = list(self._undone.items())
        for number in [n for n, (remote, _) in undone if remote.line is line and n <= said_to]:
            self._settle(line, number)

    def _settle(self, line: CommLine, number: int) -> None:
        line.settle(number, "done")
        remote, _request = self._undone.pop(number, (None, None))
        if remote is not None and remote.late == number:
            remote.late = 0
            if remote.pending and not line.over:
                remote.late = next(self._numbers)
                self._say(remote, "msg", remote.pending.pop(0), remote.late)

    def _end(self, line: CommLine) -> None:
        """Close what a worker that is gone had opened."""
        line.close()
        self._undone = {n: said for n, said in self._undone.items() if said[0].line is not line}
        for comm_id in [c for c, remote in self._remotes.items() if remote.line is line]:
            self._remotes.pop(comm_id).comm.close()

    def _ask_for_states(self, line: CommLine) -> None:
        for remote in list(self._remotes.values()):
            if remote.line is line and remote.comm.target_name == WIDGET:
                request = {"content": {"data": {"method": "request_state"}}}
                line.say(*_messages(line.session, remote.comm.comm_id, "msg", request, 0))

    # What comes from the front end.

    def _answer(self, remote: Remote, action: str, request: dict[str, Any]) -> None:
        data = request["content"].get("data") or {}
        remote.widget.take(data, request.get("buffers") or ())
        asks = isinstance(data, dict) and data.get("method") == "request_state"
        if remote.late and asks:
            self._tell_state(remote)
        elif remote.late:
            _add(remote.pending, request)
        else:
            number = next(self._numbers)
            how = self._ask(remote, action, request, number)
            if how == "done":
                return
            if number in self._undone:
                remote.late = number
            if how == "lost":
                host = remote.line.link.host
                self._say_once(f"lost {host}", f"{host} is out of reach: its widgets wait for it")
            if asks:
                self._tell_state(remote)

    def _ask(self, remote: Remote, action: str, request: dict[str, Any], number: int) -> str:
        line = remote.line
        self._undone[number] = remote, request
        try:
            messages = _messages(line.session, remote.comm.comm_id, action, request, number)
            return line.ask(number, *messages)
        except KeyboardInterrupt:
            return "busy"  # the callback goes on; nobody waits for it here

    def _say(self, remote: Remote, action: str, request: dict[str, Any], number: int) -> None:
        line = remote.line
        self._undone[number] = remote, request
        line.say(*_messages(line.session, remote.comm.comm_id, action, request, number))

    def _tell_state(self, remote: Remote) -> None:
        data, buffers = remote.widget.update()
        remote.comm.send(data, buffers=buffers)

    def _closed_here(self, remote: Remote, request: dict[str, Any]) -> None:
        if self._remotes.pop(remote.comm.comm_id, None) is not None:
            self._say(remote, "close", request, next(self._numbers))

    def _say_once(self, about: str, text: str) -> None:
        if about not in self._said:
            self._said.add(about)
            self._notice(f"macgpu: {text}")

    # A front end that asks for all widgets at once, as after a page was loaded again.

    def _take_control(self, manager: Any) -> None:
        known = manager.targets.get(CONTROL)
        if known != self._control:
            self._local_control = known
            manager.register_target(CONTROL, self._control)

    def _control(self, comm: Any, request: dict[str, Any]) -> None:
        local = _Local(comm)
        if self._local_control is not None:
            self._local_control(local, request)
        comm.on_msg(partial(self._states, comm, local))

    def _states(self, comm: Any, local: _Local, request: dict[str, Any]) -> None:
        data, buffers = local.answer(request)
        widgets = [
            (comm_id, remote.widget)
            for comm_id, remote in self._remotes.items()
            if remote.comm.target_name == WIDGET
        ]
        data, buffers = add_states(data, buffers, widgets)
        comm.send(data, buffers=buffers)


class _Local:
    """Stands for a comm towards the kernel's own widgets, and keeps what they say."""

    def __init__(self, comm: Any) -> None:
        self.comm_id = comm.comm_id
        self._said: tuple[dict[str, Any], list[Any]] = ({}, [])
        self._callback: Callable[[dict[str, Any]], None] = lambda _request: None

    def on_msg(self, callback: Callable[[dict[str, Any]], None]) -> None:
        """Take who answers; called by the widgets' package."""
        self._callback = callback

    def send(self, data: Any = None, _metadata: Any = None, buffers: Any = None) -> None:
        """Keep an answer; called by the widgets' package."""
        self._said = data or {}, list(buffers or ())

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """Return what the kernel's own widgets answer."""
        self._callback(request)
        return self._said


def _add(pending: list[dict[str, Any]], request: dict[str, Any]) -> None:
    """Add a request to those that wait; an update joins the one before it."""
    if pending:
        both = merged(pending[-1]["content"].get("data"), request["content"].get("data"))
        if both is not None:
            pending[-1] = {**request, "content": {**request["content"], "data": both}}
            return
    pending.append(request)


def _messages(
    session: str, comm: str, action: str, request: dict[str, Any], number: int
) -> list[m.Comm]:
    """Return what the worker is told of a front end's message."""
    content = {
        "number": number,
        "parent": (request.get("header") or {}).get("msg_id", ""),
        "data": request["content"].get("data") or {},
        "metadata": request.get("metadata") or {},
    }
    buffers = tuple(memoryview(buffer).cast("B") for buffer in request.get("buffers") or ())
    pieces, short, last = cut(json.dumps(content, default=str), buffers)
    said = [m.Comm(session=session, comm=comm, action=PIECE, buffers=(piece,)) for piece in pieces]
    # Its number is said in any case: the supervisor answers to it.
    own = content if short is None else {**short, "number": number}
    return [*said, m.Comm(session=session, comm=comm, action=action, content=own, buffers=last)]
