"""A worker under interrupts, forks, full pipes, and supervisors that come and go."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from jupyter_macgpu.mac.merge import Merger, Written
from jupyter_macgpu.mac.store import listen, process_start
from jupyter_macgpu.mac.worker.doorman import Patience
from jupyter_macgpu.wire import messages as m
from tests.unit.worker_driver import PATIENCE, Driver, Supervisor


def until(driver, text):
    """Listen until the cell has written `text`; return all that it has."""
    seen = b""
    while text.encode() not in seen:
        for item in driver.supervisor.listen():
            assert not (isinstance(item, m.Event) and item.what == "finished"), item
            seen += item.data if isinstance(item, Written) else b""
    return seen


@pytest.mark.parametrize(
    "wait",
    [
        "import time\ntime.sleep(1e6)",
        "while True: pass",
        "import asyncio\nawait asyncio.sleep(1e6)",
        "import asyncio\nawait asyncio.gather(asyncio.sleep(1e6), asyncio.sleep(2e6))",
        "input()",
        "import subprocess\nsubprocess.run(['sleep', '1000'])",
        "!sleep 1000",
    ],
)
def test_an_interrupt_is_keyboardinterrupt(worker, wait):
    captured = worker.start(f"x = 1\nprint('go')\n{wait}\nx = 2")
    until(worker, "go\n")
    time.sleep(0.2)
    worker.interrupt()
    ran = worker.finish()
    worker.bring_home(ran, captured)
    if not wait.startswith("!"):  # IPython ends the command and goes on
        assert ran.finished["error"]["ename"] == "KeyboardInterrupt"
        assert worker.namespace["x"] == 1
        assert "jupyter_macgpu" not in "".join(ran.of("error")[0]["traceback"])
    assert worker.run("print('well')", reads=[]).text() == "well\n"


def test_a_cell_may_catch_its_interrupt(worker):
    worker.start(
        "import asyncio\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        print('go')\n"
        "        await asyncio.sleep(1e6)\n"
        "    except KeyboardInterrupt:\n"
        "        print('caught', asyncio.current_task().cancelling())\n"
    )
    for text in ("go\n", "caught 0\ngo\n"):
        until(worker, text)
        time.sleep(0.1)
        worker.interrupt()
    ran = worker.finish()
    assert (ran.status, ran.text()) == ("ok", "caught 0\n")


def test_an_interrupt_of_another_run_is_ignored(worker):
    worker.start("import time\nprint('go')\ntime.sleep(0.5)\nprint('end')")
    until(worker, "go\n")
    worker.interrupt("another")
    ran = worker.finish()
    assert (ran.status, ran.text()) == ("ok", "end\n")


def test_an_interrupt_that_is_early_stops_the_cell_at_its_start(worker):
    (worker.folder / "interrupt").write_text("run1 1")
    os.kill(worker.process.pid, signal.SIGINT)
    ran = worker.run("print('never')")
    assert ran.finished["error"]["ename"] == "KeyboardInterrupt"
    assert ran.text() == ""


def test_an_interrupt_reaches_the_main_thread_wherever_it_is_delivered(worker):
    worker.start(
        "import signal, threading, time\n"
        "main = threading.main_thread().ident\n"
        "def work():\n"
        "    time.sleep(0.2)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "threading.Thread(target=work).start()\n"
        "print('go')\n"
        "time.sleep(1e6)"
    )
    (worker.folder / "interrupt").write_text("run1 1")
    ran = worker.finish()
    assert ran.finished["error"]["ename"] == "KeyboardInterrupt"


def test_interrupts_at_any_time_break_nothing(worker):
    """A hundred short cells, each interrupted somewhere: every one ends, in order, whole."""
    ends = {"ok": 0, "KeyboardInterrupt": 0}
    for i in range(100):
        worker.start(
            "import sys\nfor i in range(40):\n    print(str(i))\n"
            "    print('e', i, file=sys.stderr)\n    display(i)",
            reads=[],
        )
        time.sleep(i % 20 * 0.0005)
        worker.interrupt()
        ran = worker.finish()
        error = ran.finished["error"]
        ends[error["ename"] if error else "ok"] += 1
        assert "\x1b]macgpu" not in ran.text() + ran.text("stderr")
        shown = [int(o["data"]["text/plain"]) for o in ran.of("display_data")]
        assert shown == list(range(len(shown)))
        written = [int(line) for line in ran.text().splitlines()]
        assert written == list(range(len(written)))
    assert ends["KeyboardInterrupt"] > 10
    assert worker.run("print('well')", reads=[]).text() == "well\n"


def test_an_error_at_an_instruction_without_a_line_is_shown(worker):
    """As where an interrupt is taken between two lines."""
    ran = worker.run(
        "def lineless():\n    1/0\n"
        "code = lineless.__code__\n"
        "nowhere = b'\\xff' * len(code.co_code)  # each says: eight instructions, no line\n"
        "lineless.__code__ = code.replace(co_linetable=nowhere)\n"
        "del code\n"
        "try:\n    lineless()\n"
        "except ZeroDivisionError as error:\n"
        "    assert error.__traceback__.tb_next.tb_lineno is None\n"
        "lineless()"
    )
    assert ran.finished["error"]["ename"] == "ZeroDivisionError"
    (error,) = ran.of("error")
    assert "lineless" in "".join(error["traceback"])
    assert ran.text() + ran.text("stderr") == ""


def test_an_interrupt_gets_through_while_the_pipe_is_full(worker):
    worker.start("while True:\n    print('x' * 1000)", reads=[])
    time.sleep(0.3)  # nobody reads: the pipe is full by now
    worker.interrupt()
    ran = worker.finish()
    assert ran.finished["error"]["ename"] == "KeyboardInterrupt"
    lines = ran.text().split("\n")
    assert {line for line in lines[:-1] if line} == {"x" * 1000}


def test_a_new_supervisor_goes_on_where_the_old_one_was(worker):
    taken_over = worker.folder / "taken over"
    captured = worker.start(
        "import os, time\n"
        "for i in range(2000):\n    print(i)\n    if i % 100 == 0: display(i)\n"
        f"    while i == 1500 and not os.path.exists({os.fspath(taken_over)!r}): time.sleep(0.01)",
        reads=[],
    )
    seen, shown = b"", []
    first = worker.supervisor
    while len(shown) < 3:
        for item in first.listen():
            if isinstance(item, Written):
                seen += item.data
            elif item.what == "display_data":
                shown.append(item)
    first.close()
    second = worker.supervisor = Supervisor(
        worker.folder, noted=shown[-1].mark, merger=_salvaging(first)
    )
    assert second.hello["run"] == worker.current
    taken_over.touch()
    ran = worker.finish()
    seen += "".join(o["text"] for o in ran.of("stream")).encode()
    assert seen.split() == [str(i).encode() for i in range(2000)]
    numbers = [int(e.content["data"]["text/plain"]) for e in shown]
    numbers += [int(o["data"]["text/plain"]) for o in ran.of("display_data")]
    assert numbers == list(range(0, 2000, 100))
    worker.bring_home(ran, captured)
    assert worker.namespace["i"] == 1999


def _salvaging(first: Supervisor) -> Merger:
    # The real supervisor writes down what it took; this one hands its merger on.
    return first.merger


def test_what_was_not_noted_is_told_again(worker):
    worker.start("display(1)\ndisplay(2)", reads=[])
    events = []
    while len(events) < 3:
        events += [item for item in worker.supervisor.listen() if isinstance(item, m.Event)]
    worker.supervisor.close()
    worker.supervisor = Supervisor(worker.folder, noted=events[0].mark)
    assert worker.supervisor.hello["finished"] == ["run1"]
    assert worker.supervisor.hello["run"] == ""
    again = []
    while len(again) < 2:
        again += worker.supervisor.said
        worker.supervisor.said.clear()
        if len(again) < 2:
            worker.supervisor._hear()
    assert [e.mark for e in again] == [e.mark for e in events[1:]]


def test_the_newest_supervisor_wins_even_if_the_pipes_are_full(worker):
    worker.start("for i in range(3000):\n    print('x' * 100)\n    display(i)", reads=[])
    time.sleep(0.5)  # the first supervisor reads nothing
    first = worker.supervisor
    worker.supervisor = Supervisor(worker.folder)
    ran = worker.finish()
    assert len(ran.of("display_data")) == 3000
    assert ran.text() == ("x" * 100 + "\n") * 3000
    first.close()


def test_a_run_goes_on_without_a_supervisor(worker):
    captured = worker.start("import time\ntime.sleep(0.5)\nprint('end')\nx = 7", reads=[])
    worker.supervisor.close()
    time.sleep(1.0)
    worker.supervisor = Supervisor(worker.folder)
    ran = worker.finish()
    assert ran.text() == "end\n"
    worker.bring_home(ran, captured)
    assert worker.namespace["x"] == 7


def test_a_dead_supervisors_last_run_does_not_begin_later(worker):
    over = worker.folder / "over"
    worker.start(
        f"import os, time\nprint('go')\nwhile not os.path.exists({os.fspath(over)!r}):\n"
        "    time.sleep(0.02)",
        reads=[],
    )
    until(worker, "go\n")
    worker.start("print('never')", reads=[])
    time.sleep(0.1)
    worker.supervisor.close()
    worker.supervisor = Supervisor(worker.folder)
    over.touch()
    assert worker.finish().status == "ok"
    ran = worker.run("print('well')", reads=[])
    assert ran.text() == "well\n"


def test_noise_at_the_door_does_no_harm(worker):
    for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(100_000)):
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect(os.fspath(worker.folder / "socket"))
        with contextlib.suppress(BrokenPipeError):
            stranger.sendall(noise)
        stranger.close()
    worker.supervisor.close()
    worker.supervisor = Supervisor(worker.folder)
    assert worker.run("print('well')", reads=[]).text() == "well\n"


#: A worker whose patience with a run that lives is at an end after half a second, not after a day.
IMPATIENT = (
    "from jupyter_macgpu.mac.worker import doorman, process\n"
    "doorman.Patience.__init__.__kwdefaults__['run'] = 0.5\n"
    "process.main()"
)


def test_a_worker_ends_when_nobody_comes_back(tmp_path):
    with Driver(tmp_path / "worker", idle=0.5) as driver:
        driver.supervisor.close()
        assert driver.process.wait(timeout=PATIENCE) == -signal.SIGKILL
        driver.supervisor.fds = []


def test_a_run_that_nobody_comes_back_for_ends_with_all_that_it_started(tmp_path):
    with Driver(tmp_path / "worker", program=(sys.executable, "-P", "-c", IMPATIENT)) as driver:
        abandon(driver, reads=[])


def test_a_worker_whose_socket_was_deleted_does_not_wait_for_its_run(worker):
    (worker.folder / "socket").unlink()
    abandon(worker, reads=[])


def abandon(driver, **said):
    """Hang up on a worker in mid-run, and see it and what its cell started end."""
    assert Patience().run == 24 * 3600.0
    driver.start(
        "import subprocess, time\nchild = subprocess.Popen(['sleep', '303'], env={})\n"
        "print('pid', child.pid, 'go')\ntime.sleep(1e6)",
        **said,
    )
    child = int(until(driver, "go\n").split()[-2])
    assert process_start(child)
    driver.supervisor.close()
    driver.supervisor.fds = []
    assert driver.process.wait(timeout=PATIENCE) == -signal.SIGKILL
    deadline = time.monotonic() + PATIENCE
    while process_start(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_ends_when_told(worker):
    worker.run("import threading, time\nthreading.Thread(target=time.sleep, args=(1e6,)).start()")
    worker.supervisor.say(m.Goodbye())
    assert worker.process.wait(timeout=PATIENCE) == 0


@pytest.mark.parametrize(
    ("death", "status"),
    [("import os\nos._exit(7)", 7), ("import os\nos.kill(os.getpid(), 9)", -9)],
)
def test_what_was_written_before_a_death_is_in_the_pipe(worker, death, status):
    worker.start(f"print('last words')\n{death}", reads=[])
    assert worker.process.wait(timeout=PATIENCE) == status
    seen = b""
    stdout, _ = worker.supervisor.fds
    while select.select([stdout], [], [], 0.2)[0] and (data := os.read(stdout, 65536)):
        seen += data
    assert b"last words\n" in seen


def test_a_forked_child_writes_and_tells_nothing(worker):
    ran = worker.run(
        "import os, sys\n"
        "print('before', end=' ')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print('child')\n"
        "    display('shown')\n"
        "    1/0\n"
        "code = os.waitpid(pid, 0)[1]\n"
        "print('parent')"
    )
    assert ran.text() == "before child\n'shown'\nparent\n"
    assert "ZeroDivisionError" in ran.text("stderr")
    assert ran.status == "ok"
    assert ran.kinds().count("error") == 0
    assert worker.namespace["code"] == 0
    assert worker.run("print('well')").text() == "well\n"


def test_a_pool_of_forked_processes(worker):
    ran = worker.run(
        "import multiprocessing\n"
        "def double(n):\n"
        "    print('work', n)\n"
        "    return 2 * n\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    doubled = pool.map(double, range(10))\n"
        "del pool"
    )
    assert worker.namespace["doubled"] == list(range(0, 20, 2)), ran
    assert sorted(ran.text().splitlines()) == sorted(f"work {n}" for n in range(10))


def test_a_users_own_signal_handler_may_print_and_display(worker):
    ran = worker.run(
        "import signal\n"
        "n = ticks = 0\n"
        "def tick(*_):\n"
        "    global ticks\n"
        "    ticks += 1\n"
        "    print('tick')\n"
        "    display('tock')\n"
        "before = signal.signal(signal.SIGALRM, tick)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n"
        "while ticks < 200:\n"
        "    print('line', n)\n"
        "    n += 1\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "signal.signal(signal.SIGALRM, signal.SIG_DFL)\n"
        "del before"
    )
    assert ran.status == "ok", ran.finished
    lines = [line for line in ran.text().splitlines() if line != "tick"]
    assert ran.text().count("tick") == len(ran.of("display_data")) == worker.namespace["ticks"]
    assert len("".join(lines).split("line")) - 1 == worker.namespace["n"]


def test_a_signal_handler_may_print_while_its_print_is_written(worker):
    """As often as it likes: what it adds in the middle of a write waits in a row, not in a pile."""
    ran = worker.run(
        "import signal, sys\n"
        "class Loud(str):\n"
        "    def __contains__(self, part):  # asked in the middle of a write\n"
        "        signal.raise_signal(signal.SIGALRM)\n"
        "        return str.__contains__(self, part)\n"
        "left = 3000\n"
        "def ring(*_):\n"
        "    global left\n"
        "    if left:\n"
        "        left -= 1\n"
        "        sys.stdout.write(Loud('again\\n'))\n"
        "before = signal.signal(signal.SIGALRM, ring)\n"
        "sys.stdout.write(Loud('first\\n'))\n"
        "signal.signal(signal.SIGALRM, signal.SIG_DFL)\n"
        "del before"
    )
    assert ran.status == "ok", ran.finished
    assert ran.text().splitlines() == ["first", *["again"] * 3000]


def test_redirected_descriptors_are_the_cells_own_affair(worker):
    ran = worker.run(
        "import os\n"
        "keep = os.dup(1)\n"
        "nowhere = os.open(os.devnull, os.O_WRONLY)\n"
        "os.dup2(nowhere, 1)\n"
        "os.write(1, b'unseen')\n"
        "display('seen')\n"
        "os.dup2(keep, 1)\n"
        "os.close(keep)\nos.close(nowhere)\n"
        "os.write(1, b'back\\n');"
    )
    assert ran.of("display_data")[0]["data"]["text/plain"] == "'seen'"
    assert ran.text() == "back\n"


def test_a_deep_folder_has_a_socket_too(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    here = Path.cwd()
    with listen(deep / "socket", 1):
        assert (deep / "socket").is_socket()
    assert Path.cwd() == here
