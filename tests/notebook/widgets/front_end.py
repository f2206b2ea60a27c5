"""Plays a front end to a kernel: runs cells, speaks over comms, records what the kernel says."""

from __future__ import annotations

import hashlib
import queue
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking import BlockingKernelClient

from tests.faults import processes
from tests.notebook.golden import run_plain

#: Seconds that anything here may take.
PATIENCE = 60.0
ROOT = str(Path(__file__).parents[3])


@dataclass
class Said:
    """One message of the kernel's."""

    kind: str
    content: dict[str, Any]
    parent: str
    buffers: list[bytes] = field(default_factory=list)

    @property
    def data(self) -> dict[str, Any]:
        return self.content.get("data") or {}


class FrontEnd:
    """One front end, and the models that it knows of."""

    def __init__(self, client: BlockingKernelClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        #: State by comm id, in the order in which the comms were opened.
        self.models: dict[str, dict[str, Any]] = {}
        self.said: list[Said] = []
        self.cells = 0

    def run(self, source: str) -> list[Said]:
        """Run a cell; return what the kernel said because of it."""
        # As the golden cells do: what errors show of a cell's code depends on its name.
        self.cells += 1
        run_plain.name_next_cell(self.client, self.cells)
        return self.until_idle(self.client.execute(source, allow_stdin=False))

    def tell(self, comm: str, data: dict[str, Any], *buffers: bytes) -> list[Said]:
        """Say something over a comm; return what the kernel said because of it."""
        return self.until_idle(self.send(comm, data, *buffers))

    def send(
        self, comm: str, data: dict[str, Any], *buffers: bytes, subshell: str | None = None
    ) -> str:
        """Say something over a comm; return the message's id."""
        content = {"comm_id": comm, "data": data}
        return self._send("comm_msg", content, buffers, subshell=subshell)

    def open(self, comm: str, target: str, **metadata: str) -> str:
        """Open a comm from here."""
        content = {"comm_id": comm, "target_name": target, "data": {}}
        return self._send("comm_open", content, (), metadata)

    def subshell(self) -> str:
        """Have the kernel make a subshell, which hears comms while a cell runs."""
        message = self.client.session.msg("create_subshell_request", {})
        self.client.control_channel.send(message)
        reply = self.client.get_control_msg(timeout=PATIENCE)
        return reply["content"]["subshell_id"]

    def set(self, comm: str, **state: Any) -> list[Said]:
        """Change traits of a model, as a front end does."""
        return self.tell(comm, {"method": "update", "state": state, "buffer_paths": []})

    def model(self, name: str, nth: int = 0) -> str:
        """Return the comm of the nth model that has this name."""
        return [c for c, s in self.models.items() if s.get("_model_name") == name][nth]

    def until_idle(self, request: str) -> list[Said]:
        """Listen until the kernel has done what was asked; return what it said because of it."""
        found = []
        for said in self.listen():
            if said.parent == request:
                found.append(said)
                if said.kind == "status" and said.content["execution_state"] == "idle":
                    return found
        raise TimeoutError(f"no end of {request}")

    def until(self, wanted: Callable[[Said], bool]) -> Said:
        """Listen until the kernel says something."""
        for said in self.listen():
            if wanted(said):
                return said
        raise TimeoutError("it was never said")

    def listen(self, seconds: float = PATIENCE) -> Iterator[Said]:
        """Yield what the kernel says, for a while."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except queue.Empty:
                return
            yield self._note(message)

    def _note(self, message: dict[str, Any]) -> Said:
        said = Said(
            message["header"]["msg_type"],
            message["content"],
            message["parent_header"].get("msg_id", ""),
            [bytes(buffer) for buffer in message.get("buffers") or ()],
        )
        self.said.append(said)
        comm = said.content.get("comm_id")
        if said.kind == "comm_open":
            self.models[comm] = dict(said.data.get("state") or {})
        elif said.kind == "comm_close":
            self.models.pop(comm, None)
        elif said.kind == "comm_msg" and said.data.get("method") in ("update", "echo_update"):
            self.models.setdefault(comm, {}).update(said.data["state"])
        return said

    def _send(
        self,
        kind: str,
        content: dict[str, Any],
        buffers: tuple[bytes, ...],
        metadata: dict[str, str] | None = None,
        subshell: str | None = None,
    ) -> str:
        message = self.client.session.msg(kind, content, metadata=metadata)
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.session.send(self.client.shell_channel.socket, message, buffers=list(buffers))
        return message["header"]["msg_id"]


@contextmanager
def front_end(folder: Path, *, remote: bool, **environment: str) -> Iterator[FrontEnd]:
    """Start a kernel in `folder`, with the extension loaded and used once if it is `remote`."""
    environment = {"PYTHONPATH": ROOT, "MACGPU_STATE": str(folder / "s")} | environment
    try:
        with run_plain.kernel(folder, **environment) as client:
            if remote:
                run_plain.run_unseen(client, "%load_ext jupyter_macgpu")
                # The session's first cell says where it runs; that is tested elsewhere.
                run_plain.run_unseen(client, "get_ipython().run_cell_magic('macgpu', '', 'pass')")
            yield FrontEnd(client, folder)
    finally:
        processes.end_all(Path(environment["MACGPU_STATE"]))


def normalised(said: list[Said]) -> list[Any]:
    """Return messages without what may differ: ids, times, and how a stream is cut.

    A kernel sends what was printed when it likes, and comm messages at once; so text stands first.
    """
    ids: dict[str, str] = {}
    streams: dict[str, str] = {}
    others: list[Any] = []
    for each in said:
        if each.kind == "stream":
            name = each.content["name"]
            streams[name] = streams.get(name, "") + each.content["text"]
        elif each.kind != "execute_input" and not _is_cursor(each):
            digests = [hashlib.sha256(buffer).hexdigest()[:8] for buffer in each.buffers]
            others.append([each.kind, _texts(each.content, ids), digests])
    return [{name: _text(text, ids) for name, text in sorted(streams.items())}, *others]


def _is_cursor(said: Said) -> bool:
    """Say whether it is a figure's cursor: it shows that one waits, if that takes a second."""
    return list(said.data.get("state") or ()) == ["_cursor"]


_IDS = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{32}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b[0-9a-f]{8}-[0-9a-f]{24}_\d+_\d+\b"
)


def _texts(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _text(value, ids)
    if isinstance(value, dict):
        return {_text(key, ids): _texts(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item, ids) for item in value]
    return value


def _text(text: str, ids: dict[str, str]) -> str:
    text = _IDS.sub(lambda found: ids.setdefault(found[0], f"ID{len(ids)}"), text)
    text = re.sub(r"0x[0-9a-f]{6,}", "0xADDRESS", text)
    text = re.sub(r"<ipython-input-\d+-[0-9a-f]+>", "CELLFILE", text)
    return re.sub(r"[\d.?]+(it/s|s/it)|\d\d:\d\d", "TIME", text)
