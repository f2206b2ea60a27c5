"""Each fault has its row, and each row a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "tests" / "faults" / "README.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (F\d\d) \|(.*)\|$", TEXT, re.MULTILINE))


def test_every_fault_has_a_row() -> None:
    assert sorted(ROWS) == [f"F{number:02d}" for number in range(1, 66)]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`((?:(?:ui-)?tests/)?[\w/]*test_\w+)(?:::(\w+))?`", ROWS[row])
    assert named
    for file, test in named:
        place = file if "tests/" in file else f"tests/faults/{file}"
        path = ROOT / f"{place}.py"
        assert path.is_file(), path
        assert not test or re.search(rf"^(async )?def {test}\(", path.read_text(), re.MULTILINE)
