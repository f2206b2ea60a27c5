"""A flood of output: 100 MB of printed lines, then 10,000 updates of one display.

All run in a real ipykernel whose client reads everything that it publishes: ours as a ``%%macgpu``
cell, on this machine and over a real sshd on the loopback address; the peer as the same code in a
plain cell. The time is from the request to the kernel's "idle", with all output received. The most
memory that each side had is noted in MiB: before the flood, and at the end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from . import peaks, sshd
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
#: The code with which a kernel says which process it is.
_WHO = "__import__('os').getpid()"


class OutputLost(RuntimeError):
    """A kernel said that it is idle, and not all of the output had come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A kernel, the line that cells begin with in it, and the processes of each side."""

    client: BlockingKernelClient
    first_line: str
    sides: Mapping[str, Callable[[], list[int]]]


def measure(rounds: int = ROUNDS) -> Report:
    """Run both cells in all kernels in turn, and compare the sums and the parts."""
    times: dict[tuple[str, str], list[float]] = {}
    notes: dict[str, object] = {}
    with ExitStack() as stack:
        contenders = _contenders(stack, notes)
        before = _memory(contenders)
        for round_ in range(rounds):
            print(f"  round {round_ + 1} of {rounds}", file=sys.stderr, flush=True)
            for cell, code in CELLS.items():
                for name, contender in contenders.items():
                    elapsed = _execute(contender.client, contender.first_line + code, cell)
                    times.setdefault((name, cell), []).append(elapsed)
        notes |= {"MiB before": before, "MiB at most": _memory(contenders)}
    peers = [name for name in contenders if name != "ours"]
    parts = {
        cell: Comparison(
            ours=times["ours", cell], peers={name: times[name, cell] for name in peers}
        )
        for cell in CELLS
    }
    if "ours-ssh" in contenders:
        plain = {"ipykernel": _sums(times, "ipykernel"), "ours, local": _sums(times, "ours")}
        parts["ssh"] = Comparison(ours=_sums(times, "ours-ssh"), peers=plain)
    whole = Comparison(ours=_sums(times, "ours"), peers={"ipykernel": _sums(times, "ipykernel")})
    return Report(name="flood", unit="s", whole=whole, parts=parts, notes=notes)


def _contenders(stack: ExitStack, notes: dict[str, object]) -> dict[str, Contender]:
    """Start the kernels, each with its fleet, and run a cell that does nothing in each."""
    found, near = {}, None
    if why := sshd.why_none():
        notes["ssh"] = f"left out: {why}"
    else:
        machines = stack.enter_context(sshd.machines(1))
        host = machines.hosts[0]
        os.environ["MACGPU_FLEET"] = str(machines.fleet({"studio": host.port}))
        found["ours-ssh"] = _ours(stack, host.state, host.state.parent / "sshd_config")
        # This machine's own state, which nobody else uses.
        near = machines.folder / "home" / "state"
    stack.enter_context(this_machine())
    found["ours"] = _ours(stack, near)
    client = stack.enter_context(kernel())
    _execute(client, "pass", "")
    own = _process(client)
    sides = {"kernel": lambda: [own]}
    found["ipykernel"] = Contender(client=client, first_line="# plain\n", sides=sides)
    return found


def _ours(stack: ExitStack, state: Path | None, config: Path | None = None) -> Contender:
    """Start a kernel of ours.

    Parameters
    ----------
    state
        Where its host keeps its state; None leaves the host's memory out.
    config
        Of the host's SSH server.
    """
    client = stack.enter_context(kernel())
    _execute(client, "%load_ext jupyter_macgpu", "")
    _execute(client, "%%macgpu\npass\n", "")
    own = _process(client)
    sides: dict[str, Callable[[], list[int]]] = {"kernel": lambda: [own]}
    if state is not None:
        sides["supervisor"] = lambda: peaks.supervisors(state)
        sides["worker"] = lambda: peaks.workers(state)
    if config is not None:
        sides["sshd"] = lambda: peaks.sessions(config)
    return Contender(client=client, first_line="%%macgpu\n", sides=sides)


def _memory(contenders: Mapping[str, Contender]) -> dict[str, dict[str, float | None]]:
    return {
        name: {side: peaks.peak(of()) for side, of in contender.sides.items()}
        for name, contender in contenders.items()
    }


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


def _process(client: BlockingKernelClient) -> int:
    """Return which process a kernel is."""
    request = client.execute("", silent=True, user_expressions={"pid": _WHO})
    while True:
        reply = client.get_shell_msg(timeout=PATIENCE_SECONDS)
        if reply["parent_header"].get("msg_id") == request:
            return int(reply["content"]["user_expressions"]["pid"]["data"]["text/plain"])


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
            # The line that says what the cell cost is updated too.
            shown = content["data"]["text/plain"]
            received = int(shown) if shown.isdigit() else received
    elapsed = time.perf_counter() - started
    if cell and received < WANTED[cell]:
        raise OutputLost(f"{cell}: {received} of {WANTED[cell]} were received")
    client.get_shell_msg(timeout=PATIENCE_SECONDS)
    return elapsed
