"""Each exit code of `macgpu run`, from the end that it stands for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.scripts.shell import WATCHDOG, Shell, first_line, interrupt, wait_for

#: Ends the worker, or the supervisor, of the script that runs it.
ANCESTORS = """
import os, signal, time
def parent(pid):
    status = open(f"/proc/{pid}/status").read()
    return int(status.partition("PPid:")[2].split()[0])
worker = os.getppid()
supervisor = parent(worker)
"""

#: What a script does at its end: the exit code, and what stands on standard error.
ENDS = {
    "nothing": ("pass", 0, ""),
    "a code": ("import sys; sys.exit(3)", 3, ""),
    "a code of no meaning to us": ("raise SystemExit(125)", 125, ""),
    "no code": ("raise SystemExit", 0, ""),
    "a text": ("import sys; sys.exit('no such luck')", 1, "no such luck\n"),
    "an error": ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
    "a syntax error": ("print('a'", 1, "SyntaxError: '(' was never closed\n"),
    "in the middle": ("import os; os._exit(7)", 7, ""),
    "a signal": (
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        143,
        "macgpu: end.py was ended by SIGTERM on this-machine\n",
    ),
}


@pytest.fixture
def shell(tmp_path: Path, own_state: Path) -> Shell:
    return Shell(tmp_path / "desk")


@pytest.mark.parametrize("end", ENDS)
def test_the_exit_code_is_the_scripts_own(shell: Shell, end: str) -> None:
    source, code, last = ENDS[end]
    shell.write("end.py", source)
    ran = shell.macgpu("run", "end.py")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.endswith(last or ran.err)
    assert ("Traceback" in ran.err) == (end == "an error")


def test_what_runs_at_the_end_of_a_script_is_done(shell: Shell) -> None:
    shell.write(
        "end.py",
        """
        import atexit, sys, threading, time
        atexit.register(print, "at exit")
        def late():
            time.sleep(0.3)
            print("thread")
        threading.Thread(target=late).start()
        sys.exit(4)
        """,
    )
    ran = shell.macgpu("run", "end.py")
    assert (ran.code, ran.out) == (4, "thread\nat exit\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--", "sh", "-c", "exit 9"], 9, ""),
        (["--", "no-such-program"], 127, "no-such-program: not found\n"),
        (["--files", "plain", "--", "./plain"], 126, "./plain: Permission denied\n"),
        (["--", "sh", "-c", "kill -9 $$"], 137, "was it out of memory?\n"),
    ],
)
def test_a_commands_exit_code_is_its_own(
    shell: Shell, words: list[str], code: int, said: str
) -> None:
    shell.write("plain", "no program\n")
    ran = shell.macgpu("run", *words)
    assert ran.code == code
    assert ran.err.endswith(said or ran.err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.py"], "There is no missing.py here"),
        (["notes.txt"], "neither a .py nor an .ipynb file"),
        (["--on", "nowhere", "there.py"], "nowhere"),
        (["--files", "nothing", "there.py"], "There is no nothing here"),
        (["--setenv", "NOT_SET_HERE", "there.py"], "NOT_SET_HERE"),
        (["--wrong", "there.py"], "--wrong is not an option of macgpu run"),
        (["-i", "a", "there.py"], "-i is not an option of macgpu run"),
        (["--output", "x.ipynb", "there.py"], "--output is for notebooks"),
        (["--"], "takes a program; none is given"),
        ([], "takes a program; none is given"),
    ],
)
def test_where_nothing_has_begun_it_is_125(shell: Shell, words: list[str], said: str) -> None:
    shell.write("there.py", "print('it ran')")
    shell.write("notes.txt", "")
    ran = shell.macgpu("run", *words)
    assert (ran.code, ran.out) == (125, "")
    assert said in ran.err


def test_a_limit_of_running_time_is_124_and_the_script_is_interrupted(shell: Shell) -> None:
    shell.write(
        "long.py",
        """
        import time
        try:
            time.sleep(60)
        finally:
            print("cleared up")
        """,
    )
    ran = shell.macgpu("run", "--timeout", "1s", "long.py")
    assert (ran.code, ran.out) == (124, "cleared up\n")
    assert "its time limit had passed" in ran.err


def test_a_limit_in_the_queue_is_124_and_nothing_ran(shell: Shell) -> None:
    shell.write("busy.py", "import time; print('busy', flush=True); time.sleep(60)")
    shell.write("late.py", "print('it ran')")
    with shell.started("run", "busy.py") as process:
        assert first_line(process) == "busy\n"
        ran = shell.macgpu("run", "--wait", "1s", "late.py")
        interrupt(process)
        assert process.wait(WATCHDOG) == 130
    assert (ran.code, ran.out) == (124, "")
    assert "waited longer than 1 s" in ran.err


def test_an_interrupt_is_one_in_the_script_and_130(shell: Shell) -> None:
    shell.write(
        "long.py",
        """
        import time
        try:
            print("running")
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            raise
        """,
    )
    with shell.started("run", "long.py") as process:
        assert first_line(process) == "running\n"
        interrupt(process)
        out, err = process.communicate(timeout=WATCHDOG)
    assert (process.returncode, out) == (130, b"interrupted\n"), err
    assert err.endswith(b"KeyboardInterrupt\n")


def test_a_script_that_minds_an_interrupt_ends_as_it_likes(shell: Shell) -> None:
    shell.write(
        "long.py",
        """
        import sys, time
        try:
            print("running")
            time.sleep(60)
        except KeyboardInterrupt:
            sys.exit(8)
        """,
    )
    with shell.started("run", "long.py") as process:
        first_line(process)
        interrupt(process)
        assert process.wait(WATCHDOG) == 8


def test_a_second_interrupt_ends_a_script_that_does_not_listen(shell: Shell) -> None:
    shell.write(
        "deaf.py",
        """
        import pathlib, signal, time
        signal.signal(signal.SIGINT, lambda *_: print("heard", flush=True))
        print("running", flush=True)
        while True:
            time.sleep(0.1)
        """,
    )
    with shell.started("run", "deaf.py") as process:
        assert first_line(process) == "running\n"
        interrupt(process)
        assert first_line(process) == "heard\n"
        interrupt(process)
        assert process.wait(WATCHDOG) == 130


def test_a_cancel_from_elsewhere_is_130_too(shell: Shell) -> None:
    shell.write("long.py", "import time; print('running'); time.sleep(60)")
    with shell.started("run", "--as", "long-one", "long.py") as process:
        first_line(process)
        assert shell.macgpu("cancel", "long-one").code == 0
        assert process.wait(WATCHDOG) == 130


def test_where_nobody_reads_any_more_the_script_is_stopped(shell: Shell) -> None:
    shell.write(
        "talk.py",
        """
        import itertools, pathlib, time
        try:
            for number in itertools.count():
                print(number)
                time.sleep(0.01)
        finally:
            pathlib.Path("stopped").touch()
        """,
    )
    with shell.started("run", "--get", "stopped", "talk.py") as process:
        assert process.stdout is not None
        first_line(process)
        process.stdout.close()
        process.stdout = None
        assert process.wait(WATCHDOG) == 141
    assert (shell.folder / "stopped").exists()


@pytest.fixture
def own(tmp_path: Path, state: Path) -> Shell:
    """Give a shell whose supervisor nobody else needs."""
    return Shell(tmp_path / "desk")


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@needs_proc
def test_where_the_worker_dies_it_is_121(own: Shell) -> None:
    own.write("end.py", ANCESTORS + "os.kill(worker, signal.SIGKILL); time.sleep(60)")
    ran = own.macgpu("run", "end.py")
    assert ran.code == 121
    assert "died: its worker was ended by SIGKILL" in ran.err
    assert "It will not be repeated by itself" in ran.err


@needs_proc
def test_where_nobody_knows_what_became_of_it_it_is_122(own: Shell) -> None:
    own.write(
        "end.py",
        ANCESTORS
        + """
import pathlib, shutil
store = pathlib.Path.cwd().parents[1]
shutil.rmtree(store)
os.kill(supervisor, signal.SIGKILL)
time.sleep(60)
""",
    )
    ran = own.macgpu("run", "end.py")
    assert ran.code == 122, ran.err
    assert "does not know run" in ran.err
    assert "was deleted there" in ran.err


@needs_proc
def test_where_the_host_is_silent_it_is_123(own: Shell, tmp_path: Path) -> None:
    own.write(
        "end.py",
        ANCESTORS
        + f"""
import pathlib
store = pathlib.Path.cwd().parents[1]
store.rename({str(tmp_path / "away")!r})
store.touch()
os.kill(supervisor, signal.SIGKILL)
pathlib.Path({str(tmp_path / "done")!r}).touch()
time.sleep(60)
""",
    )
    with own.started("run", "end.py") as process:
        wait_for(tmp_path / "done")
        time.sleep(6)  # an interrupt waits for five seconds whether the host comes back
        interrupt(process)
        _, err = process.communicate(timeout=WATCHDOG)
    assert process.returncode == 123, err
    assert b"may be going on there" in err
