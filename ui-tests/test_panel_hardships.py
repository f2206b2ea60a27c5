"""What happens around the panel: a busy kernel, a server that is killed, nobody who looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from book import LAB, Front
from held import Held
from jupyter_server_process import JupyterServer
from panel import LONG, Panel, is_name
from playwright.sync_api import BrowserContext, Page, WebSocket, expect

from jupyter_macgpu.simulation.fleet import SimulatedFleet

STATUS = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status"
COUNTS = "for number in range(3):\n    print('step', number)\n'end'"


@pytest.fixture
def mortal(folder: Path, macs: SimulatedFleet) -> Iterator[JupyterServer]:
    """Start a Jupyter server of the test's own, which it may kill."""
    started = JupyterServer(folder / "mortal", {"MACGPU_FLEET": str(macs.file)})
    yield started
    started.stop()


@pytest.fixture
def mortal_lab(mortal: JupyterServer, context: BrowserContext) -> Iterator[Front]:
    """Give a test JupyterLab on that server."""
    opened = Front(LAB, mortal, context)
    yield opened
    opened.close()


class Heard:
    """What the server half and a page say to each other over the stream, message by message."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.said: list[str] = []
        self.socket: WebSocket | None = None

    def listen(self, page: Page) -> None:
        """Note what is said from now on."""
        page.on("websocket", self._begin)

    def wait_for_moments(self, count: int) -> None:
        """Wait until the Macs' load has been told so many times from now on."""
        for _ in range(count):
            self.socket.wait_for_event("framereceived", lambda told: '"metrics"' in told)

    def _begin(self, socket: WebSocket) -> None:
        if "macgpu/api/v1/stream" in socket.url:
            self.socket = socket
            socket.on("framereceived", lambda told: self.told.append(str(told)))
            socket.on("framesent", lambda said: self.said.append(str(said)))


def test_a_run_is_cancelled_while_the_kernel_computes(fleet_lab: Front, tmp_path: Path) -> None:
    away, here = Held(tmp_path, name="away"), Held(tmp_path, name="here")
    book = fleet_lab.open([away.source, here.source])
    panel = Panel(book)
    panel.run_cell(0)
    panel.written(0, "begun")
    book.start(1)
    expect(book.output(1)).to_contain_text("begun", timeout=LONG)
    row = panel.under_way().filter(has_text="running")
    row.get_by_role("button", name="Cancel").click()
    book.page.get_by_role("button", name="Cancel the run").click()
    panel.written(0, "KeyboardInterrupt")
    panel.written(0, ": cancelled")
    expect(row).to_have_count(0, timeout=LONG)
    assert book.page.evaluate(STATUS) == "busy"
    here.let_go()
    book.wait_idle()


def test_a_server_that_is_killed_and_comes_back_loses_nothing(
    mortal: JupyterServer, mortal_lab: Front, tmp_path: Path
) -> None:
    held = Held(tmp_path, then=COUNTS)
    book = mortal_lab.open([held.source])
    panel = Panel(book)
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    panel.run_cell(0)
    panel.written(0, "begun")
    mortal.kill()
    away = panel.whole.get_by_role("status").filter(has_text="The Jupyter server does not answer")
    expect(away).to_be_visible(timeout=LONG)
    book.screenshot("panel-server-away")
    held.let_go()
    mortal.start()
    expect(away).to_have_count(0, timeout=LONG)
    panel.finished(0)
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    book.screenshot("panel-server-back")
    outputs = book.outputs(0)
    assert [is_name(output) for output in outputs] == [True, False, False]
    text = "".join(outputs[1]["text"])
    assert text.splitlines() == ["begun", "step 0", "step 1", "step 2"]


def test_a_panel_that_nobody_sees_is_told_nothing(fleet_lab: Front) -> None:
    hidden, shown = Heard(), Heard()
    book = fleet_lab.open(["1"], before=hidden.listen)
    panel = Panel(book)
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    hidden.wait_for_moments(2)
    book.command("application:toggle-right-area")
    expect(panel.whole).to_be_hidden()
    other = Panel(fleet_lab.open(["1"], before=shown.listen))
    expect(other.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    assert json.loads(hidden.said[-1]) == {"type": "visible", "visible": False}
    before = len(hidden.told)
    other.press("Let sim-m4 take nothing new")
    expect(other.mac("sim-m4", "draining")).to_be_visible(timeout=LONG)
    shown.wait_for_moments(3)
    assert hidden.told[before:] == []
    book.command("application:toggle-right-area")
    expect(panel.mac("sim-m4", "draining")).to_be_visible(timeout=LONG)
    panel.press("Let sim-m4 take runs again")
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
