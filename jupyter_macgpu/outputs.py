"""5 publish: what a run shows, into the notebook as if it had run here.

The only file that knows how IPython shows things. Text goes through `sys.stdout` and `sys.stderr`,
displays through the shell's publisher, so that ``%%capture`` and every front end treat them alike.

Two things come out of order on purpose. The last expression's value is returned by the magic and
shown by IPython's own display hook, with the worker's rendering (`Rendering`); and what the worker
displayed after it (figures that are flushed at the end of a cell) is held until that has happened.
"""

from __future__ import annotations

import codecs
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .moments import starts
from .screening import screened_text
from .standing import standing
from .statusline import StatusLine
from .wire.content import Joiner
from .wire.errors import RemoteError
from .wire.plain import plain_line
from .wire.usage import KEY, from_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from .outflow import Outflow
    from .screening import Screen
    from .wire import messages as m

Bundle = tuple[dict[str, Any], dict[str, Any]]
#: What parts of a record's content are; a part that is something else is left out.
_PARTS: dict[str, type] = {
    "at_most": int,
    "data": dict,
    "metadata": dict,
    "traceback": list,
    "transient": dict,
}


def _fitting(content: dict[str, Any]) -> dict[str, Any]:
    return {
        name: part for name, part in content.items() if isinstance(part, _PARTS.get(name, object))
    }


class Rendering:
    """Shows one value the way the worker rendered it, once.

    Wraps the shell's formatter: the value that a magic returned is what ``Out`` and ``_``
    hold, and its rendering is the one that was made where it was computed.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        formatter: Any = shell.display_formatter
        self._formatter = formatter
        self._format = self._formatter.format
        self._pending: tuple[object, Bundle] | None = None
        self._formatter.format = self.format

    def expect(self, value: object, bundle: Bundle) -> None:
        """Use `bundle` when `value` is shown next."""
        self._pending = (value, bundle)

    def format(self, value: object, include: Any = None, exclude: Any = None) -> Bundle:
        """Stand in for `DisplayFormatter.format`."""
        pending, self._pending = self._pending, None
        if pending is not None and pending[0] is value:
            return pending[1]
        plain: Bundle = self._format(value, include=include, exclude=exclude)
        return plain

    def forget(self) -> None:
        """Drop what was expected and not shown."""
        self._pending = None

    def restore(self) -> None:
        """Take the wrapping off."""
        self._formatter.format = self._format


def updating(shell: InteractiveShell) -> Callable[[dict[str, str], str, bool], None] | None:
    """Return what shows a bundle under an id, or in the place of what that id shows.

    None where nothing that was shown can be changed: in a terminal.
    """
    if not hasattr(shell, "kernel"):
        return None

    def show(bundle: dict[str, str], name: str, is_update: bool) -> None:
        shell.display_pub.publish(bundle, transient={"display_id": name}, update=is_update)

    return show


class Publisher:
    """Shows one run.

    Parameters
    ----------
    shell
        The notebook's shell.
    notice
        Shows a line of ours.
    line
        The line that says what the run does; None: a silent one.

    Attributes
    ----------
    screen
        What everything goes through before it is shown, if the host's trust is ``data``.
    comm
        Takes what comms say, with buffers; None where no front end shows widgets.
    outflow
        Holds back what would come faster than the notebook's server lets through; None: nothing.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        notice: Callable[[str], None],
        line: StatusLine | None = None,
    ) -> None:
        self.line = line or StatusLine(shell, notice, "off")
        self.screen: Screen | None = None
        self.comm: Callable[[dict[str, Any], m.Buffers], None] | None = None
        self.outflow: Outflow | None = None
        #: Streams whose text goes out before the next display, each as a message of its own.
        self._unflushed: set[str] = set()
        self.result: Bundle | None = None
        self.error: RemoteError | None = None
        self.held: list[m.Output] = []
        self._shell = shell
        self._joiner = Joiner()
        self._thread = threading.get_ident()
        self._notice = notice
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")
        }

    def output(self, output: m.Output) -> None:
        """Show one record, or hold it until the result was shown."""
        if output.what != "stream":
            content = self._joiner.take(output.what, output.content, output.buffers)
            if content is None:
                return
            if output.what != "comm":
                content = _fitting(content)
            output = replace(output, content=content, buffers=self._joiner.buffers)
        if self.result is not None and output.what != "error":
            self.held.append(output)
        else:
            self._show(output)

    def is_of_this_thread(self) -> bool:
        """Say whether it shows a cell of this thread: comms may be heard in another one meanwhile.

        To IPython that is the end of a cell too.
        """
        return threading.get_ident() == self._thread

    def release(self) -> None:
        """Show what was held."""
        self.result = None
        held, self.held = self.held, []
        for output in held:
            self._show(output)

    def state(self, state: m.RunState) -> None:
        """Say that the run waits, at which place and for how long, in a line that is updated."""
        if state.state == "queued":
            place = None if state.position is None else f"{state.position}"
            reason = state.detail.get("reason", "")
            when = starts(state.detail, reason, time.time())
            text = standing(state.position, state.wait, reason, "", when)
            stays = state.detail.get("stays", "")
            self.line.waiting(f"{text}; {stays}" if stays else text, place)
        elif state.state == "started":
            self.line.started(from_json(state.detail.get(KEY)))

    def notice(self, text: str) -> None:
        """Show a line of ours."""
        self.line.give_way()
        self._flush()
        self._notice(f"macgpu: {text}")

    def ask(self, prompt: str, password: bool) -> str:
        """Ask the user, through whatever the front end has for it."""
        import builtins
        import getpass

        if self.screen is not None:
            prompt = f"{self.screen.host} asks: {plain_line(prompt)} "
        return getpass.getpass(prompt) if password else builtins.input(prompt)

    def leave_out(self, what: str) -> None:
        """Say once that something of a host of data only is not shown."""
        if self.screen is not None:
            self.screen.leave_out(what)
            self._say_what_is_left_out(self.screen)

    def finish(self) -> None:
        """Show what the streams still owe: the rest of a cut character."""
        for name, decoder in self._decoders.items():
            rest = decoder.decode(b"", final=True)
            if rest:
                getattr(sys, name).write(rest)

    def _show(self, output: m.Output) -> None:
        self.line.give_way()
        self.settle()
        if output.what == "stream":
            name = "stderr" if output.content.get("name") == "stderr" else "stdout"
            text = self._decoders[name].decode(b"".join(output.buffers))
            self._write(name, text if self.screen is None else self.screen.stream(name, text))
        elif output.what == "comm":
            self._pass_comm(output)
        else:
            getattr(self, f"_show_{output.what}", self._show_unknown)(output.content)

    def _write(self, name: str, text: str) -> None:
        self._unflushed.add(name)
        for piece in (text,) if self.outflow is None else self.outflow.pieces(text):
            getattr(sys, name).write(piece)

    def _pass_comm(self, output: m.Output) -> None:
        if self.screen is not None:
            self.leave_out("a widget")
        elif self.comm is not None:
            self._flush()
            self.comm(output.content, output.buffers)

    def _show_display_data(self, content: dict[str, Any], update: bool = False) -> None:
        self._flush()
        data, metadata = self._bundle(content)
        transient = content.get("transient") or {}
        if self.screen is not None:
            transient = self.screen.transient(transient)
            if not data:
                return
        self._shell.display_pub.publish(
            data=data, metadata=metadata, transient=transient, update=update
        )

    def _show_update_display_data(self, content: dict[str, Any]) -> None:
        self._show_display_data(content, update=True)

    def _show_execute_result(self, content: dict[str, Any]) -> None:
        self.result = self._bundle(content)

    def _bundle(self, content: dict[str, Any]) -> Bundle:
        data, metadata = content.get("data", {}), content.get("metadata") or {}
        if self.screen is not None:
            data, metadata = self.screen.bundle(data, metadata)
            self._say_what_is_left_out(self.screen)
        return data, metadata

    def _say_what_is_left_out(self, screen: Screen) -> None:
        for note in screen.notes():
            self.notice(note)

    def _show_clear_output(self, content: dict[str, Any]) -> None:
        self._flush()
        self._shell.display_pub.clear_output(bool(content.get("wait")))

    def _show_error(self, content: dict[str, Any]) -> None:
        self.error = RemoteError.rebuilt(
            str(content.get("ename", "")),
            str(content.get("evalue", "")),
            [self._line(line) for line in content.get("traceback") or ()],
        )

    def _line(self, line: object) -> str:
        return str(line) if self.screen is None else screened_text(str(line))

    def _show_notice(self, content: dict[str, Any]) -> None:
        self.notice(str(content.get("text", "")))

    def _show_gap(self, content: dict[str, Any]) -> None:
        most = int(content.get("at_most", 0))
        self.notice(
            f"the supervisor was restarted; up to {most // 1024} KiB of output may be missing here"
        )

    def _show_unknown(self, content: dict[str, Any]) -> None:
        """Show nothing: it is a kind from a later version."""

    def settle(self) -> None:
        """Show an error that was not the run's end, as `showtraceback` in a cell does."""
        error, self.error = self.error, None
        if error is not None:
            self._shell._showtraceback(type(error), error, error.traceback)

    def _flush(self) -> None:
        """Have the text go out before one message that follows it."""
        if self.outflow is not None:
            self.outflow.messages(len(self._unflushed) + 1)
        self._unflushed.clear()
        sys.stdout.flush()
        sys.stderr.flush()
