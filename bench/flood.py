"""A flood of output: 100 MB of printed lines, then 10,000 updates of one display.

Both run in a real ipykernel whose client reads everything that it publishes: ours as
a ``%%macgpu`` cell, the peer as the same code in a plain cell. The time is from the
request to the kernel's "idle", with all output received.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from .fleet import this_machine
from .report import Comparison, Report

ROUNDS = 5
LINES, UPDATES = 1_000_000, 10_000
CELLS = {
    "lines": f"line = 'x' * 99\nfor _ in range({LINES}):\n    print(line)\n",
    "updates": (
        "from IPython.display import display\n"
        "handle = display(0, display_id=True)\n"
        f"for i in range(1, {UPDATES} + 1):\n    handle.update(i)\n"
    ),
}
#: What must have been received, by cell: less would be a faster kernel that loses output.
WANTED = {"lines": LINES * 100, "updates": UPDATES}
PATIENCE_SECONDS = 300


class OutputLost(RuntimeError):
    """A kernel said that it is idle, and not all of the output had come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A kernel, and the line that cells begin with in it."""

    client: BlockingKernelClient
    first_line: str


def measure(rounds: int = ROUNDS) -> Report:
    """Run both cells in both kernels in turn, and compare the sums and the parts."""
    times: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        stack.enter_context(this_machine())
        contenders = {
            "ours": Contender(client=stack.enter_context(kernel()), first_line="%%macgpu\n"),
            "ipykernel": Contender(client=stack.enter_context(kernel()), first_line="# plain\n"),
        }
        _execute(contenders["ours"].client, "%load_ext jupyter_macgpu", "")
        for contender in contenders.values():
            _execute(contender.client, f"{contender.first_line}pass\n", "")
        for round_ in range(rounds):
            print(f"  round {round_ + 1} of {rounds}", file=sys.stderr, flush=True)
            for cell, code in CELLS.items():
                for name, contender in contenders.items():
                    elapsed = _execute(contender.client, contender.first_line + code, cell)
                    times.setdefault((name, cell), []).append(elapsed)
    parts = {
        cell: Comparison(ours=times["ours", cell], peers={"ipykernel": times["ipykernel", cell]})
        for cell in CELLS
    }
    whole = Comparison(ours=_sums(times, "ours"), peers={"ipykernel": _sums(times, "ipykernel")})
    return Report(name="flood", unit="s", whole=whole, parts=parts)


def _sums(times: dict[tuple[str, str], list[float]], name: str) -> list[float]:
    return [sum(both) for both in zip(*(times[name, cell] for cell in CELLS), strict=True)]


@contextmanager
def kernel() -> Iterator[BlockingKernelClient]:
    """Start an ipykernel, and end it."""
    manager, client = start_new_kernel(startup_timeout=60)
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)


def _execute(client: BlockingKernelClient, code: str, cell: str) -> float:
    """Return the seconds until the kernel is idle again; everything published is read."""
    started = time.perf_counter()
    request = client.execute(code, store_history=False)
    received = 0
    while True:
        message = client.get_iopub_msg(timeout=PATIENCE_SECONDS)
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            break
        if kind == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        if kind == "stream" and cell == "lines":
            received += len(content["text"])
        elif kind == "update_display_data" and cell == "updates":
            received = int(content["data"]["text/plain"])
    elapsed = time.perf_counter() - started
    if cell and received < WANTED[cell]:
        raise OutputLost(f"{cell}: {received} of {WANTED[cell]} were received")
    client.get_shell_msg(timeout=PATIENCE_SECONDS)
    return elapsed
