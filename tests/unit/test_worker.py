"""What a cell in a real worker process does, told to a driver that plays the supervisor."""

from __future__ import annotations

import json
import os

import pytest

from jupyter_macgpu.mac.store import process_start
from jupyter_macgpu.wire import messages as m
from tests.unit.worker_driver import Driver


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Driver(tmp_path_factory.mktemp("worker")) as driver:
        yield driver


@pytest.fixture
def worker(shared):
    shared.namespace.clear()
    shared.namespace["__name__"] = "__main__"
    return shared


def test_the_identity_file_names_the_process(worker):
    said = worker.identity
    assert said["pid"] == worker.process.pid
    assert said["start"] == process_start(worker.process.pid) != ""
    assert said["nonce"] == worker.supervisor.hello["nonce"]
    assert worker.supervisor.hello["run"] == ""
    assert process_start(os.getpid()) != said["start"]


def test_no_such_process_has_no_start():
    assert process_start(2**22 + 7) == ""


def test_names_come_and_go(worker):
    worker.namespace["x"] = [1]
    ran = worker.run("x.append(2)\ny = len(x)\ndel x")
    assert ran.status == "ok"
    assert worker.namespace["y"] == 2
    assert "x" not in worker.namespace
    assert ran.finished["bound"] == ["y"]
    assert ran.finished["deleted"] == ["x"]


def test_changes_come_back_into_the_same_object(worker):
    inner = [1]
    worker.namespace.update(a=inner, holder={"a": inner})
    worker.run("holder['a'].append(2)")
    assert inner == [1, 2]
    assert worker.namespace["a"] is inner


def test_a_stale_name_is_not_there(worker):
    worker.run("left = 1")
    assert worker.run("left", reads=[]).finished["error"]["ename"] == "NameError"


def test_functions_keep_the_notebooks_globals(worker):
    worker.run("x = 1\ndef f():\n    return x")
    ran = worker.run("x = 2\nf()")
    assert ran.finished["value"] == (2,)
    worker.namespace["x"] = 3
    assert worker.namespace["f"]() == 3


def test_the_last_expression_is_the_result(worker):
    ran = worker.run("[1, 2]")
    assert ran.of("execute_result")[0]["data"] == {"text/plain": "[1, 2]"}
    assert ran.of("execute_result")[0]["execution_count"] == worker.count
    assert ran.finished["value"] == ([1, 2],)


@pytest.mark.parametrize("source", ["[1, 2];", "None", "x = 1", "[1, 2]  ;  # quiet"])
def test_no_result(worker, source):
    ran = worker.run(source)
    assert ran.kinds() == []
    assert ran.finished.get("value") in (None, ())


def test_the_underscore_is_the_notebooks(worker):
    assert worker.run("5").finished["value"] == (5,)
    assert worker.run("_").finished["error"]["ename"] == "NameError"
    worker.namespace["_"] = 6
    assert worker.run("import sys\nsys.displayhook(_ + 1)\nprint(_)").text() == "7\n"


def test_output_is_in_order(worker):
    ran = worker.run(
        "import sys\n"
        "for i in range(50):\n"
        "    print('o', i)\n"
        "    print('e', i, file=sys.stderr)\n"
        "    display(i)\n"
    )
    seen = [(o["what"], o.get("text") or o["data"]["text/plain"]) for o in ran.outputs]
    wanted = []
    for i in range(50):
        wanted += [("stream", f"o {i}\n"), ("stream", f"e {i}\n"), ("display_data", str(i))]
    assert seen == wanted


def test_what_c_and_children_write_is_in_order(worker):
    ran = worker.run(
        "import os, subprocess, sys\n"
        "print('1')\n"
        "os.write(1, b'2\\n')\n"
        "print('3')\n"
        "done = subprocess.run(['echo', '4']).returncode\n"
        "sys.stdout.buffer.write(b'5 \\xff\\n')\n"
        "print('6')"
    )
    assert ran.text() == "1\n2\n3\n4\n5 �\n6\n"


def test_text_without_a_newline_comes_soon(worker):
    worker.start("print('half', end='')\nimport time\ntime.sleep(1e6)", reads=[])
    seen = []
    while not seen:
        seen = worker.supervisor.listen()
    assert seen[0].data == b"half"
    worker.interrupt()
    assert worker.finish().finished["error"]["ename"] == "KeyboardInterrupt"


def test_streams_take_what_text_files_take(worker):
    ran = worker.run(
        "import sys\n"
        "n = sys.stdout.write('ab\\n')\n"
        "facts = (n, sys.stdout.isatty(), sys.stdout.fileno(), sys.stderr.fileno(),\n"
        "         sys.stdout.encoding, sys.stdout.writable(), sys.stdout.closed)\n"
        "sys.stdout.writelines(['c\\n', 'd\\n'])\n"
        "print('\\udc80 \\u4e2d')\n"
        "try:\n"
        "    sys.stdout.write(b'bytes')\n"
        "except TypeError as error:\n"
        "    said = str(error)\n"
        "sys.stdout.close()\n"
        "print('still open')\n"
    )
    assert worker.namespace["facts"] == (3, False, 1, 2, "UTF-8", True, False)
    assert worker.namespace["said"] == "write() argument must be str, not bytes"
    assert ran.text() == "ab\nc\nd\n\\udc80 \u4e2d\nstill open\n"


def test_a_print_from_a_thread_is_whole(worker):
    ran = worker.run(
        "import threading\n"
        "def work(n):\n"
        "    for i in range(100):\n"
        "        print(f'{n}-{i}\\n', end='')\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
        "del t, threads"
    )
    assert sorted(ran.text().split()) == sorted(f"{n}-{i}" for n in range(4) for i in range(100))


def test_errors_carry_the_notebooks_line_numbers(worker):
    ran = worker.run("def f():\n    1/0\n\nf()")
    [error] = ran.of("error")
    assert ran.status == "error"
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    text = _plain("\n".join(error["traceback"]))
    assert f"Cell In[{worker.count}], line 5" in text
    assert f"Cell In[{worker.count}], line 3, in f()" in text
    assert "jupyter_macgpu" not in text
    assert "hidden" not in text


def test_a_syntax_error_carries_the_line(worker):
    ran = worker.run("x = 1\ny = = 2")
    assert f"In[{worker.count}], line 3" in _plain("\n".join(ran.of("error")[0]["traceback"]))
    assert ran.finished["error"]["ename"] == "SyntaxError"


def test_variables_of_a_failed_cell_come_back(worker):
    ran = worker.run("x = 5\nraise ValueError('no')")
    assert ran.status == "error"
    assert ran.finished["error"] == {"ename": "ValueError", "evalue": "no"}
    assert worker.namespace["x"] == 5


def test_an_error_while_a_result_is_shown_fails_the_run(worker):
    ran = worker.run("class C:\n    def __repr__(self):\n        raise ValueError('no repr')\nC()")
    assert ran.status == "error"
    assert ran.finished["error"]["ename"] == "ValueError"


def test_system_exit_ends_the_cell_and_not_the_worker(worker):
    ran = worker.run("import sys\nsys.exit(3)")
    assert ran.finished["error"] == {"ename": "SystemExit", "evalue": "3"}
    assert worker.run("1").status == "ok"


def test_exit_does_nothing(worker):
    assert worker.run("exit()\nquit()").status == "ok"
    assert worker.run("1").status == "ok"


def test_await_and_tasks_that_go_on(worker):
    worker.run(
        "import builtins\n"
        "def start():\n"
        "    import asyncio\n"
        "    box = []\n"
        "    async def later():\n"
        "        await asyncio.sleep(0.05)\n"
        "        box.append('done')\n"
        "    return asyncio.create_task(later()), box\n"
        "builtins.keep = start()\n"
        "del start, builtins",
    )
    ran = worker.run("import builtins\nawait builtins.keep[0]\nprint(builtins.keep[1])")
    assert ran.text() == "['done']\n"


def test_context_of_one_cell_holds_in_the_next(worker):
    worker.run("import decimal\ndecimal.getcontext().prec = 5")
    ran = worker.run("import decimal\nprint(decimal.Decimal(1) / 3)", reads=[])
    assert ran.text() == "0.33333\n"


def test_the_namespace_is_main(worker):
    ran = worker.run(
        "import sys\n"
        "print(sys.modules['__main__'].__dict__ is globals(), __name__, sys.argv, sys.path[0])"
    )
    assert ran.text() == "True __main__ [''] \n"


def test_input_is_relayed(worker):
    replies = [m.InputReply(run="", epoch=1, text="Ada"), m.InputReply(run="", epoch=1, text="pw")]
    ran = worker.run(
        "import getpass\nprint(input('name? '), getpass.getpass('word? '))", answers=replies
    )
    asked = [(o["prompt"], o["password"]) for o in ran.of("input_request")]
    assert asked == [("name? ", False), ("word? ", True)]
    assert ran.text() == "Ada pw\n"


def test_input_from_a_thread_is_relayed(worker):
    ran = worker.run(
        "import asyncio\nprint(await asyncio.to_thread(input, 'name? '))",
        answers=[m.InputReply(run="", epoch=1, text="Ada")],
    )
    assert ran.text() == "Ada\n"


def test_input_that_nobody_answers(worker):
    ran = worker.run("input()", stdin=False)
    assert ran.finished["error"]["ename"] == "StdinNotImplementedError"
    ran = worker.run("input()", answers=[m.InputReply(run="", epoch=1, error="not here")])
    assert ran.finished["error"] == {"ename": "StdinNotImplementedError", "evalue": "not here"}
    ran = worker.run("input()", answers=[m.InputReply(run="", epoch=1, text="\x04")])
    assert ran.finished["error"]["ename"] == "EOFError"


def test_a_display_of_any_size(worker):
    ran = worker.run("display({'text/html': 'x' * 10_000_000}, raw=True)\nprint('after')")
    assert len(ran.of("display_data")[0]["data"]["text/html"]) == 10_000_000
    assert ran.text() == "after\n"


def test_a_display_of_what_only_jupyter_calls_json(worker):
    ran = worker.run(
        "import datetime\n"
        "display({'application/json': {'nan': float('nan'), 'set': {1}, 'b': b'ab',\n"
        "         'day': datetime.date(2024, 1, 2)}}, raw=True)"
    )
    data = ran.of("display_data")[0]["data"]["application/json"]
    assert data == {"nan": "nan", "set": [1], "b": "YWI=", "day": "2024-01-02"}


def test_an_error_of_any_size(worker):
    ran = worker.run("raise ValueError('x' * 300_000)")
    assert len(ran.of("error")[0]["evalue"]) == 300_000
    assert ran.finished["shortened"]
    summary = json.loads(bytes(worker.result_parts(ran.event)[0]))
    assert len(summary["error"]["evalue"]) == 300_000


def test_large_values_travel_in_files(worker):
    worker.namespace["x"] = bytes(3_000_000)
    ran = worker.run("y = bytearray(x) + b'end'")
    assert ran.event.path.endswith(".result")
    assert worker.namespace["y"] == bytes(3_000_000) + b"end"


def test_an_input_that_cannot_be_loaded_stops_the_cell(worker):
    import colorsys

    worker.namespace.update(fine=1, broken=_Unloadable(), more=colorsys.hls_to_rgb)
    ran = worker.run("print('never')")
    assert ran.status == "error"
    assert ran.finished["error"]["ename"] == "InputNotLoaded"
    assert "The input broken cannot be rebuilt" in ran.finished["error"]["evalue"]
    assert ran.text() == ""
    worker.namespace.clear()
    assert worker.run("print('well')").text() == "well\n"


class _Unloadable:
    def __reduce__(self):
        return eval, ("1/0",)


def test_a_broken_bundle_stops_the_cell(worker):
    worker.supervisor.say(m.Execute(run="odd", epoch=1, buffers=(b"nonsense",)))
    ran = worker.finish()
    assert ran.finished["error"]["ename"] == "InputNotLoaded"
    worker.supervisor.say(m.Execute(run="odd2", epoch=1, path="/nowhere/at/all"))
    assert "FileNotFoundError" in worker.finish().finished["error"]["evalue"]


def test_environment_variables_hold_for_the_run(worker):
    source = "import os\nprint(os.environ.get('MACGPU_TEST'))"
    assert worker.run(source, setenv={"MACGPU_TEST": "here"}).text() == "here\n"
    assert worker.run(source).text() == "None\n"


def test_device_is_bound_for_the_run_alone(worker):
    ran = worker.run("kind = str(device)", free=["device"], reads=[])
    assert worker.namespace["kind"] in ("cpu", "cuda", "mps")
    assert ran.finished["bound"] == ["kind"]
    assert worker.run("device", reads=[]).finished["error"]["ename"] == "NameError"
    worker.run("device = 'cpu'", free=["device"], reads=[])
    assert worker.namespace["device"] == "cpu"


def test_values_that_stay(worker):
    ran = worker.run(
        "big = bytes(1000)\nlock = __import__('threading').Lock()", limits={"value": 500}
    )
    kept = {info["name"]: info["key"] for info in ran.finished["remote"]}
    assert set(kept) == {"big", "lock"}
    assert ran.finished["live"] == 2
    listed = worker.operate("values").detail["values"]
    assert {line["key"] for line in listed} == set(kept.values())
    assert worker.run("print(len(big), lock.locked())").text() == "1000 False\n"

    fetched = worker.operate("fetch", key=kept["big"])
    assert fetched.error == ""
    assert len(worker.result_parts(fetched)) >= 2
    assert "cannot be pickled" in worker.operate("fetch", key=kept["lock"]).error
    assert "does not hold" in worker.operate("fetch", key="other").error

    assert worker.operate("free", keys=list(kept.values())).detail["freed"] == 2
    assert worker.operate("values").detail["values"] == []
    assert "no operation" in worker.operate("dance").error


def test_a_value_that_the_notebook_dropped_is_let_go(worker):
    worker.run("lock = __import__('threading').Lock()")
    assert len(worker.operate("values").detail["values"]) == 1
    worker.run("pass", reads=[], held=[])
    assert worker.operate("values").detail["values"] == []


def test_pages_and_next_inputs_are_the_front_ends(worker):
    ran = worker.run("get_ipython().set_next_input('x = 1')\nlen?")
    sources = [payload["source"] for payload in ran.finished["payload"]]
    assert sources == ["set_next_input", "page"]
    assert worker.run("1").finished["payload"] == []


def _plain(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_variables_stay_for_the_run_that_comes_after(worker):
    worker.run("kept = (n for n in range(3))\nnext(kept)", reads=[], after="", narrow=[])
    first = worker.current
    ran = worker.run("print(next(kept), _)", reads=[], after=first, narrow=[])
    assert (ran.status, ran.text()) == ("ok", "1 0\n")
    assert "kept" not in worker.namespace
    ran = worker.run("print(next(kept))", reads=[], after=first, narrow=[])
    assert ran.finished["error"]["ename"] == "WorkerGone"
    assert ran.text() == ""
    assert worker.run("'kept' in globals()").finished["value"] == (False,)
