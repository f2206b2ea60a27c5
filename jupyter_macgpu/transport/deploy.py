"""Our code and packages on another host: asked for with the first line, put there if missing.

A channel's command is constant (`door_command`): nothing that anybody chooses is ever part of a
command line. The first line on it (`greeting`) says which code and packages this notebook needs; a
host that has them hands the channel to its supervisor, any other says so, and `install` brings them
over a channel of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..wire.errors import ALL_KEPT, NOTHING_SENT, ConnectionLost, TransportError
from . import archives
from .complaints import complaint
from .preface import Noisy, Preface, Said, Verdict

if TYPE_CHECKING:
    from .base import Channel

_MAC = Path(__file__).parents[1] / "mac"
#: Bytes that are sent at once.
_PIECE = 64 * 1024
#: Seconds for the host's next word: it may look for an interpreter, or wait for its disk.
PATIENCE = 60.0
#: Seconds that a host which takes nothing more has to say why.
_LAST_WORDS = 5.0

#: Called with the bytes that were sent, and those that there are to send.
Progress = Callable[[int, int], None]


class DeployError(TransportError):
    """Our code could not be put on a host. No run was started."""

    known, kept = NOTHING_SENT, ALL_KEPT


@cache
def door_command() -> str:
    """Return the one command that every channel runs, in words that any login shell takes."""
    lines = [line.strip() for line in (_MAC / "door.sh").read_text("utf-8").splitlines()]
    program = " ".join(line for line in lines if line and not line.startswith("#"))
    return f"exec /bin/sh -c '{program}'"


def greeting(python: str = "") -> bytes:
    """Return the first line of a channel that is to lead to the supervisor.

    Parameters
    ----------
    python
        Path of the interpreter on the host, or the empty text: it is found there.

    Raises
    ------
    ConfigError
        If the notebook's environment lacks what a worker needs.
    DeployError
        If the path cannot be one.
    """
    return _line("run", python)


def packages_digest() -> str:
    """Return what a submission's environment names as ``packages``. See `greeting`."""
    return archives.packages().digest


def install(
    channel: Channel,
    host: str,
    python: str = "",
    progress: Progress = lambda _sent, _size: None,
) -> None:
    """Put on a host what it lacks of our code and packages.

    Safe to repeat, to cut at any byte, and to do from several notebooks at once: what is there is
    checked again, and only what is missing or damaged travels.

    Parameters
    ----------
    channel
        A fresh channel that runs `door_command`. The caller closes it.
    host
        Its name, for error texts.
    python
        As for `greeting`.
    progress
        Told about each piece of the archives.

    Raises
    ------
    DeployError
        If the host cannot take them. What it had before it still has.
    ConnectionLost
        If the channel ended in between; then do it again.
    ConfigError
        As `greeting`.
    """
    installer = _Installer(channel, host)
    program = _program()
    installer.tell(_line("put", python) + b"%d\n" % len(program) + program)
    wanted = installer.answer("want").split()
    by_kind = {"code": archives.code, "packages": archives.packages}
    packed = {kind: by_kind[kind]().packed() for kind in wanted if kind in by_kind}
    total, sent = sum(map(len, packed.values())), 0
    for kind, data in packed.items():
        installer.tell(b"%s %d\n" % (kind.encode(), len(data)))
        for at in range(0, len(data), _PIECE):
            sent += installer.tell(data[at : at + _PIECE])
            progress(sent, total)
    installer.answer("done")


def refusal(said: Verdict, host: str) -> DeployError:
    """Return the error that a door's or installer's last word means."""
    if isinstance(said, Noisy):
        return _noisy(host, said.line)
    word = said.word if isinstance(said, Said) else "protocol"
    text = said.text if isinstance(said, Said) and word == "error" else f"unexpected word {word}"
    what, remedy = complaint(text, host)
    return DeployError(what, next=remedy)


def silence(preface: Preface, host: str) -> DeployError:
    """Return the error of a channel that ended before its door said anything."""
    if preface.noise:
        return DeployError(
            f"The login on {host} ended before our door was opened. "
            f"Its shell said: {preface.noise}",
            next="Look at the account's start-up files (.bashrc, .zshenv, config.fish, .cshrc): "
            f"`ssh {host} true` must end without an error.",
        )
    return DeployError(
        f"The login on {host} ended before our door was opened, and without a word.",
        next=f"See what `ssh {host} /bin/sh -c true` says: an `exit` in a start-up file, a login "
        "shell that allows no commands, or a key that may run only something else.",
    )


def _noisy(host: str, line: str) -> DeployError:
    return DeployError(
        f"{host} does not speak our protocol; it says: {line or 'nothing readable'}",
        next="Look at the account's start-up files there: they print too much where nobody reads. "
        "If it is another service, mend the port in the fleet file.",
    )


def _line(verb: str, python: str) -> bytes:
    path = python or "-"
    if not path.isprintable() or not (path == "-" or path.startswith(("/", "~/"))):
        raise DeployError(
            f"The python of a host is an absolute path, and not {path!a}.",
            next="Mend `python:` of the host in the fleet file.",
        )
    digests = f"{archives.code().digest} {archives.packages().digest}"
    return f"{verb} {digests} {path}\n".encode()


@cache
def _program() -> bytes:
    """Return the installer: two files of ours as modules of a package that is not there."""
    sources = {name: (_MAC / f"{name}.py").read_text("utf-8") for name in ("complete", "install")}
    return (
        "import sys, types\n"
        "def load(name, source):\n"
        "    module = types.ModuleType('jupyter_macgpu.mac.' + name)\n"
        "    module.__package__ = 'jupyter_macgpu.mac'\n"
        "    sys.modules[module.__name__] = module\n"
        "    exec(compile(source, module.__name__, 'exec'), module.__dict__)\n"
        "    return module\n"
        f"load('complete', {sources['complete']!r})\n"
        f"load('install', {sources['install']!r}).main(sys.argv[1:])\n"
    ).encode()


class Stalled(ConnectionLost):
    """The host took nothing more in the middle of an installation, which may be done anew."""


class _Installer:
    """What an installer says, word by word."""

    def __init__(self, channel: Channel, host: str) -> None:
        self._channel = channel
        self._host = host
        self._rest = b""
        self._is_cut = False

    def tell(self, data: bytes) -> int:
        """Send bytes; a host that hangs up may have said why, so that is left to `answer`.

        Where some were not taken, no others follow: they would be taken for those.
        """
        if not self._is_cut:
            try:
                self._channel.send(data)
            except ConnectionLost:
                self._is_cut = True
        return len(data)

    def answer(self, word: str) -> str:
        """Return the text behind the word that is due.

        Raises
        ------
        DeployError
            If the host says something else.
        ConnectionLost
            If it says nothing.
        """
        preface = Preface()
        patience = _LAST_WORDS if self._is_cut else PATIENCE
        deadline = time.monotonic() + patience
        verdict = preface.feed(self._rest)
        while verdict is None:
            left = deadline - time.monotonic()
            if left <= 0:
                if self._is_cut:
                    raise self._lost("took nothing more", preface, Stalled)
                raise self._lost(f"said nothing for {patience:g} s", preface)
            try:
                data = self._channel.receive(left)
            except ConnectionLost as error:
                raise self._lost("hung up", preface) from error
            verdict = preface.feed(data or b"")
        if isinstance(verdict, Said) and verdict.word == word:
            self._rest = verdict.rest
            return verdict.text
        raise refusal(verdict, self._host)

    def _lost(
        self, what: str, preface: Preface, kind: type[ConnectionLost] = ConnectionLost
    ) -> ConnectionLost:
        said = f" It said: {preface.noise}" if preface.noise else ""
        return kind(
            f"{self._host} {what} while our code was put there.{said}",
            known=NOTHING_SENT,
            kept=ALL_KEPT,
            next="Run the cell again: what is there is checked, and the rest is sent.",
        )
