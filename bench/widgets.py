"""Widgets: a slider is moved, a progress bar takes 100,000 steps, a cell has its line.

Both run in a real ipykernel: ours as a ``%%macgpu`` cell, the peer as the same code in a plain
cell. A move's time is from the front end's message to the kernel's "idle", with what the callback
printed received; a bar's from the request to "idle", with the bar's last state received.

The line that says what a cell does is compared with no line, in the same kernel: of cells that do
nothing, which have none by themselves (``auto``) and one if that is asked for (``on``).
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

from .fleet import this_machine
from .flood import PATIENCE_SECONDS, OutputLost, kernel
from .report import Comparison, Report

ROUNDS = 5
MOVES, STEPS = 100, 100_000
#: Cells that do nothing, a round.
CELLS = 100
_SLIDER = """\
import ipywidgets
slider = ipywidgets.IntSlider(0, max=10**9)
slider.observe(lambda change: print('moved to', change['new']), 'value')
display(slider)
"""
_BAR = f"""\
from tqdm.notebook import tqdm
for step in tqdm(range({STEPS})):
    pass
"""


class FrontEnd:
    """A kernel's front end, which knows the widgets' states.

    Parameters
    ----------
    client
        To the kernel.
    first_line
        What its cells begin with.
    """

    def __init__(self, client: BlockingKernelClient, first_line: str) -> None:
        self.client = client
        self._first_line = first_line
        #: Lines of ours that were shown.
        self.lines = 0
        self._states: dict[str, dict[str, Any]] = {}
        self._moved = 0

    def run(self, code: str) -> float:
        """Run a cell; return the seconds until the kernel is idle."""
        started = time.perf_counter()
        self._hear(self.client.execute(self._first_line + code, store_history=False))
        elapsed = time.perf_counter() - started
        self.client.get_shell_msg(timeout=PATIENCE_SECONDS)
        return elapsed

    def move(self) -> float:
        """Move the slider `MOVES` times; return the seconds of one move.

        Raises
        ------
        OutputLost
            If a callback's output did not come.
        """
        slider = self._newest("IntSliderModel")
        started = time.perf_counter()
        for _ in range(MOVES):
            self._moved += 1
            data = {"method": "update", "state": {"value": self._moved}, "buffer_paths": []}
            message = self.client.session.msg("comm_msg", {"comm_id": slider, "data": data})
            self.client.shell_channel.send(message)
            printed = self._hear(message["header"]["msg_id"])
            if printed != f"moved to {self._moved}\n":
                raise OutputLost(f"the callback of move {self._moved} printed {printed!r}")
        return (time.perf_counter() - started) / MOVES

    def step(self) -> float:
        """Have a bar take its steps; return the seconds.

        Raises
        ------
        OutputLost
            If its last state did not come.
        """
        elapsed = self.run(_BAR)
        state = self._states[self._newest("FloatProgressModel")]
        if state["value"] != STEPS:
            raise OutputLost(f"the bar ended at {state['value']} of {STEPS}")
        return elapsed

    def empty(self, progress: str) -> float:
        """Run `CELLS` cells that do nothing, with the line as a setting says; return one's seconds.

        Raises
        ------
        OutputLost
            If there was a line where there was to be none, or none where there was to be one.
        """
        setting = self.client.execute(f"%macgpu config progress={progress}", store_history=False)
        self._hear(setting)
        self.client.get_shell_msg(timeout=PATIENCE_SECONDS)
        self.lines = 0
        seconds = sum(self.run("pass") for _ in range(CELLS)) / CELLS
        if self.lines != (CELLS if progress == "on" else 0):
            raise OutputLost(f"{self.lines} lines of {CELLS} cells with progress={progress}")
        return seconds

    def _newest(self, model: str) -> str:
        return [c for c, s in self._states.items() if s.get("_model_name") == model][-1]

    def _hear(self, request: str) -> str:
        """Listen until the kernel is idle; return what was printed."""
        printed = ""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE_SECONDS)
            kind, content = message["msg_type"], message["content"]
            if kind in ("comm_open", "comm_msg"):
                state = content["data"].get("state") or {}
                self._states.setdefault(content["comm_id"], {}).update(state)
            if message["parent_header"].get("msg_id") != request:
                continue
            if kind == "error":
                raise RuntimeError("\n".join(content["traceback"]))
            if kind == "display_data":
                self.lines += content["data"]["text/plain"].startswith("macgpu: ")
            if kind == "stream" and content["name"] == "stdout":
                printed += content["text"]
            elif kind == "status" and content["execution_state"] == "idle":
                return printed


def measure(rounds: int = ROUNDS) -> Report:
    """Move sliders and bars in both kernels in turn, and the line; times in milliseconds."""
    times: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        stack.enter_context(this_machine())
        first_lines = {"ours": "%%macgpu\n", "ipykernel": "# plain\n"}
        fronts = {
            name: FrontEnd(stack.enter_context(kernel()), first_line)
            for name, first_line in first_lines.items()
        }
        FrontEnd(fronts["ours"].client, "").run("%load_ext jupyter_macgpu")
        for front in fronts.values():
            front.run(_SLIDER)
            front.move()
            front.step()
        for round_ in range(rounds):
            print(f"  round {round_ + 1} of {rounds}", file=sys.stderr, flush=True)
            for name, front in fronts.items():
                times.setdefault((name, "callback"), []).append(front.move() * 1000)
                times.setdefault((name, "bar"), []).append(front.step() * 1000)
            for progress in ("auto", "off", "on"):
                seconds = fronts["ours"].empty(progress)
                times.setdefault((progress, "line"), []).append(seconds * 1000)
    parts = {
        part: Comparison(ours=times["ours", part], peers={"ipykernel": times["ipykernel", part]})
        for part in ("callback", "bar")
    }
    for progress in ("auto", "on"):
        without = {"no line": times["off", "line"]}
        parts[f"line {progress}"] = Comparison(ours=times[progress, "line"], peers=without)
    return Report(name="widgets", unit="ms", whole=parts["callback"], parts=parts)
