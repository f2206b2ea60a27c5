"""Fixtures that several files of unit tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.supervisor_stage import Stage, submit
from tests.unit.worker_driver import Driver


@pytest.fixture
def stage() -> Stage:
    """Return a supervisor's mind with one client."""
    stage = Stage()
    stage.client()
    return stage


@pytest.fixture
def running(stage: Stage) -> Stage:
    """Return a stage on which run 1 is started."""
    stage.say(submit())
    stage.ready()
    return stage


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Driver]:
    """Give a test a worker of its own, and end it."""
    with Driver(tmp_path / "worker") as driver:
        yield driver
