"""The scripts that the make targets stand on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bench import report
from bench.report import Comparison, Report
from tools import install_torch, lock, soak

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("platform", "has_nvidia", "requirements"),
    [
        ("darwin", False, ["torch==2.13.*"]),
        ("linux", True, ["torch==2.13.*"]),
        ("linux", False, ["torch==2.13.0+cpu", "torch==2.13.*"]),
    ],
)
def test_torch_comes_in_the_build_that_the_machine_can_use(
    platform: str, has_nvidia: bool, requirements: list[str]
) -> None:
    builds = install_torch.builds(platform, has_nvidia=has_nvidia)
    assert [build.requirement for build in builds] == requirements
    assert all(build.download for build in builds)


def test_an_index_of_their_own_is_asked_for_the_cpu_build_alone() -> None:
    ordinary, cpu = install_torch.ORDINARY, install_torch.CPU
    assert ordinary.options == install_torch.CUDA.options == ()
    assert "--no-deps" in cpu.options


def test_the_locks_name_versions_and_no_place() -> None:
    for file in (ROOT / "requirements").glob("*.lock"):
        lines = file.read_text().splitlines()
        assert [line for line in lines if line[0] != "#" and "==" not in line] == []
        assert not any("/" in line or "+" in line for line in lines[1:])


def test_the_lock_holds_what_the_project_itself_asks_for() -> None:
    lines = (ROOT / "requirements/dev.lock").read_text().splitlines()
    named = {line.split("==")[0] for line in lines}
    wanted = lock.needed(["test", "lint", "lab"])
    here = {r.name for r in wanted if not r.marker or r.marker.evaluate()}
    assert {name.replace(".", "-") for name in here} <= named


def test_a_python_that_is_too_old_or_absent_is_passed_over() -> None:
    found = subprocess.run(
        [ROOT / "tools/find_python.sh", "/bin/false", "no-such-python"],
        capture_output=True,
        text=True,
        check=True,
    )
    version = [found.stdout.strip(), "-c", "import sys; print(sys.version_info >= (3, 11))"]
    assert subprocess.check_output(version, text=True) == "True\n"


def test_a_report_is_one_line_with_ratios_of_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PACKAGES", ("pytest",))
    whole = Comparison(ours=[1.0, 2.0, 3.0], peers={"px": [8.0, 8.0, 80.0]})
    text = Report(name="noop", unit="ms", whole=whole).json()
    assert "\n" not in text
    read = json.loads(text)
    assert read["ours"] == {"median": 2.0, "p25": 1.5, "p75": 2.5, "n": 3}
    assert read["peers"]["px"]["median"] == 8.0
    assert read["ratios"] == {"px": 0.25}
    assert set(read) == {"name", "unit", "ours", "peers", "ratios", "versions", "date"}


def test_each_piece_of_the_soak_names_tests_and_a_size_that_they_read() -> None:
    for piece in soak.PIECES.values():
        place = ROOT / piece.tests[0]
        files = [place] if place.is_file() else sorted(place.glob("*.py"))
        assert files
        text = "".join(file.read_text() for file in files)
        assert all(f'"{variable}"' in text for variable in piece.sizes), piece


def test_a_soak_says_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["nothing"]) == 2
    assert "kills" in capsys.readouterr().out
