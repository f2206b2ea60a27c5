"""What all browser tests share: one server, one browser, nothing of the user's own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from book import LAB, NOTEBOOK, SCREENSHOTS, Front
from jupyter_server_process import JupyterServer
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from jupyter_macgpu.simulation.fleet import SimulatedFleet
from tests.faults import processes

#: Milliseconds for which a test waits to see something: the machine may be busy.
_PATIENCE = 60_000


def pytest_configure(config: pytest.Config) -> None:
    """Empty the folder of pictures, before tests are shared out among processes."""
    expect.set_options(timeout=_PATIENCE)
    if not hasattr(config, "workerinput"):
        shutil.rmtree(SCREENSHOTS, ignore_errors=True)
        SCREENSHOTS.mkdir()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all where there is no browser, and say so."""
    if reason := chromium.why_none():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Give the whole run a folder with a state of its own; nothing of it is left."""
    patch = pytest.MonkeyPatch()
    # Not pytest's own folder: a socket's path must stay short to be bound as it is.
    made = Path(tempfile.mkdtemp(prefix="macgpu-ui-"))
    patch.setenv("MACGPU_STATE", str(made / "state"))
    patch.setenv("XDG_CONFIG_HOME", str(made / "xdg"))
    for name in [name for name in os.environ if name.startswith(("JUPYTER", "JPY_"))]:
        patch.delenv(name)
    for name in ("MACGPU_FLEET", "MACGPU_INSTANCE", "MACGPU_QUEUE", "MACGPU_SLOTS"):
        patch.delenv(name, raising=False)
    yield made
    processes.end_all(made / "state")
    patch.undo()
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[JupyterServer]:
    """Start a Jupyter server without a fleet: cells run on this machine."""
    started = JupyterServer(folder / "jupyter", {})
    yield started
    started.stop()


@pytest.fixture(scope="session")
def macs(folder: Path) -> Iterator[SimulatedFleet]:
    """Start three simulated Macs, each with an SSH server where one can be had.

    Their weather begins tomorrow: until then they are well, however long the tests take.
    """
    with SimulatedFleet(3, age=-86_400.0) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def fleet_server(folder: Path, macs: SimulatedFleet) -> Iterator[JupyterServer]:
    """Start a Jupyter server whose fleet the simulated Macs are, for the panel and its kernels."""
    started = JupyterServer(folder / "panel", {"MACGPU_FLEET": str(macs.file)})
    yield started
    started.stop()


@pytest.fixture(scope="session")
def on_macs(server: JupyterServer, macs: SimulatedFleet) -> str:
    """Return the name of a kernel whose fleet the simulated Macs are; it finds our modules."""
    here = str(Path(__file__).parent)
    return server.kernel("macs", MACGPU_FLEET=str(macs.file), PYTHONPATH=here)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the browser of this machine."""
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return what all pages share: the cache, so that a second page is there at once."""
    made = browser.new_context(viewport={"width": 1200, "height": 1400})
    yield made
    made.close()


def _front(app: str, server: JupyterServer, context: BrowserContext) -> Iterator[Front]:
    """Give a test a front end, and close all that it opened there."""
    opened = Front(app, server, context)
    yield opened
    opened.close()


@pytest.fixture(params=[LAB, NOTEBOOK])
def front(
    request: pytest.FixtureRequest, server: JupyterServer, context: BrowserContext
) -> Iterator[Front]:
    """Give a test each front end in turn."""
    yield from _front(request.param, server, context)


@pytest.fixture
def lab(server: JupyterServer, context: BrowserContext) -> Iterator[Front]:
    """Give a test JupyterLab."""
    yield from _front(LAB, server, context)


@pytest.fixture(params=[LAB, NOTEBOOK])
def fleet(
    request: pytest.FixtureRequest, fleet_server: JupyterServer, context: BrowserContext
) -> Iterator[Front]:
    """Give a test each front end with a fleet in turn."""
    yield from _front(request.param, fleet_server, context)


@pytest.fixture
def fleet_lab(fleet_server: JupyterServer, context: BrowserContext) -> Iterator[Front]:
    """Give a test JupyterLab with a fleet."""
    yield from _front(LAB, fleet_server, context)
