"""Metal and launchd as they are: what nothing but a Mac can show."""

from __future__ import annotations

import os
import platform
import plistlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.mac import checks, start, store
from jupyter_macgpu.mac.worker import gauge, metal
from jupyter_macgpu.scheduling.chips import measured_speed, prior_speed

pytestmark = [
    pytest.mark.mac,
    pytest.mark.skipif(
        sys.platform != "darwin" or platform.machine() != "arm64",
        reason="needs a Mac with Apple Silicon",
    ),
]


@pytest.fixture
def place(tmp_path: Path) -> store.Store:
    place = store.Store(tmp_path / "store")
    place.prepare()
    return place


@pytest.fixture
def known_to_launchd() -> Iterator[list[str]]:
    """Collect names of jobs; launchd forgets them in the end."""
    names: list[str] = []
    yield names
    for name in names:
        subprocess.run([start.LAUNCHCTL, "bootout", f"user/{os.getuid()}/{name}"], check=False)


@pytest.mark.parametrize("name", metal.PROBES)
def test_a_new_kernel_compiles(name: str) -> None:
    assert "new kernel" in metal.PROBES[name]()
    assert metal.still_compiles() == ""


def test_the_gpu_passes_its_test_and_the_chip_is_about_as_fast_as_the_table_says() -> None:
    assert gauge.test()["state"] == "ok"
    found = gauge.measure()
    assert found["device"] == "mps"
    said = dict(checks.facts())
    measured = measured_speed(found["tflops"], found["gb_per_s"], prior_speed(said["chip"]))
    assert measured is not None
    assert measured.note == "", (said["chip"], found)


def test_every_check_succeeds(place: store.Store) -> None:
    found = {check.name: check for check in checks.checks(place)}
    # pytest's folders are temporary, and this process is pytest: these two speak of the command.
    del found["temporary folders"], found["process title"]
    assert [check for check in found.values() if check.state != "ok"] == []


def test_launchd_takes_a_job_for_the_accounts_own_domain(
    place: store.Store, known_to_launchd: list[str]
) -> None:
    made = place.root / "made"
    command = ["/usr/bin/touch", str(made)]
    start.start(place, command, {"PATH": "/usr/bin:/bin"}, way=start.DOMAIN)
    until = time.monotonic() + 60.0
    while not made.exists():
        assert time.monotonic() < until, (place.root / "supervisor.log").read_text()
        time.sleep(0.05)
    listed = subprocess.check_output([start.LAUNCHCTL, "print", f"user/{os.getuid()}"], text=True)
    known_to_launchd += [word for word in listed.split() if word.startswith("org.jupyter.macgpu.")]
    assert known_to_launchd


def test_a_job_is_a_property_list_by_apples_own_judgement(tmp_path: Path) -> None:
    file = tmp_path / "job.plist"
    file.write_bytes(start.job(["/usr/bin/true"], {"LANG": "C"}, "/dev/null"))
    subprocess.run(["/usr/bin/plutil", "-lint", str(file)], check=True)
    assert plistlib.loads(file.read_bytes())["Label"].startswith("org.jupyter.macgpu.")
