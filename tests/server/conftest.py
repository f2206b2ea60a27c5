"""A server over simulated Macs, or over hosts of this machine, and who listens to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.simulation.fleet import SimulatedFleet
from tests.scripts.fleet import several

from .running import Listener, Running, running


@pytest.fixture(scope="module")
def fleet() -> Iterator[SimulatedFleet]:
    """Three Macs that are not there, each a supervisor of its own on this machine.

    Their weather begins tomorrow: until then they are well, however long the tests take.
    """
    with SimulatedFleet(3, seed=1, age=-86_400.0, over_ssh=False) as simulated:
        yield simulated


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What says that the fleet is two hosts of this machine, a and b."""
    file = tmp_path_factory.mktemp("fleet") / "fleet.yaml"
    return {"MACGPU_FLEET": str(several(file, ["a", "b"]))}


@pytest.fixture(scope="module")
def environment(fleet: SimulatedFleet) -> dict[str, str]:
    """What the server is told of its fleet: the simulated Macs, where a module says no other."""
    return {"MACGPU_FLEET": str(fleet.file)}


@pytest.fixture(scope="module")
def server(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A server with that fleet."""
    folder: Path = tmp_path_factory.mktemp("server")
    with running(folder, environment=environment) as started:
        yield started


@pytest.fixture
def listener(server: Running) -> Iterator[Listener]:
    """A browser's end of its stream."""
    with server.stream() as opened:
        yield opened
