"""A server over simulated Macs, for the tests that only look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.simulation.fleet import SimulatedFleet

from .running import Running, running


@pytest.fixture(scope="module")
def fleet() -> Iterator[SimulatedFleet]:
    """Three Macs that are not there, each a supervisor of its own on this machine.

    Their weather begins tomorrow: until then they are well, however long the tests take.
    """
    with SimulatedFleet(3, seed=1, age=-86_400.0, over_ssh=False) as simulated:
        yield simulated


@pytest.fixture(scope="module")
def server(fleet: SimulatedFleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that has them for its fleet."""
    folder: Path = tmp_path_factory.mktemp("server")
    with running(folder, environment={"MACGPU_FLEET": str(fleet.file)}) as started:
        yield started
