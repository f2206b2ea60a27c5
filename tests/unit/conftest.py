"""Fixtures that several files of unit tests share."""

from __future__ import annotations

import pytest

from tests.unit.supervisor_stage import Stage, submit


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
