"""Many notebooks and a few hosts: real clients and real supervisors, and an oracle of its own.

The cells say themselves when they had the host: each takes a lock that no two may have at the same
time, and appends a line to the host's log.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_macgpu.cell import Cell
from jupyter_macgpu.fleet.hosts import Fleet, Host
from jupyter_macgpu.interrupts import Interrupts
from jupyter_macgpu.options import CellOptions
from jupyter_macgpu.pool import Pool
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.way import Result, run_cell
from tests.faults.desk import PLAIN, Record

#: What each cell does. Two that overlap fail at the lock, whatever the queue believes.
SECTION = """
import fcntl, os, time
place = os.environ["MACGPU_STATE"]
with open(place + "/oracle.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(place + "/oracle.log", "a") as log:
        print({name!r}, file=log, flush=True)
    time.sleep({seconds})
    while {gate!r} and not os.path.exists({gate!r}):
        time.sleep(0.02)
"""


def hosts_in(folder: Path, count: int) -> tuple[Host, ...]:
    """Return hosts that are this machine, each with a state folder of its own."""
    names = [f"host-{number + 1}" for number in range(count)]
    for name in names:
        (folder / name).mkdir()
    return tuple(Host(name=name, hostname="localhost", transport="local") for name in names)


class _Ways(Reach):
    """Leads to each host's own state folder."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        super().__init__(nobody_to_ask)
        self._folder = folder
        self._settings = settings

    def transport(self, host: Host) -> LocalTransport:
        settings = {"MACGPU_STATE": str(self._folder / host.name), **self._settings}
        return LocalTransport(host.name, settings)


class Standing(Record):
    """A record that knows how its cell stood, and can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Event()
        self.lines: list[dict[str, Any]] = []

    def state(self, state: Any) -> None:
        super().state(state)
        if state.state == "queued":
            self.lines.append(
                {"position": state.position, "wait": state.wait, **state.detail},
            )
        self.waits.set()


@dataclass(slots=True)
class Notebook:
    """One kernel of one notebook, whose cells run on a thread.

    Attributes
    ----------
    host
        Where its last cell ran, or was about to.
    """

    name: str
    folder: Path
    hosts: tuple[Host, ...]
    settings: dict[str, str] = field(default_factory=dict)
    interrupts: Interrupts = field(default_factory=Interrupts)
    record: Standing = field(default_factory=Standing)
    namespace: dict[str, Any] = field(default_factory=dict)
    result: Result | None = None
    error: BaseException | None = None
    host: str = ""
    pool: Pool = field(init=False)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        ways = _Ways(self.folder, self.settings)
        self.pool = Pool(Fleet(hosts=self.hosts), ways, self.name)

    def begin(self, source: str, cell: str = "", **options: Any) -> None:
        """Begin a cell."""
        self.interrupts, self.record = Interrupts(), Standing()
        self.result = self.error = None
        arguments = (source, cell, CellOptions(**options))
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()

    def section(self, seconds: float = 0.0, gate: str = "", **options: Any) -> None:
        """Begin a cell that has its host for itself for some time, and until a file is there."""
        self.begin(SECTION.format(name=self.name, seconds=seconds, gate=gate), **options)

    def join(self, seconds: float = 120.0) -> None:
        """Wait for the cell's end.

        Raises
        ------
        AssertionError
            If it does not come.
        """
        assert self._thread is not None
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"{self.name} hangs: {self.record.lines[-3:]}"

    def close(self) -> None:
        """End the kernel in order, and what still connects in the background."""
        if self._thread is not None:
            self._thread.join(60)
        while busy := [each for each in threading.enumerate() if each.name in self._scouts]:
            busy[0].join()
        self.pool.close()

    @property
    def _scouts(self) -> set[str]:
        return {f"macgpu-{host.name}" for host in self.hosts}

    def _run(self, source: str, cell: str, options: CellOptions) -> None:
        try:
            self.result = run_cell(
                Cell(source=source, code=source, count=1, cell=cell, dialect=PLAIN),
                self.namespace,
                options,
                pool=self.pool,
                show=self.record,
                interrupts=self.interrupts,
                record=lambda _message, _host: None,
                placed=self._placed,
                limits={},
            )
        except BaseException as error:
            self.error = error
        finally:
            self.record.waits.set()

    def _placed(self, session: Any) -> None:
        self.host = session.host.name


def sections(folder: Path, hosts: tuple[Host, ...]) -> dict[str, list[str]]:
    """Return who had each host, in order, by what the cells themselves wrote down."""
    logs = {host.name: folder / host.name / "oracle.log" for host in hosts}
    return {name: log.read_text().split() if log.exists() else [] for name, log in logs.items()}
