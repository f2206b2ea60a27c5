"""A kernel that asks for things about jobs: it hands one in, moves it, or lets a cell go."""

from __future__ import annotations

import json
import types
from typing import TYPE_CHECKING, Any, cast

from jupyter_macgpu.execution import Execution, Submission
from jupyter_macgpu.fleet.hosts import Fleet, Host
from jupyter_macgpu.interrupts import Interrupts
from jupyter_macgpu.link import Link
from jupyter_macgpu.lookout import Lookouts
from jupyter_macgpu.moving import move
from jupyter_macgpu.recorder import Recorder
from jupyter_macgpu.runs import KnownRun
from jupyter_macgpu.session import Session
from jupyter_macgpu.wire import bundle
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.errors import MacGPUError
from tests.model.client import OnTurns, Turns, dial

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_macgpu.pool import Pool
    from tests.model.client import ModelChannel
    from tests.model.network import Line
    from tests.model.world import World

#: Where a job is, and where it is moved. Both names lead to the one supervisor of the model, so
#: that a crash hits both ends of a move; what holds for a run and its copy holds all the same.
HERE, THERE = (Host(name=name, hostname=name) for name in ("here", "there"))


class Caller(OnTurns):
    """A kernel with one errand, on a thread that moves when it may. It is its own transport.

    Attributes
    ----------
    error
        What it was told, if that was no good news.
    """

    name = "model"

    def __init__(self, world: World, errand: Callable[[Caller], None]) -> None:
        self.world = world
        self.error: MacGPUError | None = None
        self.line: Line | None = None
        self.pool = cast("Pool", _Pool(self))
        self._errand = errand
        self.turns = Turns(self._go)

    def _go(self) -> None:
        try:
            self._errand(self)
        except MacGPUError as error:
            self.error = error
        except Exception as error:
            self.world.crashes.append(error)

    # As transport.

    def open(self) -> ModelChannel:
        self.line, channel = dial(self.world, self.turns)
        return channel

    def close(self) -> None:
        return

    def rest(self) -> None:
        return


class _Pool:
    """What moving asks of a kernel's pool."""

    def __init__(self, caller: Caller) -> None:
        self.fleet = Fleet(hosts=(HERE, THERE))
        self.lookouts = Lookouts(lambda host: Link(caller, f"kernel-{host.name}", "jobs"))
        self.lengths = types.SimpleNamespace(of=lambda _origin: None)

    def session(self, host: Host) -> Session:
        return Session(host=host, link=self.lookouts.of(host)._link)

    def decide(self, _wish: object) -> types.SimpleNamespace:
        return types.SimpleNamespace(host=THERE)


def hand_in(run: str, size: int, options: dict[str, Any]) -> Callable[[Caller], None]:
    """Return the errand of handing in a run that nobody waits for."""
    pieces = bundle.pack([json.dumps({"source": "pass"}).encode(), b"x" * size])
    message = m.Submit(
        run=run,
        epoch=1,
        session=run,
        size=bundle.size_of(pieces),
        digest=bundle.digest_of(pieces),
        origin={"notebook": "jobs", "cell": run},
        options={"detach": True, "own": True, **options},
    )

    def errand(caller: Caller) -> None:
        caller.world.digests[run], caller.world.blobs_of[run] = message.digest, {}
        link, recorder = Link(caller, "kernel-jobs", "jobs"), Recorder("here", "full")
        submission = Submission(message=message, pieces=pieces)
        Execution(link, run, recorder, Interrupts(), submission).hand_in()
        link.close()

    return errand


def moving(run: str) -> Callable[[Caller], None]:
    """Return the errand of moving a run, or of finishing its move."""

    def errand(caller: Caller) -> None:
        rows = caller.pool.lookouts.of(HERE).rows([run])
        if run in rows:
            row = rows[run]
            host = THERE if (row.get("options") or {}).get("moved_from") else HERE
            move(caller.pool, KnownRun(session=caller.pool.session(host), row=row), THERE.name)

    return errand


def letting_go(run: str) -> Callable[[Caller], None]:
    """Return the errand of letting a run go that a cell waits for."""
    return lambda caller: _told(caller, m.Detach(run=run))


def _told(caller: Caller, message: m.Message) -> None:
    caller.pool.lookouts.of(HERE).tell(message, m.RunState)
