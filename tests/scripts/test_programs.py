"""What `macgpu run` brings to a program and back: arguments, streams, files, hints, trust."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.scripts.shell import WATCHDOG, Shell, first_line, interrupt


@pytest.fixture
def shell(tmp_path: Path, own_state: Path) -> Shell:
    return Shell(tmp_path / "desk")


def test_a_script_is_main_and_has_its_arguments(shell: Shell) -> None:
    shell.write(
        "deep/who.py",
        """
        import os, sys
        print(__name__, sys.argv, os.path.relpath(__file__), sys.stdin.read())
        print([name for name in globals() if not name.startswith("__")])
        """,
    )
    ran = shell.macgpu("run", "deep/who.py", "--epochs", "3", "--", "-v", "a b")
    assert ran.out == (
        "__main__ ['deep/who.py', '--epochs', '3', '--', '-v', 'a b'] deep/who.py \n['os', 'sys']\n"
    )
    assert ran.code == 0


def test_streams_are_kept_apart_and_byte_by_byte(shell: Shell) -> None:
    shell.write(
        "bytes.py",
        """
        import sys
        sys.stdout.buffer.write(bytes(range(256)) * 2000)
        sys.stderr.write("gr\u00f6\u00dfer " * 1000)
        """,
    )
    with shell.started("run", "bytes.py") as process:
        out, err = process.communicate(timeout=WATCHDOG)
    assert out == bytes(range(256)) * 2000
    assert err.decode().endswith("gr\u00f6\u00dfer " * 1000)
    assert process.returncode == 0


def test_lines_are_seen_when_they_are_written(shell: Shell) -> None:
    shell.write("slow.py", "import time; print('first'); time.sleep(60); print('second')")
    with shell.started("run", "slow.py") as process:
        assert first_line(process) == "first\n"
        interrupt(process)
        assert process.wait(WATCHDOG) == 130


def test_a_program_that_writes_to_no_terminal_is_told_of_none(shell: Shell) -> None:
    shell.write(
        "where.py",
        """
        import os, sys
        print([name for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TERM") if name in os.environ])
        print(os.environ.get("MPLBACKEND"), sys.stdout.isatty())
        """,
    )
    assert shell.macgpu("run", "where.py").out == "[]\nagg False\n"


def test_only_named_environment_variables_are_seen(shell: Shell) -> None:
    shell.variables |= {"HIDDEN_TOKEN": "no", "SHOWN_NAME": "yes"}
    command = ["sh", "-c", "echo $HIDDEN_TOKEN $SHOWN_NAME"]
    assert shell.macgpu("run", "--setenv", "SHOWN_NAME", "--", *command).out == "yes\n"


def test_processes_that_are_spawned_find_the_script(shell: Shell) -> None:
    shell.write(
        "pool.py",
        """
        import multiprocessing

        def square(x):
            return x * x

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                print(pool.map(square, range(5)))
        """,
    )
    ran = shell.macgpu("run", "pool.py")
    assert (ran.code, ran.out) == (0, "[0, 1, 4, 9, 16]\n"), ran.err


def test_a_module_beside_the_script_is_shipped_where_that_is_said(shell: Shell) -> None:
    shell.write("work/near.py", "WORD = 'near'")
    shell.write("work/train.py", "import near\nprint(near.WORD)")
    ran = shell.macgpu("run", "work/train.py")
    assert ran.code == 1
    assert ran.err.endswith("macgpu: near is here, not on this-machine: add --files work/near.py\n")
    ran = shell.macgpu("run", "--files", "work/near.py", "work/train.py")
    assert (ran.code, ran.out) == (0, "near\n")


def test_a_file_that_is_missed_is_shipped_where_that_is_said(shell: Shell) -> None:
    shell.write("data.csv", "1,2\n")
    shell.write("read.py", "print(open('data.csv').read())")
    ran = shell.macgpu("run", "read.py")
    assert ran.err.endswith("macgpu: data.csv is here, not on this-machine: add --files data.csv\n")
    assert shell.macgpu("run", "--files", "data.csv", "read.py").out == "1,2\n\n"


def test_a_file_that_was_written_is_brought_where_that_is_asked(shell: Shell) -> None:
    shell.write(
        "write.py",
        "import os; os.makedirs('runs', exist_ok=True); open('runs/best.txt', 'w').write('best')",
    )
    ran = shell.macgpu("run", "write.py")
    assert "wrote 1 file, 4 B: runs/best.txt, on this-machine; --get PATH" in ran.err
    ran = shell.macgpu("run", "--get", "runs/*", "write.py")
    assert (shell.folder / "runs/best.txt").read_text() == "best"
    ran = shell.macgpu("run", "--get", "nothing", "write.py")
    assert ran.code == 1
    assert "has no file nothing" in ran.err


def test_the_script_as_it_is_now_runs(shell: Shell) -> None:
    shell.write("say.py", "print('old')")
    assert shell.macgpu("run", "say.py").out == "old\n"
    shell.write("say.py", "print('new')")
    assert shell.macgpu("run", "say.py").out == "new\n"


def test_a_script_need_not_be_text_that_we_can_read(shell: Shell) -> None:
    path = shell.folder / "latin.py"
    path.write_bytes("# coding: latin-1\nprint(ascii('gr\u00fcn'))\n".encode("latin-1"))
    assert shell.macgpu("run", "latin.py").out == "'gr\\xfcn'\n"


@pytest.fixture
def careful(shell: Shell) -> Shell:
    """Give a shell whose only host may send data alone."""
    fleet = shell.write(
        "fleet.yaml", "version: 1\nhosts:\n  there: {transport: local, trust: data}\n"
    )
    shell.variables["MACGPU_FLEET"] = str(fleet)
    return shell


def test_a_host_of_data_only_does_nothing_to_the_terminal(careful: Shell) -> None:
    careful.write(
        "sly.py",
        r"""
        import sys
        print("\x1b]0;title\x07plain \x1b[31mred\x1b[0m")
        sys.exit("\x1b[2Jend")
        """,
    )
    ran = careful.macgpu("run", "sly.py")
    assert (ran.code, ran.out) == (1, "plain \x1b[31mred\x1b[0m\n")
    assert ran.err.endswith("end\n")
    assert "\x1b[2J" not in ran.err


def test_a_script_that_nobody_waits_for_is_found_by_its_id(shell: Shell) -> None:
    shell.write(
        "long.py",
        """
        import sys, time
        time.sleep(0.5)
        print("done", sys.argv)
        open("left.txt", "w").write("left")
        sys.exit(5)
        """,
    )
    ran = shell.macgpu("run", "--detach", "--as", "alone", "long.py", "x")
    assert ran.code == 0, ran.err
    run = ran.out.strip()
    assert len(run) == 32
    ran = shell.macgpu("attach", "--get", "left.txt", run[:10])
    assert (ran.code, ran.out) == (3, "done ['long.py', 'x']\n")
    assert (shell.folder / "left.txt").read_text() == "left"
    assert '"state": "error"' in shell.macgpu("runs", "--json").out


def test_a_script_may_follow_another(shell: Shell) -> None:
    shell.write("first.py", "import time; time.sleep(0.5); open('mark', 'w').write('first')")
    shell.write("bad.py", "raise ValueError('no good')")
    shell.write("then.py", "print('it ran')")
    first = shell.macgpu("run", "--detach", "first.py").out.strip()
    bad = shell.macgpu("run", "--detach", "bad.py").out.strip()
    assert shell.macgpu("run", "--after", first, "then.py").out == "it ran\n"
    ran = shell.macgpu("run", "--after", bad, "then.py")
    assert (ran.code, ran.out) == (130, "")
    assert "on this-machine was cancelled: " in ran.err
    assert bad[:8] in ran.err


def test_a_program_starts_at_its_time_by_itself(shell: Shell) -> None:
    shell.write("then.py", "import time; print(time.time())")
    before = time.time()
    run = shell.macgpu("run", "--at", "in 3s", "then.py").out.strip()
    later = shell.macgpu("run", "--at", "tomorrow 7:00", "--as", "morning", "then.py").out.strip()
    assert "07:00" in shell.macgpu("runs").out
    assert float(shell.macgpu("attach", run).out) >= before + 3.0
    assert shell.macgpu("cancel", "morning").code == 0
    assert later in shell.macgpu("runs", "--json").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--detach", "--get", "x", "there.py"], "macgpu attach RUN --get PATH later"),
        (["--detach", "there.ipynb"], "it cannot be detached"),
        (["--at", "18:30", "--get", "x", "there.py"], "--at waits for nothing"),
        (["--at", "18:30", "there.ipynb"], "Leave out --at"),
        (["--at", "next week", "there.py"], "--at next week: this is no time."),
        (["--sweep", "a=1", "there.py"], "--sweep is not an option of macgpu run"),
    ],
)
def test_what_cannot_be_detached_is_refused(shell: Shell, words: list[str], said: str) -> None:
    shell.write("there.py", "print('it ran')")
    shell.write("there.ipynb", '{"nbformat": 4, "cells": []}')
    ran = shell.macgpu("run", *words)
    assert (ran.code, ran.out) == (125, "")
    assert said in ran.err
