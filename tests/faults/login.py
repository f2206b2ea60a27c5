"""Logins without a network: the account's shell runs the outer door, as sshd has it run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_macgpu.transport import deploy
from jupyter_macgpu.transport.preface import Preface, Said, Spoke, Verdict
from jupyter_macgpu.transport.sockets import SocketChannel
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import Connection
from jupyter_macgpu.wire.errors import ConnectionLost

PACKAGE = Path(deploy.__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An account on a host; a transport to its supervisor once our code is there.

    Attributes
    ----------
    home, state
        Its home, and where our state is kept.
    shell
        Its login shell.
    python
        As in the fleet file.
    variables
        More of its environment.
    """

    home: Path
    state: Path
    shell: str = "/bin/sh"
    python: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    name: str = "far-away"

    def raw(self) -> SocketChannel:
        """Open a channel on which nothing was said yet."""
        ours, theirs = socket.socketpair()
        environment = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "MACGPU_STATE": str(self.state),
            **self.variables,
        }
        with theirs:
            process = subprocess.Popen(
                [self.shell, "-c", deploy.door_command()],
                stdin=theirs,
                stdout=theirs,
                env=environment,
                cwd=self.home,
            )

        def closed() -> None:
            process.wait(timeout=60.0)

        return SocketChannel(ours, self.name, closed)

    def install(self) -> int:
        """Put our code there; return how many bytes of archives that took."""
        sent = [0]
        channel = self.raw()
        try:
            deploy.install(channel, self.name, self.python, lambda at, _size: sent.append(at))
        finally:
            channel.close()
        return sent[-1]

    def first(self) -> Verdict | None:
        """Greet, and return the first thing that the door says; None if it says nothing."""
        channel = self.raw()
        preface = Preface()
        verdict = None
        try:
            hello = m.Hello(role="client", client="first", notebook="first")
            greeting = deploy.greeting(self.python)
            channel.send(greeting + Connection("client", "supervisor").send(hello))
            while verdict is None:
                verdict = preface.feed(channel.receive(30.0) or b"")
        except ConnectionLost:
            return None
        finally:
            channel.close()
        return verdict

    def needs(self) -> str:
        """Return what the door says is missing: nothing if the supervisor answers."""
        verdict = self.first()
        assert isinstance(verdict, (Said, Spoke)), verdict
        if isinstance(verdict, Said):
            assert verdict.word == "need", verdict
            return verdict.text
        return ""

    def open(self) -> SocketChannel:
        """Open a channel to the supervisor. See `base.Transport`."""
        channel = self.raw()
        try:
            channel.send(deploy.greeting(self.python))
        except ConnectionLost:
            channel.close()
            raise
        return channel

    def close(self) -> None:
        """Do nothing. See `base.Transport`."""

    def rest(self) -> None:
        """Do nothing. See `base.Transport`."""


class Release:
    """A transport to this machine through the door of another version of our code.

    Parameters
    ----------
    folder
        Where a copy of the code is made.
    version
        What it says that it is; empty for the version that is tested.
    """

    name = "this-machine"

    def __init__(self, folder: Path, version: str = "") -> None:
        self.folder = folder
        copy = folder / PACKAGE.name
        for part in ("mac", "wire"):
            shutil.copytree(
                PACKAGE / part, copy / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        text = (PACKAGE / "__init__.py").read_text()
        if version:
            before = next(line for line in text.splitlines() if line.startswith("__version__"))
            text = text.replace(before, f'__version__ = "{version}"')
        (copy / "__init__.py").write_text(text)

    def edit(self) -> None:
        """Change the source, as a developer does."""
        with (self.folder / PACKAGE.name / "mac" / "hardware.py").open("a") as file:
            file.write("#\n")

    def open(self) -> SocketChannel:
        """Open a channel. See `base.Transport`."""
        ours, theirs = socket.socketpair()
        code = (
            f"import sys; sys.path.insert(0, {str(self.folder)!r}); "
            "from jupyter_macgpu.mac.door import main; main()"
        )
        with theirs:
            door = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", code],
                stdin=theirs,
                stdout=theirs,
                env={**os.environ},
            )
        return SocketChannel(ours, self.name, lambda: door.wait(timeout=60.0) and None)

    def close(self) -> None:
        """Do nothing. See `base.Transport`."""

    def rest(self) -> None:
        """Do nothing. See `base.Transport`."""
