"""Real kernels of one notebook, which can be killed."""

from __future__ import annotations

import os
import queue
import time
from dataclasses import dataclass, field
from typing import Any, Self

from jupyter_client.manager import KernelManager

#: Seconds that a cell may take.
PATIENCE = 60.0


@dataclass(slots=True, kw_only=True)
class Reply:
    """What a cell showed.

    Attributes
    ----------
    updates
        What lines that it showed were changed to.
    error
        Name and text of its error, or nothing.
    """

    stdout: str = ""
    texts: list[str] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)
    error: str = ""


class Kernel:
    """One ipykernel with the extension loaded.

    Parameters
    ----------
    notebook
        What its front end would call the notebook.
    """

    def __init__(self, notebook: str) -> None:
        environment = {**os.environ, "JPY_SESSION_NAME": notebook}
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(env=environment)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)
        self.reply = Reply()
        assert not self.run("%load_ext jupyter_macgpu").error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def begin(self, source: str, cell: str = "") -> str:
        """Begin a cell with an id of the notebook's; return the request's id."""
        message = self._client.session.msg(
            "execute_request",
            {
                "code": source,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": False,
            },
            metadata={"cellId": cell} if cell else None,
        )
        self._client.shell_channel.send(message)
        self.reply = Reply()
        return str(message["header"]["msg_id"])

    def run(self, source: str, cell: str = "") -> Reply:
        """Run a cell to its end."""
        request = self.begin(source, cell)
        while not self.listen(request, PATIENCE):
            pass
        return self.reply

    def listen(self, request: str, seconds: float) -> bool:
        """Take one message of a cell's; say whether the cell has ended.

        Raises
        ------
        queue.Empty
            If none comes.
        """
        message = self._client.get_iopub_msg(timeout=seconds)
        if message["parent_header"].get("msg_id") != request:
            return False
        return self._take(message["msg_type"], message["content"])

    def listen_until(self, request: str, moment: float) -> None:
        """Take what comes until a moment of the monotonic clock."""
        while (left := moment - time.monotonic()) > 0:
            try:
                self.listen(request, left)
            except queue.Empty:
                return

    def value(self, expression: str) -> Any:
        """Return what an expression's repr reads as."""
        reply = self.run(f"print(repr({expression}))")
        assert not reply.error, reply.error
        return eval(reply.stdout)

    def kill(self) -> None:
        """Kill it: nothing of it gets to say anything any more."""
        self._manager.provisioner.process.kill()
        self._manager.provisioner.process.wait()

    def interrupt(self) -> None:
        """Press the front end's button."""
        self._manager.interrupt_kernel()

    def _take(self, kind: str, content: dict[str, Any]) -> bool:
        if kind == "stream" and content["name"] == "stdout":
            self.reply.stdout += content["text"]
        elif kind in ("display_data", "execute_result"):
            self.reply.texts.append(content["data"].get("text/plain", ""))
        elif kind == "update_display_data":
            self.reply.updates.append(content["data"].get("text/plain", ""))
        elif kind == "error":
            self.reply.error = f"{content['ename']}: {content['evalue']}"
        return kind == "status" and content["execution_state"] == "idle"
