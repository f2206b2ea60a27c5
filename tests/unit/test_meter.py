"""What runs use, from samples of the host: which readings count, and what is made of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jupyter_macgpu.mac.meter import Meter
from jupyter_macgpu.wire.gauges import Gpu, Heat, Memory, Power
from jupyter_macgpu.wire.telemetry import Telemetry
from jupyter_macgpu.wire.usage import Usage, from_json, to_json


def sample(share=None, watts=None, swap=None, heat=None) -> Telemetry:
    return Telemetry(
        gpus=(Gpu(utilization=share),),
        power=Power(system_watts=watts),
        memory=Memory(swap_used_bytes=swap),
        heat=Heat(pressure=heat),
    )


def test_a_reading_counts_for_the_time_since_the_one_before() -> None:
    meter = Meter()
    meter.active(["a"], 0.0)
    meter.sampled(sample(0.9, 40.0, 100, "nominal"), 1.0)
    meter.sampled(sample(0.5, 30.0, 150, "moderate"), 6.0)
    meter.sampled(sample(1.0, 50.0, 140, "nominal"), 16.0)
    usage = meter.ended("a", 20.0)
    assert usage.gpu_seconds == pytest.approx(0.5 * 5 + 1.0 * 10)
    assert usage.gpu_mean == pytest.approx(12.5 / 15, abs=1e-3)
    assert usage.gpu_peak == 1.0
    assert usage.machine_joules == pytest.approx(30 * 5 + 50 * 10)
    assert usage.swap_bytes == 40
    assert usage.heat == "moderate"
    assert usage.seconds == 20.0


def test_a_reading_that_began_before_the_run_says_nothing_of_its_gpu() -> None:
    meter = Meter()
    meter.sampled(sample(1.0), 0.0)
    meter.active(["a"], 3.0)
    meter.sampled(sample(1.0, swap=5), 5.0)
    usage = meter.usage("a", 6.0)
    assert (usage.gpu_mean, usage.gpu_peak, usage.gpu_seconds) == (None, None, None)
    assert usage.swap_bytes == 0


def test_unknown_stays_unknown_and_is_never_zero() -> None:
    meter = Meter()
    meter.active(["a"], 0.0)
    for at in (1.0, 6.0, 11.0):
        meter.sampled(Telemetry(), at)
    assert to_json(meter.ended("a", 12.0)) == {"seconds": 12.0}
    assert meter.ended("a", 12.0) == Usage()
    assert meter.ended("never seen", 12.0) == Usage()


def test_runs_beside_each_other_are_marked() -> None:
    meter = Meter()
    meter.active(["a"], 0.0)
    meter.active(["a", "b"], 1.0)
    meter.active(["b"], 2.0)
    assert meter.ended("a", 3.0).shared
    assert meter.ended("b", 3.0).shared
    meter.active(["c"], 4.0)
    assert not meter.ended("c", 5.0).shared


@pytest.mark.parametrize(
    "data",
    [None, [], "x", {"seconds": "1"}, {"seconds": float("nan")}, {"fallbacks": [1, None]},
     {"memory_peak_bytes": True}, {"heat": 3}, {"unknown": 1}],
)  # fmt: skip
def test_what_a_host_says_wrongly_is_unknown(data: object) -> None:
    assert from_json(data) == Usage()


def test_it_goes_through_json_unchanged() -> None:
    usage = Usage(seconds=1.5, gpu_mean=0.5, memory_peak_bytes=7, fallbacks=("aten::x",))
    assert from_json(to_json(usage)) == usage
    long = from_json({"fallbacks": ["y" * 1000] * 1000})
    assert len(long.fallbacks) == 50
    assert len(long.fallbacks[0]) == 100


MEASURED = """
import warnings, resource
from jupyter_macgpu.mac.worker.measure import Measure
measure = Measure()
big = bytearray(200_000_000); big[::4096] = bytes(len(big[::4096])); del big
measure.begin()
before = measure.end()["memory_peak_bytes"]
data = bytearray(80_000_000); data[::4096] = b"1" * len(data[::4096])
with warnings.catch_warnings():
    warnings.simplefilter("always")
    warnings.warn("The operator 'aten::foo.out' is not currently supported on the MPS backend and "
                  "will fall back to run on the CPU. This may have performance implications.")
    warnings.warn("something else")
end = measure.end()
print(before, end["memory_peak_bytes"], end["fallbacks"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' own count")
def test_a_workers_peak_begins_anew_with_each_run_and_fallbacks_are_named() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True
    )
    before, after, named = ran.stdout.split(" ", 2)
    assert int(before) < 150_000_000
    assert int(after) - int(before) == pytest.approx(80_000_000, rel=0.05)
    assert named.strip() == "['aten::foo.out']"
    assert "something else" in ran.stderr
