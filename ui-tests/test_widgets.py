"""Widgets that a cell makes elsewhere live in the notebook: they move, and their callbacks run."""

from __future__ import annotations

import pytest
from book import LOAD, Front
from playwright.sync_api import Locator, expect

BAR = """%%macgpu --on sim-m4
from tqdm.notebook import tqdm
for step in tqdm(range(30), desc="training"):
    pass"""
SLIDER = """%%macgpu --on sim-m4
import ipywidgets as widgets, os
here = os.getpid()
slider = widgets.IntSlider(3, max=10, description="layers")
label = widgets.HTML("not moved")
shown = widgets.Output()
def moved(change):
    label.value = f"<b>{change['new']}</b> in the worker: {os.getpid() == here}"
    with shown:
        print("moved to", change["new"])
slider.observe(moved, "value")
widgets.VBox([slider, label, shown])"""


def move(output: Locator, value: int) -> None:
    """Click on the slider where a value is; it goes from 0 to 10."""
    # Not by keys: in command mode a notebook takes the arrows for itself.
    # A slider that still moves from a click before takes no other.
    expect(output.locator(".noUi-state-tap")).to_have_count(0)
    track = output.locator(".noUi-base")
    box = track.bounding_box()
    track.click(position={"x": box["width"] * value / 10, "y": box["height"] / 2})


def test_a_progress_bar_of_a_cell_elsewhere_fills(front: Front, on_macs: str) -> None:
    book = front.open([LOAD, BAR], kernel=on_macs)
    book.run_all()
    output = book.output(1)
    expect(output).to_contain_text("training: 100%")
    expect(output).to_contain_text("30/30")
    filled, whole = output.locator(".progress-bar").bounding_box(), output.locator(".progress")
    assert filled["width"] == pytest.approx(whole.bounding_box()["width"], rel=0.02)
    book.screenshot(f"tqdm-{front.app}")


def test_a_slider_of_a_cell_elsewhere_calls_back(front: Front, on_macs: str) -> None:
    cells = [LOAD, SLIDER, "slider", "%%macgpu\nprint('reads', slider.value)"]
    book = front.open(cells, kernel=on_macs)
    book.run_all()
    output = book.output(1)
    for value in (8, 5):
        move(output, value)
        expect(output).to_contain_text(f"{value} in the worker: True")
        expect(output).to_contain_text(f"moved to {value}")
    book.run(3)
    expect(book.output(3)).to_contain_text("reads 5")
    book.screenshot(f"slider-{front.app}")
