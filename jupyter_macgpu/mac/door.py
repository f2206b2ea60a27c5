"""The door: what a channel's command is. It hands the channel to the supervisor and waits.

Runs on the Mac. Only Python and `wire` may be imported here.

The door passes its standard input and output to the supervisor (SCM_RIGHTS), so that bytes need
not be copied through it, waits for one byte of acknowledgement before it closes its own copies
(macOS loses descriptors that the sender closes too early), and then lives until the supervisor
hangs up: sshd ends a channel as soon as the command that it started ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import store

#: Seconds that a supervisor may take to start.
PATIENCE = 15.0
ACKNOWLEDGED = b"k"


def main() -> None:
    """Hand over standard input and output; return when the channel is over."""
    place = store.Store(store.default_root())
    try:
        place.prepare()
        link = connect(place)
    except (OSError, TimeoutError) as error:
        sys.stderr.write(f"macgpu: {error}\n")
        raise SystemExit(1) from None
    if not _hand_over(link):
        raise SystemExit(1)  # the supervisor just ended; the client finds out and tries again
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    with contextlib.suppress(ConnectionResetError):
        while link.recv(1):
            pass


def _hand_over(link: socket.socket) -> bool:
    try:
        socket.send_fds(link, [b"d"], [0, 1])
        return link.recv(1) == ACKNOWLEDGED
    except OSError:
        return False


def connect(place: store.Store) -> socket.socket:
    """Return a connection to the supervisor, which is started if none runs.

    Raises
    ------
    TimeoutError
        If none answers within `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    started = False
    while True:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with store.bindable(place.socket) as path:
                link.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            link.close()
        else:
            return link
        if time.monotonic() > deadline:
            raise TimeoutError(f"the supervisor did not start; see {place.root}/supervisor.log")
        if not started:
            start_supervisor(place)
            started = True
        time.sleep(0.005)


def start_supervisor(place: store.Store) -> None:
    """Start a supervisor that outlives this process and its session."""
    package = Path(__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(package)!r}); "
        "from jupyter_macgpu.mac.serve import main; main()"
    )
    log = os.open(
        place.root / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd="/",
    )
    os.close(log)
