"""Many browsers on one Jupyter server that shows a large fleet: what it takes, how late they are.

The hosts are simulated Macs of this machine, each a supervisor of its own, reached without SSH. The
server is a real one in a process of its own; the browsers are connections of its stream, all in one
more process. A state change is the end of a cell: from the clock in its last statement to the
browser that has read it. CPU is the server's share of one core while nobody changes anything, and
while nobody looks. At last the server is told to end, and takes leave of all its hosts. All of it
shares the cores of one machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from jupyter_macgpu.server.watch import PARTING
from jupyter_macgpu.simulation.fleet import SimulatedFleet
from jupyter_macgpu.simulation.servers import free_port

from .report import Comparison, Report

BROWSERS, HOSTS, ROUNDS = 50, 200, 15
#: Seconds for which the server's work is measured, and in which all hosts should have answered.
MEASURED, PATIENCE = 15.0, 600.0
_CELL = "import time\nopen({path!r}, 'w').write(repr(time.time()))"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class _Browser:
    """One browser: what it knows, and when it heard of the end of a run."""

    connection: WebSocketClientConnection
    hosts: dict[str, Any] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    messages: int = 0

    async def listen(self) -> None:
        """Take what comes until the connection ends."""
        while (text := await self.connection.read_message()) is not None:
            now, message = time.time(), json.loads(text)
            self.messages += 1
            for row in message.get("runs", ()) if message["type"] in ("runs", "snapshot") else ():
                if row["final"]:
                    self.ended.setdefault(row["run"], now)
            if message["type"] in ("hosts", "snapshot"):
                self.hosts |= {row["name"]: row for row in message["hosts"]}

    def answered(self) -> int:
        """Return how many hosts have said how they are."""
        return sum(row["memory"]["total"] is not None for row in self.hosts.values())


@dataclass(frozen=True)
class _Server:
    """A Jupyter server with the extension."""

    process: subprocess.Popen[bytes]
    port: int
    token: str
    root: Path

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Ask for something."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/macgpu/api/v1/{path}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def end(self) -> float:
        """Have it end, as a terminal does; return how many seconds that took."""
        since = time.monotonic()
        self.process.terminate()
        self.process.wait(PATIENCE)
        return time.monotonic() - since

    def answers(self) -> bool:
        """Say whether it and the extension are there."""
        headers = {"Authorization": f"token {self.token}"}
        url = f"http://127.0.0.1:{self.port}/macgpu/api/v1/version"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5):
                return True
        except OSError:
            return False

    def seconds(self) -> float:
        """Return the processor's seconds that it has used."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / _TICKS

    def megabytes(self) -> float:
        """Return the memory that it has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def measure(rounds: int = ROUNDS, hosts: int = HOSTS) -> Report:
    """Let browsers look at simulated hosts, and run a cell a round."""
    with tempfile.TemporaryDirectory(prefix="macgpu-") as state:
        os.environ["MACGPU_STATE"] = state
        with (
            SimulatedFleet(hosts, seed=1, over_ssh=False) as fleet,
            _server(Path(state), fleet.file) as server,
        ):
            found = asyncio.run(_looked(server, rounds, hosts))
            found["seconds until the server had ended"] = round(server.end(), 1)
    return Report(
        name="browsers",
        unit="s",
        whole=Comparison(ours=found.pop("late"), peers={}),
        notes={"browsers": BROWSERS, "hosts": hosts, "cells": rounds, **found},
    )


@contextmanager
def _server(folder: Path, fleet: Path) -> Iterator[_Server]:
    port, token, root = free_port(), secrets.token_hex(16), folder / "root"
    root.mkdir()
    own = {f"JUPYTER_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"),
        "--ServerApp.jpserver_extensions={'jupyter_macgpu': True}",
        "--ServerApp.log_level=ERROR",
    ]
    # What else is installed here, such as JupyterLab, is not the server's.
    own["JUPYTER_NO_CONFIG"] = "1"
    environment = {**os.environ, **own, "MACGPU_FLEET": str(fleet)}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    try:
        server = _Server(process, port, token, root)
        until = time.monotonic() + 60
        while not server.answers():
            if time.monotonic() > until:
                raise TimeoutError("the server does not start")
            time.sleep(0.2)
        yield server
    finally:
        process.kill()
        process.wait()


async def _looked(server: _Server, rounds: int, hosts: int) -> dict[str, Any]:
    url = f"ws://127.0.0.1:{server.port}/macgpu/api/v1/stream"
    headers = {"Authorization": f"token {server.token}"}
    request = [HTTPRequest(url, headers=headers) for _ in range(BROWSERS)]
    alone = server.megabytes()
    browsers = [_Browser(await websocket_connect(each)) for each in request]
    listening = [asyncio.create_task(browser.listen()) for browser in browsers]
    since = time.monotonic()
    while min(browser.answered() for browser in browsers) < hosts:
        if time.monotonic() - since > PATIENCE:
            break
        await asyncio.sleep(0.5)
    connected, answered = time.monotonic() - since, min(b.answered() for b in browsers)
    looked = await _share(server)
    used, since = server.seconds(), time.monotonic()
    late = [each for number in range(rounds) for each in await _cell(server, browsers, number)]
    # Without what it takes anyway.
    used = server.seconds() - used - looked * (time.monotonic() - since)
    late.sort()
    for browser in browsers:
        await browser.connection.write_message(json.dumps({"type": "visible", "visible": False}))
    await asyncio.sleep(PARTING + 3.0)
    before = sum(browser.messages for browser in browsers)
    hidden = await _share(server)
    messages = sum(browser.messages for browser in browsers) - before
    found = {
        "late": late,
        "late, 95th percentile": round(late[int(0.95 * len(late))], 3),
        "cpu of one core while all look": round(looked, 3),
        "cpu seconds per cell, handed in and told to all": round(max(0.0, used) / rounds, 3),
        "cpu of one core while nobody looks": round(hidden, 3),
        "messages while nobody looks": messages,
        "MB before anybody looks": round(alone),
        "MB then": round(server.megabytes()),
        "hosts that answered": answered,
        "seconds until all had": round(connected, 1),
        "load of this machine": round(os.getloadavg()[0], 1),
    }
    for browser, task in zip(browsers, listening, strict=True):
        browser.connection.close()
        task.cancel()
    return found


async def _share(server: _Server) -> float:
    used, since = server.seconds(), time.monotonic()
    await asyncio.sleep(MEASURED)
    return (server.seconds() - used) / (time.monotonic() - since)


async def _cell(server: _Server, browsers: list[_Browser], number: int) -> list[float]:
    """Run one cell; return how late each browser knew of its end."""
    side = server.root / f"end-{number}"
    wanted = {
        "code": _CELL.format(path=str(side)),
        "on": next(iter(browsers[0].hosts)),
        "notebook": "bench.ipynb",
        "cell": f"cell-{number}",
        "idempotency_key": f"bench-{number}",
    }
    run = (await asyncio.to_thread(server.post, "submit", wanted))["run"]
    until = time.monotonic() + PATIENCE
    while any(run not in browser.ended for browser in browsers):
        if time.monotonic() > until:
            raise TimeoutError(f"run {run} was not told")
        await asyncio.sleep(0.01)
    at = float(side.read_text())
    return [browser.ended[run] - at for browser in browsers]
