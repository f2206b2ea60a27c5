"""`input()` and `getpass()` in a cell: asked in the notebook."""

from __future__ import annotations

import builtins
import getpass
import threading
import warnings
from typing import TYPE_CHECKING, Any

from IPython.core.error import StdinNotImplementedError

from .link import readable

if TYPE_CHECKING:
    from .display import Announcer
    from .link import Link

#: Seconds after which a waiting cell looks whether another thread took its answer.
_GLANCE = 0.1


class Asking:
    """Relays questions to the notebook and waits for the answers.

    Parameters
    ----------
    link
        Where answers arrive.
    announcer
        Tells the questions.
    """

    def __init__(self, link: Link, announcer: Announcer) -> None:
        self._link = link
        self._announcer = announcer
        self._lock = threading.Lock()
        self._allowed = True

    def install(self) -> None:
        """Take the place of `input` and `getpass.getpass`."""
        builtins.input = self.input
        getpass.getpass = self.getpass

    def allow(self, allowed: bool) -> None:
        """Note whether somebody can answer the run that begins."""
        self._allowed = allowed
        self._link.replies.clear()

    def input(self, prompt: object = "", /) -> str:
        """Read a line, as `input` does.

        Raises
        ------
        StdinNotImplementedError
            If nobody can answer.
        EOFError
            If the answer is the end of input.
        """
        return self._ask("input", str(prompt), password=False)

    def getpass(
        self, prompt: str = "Password: ", stream: Any = None, *, echo_char: str | None = None
    ) -> str:
        """Read a line that is not shown, as `getpass.getpass` does.

        Raises
        ------
        StdinNotImplementedError
            If nobody can answer.
        EOFError
            If the answer is the end of input.
        """
        for name, value in (("stream", stream), ("echo_char", echo_char)):
            if value is not None:
                text = f"The `{name}` parameter of `getpass.getpass` has no effect in a notebook"
                warnings.warn(text, UserWarning, stacklevel=2)
        return self._ask("getpass", prompt, password=True)

    def _ask(self, function: str, prompt: str, *, password: bool) -> str:
        if not self._allowed or not self._link.run or self._announcer.forked:
            raise StdinNotImplementedError(f"{function} was called, but nobody can be asked here.")
        with self._lock:
            self._announcer.tell("input_request", {"prompt": prompt, "password": password})
            try:
                while not self._link.replies:
                    readable(self._link.supervisor, _GLANCE)
                    self._link.pump()
            finally:
                self._link.asking = 0
            reply = self._link.replies.popleft()
        if reply.error:
            raise StdinNotImplementedError(reply.error)
        if reply.text == "\x04":
            raise EOFError
        return reply.text
