"""Plays the supervisor to a real worker: starts it, reads its pipes, keeps its events in order."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from jupyter_macgpu.mac.merge import Merger, Written
from jupyter_macgpu.wire import bundle, content
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import Connection
from jupyter_macgpu.wire.values.capture import Capture, capture
from jupyter_macgpu.wire.values.restore import apply

#: Seconds that anything here may take before the test fails.
PATIENCE = 60.0


@dataclass
class Ran:
    """What one cell did."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    finished: dict[str, Any] = field(default_factory=dict)
    event: m.Event | None = None

    @property
    def status(self) -> str:
        return self.finished["status"]

    def text(self, name: str = "stdout") -> str:
        """Return what went to a stream."""
        chunks = [o["text"] for o in self.outputs if o["what"] == "stream" and o["name"] == name]
        return "".join(chunks)

    def kinds(self) -> list[str]:
        return [output["what"] for output in self.outputs]

    def of(self, what: str) -> list[dict[str, Any]]:
        return [output for output in self.outputs if output["what"] == what]


class Supervisor:
    """One supervisor's connection to a worker."""

    def __init__(self, folder: Path, noted: int = 0, *, merger: Merger | None = None) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(os.fspath(folder / "socket"))
        _, self.fds, _, _ = socket.recv_fds(self.sock, 1, 2)
        self.connection = Connection("supervisor", "worker")
        self._unsent = bytearray()
        self.say(m.Hello(role="supervisor", detail={"noted": noted}))
        self.said: list[m.Message] = []
        while not self.said:
            self._hear()
        hello = self.said.pop(0)
        assert isinstance(hello, m.Hello)
        self.hello = hello.detail
        self.merger = merger or Merger(self.hello["nonce"])
        for message in self.said:
            if isinstance(message, m.Event):
                self.merger.event(message)

    def say(self, message: m.Message) -> None:
        self._unsent += self.connection.send(message)
        self._send()

    def _send(self) -> None:
        # What the worker does not take now waits: it may be in a full pipe, which is ours to read.
        with contextlib.suppress(BrokenPipeError):  # it may have ended after its last word
            while self._unsent and select.select([], [self.sock], [], 0)[1]:
                del self._unsent[: self.sock.send(self._unsent)]

    def _hear(self) -> None:
        data = self.sock.recv(1 << 20)
        if not data:
            raise EOFError("the worker hung up")
        self.connection.receive(data)
        while (message := self.connection.next()) is not None:
            self.said.append(message)

    def listen(self, seconds: float = PATIENCE) -> list[Written | m.Event | m.Message]:
        """Wait for anything, and return what is next in order."""
        stdout, stderr = self.fds
        unsent = [self.sock] if self._unsent else []
        ready, _, _ = select.select([self.sock, stdout, stderr], unsent, [], seconds)
        self._send()
        for fd, name in ((stdout, "stdout"), (stderr, "stderr")):
            if fd in ready:
                self.merger.feed(name, os.read(fd, 1 << 16))
        if self.sock in ready:
            self._hear()
        others: list[Written | m.Event | m.Message] = []
        for message in self.said:
            if isinstance(message, m.Event):
                self.merger.event(message)
            else:
                others.append(message)
        self.said.clear()
        return [*self.merger.take(), *others]

    def close(self) -> None:
        self.sock.close()
        for fd in self.fds:
            os.close(fd)


class Driver:
    """A worker and the notebook that it belongs to."""

    def __init__(
        self,
        folder: Path,
        *,
        idle: float = 60.0,
        session: str = "s",
        program: Sequence[str] = (sys.executable, "-P", "-m", "jupyter_macgpu.mac.worker"),
    ) -> None:
        self.folder = folder
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.count = 0
        self._runs = 0
        work = folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*program, "--dir", str(folder), "--session", session, "--idle", str(idle)],
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self._wait_until_up()
        self.supervisor = Supervisor(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.supervisor.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def _wait_until_up(self) -> None:
        until = time.monotonic() + PATIENCE
        while not (self.folder / "worker.json").exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.01)

    @property
    def identity(self) -> dict[str, Any]:
        return json.loads((self.folder / "worker.json").read_text())

    def run(self, source: str, *, answers: list[m.InputReply] | None = None, **said: Any) -> Ran:
        """Run a cell to its end and bring its variables home."""
        captured = self.start(source, **said)
        ran = self.finish(answers=answers)
        self.bring_home(ran, captured)
        return ran

    def start(self, source: str, *, reads: list[str] | None = None, **said: Any) -> Capture:
        """Ask for a run; `reads` names its inputs, by default all that there is."""
        self.count += 1
        self._runs += 1
        self.current = f"run{self._runs}"
        names = [n for n in self.namespace if not n.startswith("__")] if reads is None else reads
        captured = capture(names, self.namespace)
        description = {"source": source, "execution_count": self.count, "cell_id": "c"}
        description |= {"names": list(captured.names), "free": [], "stdin": True, **said}
        parts = [json.dumps(description).encode(), captured.stream]
        pieces = bundle.pack([*parts, *(buffer.raw() for buffer in captured.buffers)])
        size = bundle.size_of(pieces)
        if size <= m.INLINE:
            where: dict[str, Any] = {"buffers": (b"".join(pieces),)}
        else:
            path = self.folder / f"{self.current}.inputs"
            path.write_bytes(b"".join(pieces))
            where = {"path": str(path)}
        self.supervisor.say(m.Execute(run=self.current, epoch=1, size=size, **where))
        return captured

    def finish(self, *, answers: list[m.InputReply] | None = None) -> Ran:
        """Listen until the run has ended."""
        ran, joiner = Ran(), content.Joiner()
        until = time.monotonic() + PATIENCE
        while not ran.finished:
            assert time.monotonic() < until, f"no end after {PATIENCE} s: {ran.outputs[-3:]}"
            for item in self.supervisor.listen(1.0):
                self._take(item, ran, joiner, answers or [])
        return ran

    def _take(
        self, item: object, ran: Ran, joiner: content.Joiner, answers: list[m.InputReply]
    ) -> None:
        if isinstance(item, Written):
            ran.outputs.append(
                {"what": "stream", "name": item.name, "text": item.data.decode("utf-8", "replace")}
            )
        elif isinstance(item, m.Event):
            self.supervisor.say(m.Noted(mark=item.mark))
            if item.what == "finished":
                ran.finished, ran.event = item.content, item
                return
            whole = joiner.take(item.what, item.content, item.buffers)
            if whole is None:
                return
            ran.outputs.append({"what": item.what, **whole})
            if item.what == "input_request" and answers:
                self.supervisor.say(answers.pop(0))

    def bring_home(self, ran: Ran, captured: Capture) -> Any:
        """Apply what came back to the notebook's namespace; the last value becomes `_`."""
        assert ran.event is not None
        if not ran.event.size:
            return
        parts = self.result_parts(ran.event)
        host = "the worker"
        applied = apply(
            bytes(parts[1]),
            [bytearray(part) for part in parts[2:]],
            captured.table,
            self.namespace,
            run=ran.event.run,
            host=host,
        )
        ran.finished["value"] = applied.result

    @staticmethod
    def result_parts(event: m.Event | m.Operated) -> list[memoryview]:
        path = getattr(event, "path", "") or getattr(event, "detail", {}).get("path", "")
        data = Path(path).read_bytes() if path else b"".join(event.buffers)
        assert len(data) == event.size
        return bundle.unpack(memoryview(data))

    def interrupt(self, run: str | None = None) -> None:
        """Interrupt a run as the supervisor does."""
        note = self.folder / "interrupt"
        temporary = self.folder / "interrupt.part"
        temporary.write_text(f"{run or self.current} 1")
        temporary.replace(note)
        os.killpg(self.process.pid, signal.SIGINT)

    def operate(self, action: str, **detail: Any) -> m.Operated:
        self.supervisor.say(m.Operate(operation="op", session="s", action=action, detail=detail))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for item in self.supervisor.listen(1.0):
                if isinstance(item, m.Operated):
                    return item
        raise TimeoutError
