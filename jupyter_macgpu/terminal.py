"""Shows a run in a terminal, or in whatever a shell has in its place, as it comes."""

from __future__ import annotations

import codecs
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from .moments import starts
from .screening import screen_for, screened_text
from .standing import standing
from .wire.content import Joiner
from .wire.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from .fleet.hosts import Host
    from .screening import Screen
    from .wire import messages as m

#: Characters of the end of standard error that are kept, to see what it ended with.
_TAIL = 4096
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


class Terminal:
    """Shows runs: their streams byte by byte, of displays the text, errors on standard error.

    Parameters
    ----------
    closed
        Called when nobody reads any more what is written here.

    Attributes
    ----------
    tail
        The end of what went to standard error.
    """

    def __init__(self, closed: Callable[[], None]) -> None:
        self.tail = ""
        self.is_closed = False
        self._closed = closed
        self._screen: Screen | None = None
        self._joiner = Joiner()
        self._place: int | None = None
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: make("replace") for name in ("stdout", "stderr")}

    def placed(self, host: Host) -> None:
        """Note on which host the next run is: one of data only does nothing to the terminal."""
        self._screen = screen_for(host.name, host.trust)
        self._place = None

    def output(self, output: m.Output) -> None:
        """Show one record."""
        if output.what == "stream":
            name = "stderr" if output.content.get("name") == "stderr" else "stdout"
            self._stream(name, b"".join(output.buffers))
            return
        content = self._joiner.take(output.what, output.content, output.buffers)
        if content is not None:
            self._record(output.what, content)

    def state(self, state: m.RunState) -> None:
        """Say that the run waits, again whenever its place has changed."""
        place = -1 if state.position is None else state.position
        if state.state == "queued" and place != self._place:
            self._place = place
            reason, where = (str(state.detail.get(key, "")) for key in ("reason", "where"))
            when = starts(state.detail, reason, time.time())
            self.notice(standing(state.position, state.wait, reason, where, when))

    def notice(self, text: str) -> None:
        """Show a line of ours."""
        self._write("stderr", f"macgpu: {plain(text)}\n")

    def ask(self, prompt: str, password: bool) -> str:
        """Ask the user, on the terminal that this has."""
        import getpass

        if self._screen is not None:
            prompt = f"{self._screen.host} asks: {screened_text(prompt)} "
        return getpass.getpass(prompt) if password else input(prompt)

    def _record(self, what: str, content: dict[str, Any]) -> None:
        if what == "error":
            lines = "\n".join(map(str, content.get("traceback") or []))
            self._write("stderr", self._screened(fitting(lines, sys.stderr)) + "\n")
        elif what in ("display_data", "execute_result"):
            text = (content.get("data") or {}).get("text/plain", "")
            self._write("stdout", self._screened(_joined(text)) + "\n")
        elif what == "notice":
            self.notice(str(content.get("text", "")))
        elif what == "gap":
            most = int(content.get("at_most", 0)) // 1024
            self.notice(
                f"the supervisor was restarted; up to {most} KiB of output may be missing here"
            )

    def _stream(self, name: str, data: bytes) -> None:
        text = self._decoders[name].decode(data)
        if name == "stderr":
            self.tail = (self.tail + text)[-_TAIL:]
        # What a trusted host's program writes need not be text.
        whole = data if self._screen is None else self._screen.stream(name, text).encode()
        self._write(name, whole)

    def _write(self, name: str, what: bytes | str) -> None:
        stream = getattr(sys, name)
        try:
            if isinstance(what, bytes) and hasattr(stream, "buffer"):
                stream.flush()
                stream.buffer.write(what)
            else:
                stream.write(what if isinstance(what, str) else what.decode("utf-8", "replace"))
            stream.flush()
        except BrokenPipeError:
            if not self.is_closed:
                self.is_closed = True
                self._closed()

    def _screened(self, text: str) -> str:
        return text if self._screen is None else screened_text(text)


def fitting(text: str, stream: Any) -> str:
    """Leave out colours where there is no terminal to show them."""
    return text if stream.isatty() else _COLOUR.sub("", text)


def _joined(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)
