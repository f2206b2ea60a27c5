"""Whether the GPU computes and how fast the chip is, with real programs beside a real loop."""

from __future__ import annotations

import json
import os
import selectors
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.fleet.status import Heard, host_status
from jupyter_macgpu.mac import gauging
from jupyter_macgpu.mac.gauging import AGAIN, FIRST, LONGEST, NEW, QUIET, SETTLE, Gauge
from jupyter_macgpu.mac.worker import gauge
from jupyter_macgpu.scheduling.chips import REACHED, measured_speed, prior_speed
from jupyter_macgpu.scheduling.status import Speed
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.telemetry import Telemetry, from_json
from tests.unit.caller import PATIENCE, Caller

CALM: dict[str, Any] = {
    "power": {"on_battery": False},
    "people": {"idle_seconds": 9999.0},
    "heat": {"level": 0},
    "memory": {"pressure": "normal"},
    "gpus": [{"utilization": 0.0}],
}
WELL = {"state": "ok", "line": "torch on mps", "device": "mps", "package": "torch"}
FIGURES = {"tflops": 10.0, "half_tflops": 11.0, "gb_per_s": 300.0, "package": "torch"}


def saying(**answers: object) -> str:
    """Return a shell program that answers as the gauge does: by its last argument."""
    cases = "".join(
        f"{what}) echo noise; echo {shlex.quote('macgpu-gauge ' + json.dumps(answer))};; "
        for what, answer in answers.items()
    )
    return f'for what; do :; done; echo "$what" >> "$SAID"; case $what in {cases}esac'


class Bench:
    """A gauge, its loop, and a clock that goes as it is told."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.folder = folder
        self.selector = selectors.DefaultSelector()
        self.gauge = Gauge(folder / "gauge.json", self.selector, lambda: self.now)
        self.sample: Telemetry | None = from_json(CALM)
        self.age, self.quiet, self.is_busy = 1.0, 1e9, False

    @property
    def asked(self) -> list[str]:
        file = self.folder / "said"
        return file.read_text().split() if file.exists() else []

    def turn(self) -> None:
        for key, events in self.selector.select(0.01):
            key.data(events)
        self.gauge.tick(is_busy=self.is_busy, quiet=self.quiet, sample=self.sample, age=self.age)

    def until(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, self.gauge.plain()
            self.turn()

    def idle(self) -> None:
        """Turn until nothing runs and nothing is begun."""
        for _ in range(10):
            self.turn()
        self.until(lambda: not self.gauge._aside.there)
        for _ in range(10):
            self.turn()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def start(program: str) -> Bench:
        # What is appended to the command, ``-P -c CODE test``, becomes the program's arguments.
        monkeypatch.setenv("MACGPU_GAUGE", shlex.join(["/bin/sh", "-c", program, "stand-in"]))
        monkeypatch.setenv("SAID", str(tmp_path / "said"))
        made.append(Bench(tmp_path))
        made[-1].now = SETTLE
        return made[-1]

    yield start
    for each in made:
        each.gauge.close()


# The test.

FAULTS = {
    "exits": ("echo 'OSError: no Metal' >&2; exit 3", "exited with code 3: OSError: no Metal"),
    "dies": ("kill -ABRT $$", "ended by SIGABRT"),
    "says nothing": ("exit 0", "exited with code 0"),
    "hangs": ("sleep 500 & sleep 500", "no answer within 0.5 s"),
    "floods": ("exec yes", ": y"),
    "wrong": (saying(test={**WELL, "state": "failed", "line": "2 is not 3"}), "2 is not 3"),
    "no JSON": ("echo 'macgpu-gauge {'", "exited with code 0: macgpu-gauge {"),
    "not there": ("", "cannot be started"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_gpu_that_does_not_compute_is_found_and_tried_again_ever_later(
    fault: str, bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, reason = FAULTS[fault]
    monkeypatch.setenv("MACGPU_GAUGE_LIMIT", "0.5" if fault == "hangs" else "1000")
    made = bench(program)
    if fault == "not there":
        made.gauge._stand_in = ["/nowhere/python3"]

    def tested(number: int) -> None:
        until = time.monotonic() + PATIENCE
        while made.gauge.version < number:
            assert time.monotonic() < until
            made.turn()
            made.now += 0.01

    for number in range(4):
        tested(number + 1)
        assert made.gauge.plain()["gpu_test"] is False
        assert reason in made.gauge.plain()["gpu_test_reason"]
        made.now += min(LONGEST, FIRST * 2**number) - 1.0
        made.idle()
        assert made.gauge.version == number + 1
        made.now += 1.1
    assert not [p for p in psutil.Process().children() if p.status() != "zombie"]


def test_a_gpu_that_is_mended_is_well_again_and_is_tested_again_when_suspected(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    made = bench(f"[ -e {tmp_path}/mended ] || exit 1; {saying(test=WELL)}")
    made.quiet = 0.0
    made.until(lambda: made.gauge.plain()["gpu_test"] is False)
    (tmp_path / "mended").touch()
    made.now += FIRST
    made.until(lambda: made.gauge.plain()["gpu_test"] is True)
    assert made.gauge.plain()["gpu_test_reason"] == ""
    made.now += 10 * LONGEST
    made.idle()
    assert made.asked == ["test"]
    (tmp_path / "mended").unlink()
    made.gauge.suspect()
    made.until(lambda: made.gauge.plain()["gpu_test"] is False)


def test_nothing_is_known_where_there_is_no_package_and_nothing_asked_where_there_is_no_gpu(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = bench(saying(test={"state": "unknown", "line": "neither torch nor mlx"}))
    made.until(lambda: made.gauge.version == 1)
    assert (made.gauge.plain()["gpu_test"], made.gauge.plain()["calibration"]) == (None, {})
    assert "neither" in made.gauge.plain()["gpu_test_reason"]
    monkeypatch.delenv("MACGPU_GAUGE")
    monkeypatch.setattr(gauging.hardware, "gpu_device", lambda: "")
    bare = Bench(tmp_path)
    bare.now = 1e6
    bare.idle()
    assert bare.asked == made.asked == ["test"]


def test_another_interpreter_is_another_test(bench: Callable[..., Bench], tmp_path: Path) -> None:
    made = bench("exit 1")
    made.gauge._stand_in = []
    made.gauge._has_gpu = True
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\n{saying(test=WELL)}\n")
    python.chmod(0o755)
    made.gauge.cells_use(str(python))
    made.now += SETTLE
    made.until(lambda: made.gauge.plain()["gpu_test"] is True)
    # The next supervisor knows whose it is to be.
    assert Bench(tmp_path).gauge._python == str(python)


# The measurement.


def test_a_chip_is_measured_once_for_a_build_and_a_version(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    program = saying(test={**WELL, "version": "2.0"}, measure={**FIGURES, "version": "2.0"})
    made = bench(program)
    made.until(lambda: made.gauge.plain()["calibration"])
    assert made.gauge.plain()["calibration"].items() >= FIGURES.items()
    assert made.asked == ["test", "measure"]
    again = bench(program)
    again.until(lambda: again.gauge.plain()["calibration"])
    again.idle()
    assert again.asked == ["test", "measure", "test"]
    newer = bench(program.replace("2.0", "2.1"))
    newer.until(lambda: newer.gauge.plain()["calibration"])
    assert newer.gauge.plain()["calibration"]["version"] == "2.1"
    assert newer.asked[-2:] == ["test", "measure"]
    kept = json.loads((tmp_path / "gauge.json").read_text())
    assert len(kept["figures"]) == 2


DISTURBED: dict[str, dict[str, Any]] = {
    "battery": {"power": {"on_battery": True}},
    "owner": {"people": {"idle_seconds": 10.0}},
    "heat": {"heat": {"level": 2}},
    "pressure": {"memory": {"pressure": "warn"}},
    "load": {"gpus": [{"utilization": 0.9}]},
}


@pytest.mark.parametrize("why", [*DISTURBED, "old", "unknown", "run", "just run"])
def test_nobody_is_disturbed_by_a_measurement(why: str, bench: Callable[..., Bench]) -> None:
    made = bench(saying(test=WELL, measure=FIGURES))
    made.sample = from_json({**CALM, **DISTURBED.get(why, {})})
    if why == "old":
        made.age = NEW + 1
    elif why == "unknown":
        made.sample = None
    elif why == "just run":
        made.quiet = QUIET - 1
    elif why == "run":
        made.quiet = 0.0
    made.until(lambda: made.gauge.plain()["gpu_test"] is True)
    if why == "run":
        made.is_busy, made.quiet = True, 1e9
    made.idle()
    made.now += 10 * AGAIN
    made.idle()
    assert made.asked == ["test"]
    made.sample, made.age, made.quiet, made.is_busy = from_json(CALM), 1.0, QUIET, False
    made.until(lambda: made.gauge.plain()["calibration"])


def test_a_run_ends_a_measurement_at_once(bench: Callable[..., Bench]) -> None:
    made = bench(f"{saying(test=WELL)}; [ $what = test ] || sleep 500")
    made.until(lambda: made.asked == ["test", "measure"])
    assert made.gauge.is_measuring
    made.is_busy = True
    made.until(lambda: not made.gauge._aside.there)
    assert (made.gauge.plain()["calibration"], made.gauge.plain()["gpu_test"]) == ({}, True)


@pytest.mark.parametrize(
    "odd",
    [{"tflops": 0}, {"gb_per_s": -3}, {"tflops": 1e9}, {"half_tflops": "x"}, {"tflops": True}],
)
def test_what_no_machine_computes_is_not_kept_and_is_said(
    odd: dict[str, Any], bench: Callable[..., Bench]
) -> None:
    made = bench(saying(test=WELL, measure={**FIGURES, **odd}))
    made.until(lambda: made.gauge.plain()["calibration_note"])
    assert next(iter(odd)) in made.gauge.plain()["calibration_note"]
    assert made.gauge.plain()["calibration"] == {}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"figures": 3}', '{"python": 3, "figures": []}']
)
def test_a_file_that_is_broken_is_as_none(
    content: str, bench: Callable[..., Bench], tmp_path: Path
) -> None:
    (tmp_path / "gauge.json").write_text(content)
    made = bench(saying(test=WELL, measure=FIGURES))
    made.until(lambda: made.gauge.plain()["calibration"])


@pytest.mark.parametrize("name", gauge.KITS)
def test_each_package_is_measured_to_the_end(name: str) -> None:
    module = pytest.importorskip(name.partition(".")[0])
    if name == "torch":
        # Two threads that wait for each other take minutes where processors have much else to do.
        module.set_num_threads(1)
    kit = gauge.KITS[name]()
    assert kit.device in ("cpu", "cuda", "mps")
    for work in (kit.multiply(64, half=False), kit.multiply(64, half=True), kit.copy(4096)):
        assert gauge._rate(work) > 0


def test_a_clock_that_stands_does_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauge.time, "perf_counter", lambda: 0.0)
    with pytest.raises(RuntimeError, match="clock"):
        gauge._rate(lambda _times: None)


# What becomes of it.


def test_a_measurement_takes_the_place_of_the_table() -> None:
    host = Host(name="studio", hostname="x")
    telemetry = {"machine": {"chip": "Apple M2 Ultra"}, "gpus": [{"cores": 76}]}
    heard = Heard().told({"telemetry": telemetry}, 0)
    prior = host_status(host, heard).gpu_speed
    assert prior == prior_speed("m2-ultra", 76)
    reached = {"tflops": 27.2 * REACHED, "gb_per_s": 819 * REACHED}
    same = host_status(host, Heard().told({"telemetry": telemetry, "calibration": reached}, 0))
    assert same.gpu_speed is not None
    assert prior is not None
    # What reaches the usual share of the table's figures is as fast as the table says.
    assert same.gpu_speed.value == pytest.approx(prior.value)
    assert (same.gpu_speed.source, same.gpu_speed.note) == ("calibrated", "")
    wild = {"tflops": 0.5, "gb_per_s": 20.0}
    slow = host_status(host, Heard().told({"telemetry": telemetry, "calibration": wild}, 0))
    assert slow.gpu_speed is not None
    assert slow.gpu_speed.value < prior.value / 10
    assert "times what the table of chips says" in slow.gpu_speed.note


@pytest.mark.parametrize("figures", [(None, 1.0), (1.0, None), (0.0, 1.0), (1.0, -1.0)])
def test_half_a_measurement_is_none(figures: tuple[float | None, float | None]) -> None:
    assert measured_speed(*figures, Speed(value=1.0, source="prior")) is None


# The whole way.


@pytest.fixture
def calm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host's tools say that nobody is there."""
    said = "x begin\nx loadavg\n0.10 0.10 0.10 1/100 4242\nx cpuinfo\nonline: 8\nx end\n"
    (tmp_path / "recorded").write_text(said)
    monkeypatch.setenv("MACGPU_PROBE", shlex.join(["/bin/cat", str(tmp_path / "recorded")]))
    monkeypatch.setenv("MACGPU_HOST_POLICY", str(tmp_path / "host.yaml"))


def told(caller: Caller, wanted: str) -> dict[str, Any]:
    deadline = time.monotonic() + 250
    while True:
        caller.say(m.Watch())
        sample = caller.listen(m.Telemetry).sample
        if sample[wanted] not in (None, {}):
            return sample
        assert time.monotonic() < deadline, sample
        time.sleep(0.2)


def test_a_supervisor_measures_with_real_tensors_and_the_next_one_knows(
    state: Path, calm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("MACGPU_GAUGE", sys.executable)
    # Two threads that wait for each other take minutes on processors that have much else to do.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MACGPU_GAUGE_LIMIT", "250")
    with Caller() as caller:
        sample = told(caller, "calibration")
        assert sample["gpu_test"] is True
        figures = sample["calibration"]
        assert figures["package"] == "torch"
        assert "torch" in sample["gpu_test_line"]
        assert figures["tflops"] > 0
        assert figures["gb_per_s"] > 0
        os.kill(caller.supervisor, 9)
    # It is not measured again: as if nobody could.
    monkeypatch.setenv("MACGPU_PROBE", "/bin/false")
    with Caller() as caller:
        assert told(caller, "calibration")["calibration"] == figures
