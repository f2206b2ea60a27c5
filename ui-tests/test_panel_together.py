"""Two browsers with one notebook: what a run shows stands in both, once and in order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from book import LAB, Book, Front
from held import Held
from jupyter_server_process import JupyterServer
from panel import LONG, Panel, is_name
from playwright.sync_api import Browser, expect

from jupyter_macgpu.simulation.fleet import SimulatedFleet

COUNTS = "for number in range(3):\n    print('step', number)\n'end'"

NUMBER = "window.jupyterapp.shell.currentWidget.content.model.sharedModel.awareness.clientID"


@pytest.fixture(scope="module")
def together(folder: Path, macs: SimulatedFleet) -> Iterator[JupyterServer]:
    """Start a Jupyter server on which several browsers work on one document."""
    settings = {"MACGPU_FLEET": str(macs.file)}
    started = JupyterServer(folder / "together", settings, together=True)
    yield started
    started.stop()


@pytest.fixture
def fronts(together: JupyterServer, browser: Browser) -> Iterator[list[Front]]:
    """Give a test JupyterLab in two browsers that share nothing."""
    contexts = [browser.new_context(viewport={"width": 1200, "height": 1000}) for _ in range(2)]
    opened = [Front(LAB, together, context) for context in contexts]
    yield opened
    for front, context in zip(opened, contexts, strict=True):
        front.close()
        context.close()


def seen(book: Book) -> list[str]:
    """Return what one sees of the first cell's outputs, each of them."""
    return book.output(0).locator(".jp-OutputArea-child").all_inner_texts()


def held_once(book: Book, *begun: str) -> None:
    """See that a browser holds and shows the run's outputs, once and in order."""
    # Two browsers may write at the same moment; the one that is to write then takes out again
    # what stands there twice.
    until = time.monotonic() + LONG / 1000
    while [is_name(output) for output in book.outputs(0)] != [True, False, False]:
        assert time.monotonic() < until, book.outputs(0)
        book.page.wait_for_timeout(100)
    outputs = book.outputs(0)
    text = "".join(outputs[1]["text"])
    assert text.splitlines() == [*begun, "step 0", "step 1", "step 2"]
    name, steps, end = seen(book)
    assert ": done>" in name
    assert steps.split("\n")[0] == "begun"
    assert "'end'" in end


def test_a_run_shows_the_same_in_both_browsers(fronts: list[Front], tmp_path: Path) -> None:
    held = Held(tmp_path, then=COUNTS)
    one = fronts[0].open([held.source])
    other = fronts[1].again(one)
    panel, watching = Panel(one), Panel(other)
    expect(watching.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    panel.run_cell(0)
    watching.written(0, "begun")
    one.screenshot("panel-together")
    held.let_go()
    for each in (panel, watching):
        each.finished(0)
        each.written(0, "'end'")
        held_once(each.book, "begun")


@pytest.mark.parametrize("leaves", [0, 1], ids=["who writes", "who watches"])
def test_one_browser_closes_in_mid_run(fronts: list[Front], tmp_path: Path, leaves: int) -> None:
    held = Held(tmp_path, then=COUNTS)
    books = [fronts[0].open([held.source])]
    books.append(fronts[1].again(books[0]))
    # Of two browsers, the one with the smaller number writes.
    books.sort(key=lambda book: book.page.evaluate(NUMBER))
    panels = [Panel(book) for book in books]
    panels[0].run_cell(0)
    for panel in panels:
        panel.written(0, "begun")
    books[leaves].page.close()
    held.let_go()
    left = panels[1 - leaves]
    # That a browser has gone is known when it was silent for half a minute.
    expect(left.book.output(0)).to_contain_text(": done>", timeout=3 * LONG)
    left.written(0, "'end'")
    held_once(left.book, "begun")
    assert left.book.source(0) == held.source
