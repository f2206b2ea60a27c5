"""Runs cells in a real ipykernel and records what it sends."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

#: Seconds that one cell may take.
PATIENCE = 60.0
#: Messages that a notebook keeps or shows.
_SHOWN = {
    "stream",
    "display_data",
    "update_display_data",
    "execute_result",
    "error",
    "clear_output",
}


@dataclass
class Recorded:
    """What one cell did."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    status: str = ""
    payload: list[str] = field(default_factory=list)


@contextmanager
def kernel(folder: Path, **environment: str) -> Iterator[BlockingKernelClient]:
    """Start an ipykernel in `folder`."""
    inherited = dict(os.environ)
    # Under pytest a kernel does not look at what is written to its file descriptors.
    inherited.pop("PYTEST_CURRENT_TEST", None)
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env={**inherited, **environment})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run_unseen(client: BlockingKernelClient, source: str) -> None:
    """Run a cell that is not counted and shows nothing."""
    reply = _reply(client, client.execute(source, silent=True))
    assert reply["status"] == "ok", reply


def name_next_cell(client: BlockingKernelClient, number: int) -> None:
    """Have a plain kernel name its next cell's code as IPython itself does.

    ipykernel's own names look like files that do not exist. IPython then draws an error without
    looking at the code, and takes the line where a frame is for the one where it failed.
    """
    name = f"<ipython-input-{number}-{number:012x}>"
    # An expression and no code: code would take the name of the cell before it.
    setting = f"__import__('os').environ.update(IPYKERNEL_CELL_NAME={name!r})"
    request = client.execute("", silent=True, user_expressions={"setting": setting})
    _reply(client, request)


def run(client: BlockingKernelClient, source: str, replies: Iterable[str] = ()) -> Recorded:
    """Run one cell and return what it showed, in order."""
    recorded, answers = Recorded(), list(replies)
    request = client.execute(source, allow_stdin=True)
    while True:
        message = client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            break
        if kind in _SHOWN:
            recorded.outputs.append({"what": kind, **content})
        if kind == "status" and content["execution_state"] == "busy":
            _answer(client, answers, recorded)
    reply = _reply(client, request)
    recorded.status = reply["status"]
    recorded.payload = [payload["source"] for payload in reply.get("payload", ())]
    return recorded


def _reply(client: BlockingKernelClient, request: str) -> dict[str, Any]:
    while True:
        message = client.get_shell_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") == request:
            return message["content"]


def _answer(client: BlockingKernelClient, answers: list[str], recorded: Recorded) -> None:
    # The cell waits for its answers, so they can be given before its output is read.
    while answers:
        try:
            asked = client.get_stdin_msg(timeout=PATIENCE)["content"]
        except queue.Empty:
            raise TimeoutError("the cell asked nothing") from None
        recorded.outputs.append({"what": "input_request", **asked})
        client.input(answers.pop(0))
