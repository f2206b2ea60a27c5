"""Programs mean the same at home, with some cells on a worker, and on two in turn."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from .oracle import differences
from .programs import programs
from .runner import LocalRunner, Notebook, PipedRunner, Runner

PROGRAMS = int(os.environ.get("MACGPU_ORACLE_PROGRAMS", "200"))
Workers = tuple[PipedRunner, PipedRunner]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    both = PipedRunner(), PipedRunner()
    yield both
    for worker in both:
        worker.close()


@pytest.mark.timeout(0)
@settings(
    max_examples=PROGRAMS,
    derandomize=True,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
@given(program=programs(), places=st.lists(st.integers(0, 2), min_size=8, max_size=8))
def test_a_program_means_the_same_wherever_its_cells_run(
    workers: Workers, program: list[str], places: list[int]
) -> None:
    local = LocalRunner()
    runners: list[Runner] = [local, *workers]
    for mixed, choice in ((Notebook(), places), (Notebook(), [1, 2] * 4)):
        at_home = Notebook()
        said: list[str] = []
        for number, (cell, place) in enumerate(zip(program, choice, strict=False)):
            expected = at_home.run(cell, local)
            # How deep a recursion gets depends on who called the cell.
            assume("RecursionError" not in expected.error)
            got = mixed.run(cell, runners[place])
            said += got.notes
            where = f"cell {number} at {place}:\n{cell}\n"
            assert (got.stdout, got.error) == (expected.stdout, expected.error), where
            found = [line for line in differences(at_home, mixed) if not _announced(line, said)]
            assert not found, where + "\n".join(found)


def _announced(difference: str, notes: list[str]) -> bool:
    """Say whether a note named what differs."""
    name = difference.partition(":")[0].partition(".")[0].partition("[")[0]
    return any(name in note.split(":")[0].split(", ") for note in notes)
