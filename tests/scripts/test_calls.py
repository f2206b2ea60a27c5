"""`macgpu.run`, `map` and `remote`: from plain Python in a process of its own, and in notebooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.inputs.shell import notebook
from tests.scripts.fleet import several
from tests.scripts.shell import WATCHDOG, Ran, Shell, interrupt, wait_for


class Desk(Shell):
    """Runs plain Python scripts that call functions elsewhere."""

    def python(self, source: str) -> Ran:
        with self.begun(source) as process:
            out, err = process.communicate(timeout=WATCHDOG)
        return Ran(process.returncode, out.decode(), err.decode())

    def begun(self, source: str):
        path = self.write("calls.py", source)
        return self.process([sys.executable, path.name])


@pytest.fixture
def desk(tmp_path: Path, own_state: Path) -> Desk:
    return Desk(tmp_path / "desk")


HEAD = "import jupyter_macgpu as macgpu\n"


def printed(desk: Desk, source: str) -> str:
    ran = desk.python(HEAD + source)
    assert ran.code == 0, ran.err
    return ran.out


def test_importing_the_package_costs_nothing() -> None:
    source = (
        "import sys, jupyter_macgpu\n"
        "print([name for name in sys.modules if name.startswith('jupyter_macgpu.')])\n"
        "print('IPython' in sys.modules)\n"
        "print(callable(jupyter_macgpu.run), callable(jupyter_macgpu.map))\n"
        "import jupyter_macgpu.way; print(jupyter_macgpu.run)"
    )
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert lines[:3] == ["[]", "False", "True True"]
    assert lines[3].startswith("<function run")


def test_a_call_is_in_another_process_and_changes_what_it_was_given(desk: Desk) -> None:
    assert (
        printed(
            desk,
            """
import os
factor, calls = 10, []

def scale(x, *, by=1):
    global factor
    factor += 1
    calls.append(x)
    print("there", os.getpid() != home)
    return x * factor * by

home = os.getpid()
print(macgpu.run(scale, 2, by=5), factor, calls)
print(sorted(name for name in globals() if name.startswith("_macgpu")))
""",
        )
        == "there True\n110 11 [2]\n[]\n"
    )


def test_closures_lambdas_classes_and_coroutines_travel(desk: Desk) -> None:
    assert (
        printed(
            desk,
            """
import asyncio

def adder(n):
    def add(x):
        return x + n
    return add

class Point:
    def __init__(self, x):
        self.x = x
    def moved(self, by):
        return Point(self.x + by)

async def later(x):
    await asyncio.sleep(0.01)
    return x

print(macgpu.run(adder(3), 4))
print(macgpu.run(lambda: (x := 5) * 2))
moved = macgpu.run(Point(1).moved, 2)
print(type(moved) is Point, moved.x)
print(macgpu.run(later, "in time"))
print(macgpu.run(max, 3, 9), macgpu.run(lambda: None))
""",
        )
        == "7\n10\nTrue 3\nin time\n9 None\n"
    )


def test_the_source_travels_and_stands_in_the_error(desk: Desk) -> None:
    ran = desk.python(
        HEAD
        + """
def half(x):
    if x % 2:
        raise ValueError(f"{x} is odd")  # the very line
    return x / 2

try:
    macgpu.run(half, 3)
except ValueError as error:
    print("caught", error)
macgpu.run(half, 5)
"""
    )
    assert (ran.code, ran.out) == (1, "caught 3 is odd\n")
    assert "# the very line" in ran.err
    assert "ValueError: 5 is odd" in ran.err
    assert "\x1b[" not in ran.err


def test_what_does_not_fit_is_refused_before_anything_is_sent(desk: Desk) -> None:
    assert printed(
        desk,
        """
import threading

def nested():
    import jupyter_macgpu
    return jupyter_macgpu.run(len, [])

tries = {
    "too many": lambda: macgpu.run(len, 1, 2),
    "no function": lambda: macgpu.run(5),
    "no option": lambda: macgpu.map(len, [], tiemout=3),
    "no length": lambda: macgpu.run(len, [], timeout="soon"),
    "no number": lambda: macgpu.map(len, [], max=0),
    "no host": lambda: macgpu.run(len, [], on="nowhere"),
    "a lock": lambda: macgpu.run(len, [threading.Lock()]),
    "from there": lambda: macgpu.run(nested),
}
for name, attempt in tries.items():
    try:
        print(name, attempt())
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}")
""",
    ).splitlines() == [
        "too many: TypeError: too many positional arguments",
        "no function: TypeError: int object is not callable",
        "no option: TypeError: tiemout is not an option of a call; did you mean timeout?",
        "no length: InputError: timeout='soon': this is no length of time.",
        "no number: InputError: max=0: at least one call must run.",
        "no host: PlacementError: The fleet has no host nowhere.",
        "a lock: UnpicklableInput: These inputs of the cell cannot be sent:",
        "from there: InputError: This code runs on a host already, and cannot send calls from "
        "there.",
    ]


def test_options_are_those_of_a_cell(desk: Desk) -> None:
    desk.write("data.txt", "brought")
    desk.variables["SHOWN"] = "yes"
    assert (
        printed(
            desk,
            """
import os, time
from jupyter_macgpu.wire.errors import RunCancelled
read = lambda: (open("data.txt").read(), os.environ.get("SHOWN"))
print(macgpu.run(read, files="data.txt", setenv="SHOWN"))
try:
    macgpu.run(time.sleep, 60, timeout=0.5)
except BaseException as error:
    print(type(error).__name__)
""",
        )
        == "('brought', 'yes')\nKeyboardInterrupt\n"
    )


def test_a_remote_function_calls_itself_where_it_is(desk: Desk) -> None:
    assert (
        printed(
            desk,
            '''
import os

@macgpu.remote
def factorial(n):
    """Count down."""
    pids.add(os.getpid())
    return 1 if n < 2 else n * factorial(n - 1)

@macgpu.remote(timeout="1m")
def square(x):
    return x * x

pids = set()
print(factorial(5), len(pids), os.getpid() in pids)
print(factorial.__name__, factorial.__doc__, factorial.local(3))
print(square(4), list(square.map([1, 2, 3], max=1)))
''',
        )
        == "120 1 False\nfactorial Count down. 6\n16 [1, 4, 9]\n"
    )


def test_a_large_value_comes_and_one_that_cannot_travel_stays(desk: Desk) -> None:
    assert printed(
        desk,
        """
def numbers():
    yield from range(3)
kept = macgpu.run(numbers)
print(type(kept).__name__, macgpu.run(lambda it: [next(it), next(it)], kept))
print(len(macgpu.run(bytes, 300 * 2**20)))
try:
    list(macgpu.map(lambda x: (n for n in range(x)), [3]))
except Exception as error:
    print(str(error).splitlines()[0])
""",
    ) == (
        "RemoteValue [0, 1]\n314572800\n"
        "The value of a call on this-machine cannot travel: cannot be pickled: "
        "a generator is a paused computation of this process.\n"
    )


@pytest.fixture
def wide(desk: Desk, state: Path) -> Desk:
    """Give a desk with three hosts."""
    desk.variables["MACGPU_FLEET"] = str(several(desk.folder / "fleet.yaml", ["a", "b", "c"]))
    return desk


def test_map_keeps_order_and_uses_all_hosts_at_once(wide: Desk) -> None:
    assert printed(
        wide,
        """
import os, threading, time
base = 100

def work(x):
    time.sleep(0.4 if x % 3 == 0 else 0.05)
    print("call", x)
    base_seen = base + x
    return base_seen, os.getpid()

results = list(macgpu.map(work, range(9)))
print([value for value, _ in results])
print(len({pid for _, pid in results}))
""",
    ) == ("".join(f"call {n}\n" for n in range(9)) + f"{[100 + n for n in range(9)]}\n3\n")


def test_max_bounds_how_many_run_at_once(wide: Desk) -> None:
    assert (
        printed(
            wide,
            """
import os

def numbers():
    for n in range(6):
        taken.append(n)
        yield n

print(len({pid for pid in macgpu.map(lambda _: os.getpid(), range(6), max=2)}))
taken = []
for value in macgpu.map(lambda n: n, numbers(), max=1):
    assert len(taken) <= value + 2
print(value)
""",
        )
        == "2\n5\n"
    )


def test_an_error_is_raised_at_its_place_and_the_rest_is_cancelled(wide: Desk) -> None:
    folder = wide.folder / "marks"
    folder.mkdir()
    assert (
        printed(
            wide,
            f"""
import pathlib, time
marks = pathlib.Path({str(folder)!r})

def work(x):
    if x == 1:
        raise KeyError("second")
    if x == 2:
        try:
            (marks / "begun").touch()
            time.sleep(60)
        finally:
            (marks / "ended").touch()
    while x == 0 and not (marks / "begun").exists():
        time.sleep(0.01)
    return x

try:
    for value in macgpu.map(work, range(50)):
        print(value)
except KeyError as error:
    print("caught", error)
print(sorted(path.name for path in marks.iterdir()))
""",
        )
        == "0\ncaught 'second'\n['begun', 'ended']\n"
    )


def test_a_loop_that_is_left_cancels_what_runs(wide: Desk) -> None:
    folder = wide.folder / "marks"
    folder.mkdir()
    assert (
        printed(
            wide,
            f"""
import pathlib, time
marks = pathlib.Path({str(folder)!r})

def work(x):
    try:
        while x:
            (marks / f"begun{{x}}").touch()
            time.sleep(0.05)
        while len(list(marks.iterdir())) < 2:
            time.sleep(0.01)
        return x
    except KeyboardInterrupt:
        (marks / f"ended{{x}}").touch()
        raise

for value in macgpu.map(work, range(3)):
    print(value)
    break
print(sorted(path.name for path in marks.iterdir()))
""",
        )
        == "0\n['begun1', 'begun2', 'ended1', 'ended2']\n"
    )


def test_an_interrupt_of_the_loop_is_one_of_all_calls(wide: Desk) -> None:
    folder = wide.folder / "marks"
    folder.mkdir()
    source = (
        HEAD
        + f"""
import pathlib, time
marks = pathlib.Path({str(folder)!r})

def work(x):
    try:
        (marks / f"begun{{x}}").touch()
        time.sleep(60)
    finally:
        (marks / f"ended{{x}}").touch()

try:
    list(macgpu.map(work, range(3)))
except KeyboardInterrupt:
    print("interrupted", len(list(marks.glob("ended*"))))
"""
    )
    with wide.begun(source) as process:
        for number in range(3):
            wait_for(folder / f"begun{number}")
        interrupt(process)
        out, err = process.communicate(timeout=WATCHDOG)
    assert out == b"interrupted 3\n", err.decode()


def test_async_for_lets_other_tasks_go_on(wide: Desk) -> None:
    assert (
        printed(
            wide,
            """
import asyncio, time

async def main():
    ticks = 0
    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)
    ticking = asyncio.create_task(tick())
    values = [value async for value in macgpu.map(lambda x: (time.sleep(0.3), x)[1], range(4))]
    ticking.cancel()
    print(values, ticks > 5)
    async for value in macgpu.map(lambda x: x, range(4)):
        break
    print("left after", value)

asyncio.run(main())
""",
        )
        == "[0, 1, 2, 3] True\nleft after 0\n"
    )


def test_a_host_that_cannot_be_had_any_more_is_done_without(wide: Desk) -> None:
    assert (
        printed(
            wide,
            """
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.wire.errors import TransportError

reached = LocalTransport.open
def open_(self):
    if self.name == "b" and gone:
        raise TransportError("b is gone.")
    return reached(self)
LocalTransport.open = open_

gone = []
def numbers():
    for n in range(8):
        gone.append(True)
        yield n
print(list(macgpu.map(lambda x: x * 2, numbers())))
""",
        )
        == "[0, 2, 4, 6, 8, 10, 12, 14]\n"
    )


def test_calls_from_a_notebook_share_its_session_and_its_displays(own_state: Path) -> None:
    with notebook() as book:
        book.run("import jupyter_macgpu as macgpu\nnumbers = [1]").error_is(None)
        book.run("%%macgpu\nkept = (n for n in range(5))").error_is(None)
        ran = book.run(
            "def grow(n):\n    from IPython.display import display\n    numbers.append(n)\n"
            "    display(len(numbers))\n    return next(kept)\nmacgpu.run(grow, 7)"
        ).error_is(None)
        assert book.names["numbers"] == [1, 7]
        assert ran.text == "2\nOut[4]: 0\n"
        ran = book.run("macgpu.run(lambda: 1 / 0)").error_is(ZeroDivisionError)
        assert "<lambda>" in ran.text
        ran = book.run(
            "for value in macgpu.map(lambda n: (print('at', n), n + len(numbers))[1], [1, 2]):\n"
            "    print(value)"
        ).error_is(None)
        assert ran.text == "at 1\n3\nat 2\n4\n"
        assert [name for name in book.names if name.startswith("_macgpu")] == []


def test_a_call_that_nobody_waits_for_outlives_its_process(desk: Desk) -> None:
    assert (
        printed(
            desk,
            """
import time
base = 40

def slow(x):
    time.sleep(0.5)
    print("done with", x)
    return base + x

run = macgpu.submit(slow, 2, name="outlives-it")
print(isinstance(run, macgpu.Run), run.done())
print(run.result(60), run.outputs[0]["text"], end="")
after = macgpu.remote(name="follower", after="outlives-it")(lambda x: x * 2).submit(21)
print(after.result(60), macgpu.submit(slow, 3, after=after).result(60))
try:
    macgpu.map(slow, [1], after="outlives-it")
except Exception as error:
    print(type(error).__name__)
late = lambda: (time.sleep(1), print("later"), open("left.txt", "w").write("x"))
macgpu.submit(late, name="left-alone")
""",
        )
        == "True False\n42 done with 2\n42 43\nInputError\n"
    )
    ran = desk.macgpu("attach", "--get", "left.txt", "left-alone")
    assert (ran.code, ran.out) == (0, "later\n(None, None, 1)\n"), ran.err
    assert (desk.folder / "left.txt").read_text() == "x"


def test_a_call_that_is_handed_in_from_a_notebook_binds_what_it_changed(own_state: Path) -> None:
    with notebook() as book:
        book.run("import jupyter_macgpu as macgpu\nnumbers = [1]").error_is(None)
        book.run("run = macgpu.submit(lambda: numbers.append(2) or len(numbers))").error_is(None)
        assert book.run("print(run.result(60), numbers)").text == "2 [1]\n"
        book.run("run.bind()").error_is(None)
        assert book.names["numbers"] == [1, 2]


def test_of_a_host_of_data_only_known_values_come(desk: Desk) -> None:
    fleet = desk.write("fleet.yaml", "version: 1\nhosts:\n  b: {transport: local, trust: data}\n")
    desk.variables["MACGPU_FLEET"] = str(fleet)
    assert (
        printed(
            desk,
            """
class Point: pass

seen = [1]
def work(x):
    seen.append(x)
    return {"x": (x, "text")}

print(macgpu.run(work, 3), seen, list(macgpu.map(work, [4, 5])), seen)
print(macgpu.submit(work, 6).result(60))
try:
    print(list(macgpu.map(lambda x: Point(), [1])))
except Exception as error:
    print(str(error).splitlines()[0])
""",
        )
        == "{'x': (3, 'text')} [1, 3] [{'x': (4, 'text')}, {'x': (5, 'text')}] [1, 3]\n"
        "{'x': (6, 'text')}\n"
        "The value of a call on b cannot travel: `trust: data` does not load a new Point.\n"
    )
