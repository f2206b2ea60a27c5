"""A supervisor's mind on a stage: what happens to it, and what it decides."""

from __future__ import annotations

import hashlib
from typing import Any

from jupyter_macgpu.mac import effects as e
from jupyter_macgpu.mac.supervisor import Supervisor
from jupyter_macgpu.wire import messages as m

S1, S2 = "1" * 32, "2" * 32
BUNDLE = b"the cell and its inputs"


def run_id(number: int) -> str:
    return f"{number:032x}"


R1, R2, R3 = run_id(1), run_id(2), run_id(3)


def submit(run: str = R1, session: str = S1, payload: bytes = BUNDLE, **more: Any) -> m.Submit:
    digest = hashlib.sha256(payload).hexdigest()
    values: dict[str, Any] = {"size": len(payload), "buffers": (payload,), **more}
    return m.Submit(run=run, epoch=1, session=session, digest=digest, **values)


def finished(run: str = R1, mark: int = 9, **content: Any) -> m.Event:
    return m.Event(run=run, mark=mark, what="finished", content={"status": "ok", **content})


class Stage:
    """A supervisor's mind, its clock, and the log of all that it decided."""

    def __init__(self, boot: str = "boot-1", log: list[dict[str, Any]] | None = None) -> None:
        self.mind = Supervisor({"gpu": 1, "cpu": 1}, boot)
        self.now = 0.0
        self.log = list(log or [])
        self.done: list[e.Effect] = []
        self.mind.restore(self.log, self.now)

    def keep(self, effects: list[e.Effect]) -> list[e.Effect]:
        self.log += [effect.entry for effect in effects if isinstance(effect, e.Log)]
        self.done = effects
        return effects

    def client(self, number: int = 1, notebook: str = "nb", kernel: str = "k1") -> None:
        hello = m.Hello(role="client", client=kernel, notebook=notebook)
        self.keep(self.mind.connected(number, hello))

    def say(self, message: m.Message, client: int = 1) -> list[e.Effect]:
        return self.keep(self.mind.message(client, message, self.now))

    def tick(self, seconds: float) -> list[e.Effect]:
        self.now += seconds
        return self.keep(self.mind.tick(self.now))

    def ready(self, session: str = S1) -> list[e.Effect]:
        return self.keep(self.mind.worker_ready(session, self.now))

    def worker(self, message: m.Message, session: str = S1) -> list[e.Effect]:
        return self.keep(self.mind.worker_said(session, message, self.now))

    def gone(self, session: str = S1, **how: Any) -> list[e.Effect]:
        return self.keep(self.mind.worker_gone(session, how, self.now))

    def restarted(self, boot: str = "boot-1") -> Stage:
        """Return the next supervisor of the same store."""
        return Stage(boot, self.log)

    def settled(self) -> list[e.Effect]:
        return self.keep(self.mind.settle(self.now))

    def state(self, run: str = R1) -> str:
        return self.mind.runs[run].state


def names(effects: list[e.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def only(kind: type[Any], effects: list[e.Effect]) -> Any:
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def refusal(effects: list[e.Effect]) -> str:
    return str(only(e.Send, effects).message.reason)
