"""The time that continuous integration may take, shared out among the folders of tests."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
CONTRIBUTING = TESTS.parent / "CONTRIBUTING.md"
ALLOWED_MINUTES = 40
#: Processes that share out the files of `tests/`; the browser tests have one.
JOBS = 2


def minutes() -> dict[str, float]:
    section = CONTRIBUTING.read_text(encoding="utf-8").split("\n## CI minutes\n")[1]
    rows = re.findall(r"^\| `(?:tests/(?=\w))?([\w-]+)/` \| ([0-9.]+) \|", section, re.MULTILINE)
    return {folder: float(number) for folder, number in rows}


def test_every_folder_of_tests_has_its_minutes() -> None:
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    assert folders | {"ui-tests"} <= set(minutes())


def test_all_minutes_together_are_within_the_limit() -> None:
    rows = minutes()
    browser = rows.pop("ui-tests")
    assert 0 < browser + sum(rows.values()) / JOBS <= ALLOWED_MINUTES


def test_the_makefile_has_as_many_processes() -> None:
    makefile = (TESTS.parent / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^JOBS +:= {JOBS}$", makefile, re.MULTILINE)
