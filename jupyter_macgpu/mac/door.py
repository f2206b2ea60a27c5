"""The door: what a channel's command is. It hands the channel to the supervisor and waits.

Runs on the Mac. Only Python and `wire` may be imported here.

The door passes its standard input and output to the supervisor (SCM_RIGHTS), so that bytes need
not be copied through it, waits for one byte of acknowledgement before it closes its own copies
(macOS loses descriptors that the sender closes too early), and then lives until the supervisor
hangs up: sshd ends a channel as soon as the command that it started ends.

Before that it sees to it that the supervisor is not older than this door: an older one is asked to
retire, and the new one takes over its workers and journals.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from . import build, store

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a supervisor may take to start, or to retire.
PATIENCE = 15.0
#: Seconds after which it is started again: the first one may have found an older one's lock.
_AGAIN = 1.0
HAND_OVER, RETIRE = b"d", b"r"
ACKNOWLEDGED, DECLINED = b"k", b"n"


class Damaged(Exception):
    """Something that was installed is not as it was; the notebook puts it there again."""


def main(packages: str = "-") -> None:
    """Hand over standard input and output; return when the channel is over.

    Parameters
    ----------
    packages
        Digest of the packages that the notebook's workers need, or ``-``.
    """
    os.umask(0o077)
    place = store.Store(store.default_root())
    try:
        place.prepare()
        link = connect(place, lambda: begin(place, packages))
    except Damaged as damage:
        _say(f"need {damage}")
        return
    except (OSError, TimeoutError) as error:
        _say(f"error failed {error}")
        sys.stderr.write(f"macgpu: {error}\n")
        raise SystemExit(1) from None
    if not _hand_over(link):
        # The supervisor just ended. A notebook tries again, also where it only sees the end.
        _say("again")
        raise SystemExit(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    with contextlib.suppress(ConnectionResetError):
        while link.recv(1):
            pass


def connect(place: store.Store, begin: Callable[[], None] | None = None) -> socket.socket:
    """Return a connection to a supervisor that is not older than this code.

    Parameters
    ----------
    begin
        Starts one if none runs; `start_supervisor` if it is not given.

    Raises
    ------
    TimeoutError
        If none answers within `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    begun = -_AGAIN
    asked = False
    while time.monotonic() < deadline:
        link = _reached(place)
        if link is None:
            if time.monotonic() - begun >= _AGAIN:
                (begin or (lambda: start_supervisor(place)))()
                begun = time.monotonic()
            time.sleep(0.005)
        elif asked or build.read(place) in (None, build.ours()):
            return link
        else:
            asked = _retire(link) == DECLINED
            time.sleep(0.005)
    raise TimeoutError(f"the supervisor did not start; see {place.root}/supervisor.log")


def begin(place: store.Store, packages: str) -> None:
    """Start the supervisor of installed code, if that code and the packages are as they were.

    Raises
    ------
    Damaged
        If they are not: they count as missing from now on.
    """
    if not build.installed():
        start_supervisor(place)
        return
    from .complete import intact

    if not intact(build.HOME):
        raise Damaged("code")
    start_supervisor(place)
    # While it starts: it does nothing with them before it is spoken to.
    if packages != "-" and not intact(Path(store.packages(packages))):
        raise Damaged("packages")


def start_supervisor(place: store.Store) -> None:
    """Start a supervisor that outlives this process and its session."""
    from .start import start

    code = (
        f"import sys; sys.path.insert(0, {str(build.HOME)!r}); "
        "from jupyter_macgpu.mac.serve import main; main()"
    )
    start(place, [sys.executable, "-I", "-S", "-c", code], os.environ)


def _reached(place: store.Store) -> socket.socket | None:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with store.bindable(place.socket) as path:
            link.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        link.close()
        return None
    return link


def _retire(link: socket.socket) -> bytes:
    """Ask the supervisor to make room for this build; return its answer once it has acted.

    Nothing is returned if it is gone, for whatever reason.
    """
    answer = b""
    with link:
        link.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):
            link.sendall(RETIRE + json.dumps(asdict(build.ours())).encode() + b"\n")
            answer = link.recv(1)
            while answer == ACKNOWLEDGED and link.recv(1):
                pass
    return answer


def _hand_over(link: socket.socket) -> bool:
    try:
        socket.send_fds(link, [HAND_OVER], [0, 1])
        return link.recv(1) == ACKNOWLEDGED
    except OSError:
        return False


def _say(words: str) -> None:
    with contextlib.suppress(OSError):
        os.write(1, b"\0macgpu-" + words.replace("\n", " ").encode("utf-8", "replace") + b"\n")
