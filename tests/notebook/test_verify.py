"""``--verify``: a planted wrong result is found, a right one passes, the notebook is left alone.

No machine here has a GPU. What differs between the two runs is therefore planted by what the cell
can see of them: a file that the first one leaves, or the worker's own word for which run it is.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from jupyter_macgpu.mpserrors import KNOWN, errors_in, line_of
from jupyter_macgpu.wire.errors import InputError, RemoteError
from tests.inputs.shell import notebook, refused

#: Binds `second`: whether the cell has run before.
TWICE = "import pathlib; mark = pathlib.Path(MARK); second = mark.exists(); mark.touch()"


@pytest.fixture
def book(own_state):
    with notebook() as opened:
        opened.run("import numpy as np, torch")
        opened.run("x = np.linspace(1, 2, 1000, dtype=np.float32)").error_is(None)
        yield opened


def test_a_right_result_passes_with_its_largest_difference(book):
    ran = book.run(
        "%%macgpu --verify cpu -o y\n"
        f"{TWICE.replace('MARK', repr('a'))}\n"
        "y = {'layer': [x * (1 + 3e-6 * second)]}"
    ).error_is(None)
    assert "runs a second time, on the CPU of this-machine" in ran.text
    assert "done twice" in ran.text
    assert "verified: 1 value as on the CPU of this-machine" in ran.text
    assert "y['layer'][0][" in ran.text
    assert "3.0e-06 of its scale (1e-04 is allowed)" in ran.text
    assert "warning" not in ran.text


def test_equal_results_are_said_to_be_equal(book):
    ran = book.run("%%macgpu --verify cpu\ny = x * 2\ny.sum()").error_is(None)
    assert "verified: 2 values equal to the CPU of this-machine" in ran.text
    assert float(book.names["y"][0]) == 2.0


def test_a_planted_wrong_result_is_found_by_name_and_the_first_one_is_kept(book):
    ran = book.run(
        "%%macgpu --verify cpu -o y,model\n"
        f"{TWICE.replace('MARK', repr('b'))}\n"
        "model = torch.nn.Linear(2, 2)\n"
        "with torch.no_grad():\n    model.weight.fill_(1.0); model.bias.zero_()\n"
        "y = x.copy()\n"
        "if not second:\n    y[7] += 0.5; model.weight.data[1, 0] = 1.25"
    ).error_is(None)
    assert "warning: not as on the CPU of this-machine" in ran.text
    assert "y[7]: 1.50701, and 1.00701 on the CPU" in ran.text
    assert "2 values differ, also model.weight[1, 0]" in ran.text
    assert "those of the first run" in ran.text
    assert book.names["y"][7] == pytest.approx(1.507, abs=1e-3)
    assert float(book.names["model"].weight[1, 0].detach()) == 1.25


def test_a_tolerance_of_ones_own(book):
    cell = (
        "%%macgpu --verify cpu=TOLERANCE -o y\n"
        f"{TWICE.replace('MARK', repr('c-TOLERANCE'))}\n"
        "y = x * (1 + 0.01 * second)"
    )
    assert "verified" in book.run(cell.replace("TOLERANCE", "0.1")).error_is(None).text
    assert "warning" in book.run(cell.replace("TOLERANCE", "0.001")).error_is(None).text


def test_the_second_run_begins_with_copies_of_what_the_first_one_was_sent(book):
    book.run("total = np.zeros(3); alias = total; numbers = [1]").error_is(None)
    ran = book.run("%%macgpu --verify cpu\ntotal += 1; numbers.append(2)").error_is(None)
    # The arrays are added to once here, and once in the copies: else they would differ.
    assert "verified: 3 values equal" in ran.text
    assert book.names["alias"].tolist() == [1.0, 1.0, 1.0]
    assert book.names["numbers"] == [1, 2]


def test_what_is_changed_in_place_is_compared_by_the_names_that_hold_it(book):
    book.run("holder = {'deep': [np.ones(3)]}").error_is(None)
    ran = book.run(
        "%%macgpu --verify cpu\n"
        f"{TWICE.replace('MARK', repr('d'))}\n"
        "holder['deep'][0][1] += 1 if second else 2\ndel second, mark, pathlib"
    ).error_is(None)
    assert "warning: not as on the CPU of this-machine" in ran.text
    assert "holder['deep'][0][1]: 3, and 2 on the CPU" in ran.text


def test_random_numbers_are_named_as_the_reason(book):
    ran = book.run("%%macgpu --verify cpu\nw = torch.rand(3)").error_is(None)
    assert "warning" in ran.text
    assert "uses random numbers (torch)" in ran.text
    ran = book.run("%%macgpu --verify cpu\nw = np.random.default_rng().random(3)").error_is(None)
    assert "If the cell draws random numbers" in ran.text
    ran = book.run("%%macgpu --verify cpu\ntorch.manual_seed(1); w = torch.rand(3)").error_is(None)
    assert "verified: 1 value equal" in ran.text


def test_a_seed_takes_random_numbers_out_of_the_reasons(book):
    ran = book.run(
        "%%macgpu --verify cpu -o w,device\n"
        f"{TWICE.replace('MARK', repr('s'))}\n"
        "torch.manual_seed(1); w = torch.rand(3) + (not second)\n"
        "device = 'cpu' if second else 'mps'"
    ).error_is(None)
    assert "warning: not as on the CPU of this-machine" in ran.text
    assert "w[" in ran.text
    assert "device:" not in ran.text
    assert "drawn on the CPU were the same in both runs" in ran.text


def test_without_a_gpu_it_says_that_this_says_little(book):
    ran = book.run("%%macgpu --verify cpu\ny = x + 1; device").error_is(None)
    assert "no GPU was used on this-machine either" in ran.text


def test_a_second_run_that_fails_leaves_the_first_ones_results(book):
    ran = book.run(
        "%%macgpu --verify cpu\n"
        f"{TWICE.replace('MARK', repr('e'))}\n"
        "print('shown once')\nz = 3\nif second:\n    raise ValueError('only here')"
    ).error_is(None)
    assert (
        "not compared with the CPU: the run there ended as error: ValueError: only here" in ran.text
    )
    assert ran.text.count("shown once") == 1
    assert book.names["z"] == 3


def test_an_interrupt_of_the_second_run_keeps_the_first_ones_results(book, tmp_path):
    begun = tmp_path / "begun"

    def interrupt() -> None:
        while not begun.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    ran = book.run(
        "%%macgpu --verify cpu\n"
        f"{TWICE.replace('MARK', repr('g'))}\n"
        f"kept = 5\nif second:\n    pathlib.Path({str(begun)!r}).touch()\n"
        "    import time; time.sleep(60)"
    ).error_is(None)
    thread.join()
    assert "not compared with the CPU: the run there ended as cancelled" in ran.text
    assert book.names["kept"] == 5


@pytest.mark.skipif((os.cpu_count() or 1) > 8, reason="needs a worker for each CPU slot")
def test_a_second_run_that_waits_says_so_once(book):
    blocker = "import time; time.sleep(4)"
    for _ in range(os.cpu_count() or 1):  # as many CPU slots as this machine has by itself
        book.run(f"%%macgpu --detach --cpu\n{blocker}").error_is(None)
    ran = book.run("%%macgpu --verify cpu\ny = x + 1").error_is(None)
    assert ran.text.count("the second run waits for a CPU slot of this-machine") == 1
    assert "verified" in ran.text


def test_a_cell_that_fails_is_not_run_a_second_time(book):
    ran = book.run("%%macgpu --verify cpu\nraise KeyError('first')")
    assert "a second time" not in ran.text
    assert "first" in str(ran.error)


def test_the_second_run_is_never_asked(book):
    ran = book.run(
        "%%macgpu --verify cpu\n"
        f"{TWICE.replace('MARK', repr('f'))}\n"
        "n = input('name? ') if second else 'given'"
    ).error_is(None)
    assert "not compared with the CPU: the run there ended as error: StdinNotImpl" in ran.text


def test_values_that_live_in_a_worker_alone_are_refused_before_anything_is_sent(book):
    book.run("%%macgpu\nlive = (n for n in range(3))").error_is(None)
    del book.names["x"]  # an array says not whether it is equal to another
    refused(book, "%%macgpu --verify cpu\nnext(live)", "live in a worker alone", "--verify")
    book.run("%%macgpu --verify cpu\nnext(live)").error_is(InputError)


def test_device_is_the_cpu_with_cpu(book):
    assert "'cpu'" in book.run("%%macgpu --cpu\ndevice").error_is(None).text


def test_inputs_that_belong_to_a_gpu_are_in_host_memory_without_one(book):
    # PyTorch has a device without memory everywhere: what is sent to it cannot be read back.
    book.run("t = torch.ones(3); t._macgpu_device = 'meta'").error_is(None)
    assert "meta tensor" in book.run("%%macgpu\nt.device.type").error_is(RemoteError).text
    assert "'cpu'" in book.run("%%macgpu --cpu\nt.device.type").error_is(None).text


def test_hosts_of_data_only_are_compared_too(own_state, tmp_path, monkeypatch):
    fleet = tmp_path / "macgpu.yaml"
    fleet.write_text("version: 1\nhosts:\n  here: {transport: local, trust: data}\n")
    fleet.chmod(0o600)
    monkeypatch.setenv("MACGPU_FLEET", str(fleet))
    with notebook() as book:
        book.run("import numpy as np\nheld = [np.ones(3)]").error_is(None)
        ran = book.run("%%macgpu --verify cpu\nheld[0] += 1; {'a': held[0].sum()}")
        assert "verified: 2 values equal to the CPU of here" in ran.error_is(None).text
        assert book.names["held"][0].tolist() == [2.0, 2.0, 2.0]
        ran = book.run(
            "%%macgpu --verify cpu -o z\n"
            f"{TWICE.replace('MARK', repr('h'))}\nz = {{'b': held[0] + 0.1 * second}}"
        )
        assert "warning: not as on the CPU of here" in ran.error_is(None).text
        assert "z['b'][0]: 2, and 2.1 on the CPU" in ran.text


def test_nothing_of_it_is_left_behind(book):
    before = set(book.names)
    book.run("%%macgpu --verify cpu\ny = np.float32(2)").error_is(None)
    added = {name for name in set(book.names) - before if not name.startswith("_")}
    assert added == {"y"}
    assert book.names["y"] == np.float32(2)


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("2.8.0", {162730, 163597, 174861, 192212, 193487, 197636}),
        ("2.9.1", {174861, 192212, 193487, 197636}),
        ("2.13.0a0+git1a2b", {192212, 193487, 195163, 189495, 183419, 189960, 197636}),
        ("2.14.0", {195163, 189495, 183419, 189960, 197636}),
        ("2.4.0", set()),
        ("unknown", set()),
        ("", set()),
    ],
)
def test_versions_that_are_known_to_be_wrong(version, numbers):
    assert {error.number for error in errors_in(version)} == numbers
    line = line_of(version)
    assert bool(line) is bool(numbers)
    assert ("other cases" in line) is (len(numbers) > 3)


def test_the_readme_has_the_table_of_known_errors():
    from tests.unit.test_options import README

    text = README.read_text(encoding="utf-8")
    for error in KNOWN:
        assert f"| {error.what} | {error.versions} | [{error.number}]({error.link}) |" in text
