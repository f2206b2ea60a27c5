"""The notebook about jobs runs, and shows what its text says."""

from __future__ import annotations

import pytest

from tests.executed import executed


@pytest.fixture(scope="module")
def shown(own_state):
    """Return what each cell showed, by its id, as text."""
    return executed("jobs.ipynb", timeout=120)


def test_a_job_is_there_at_once_and_its_value_later(shown):
    assert "<run " in shown["background"]
    assert "darts on this-machine" in shown["run"]
    assert shown["meanwhile"] == "285"
    assert "pi is about 3." in shown["result"]
    assert "after 100000 darts" in shown["result"]


def test_its_variables_come_when_they_are_bound(shown):
    assert shown["before"] == "False"
    assert shown["bind"].endswith(", 100000)")


def test_another_notebook_takes_it_up(shown):
    assert "after 20000 darts" in shown["other"]
    assert "in the other notebook: " in shown["other"]
    assert "of 100000" in shown["other"]


def test_the_table_of_a_sweep_is_brought_up_to_date_where_it_stands(shown):
    for cell in ("sweep", "table"):
        lines = [line.split() for line in shown[cell].splitlines()]
        rows = [line for line in lines if "this-machine" in line]
        assert [row[2] for row in rows] == ["ok"] * 6
    assert "loss 0.0" in shown["best"]


def test_a_job_starts_at_its_time(shown):
    assert "later on this-machine" in shown["at"]
    assert shown["at-result"] == "'200 points, at last'"


def test_a_job_that_is_cancelled_clears_up(shown):
    assert "cancelled cleared up" in shown["cancel"]
    assert "endless" in shown["runs"]
