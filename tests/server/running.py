"""A real Jupyter server with the extension, in a process of its own, and who talks to it."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websocket import WebSocket, WebSocketTimeoutException, create_connection

from jupyter_macgpu.server.contract import validator
from jupyter_macgpu.simulation.servers import free_port

from . import described

#: Seconds in which something happens on a machine that does much else.
PATIENCE = 120.0
BASE = "/base/macgpu/api/v1/"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Running:
    """One server."""

    port: int
    token: str
    root: Path
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def ask(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
        undescribed: bool = False,
    ) -> Answer:
        """Ask with the right token unless another one is given; ``""`` is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        token = self.token if token is None else token
        said = {"Authorization": f"token {token}"} if token else {}
        content = json.dumps(body).encode() if raw is None and body is not None else raw
        try:
            connection.request(verb, BASE + path, content, {**said, **(headers or {})})
            answer = connection.getresponse()
            raw = answer.read()
            if verb not in ("HEAD", "OPTIONS") and not undescribed:
                described.check(verb, path, answer.status, raw)
            return Answer(answer.status, dict(answer.getheaders()), raw)
        finally:
            connection.close()

    @contextmanager
    def stream(self, **more: Any) -> Iterator[Listener]:
        """Open the stream."""
        headers = {"Authorization": f"token {self.token}"}
        socket_ = create_connection(
            f"ws://127.0.0.1:{self.port}{BASE}stream",
            header=[f"{name}: {value}" for name, value in headers.items()],
            timeout=PATIENCE,
            suppress_origin=True,
            **more,
        )
        try:
            yield Listener(socket_)
        finally:
            socket_.close()

    def stop(self) -> None:
        """Ask it to end, as a terminal does."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait(PATIENCE)


class Listener:
    """A browser's end of the stream, which keeps what it was told as a browser would."""

    def __init__(self, connection: WebSocket) -> None:
        self.connection = connection
        self.hosts: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        self.outputs: dict[str, list[Any]] = {}
        self.final: dict[str, bool] = {}
        self.schedules: list[Any] = []
        self.said: list[dict[str, Any]] = []

    def say(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def hear(self, timeout: float = PATIENCE) -> dict[str, Any] | None:
        """Take one message; None if none comes."""
        self.connection.settimeout(timeout)
        try:
            message: dict[str, Any] = json.loads(self.connection.recv())
        except WebSocketTimeoutException:
            return None
        validator("Heard").validate(message)
        self.said.append(message)
        self._take(message)
        return message

    def until(self, happened: Any, patience: float = PATIENCE) -> None:
        """Listen until what is known makes something true."""
        deadline = time.monotonic() + patience
        while not happened(self):
            assert time.monotonic() < deadline, (self.hosts, self.runs, self.said[-3:])
            self.hear(1.0)

    def until_said(self, kind: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Listen until something of a kind is said, and return it."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            message = self.hear(1.0)
            if message is not None and message["type"] == kind:
                return message
        raise AssertionError(f"no {kind} came")

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "snapshot":
            self.hosts = {row["name"]: row for row in message["hosts"]}
            self.runs = {row["run"]: row for row in message["runs"]}
            self.schedules = message["schedules"]
        elif kind == "hosts":
            self.hosts.update({row["name"]: row for row in message["hosts"]})
            for name in message["gone"]:
                self.hosts.pop(name, None)
        elif kind == "runs":
            self.runs.update({row["run"]: row for row in message["runs"]})
            for run in message["gone"]:
                self.runs.pop(run, None)
        elif kind == "schedules":
            self.schedules = message["schedules"]
        elif kind == "outputs":
            held = self.outputs.setdefault(message["run"], [])
            if message["append"]:
                held[message["from"] - 1]["text"] += message["append"]
            held[message["from"] :] = [dict(output) for output in message["outputs"]]
            self.final[message["run"]] = message["final"]


@contextmanager
def running(
    folder: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    extensions: str = "{'jupyter_macgpu': True}",
    ready: int = 200,
    is_strict: bool = True,
) -> Iterator[Running]:
    """Start a server on `folder` with nothing of the user's; end it.

    `ready` is the status with which it says its version once it runs; one that is not strict
    leaves it to each handler to ask who it is.
    """
    home, root = folder / "jupyter", folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    config = home / "config"
    config.mkdir(parents=True, exist_ok=True)
    token, port = secrets.token_hex(16), free_port()
    own = {
        f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")
    }
    log = folder / "server.log"
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={root}",
        "--ServerApp.base_url=/base/",
        f"--ServerApp.jpserver_extensions={extensions}",
        f"--ServerApp.allow_unauthenticated_access={not is_strict}",
        *options,
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **own, "JUPYTER_NO_CONFIG": "", **(environment or {})},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    server = Running(port, token, root, log, process)
    try:
        _wait(server, ready)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)


def _wait(server: Running, ready: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert server.process.poll() is None, server.log.read_text()
        try:
            if server.ask("GET", "version").status == ready:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)
