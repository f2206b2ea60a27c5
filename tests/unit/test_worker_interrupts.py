"""An interrupt at every place of an output at which CPython takes one."""

from __future__ import annotations

import os
import re

import pytest

from .worker_driver import Driver

#: Runs `output(n)` with an interrupt at the nth place, for n from 1 until there are no more.
_CELL = """
import dis, functools, signal, sys

with open(NOTE, "w") as note:
    note.write("run1 1")

@functools.cache
def places(code):
    found, after_call = set(), False
    for step in dis.get_instructions(code):
        if after_call or step.opname in ("RESUME", "JUMP_BACKWARD"):
            found.add(step.offset)
        after_call = step.opname.startswith("CALL")
    return found

def interrupted_at(n):
    passed = 0
    def trace(frame, event, arg):
        nonlocal passed
        frame.f_trace_opcodes = True
        # Within the gate itself the handler waits, by its own rule.
        is_gate = frame.f_code.co_filename.endswith("gate.py")
        if event == "opcode" and not is_gate and frame.f_lasti in places(frame.f_code):
            passed += 1
            if passed == n:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return trace
    # CPython 3.12 looks at it when tracing begins, and at no other time.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        OUTPUT
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    if passed >= n:
        swallowed.append(n)
    return passed >= n

swallowed = []
n = 1
while interrupted_at(n):
    n += 1
print("end", n, swallowed)
"""


@pytest.mark.parametrize("output", ["display(n)", "print(n)", "print(n, file=sys.stderr)"])
def test_no_interrupt_of_an_output_is_swallowed(worker: Driver, output: str) -> None:
    note = repr(os.fspath(worker.folder / "interrupt"))
    worker.start(_CELL.replace("NOTE", note).replace("OUTPUT", output), reads=[])
    ran = worker.finish()
    assert (ran.finished["error"], ran.of("error")) == (None, [])
    assert re.fullmatch(r"end \d\d+ \[\]", ran.text().splitlines()[-1]), ran.text()[-200:]
    shown = [int(told["data"]["text/plain"]) for told in ran.outputs if "data" in told]
    assert shown == sorted(shown)
    assert worker.run("print('well')", reads=[]).text() == "well\n"
