"""A fleet of simulated Macs on this machine: started, weathered, stopped.

Over SSH where a server can be had, so that all is as with real machines. Elsewhere over the
``local`` transport: each host is then a supervisor of its own, by its instance.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..fleet import simulated
from ..ledger import state_folder
from ..wire import probe
from . import processes, servers
from .macs import MACS, named
from .replay import output
from .weather import ASLEEP, CRASHED, state_at, weather_at

if TYPE_CHECKING:
    from types import TracebackType

#: More simulated hosts than a small machine bears.
MOST = 64


@dataclass(slots=True, kw_only=True)
class SimulatedHost:
    """One host.

    Attributes
    ----------
    name, mac, seed
        What it is called, which Mac it is, and the seed of its weather.
    server
        Its SSH server; None over the ``local`` transport.
    entry
        Its entry in the fleet file.
    state
        What the weather has last been made to do.
    left
        Sessions that lost their server when it fell asleep, and live on.
    is_asleep
        Whether it sleeps now.
    """

    name: str
    mac: str
    seed: int
    entry: dict[str, Any]
    server: servers.Server | None = None
    state: str = ""
    left: set[int] = field(default_factory=set)
    is_asleep: bool = False

    @property
    def pids(self) -> set[int]:
        """All its processes."""
        found = set() if self.server is None else self.server.pids
        self.left = processes.named(self.left, "sshd")
        return processes.below(found.union(self._lasting(), self.left))

    def sleep(self) -> None:
        """Let nothing of it answer any more, until `wake`."""
        processes.tell(self.pids, signal.SIGSTOP)
        if self.server is not None and not self.is_asleep:
            self.left |= self.server.pids
            self.server.mute()
        self.is_asleep = True

    def wake(self) -> None:
        """Let it go on.

        Raises
        ------
        servers.NoServerError
            If its server does not start again; all else goes on.
        """
        processes.tell(self.pids, signal.SIGCONT)
        if self.server is not None and self.is_asleep:
            self.server.end()
            self.server.start()
        self.is_asleep = False

    def cut(self) -> None:
        """Cut all its connections; what runs there goes on."""
        if self.server is not None:
            # A supervisor may still be the child of the login that started it.
            self.server.end(spare=processes.below(self._lasting()))
            self.server.start()

    def crash(self) -> None:
        """End all at once, as when the power fails."""
        # Supervisors first: they would start or miss the others.
        processes.end([*self._lasting(), *self.pids])
        if self.server is not None:
            self.server.end()
        self.is_asleep = False

    def boot(self) -> None:
        """Start it again after a crash."""
        if self.server is not None:
            self.server.start()

    def turn(self, state: str) -> None:
        """Do what a change of the weather means for the processes.

        Raises
        ------
        servers.NoServerError
            If it does not come back after a crash; then nothing has changed.
        """
        if self.state == ASLEEP:
            self.wake()
        elif self.state == CRASHED:
            self.boot()
        if state == ASLEEP:
            self.sleep()
        elif state == CRASHED:
            self.crash()
        self.state = state

    def remove(self) -> None:
        """End all of it, and delete what is not in the fleet's own folder."""
        # What is stopped is killed all the same.
        self.crash()
        if self.server is None:
            for store in self._stores():
                shutil.rmtree(store, ignore_errors=True)

    def _lasting(self) -> list[int]:
        """Return supervisors and workers: what outlives a connection."""
        return [pid for store in self._stores() for pid in processes.of_store(store)]

    def _stores(self) -> list[Path]:
        if self.server is not None:
            return [note.parent for note in self.server.state.glob("*/*/version")]
        instance = simulated.instance(self.name, self.entry["labels"])
        found = state_folder().glob(f"*/{instance}/version")
        return [note.parent for note in found]


class SimulatedFleet:
    """Simulated hosts, and a fleet file that names them alone.

    Parameters
    ----------
    number
        How many, 1 to `MOST`.
    seed
        Of all that is chance; hosts get it and the numbers after it.
    over_ssh
        Whether SSH servers are tried.
    age
        Seconds that the weather has gone on already.

    Attributes
    ----------
    file
        The fleet file: what ``MACGPU_FLEET`` is to name.
    transport
        ``ssh`` or ``local``.
    why_local
        Why there are no SSH servers, for people.
    """

    def __init__(
        self, number: int = 3, *, seed: int = 0, over_ssh: bool = True, age: float = 0.0
    ) -> None:
        self.since = int(time.time() - age)
        # A socket's path must stay short to be bound as it is.
        self.folder = Path(tempfile.mkdtemp(prefix="macgpu-demo-"))
        self.hosts: list[SimulatedHost] = []
        self.why_local = servers.why_none() if over_ssh else "it was not asked for"
        try:
            self._start(number, seed)
        except BaseException:
            self.stop()
            raise
        self.file = self.folder / "macgpu.yaml"
        self.file.touch(mode=0o600)
        entries = {host.name: host.entry for host in self.hosts}
        # YAML takes JSON.
        self.file.write_text(json.dumps({"version": 1, "hosts": entries}, indent=2) + "\n")

    @property
    def transport(self) -> str:
        """How the hosts are reached."""
        return "local" if self.why_local else "ssh"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def __getitem__(self, name: str) -> SimulatedHost:
        return next(host for host in self.hosts if host.name == name)

    def weather(self, now: float | None = None) -> dict[str, str]:
        """Return the state of each host at a time, by default now."""
        age = (time.time() if now is None else now) - self.since
        return {host.name: state_at(host.seed, age) for host in self.hosts}

    def enact(self) -> None:
        """Let hosts fall asleep, wake, crash and come back as their weather says.

        What the probe says needs no help; this is what it cannot say.
        """
        for name, state in self.weather().items():
            host = self[name]
            if state != host.state:
                # A server that does not start again is tried again at the next look.
                with contextlib.suppress(servers.NoServerError):
                    host.turn(state)

    def stop(self) -> None:
        """End all hosts and delete their folders. It may be repeated."""
        for host in self.hosts:
            host.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, number: int, seed: int) -> None:
        key = self.folder / "user-key"
        if not self.why_local:
            servers.make_key(key)
        for place, (name, mac) in enumerate(named(number).items()):
            host = self._host(name, mac, seed + place)
            if not self.why_local:
                try:
                    self._serve(host, key, first=not self.hosts)
                except servers.NoServerError as error:
                    if self.hosts:
                        raise
                    self.why_local = str(error)
            if host.server is None:
                host.entry["transport"] = "local"
            self.hosts.append(host)

    def _host(self, name: str, mac: str, seed: int) -> SimulatedHost:
        told = probe.read_probe(output(MACS[mac], weather_at(seed, 0), "n", self.since), "n")
        own = {simulated.LABEL: "true", simulated.MAC: mac}
        own |= {simulated.SEED: str(seed), simulated.SINCE: str(self.since)}
        return SimulatedHost(
            name=name,
            mac=mac,
            seed=seed,
            entry={"python": sys.executable, "labels": {**probe.labels(told), **own}},
        )

    def _serve(self, host: SimulatedHost, key: Path, *, first: bool) -> None:
        server = servers.Server(
            folder=self.folder / host.name,
            key=key,
            settings={"MACGPU_PROBE": simulated.probe_command(host.entry["labels"])},
        )
        server.prepare()
        try:
            server.start()
            if first:
                server.try_login()
        except servers.NoServerError:
            server.end()
            raise
        host.server = server
        host.entry |= {
            "hostname": servers.ADDRESS,
            "port": server.port,
            "user": getpass.getuser(),
            "identity_file": str(key),
            "hostkey": server.fingerprint,
        }
