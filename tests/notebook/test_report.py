"""The quiet line of a cell and its report, in real kernels and in a terminal's shell."""

from __future__ import annotations

import json
import threading
import time

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from tests.inputs.shell import notebook

SLOW = "%%macgpu\nimport time\ntime.sleep(2.6)\nprint('done')"


@pytest.fixture
def book(own_state):
    with notebook() as opened:
        yield opened


def outputs_of(*cells: str, looked_at: bool = True) -> list[list[dict]]:
    """Run cells in a kernel whose front end can ask the user or cannot; return their outputs."""
    texts = ["%load_ext jupyter_macgpu", *cells]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    client = NotebookClient(book, timeout=60, allow_errors=True)
    with client.setup_kernel():
        # nbclient never asks; whether it could is what a front end says with each request.
        execute = client.kc.execute
        client.kc.execute = lambda *a, **k: execute(*a, **{**k, "allow_stdin": looked_at})
        for number, cell in enumerate(book.cells):
            client.execute_cell(cell, number)
    return [cell.outputs for cell in book.cells[1:]]


def lines_in(outputs: list[dict]) -> list[str]:
    texts = [output.get("data", {}).get("text/plain", "") for output in outputs]
    return [text for text in texts if text.startswith("macgpu:")]


def test_a_saved_notebook_holds_one_stable_line_of_a_long_cell(own_state):
    slow, quick = outputs_of(SLOW, "%%macgpu\nprint('quick')")
    (line,) = lines_in(slow)
    assert line.startswith("macgpu: this-machine: 2.6 s")
    assert "peak" in line
    page = next(out for out in slow if "text/html" in out.get("data", {}))["data"]["text/html"]
    assert "nowrap" in page
    assert "\n" not in page.strip()
    assert lines_in(quick) == []


def test_where_nobody_looks_it_is_silent_unless_asked(own_state):
    silent, _, asked = outputs_of(
        SLOW, "%macgpu config progress=on", "%%macgpu\n1", looked_at=False
    )
    assert lines_in(silent) == []
    assert len(lines_in(asked)) == 1


def test_the_line_can_be_dropped_at_the_end(own_state):
    _, slow = outputs_of("%macgpu config keep-line=off", SLOW)
    assert lines_in(slow) == []
    assert any(output.get("text") == "done\n" for output in slow)


def test_a_cell_that_nobody_waits_for_has_no_line_that_grows_old(own_state):
    handed, swept = outputs_of(
        "%%macgpu --at 'in 2h' --as later\npass", "%%macgpu --at 'in 2h' --sweep rate=1,2\npass"
    )
    assert not any("starts at" in line for line in lines_in(handed) + lines_in(swept))
    said = [output.get("data", {}).get("text/plain", "") for output in handed]
    assert sum("starts at" in text for text in said) == 1


def test_settings_that_do_not_exist_are_refused(book):
    assert "auto or on or off" in book.run("%macgpu config progress=loud").text
    assert "on or off" in book.run("%macgpu config keep-line=maybe").text
    assert "progress=auto" in book.run("%macgpu config").text


def test_figures_agree_with_what_the_cell_measured_itself(book):
    book.run("data = bytes(3_000_000)").error_is(None)
    begun = time.monotonic()
    book.run(
        "%%macgpu -i data\nimport time, resource\nbegan = time.perf_counter()\n"
        "block = bytearray(120_000_000); block[::4096] = b'1' * len(block[::4096])\n"
        "status = open('/proc/self/status').read()\n"
        "largest = int(status.split('VmHWM:')[1].split()[0]) * 1024\n"
        "back = bytes(2_000_000); del block\n"
        "time.sleep(1.0); took = time.perf_counter() - began"
    ).error_is(None)
    whole = time.monotonic() - begun
    report = json.loads(book.run("%macgpu report --json").text)
    names = book.names
    assert 0.95 * names["took"] <= report["seconds"] <= whole
    assert report["usage"]["memory_peak_bytes"] == pytest.approx(names["largest"], rel=0.05)
    assert report["shipped_bytes"] == pytest.approx(3_000_000, rel=0.05)
    assert report["returned_bytes"] == pytest.approx(2_000_000, rel=0.05)
    assert set(report["steps"]) >= {"capture", "place", "wait", "load", "run", "dump", "bind"}
    again = json.loads(book.run("%macgpu report last --json").text)
    assert again["usage"] == report["usage"]
    assert "running" in book.run("%macgpu report").text


def test_the_peak_of_memory_is_what_somebody_else_saw_of_the_worker(book):
    book.run("%%macgpu\nimport os\npid = os.getpid()").error_is(None)
    worker, sizes, over = psutil.Process(book.names["pid"]), [], threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            sizes.append(worker.memory_info().rss)

    sizes.append(worker.memory_info().rss)
    thread = threading.Thread(target=look)
    thread.start()
    book.run(
        "%%macgpu\nimport time\nblock = bytearray(b'1') * 150_000_000\ntime.sleep(1)\ndel block"
    ).error_is(None)
    over.set()
    thread.join()
    report = json.loads(book.run("%macgpu report --json").text)
    assert max(sizes) - min(sizes) > 140_000_000
    assert report["usage"]["memory_peak_bytes"] == pytest.approx(max(sizes), rel=0.05)


def test_a_run_that_has_not_ended_has_no_report_yet(book):
    said = book.run("%macgpu report nonesuch").text
    assert "nonesuch" in said


#: Warns as PyTorch does of an operation that MPS lacks; and warns itself, once in a process.
FALLS_BACK = """
def lacks(name):
    warnings.warn(
        f"The operator '{name}' is not currently supported on the MPS backend and will fall back"
    )

import warnings, torch
"""


def test_operations_that_fell_back_are_named_and_all_of_a_run_with_an_option(book):
    book.run(FALLS_BACK).error_is(None)
    cell = "for name in ('aten::a', 'aten::b', 'aten::a'):\n    lacks(name)"
    ran = book.run(f"%%macgpu --fallbacks\n{cell}").error_is(None)
    assert ran.text.count("'aten::a'") == 1
    for _ in range(2):
        # The same place warns again: it is named again, for it is another run.
        book.run("%%macgpu --fallbacks\nimport torch\nlacks('aten::c')").error_is(None)
        report = json.loads(book.run("%macgpu report --json").text)
        assert report["usage"]["fallbacks"] == ["aten::c"]
    assert "aten::c" in book.run("%macgpu report").text


def test_pytorch_repeats_what_it_says_once_only_while_it_is_asked_to(book):
    # The only warning of that kind that PyTorch gives without a GPU.
    once = (
        "import torch, warnings\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(3):\n"
        "        torch.ones(1, dtype=torch.complex64).to(torch.float32)\n"
        "many = len(seen)"
    )
    said = []
    for options in ("", " --fallbacks", ""):
        book.run(f"%%macgpu{options} -o many\n{once}").error_is(None)
        said.append(book.names["many"])
    assert said == [1, 3, 0]


def test_what_was_there_from_before_is_in_the_report_and_in_the_bill(book):
    book.run("import numpy as np\nbig = np.arange(500_000)").error_is(None)
    cell = "total = int(big.sum())"
    bill = book.run(f"%%macgpu --dry-run\n{cell}").text
    assert "would send 1 variable, 3.81 MiB\n" in bill
    book.run(f"%%macgpu\n{cell}").error_is(None)
    first = json.loads(book.run("%macgpu report --json").text)
    assert first["shipped_bytes"] == pytest.approx(4_000_000, rel=0.05)
    assert first["reused_bytes"] == 0
    bill = book.run(f"%%macgpu --dry-run\n{cell}").text
    assert "would send 1 variable, 3.81 MiB, of which 3.81 MiB are there from before\n" in bill
    book.run(f"%%macgpu\n{cell}").error_is(None)
    again = json.loads(book.run("%macgpu report --json").text)
    assert again["shipped_bytes"] < 5000
    assert again["reused_bytes"] == 4_000_000
    said = book.run("%macgpu report").text
    assert "there from before, not sent" in said
    book.run("big[1] = 7").error_is(None)
    bill = book.run(f"%%macgpu --dry-run\n{cell}").text
    assert "would send 1 variable, 3.81 MiB\n" in bill
