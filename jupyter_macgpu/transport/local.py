"""The machine itself as a host: the door is a subprocess here, and sshd's child elsewhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..wire.errors import ALL_KEPT, NOTHING_SENT, TransportError
from .doors import Doors
from .preface import Preface, Said, Spoke
from .sockets import SocketChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What a login would set. The rest of the notebook's environment stays with the notebook:
#: no variable is shipped unless it is named.
LOGIN_VARIABLES = frozenset(
    "HOME USER LOGNAME SHELL PATH LANG LANGUAGE TMPDIR TZ TERM LD_LIBRARY_PATH".split()
)
_PREFIXES = ("LC_", "XDG_", "MACGPU_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "COV_", "COVERAGE_")

_DOORS = Doors()


class LocalTransport:
    """The machine that the notebook is on.

    Parameters
    ----------
    name
        The host's name in the fleet file.
    settings
        Variables that the door gets besides those of a login.
    """

    def __init__(
        self, name: str = "this-machine", settings: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._settings = dict(settings or {})

    def open(self) -> SocketChannel:
        """Start a door and return the channel through it. See `base.Transport`.

        Raises
        ------
        TransportError
            If no process can be started.
        """
        ours, theirs = socket.socketpair()
        package = str(Path(__file__).parents[2])
        code = (
            f"import sys; sys.path.insert(0, {package!r}); "
            "from jupyter_macgpu.mac.door import main; main()"
        )
        try:
            door = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", code],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=None,
                env=login_environment() | self._settings,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise TransportError(f"No process could be started on {self.name}: {error}") from error
        finally:
            theirs.close()
        _DOORS.opened(door)
        return _DoorChannel(ours, self.name, lambda: _DOORS.closed(door))

    def close(self) -> None:
        """Do nothing: each channel stands alone. See `base.Transport`."""

    def rest(self) -> None:
        """Do nothing, likewise."""


class _DoorChannel(SocketChannel):
    """A channel whose first bytes may be a door's, which says why it cannot lead anywhere."""

    _preface: Preface | None = None

    def __init__(self, link: socket.socket, name: str, closed: Callable[[], None]) -> None:
        super().__init__(link, name, closed)
        self._preface = Preface()

    def receive(self, timeout: float) -> bytes | None:
        """Return bytes as they come. See `base.Channel`.

        Raises
        ------
        TransportError
            If the door says that no supervisor can be reached: why not.
        """
        data = super().receive(timeout)
        if data is None or self._preface is None:
            return data
        verdict = self._preface.feed(data)
        if isinstance(verdict, Spoke):
            self._preface = None
            return verdict.data
        if isinstance(verdict, Said) and verdict.word == "error":
            text = verdict.text.partition(" ")[2] or verdict.text
            raise TransportError(
                f"No supervisor can be started on {self._name}: {text}.",
                known=NOTHING_SENT,
                kept=ALL_KEPT,
                next="Mend what it names, then run the cell again.",
            )
        return None


def login_environment() -> dict[str, str]:
    """Return the variables that a login to this machine would see."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in LOGIN_VARIABLES or name.startswith(_PREFIXES)
    }
