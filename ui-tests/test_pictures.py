"""The pictures of `notebooks/scheduling.ipynb`, taken anew; `make pictures` puts them beside it."""

from __future__ import annotations

import re
import shutil

from book import Book, Front
from panel import LONG, Panel
from PIL import Image
from playwright.sync_api import Locator, expect

TRAIN = """import time
for step in range(300):
    time.sleep(1)
    print(f"step {step}: loss {1 / (step + 1):.3f}")
"""
PLOT = 'print("plots of 300 steps")'


def opened(front: Front, name: str, cells: list[str]) -> Book:
    """Open a notebook under a name that a person gives, with nothing beside it but the panel."""
    first = front.open(cells)
    named = first.file.with_name(name)
    shutil.copy(first.file, named)
    first.page.close()
    book = front.again(Book(first.page, named))
    book.wait_for_kernel()
    book.theme("light")
    book.page.set_viewport_size({"width": 1000, "height": 900})
    book.command("application:toggle-left-area")
    return book


def fold(panel: Panel, *names: str) -> None:
    """Fold sections of the panel, so that the others have their room; or unfold them again."""
    for name in names:
        panel.whole.locator(".lm-AccordionPanel-title").filter(has_text=name).click()


def calm(panel: Panel) -> None:
    """Wait until all Macs have said how they are."""
    for name in ("sim-m2-ultra", "sim-m4", "sim-m1-max"):
        expect(panel.mac(name, "ready")).to_contain_text("Memory", timeout=LONG)


def picture(book: Book, name: str, *, of: Locator | None = None) -> None:
    """Take a picture, of few colours: it stays in the repository."""
    file = book.screenshot(name, of=of)
    with Image.open(file) as taken:
        few = taken.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def test_two_runs_of_a_notebook_on_one_mac(fleet_lab: Front) -> None:
    book = opened(fleet_lab, "training.ipynb", [TRAIN, PLOT])
    panel = Panel(book)
    calm(panel)
    fold(panel, "Schedules")
    panel.press("Use sim-m4 for this notebook")
    panel.run_cell(0)
    panel.written(0, "step 1")
    panel.run_cell(1)
    waiting = panel.under_way().filter(has_text=re.compile("in the queue|waiting"))
    expect(waiting).to_be_visible(timeout=LONG)
    waiting.locator(".macgpu-Run-name").click()
    expect(waiting.get_by_label("Move to")).to_be_visible()
    book.page.mouse.move(0, 0)
    picture(book, "scheduling-queue")
    running = panel.under_way().filter(has_text="running").filter(has_text="import time")
    running.get_by_role("button", name="Cancel").click()
    book.page.get_by_role("button", name="Cancel the run").click()
    panel.written(0, ": cancelled")
    panel.finished(1)


def test_a_notebook_that_runs_every_night(fleet_lab: Front) -> None:
    book = opened(fleet_lab, "nightly.ipynb", ["epochs = 2", "print(epochs, 'epochs')"])
    panel = Panel(book)
    calm(panel)
    fold(panel, "Macs", "Runs", "Schedules")
    panel.press("Run the whole notebook…")
    form = panel.whole.get_by_role("form", name="Run the whole notebook")
    form.get_by_label("When").select_option("cron")
    form.get_by_label("Cron").fill("30 3 * * *")
    form.get_by_label("Parameters").fill('{"epochs": 20}')
    form.get_by_label("If the server was off").select_option("once")
    picture(book, "scheduling-form", of=panel.whole.locator(".macgpu-Sheet"))
    form.get_by_role("button", name="Schedule").click()
    fold(panel, "Schedules")
    row = panel.whole.get_by_role("list", name="Schedules").locator(".macgpu-Run")
    expect(row).to_contain_text("30 3 * * *", timeout=LONG)
    row.get_by_text("Run now").click()
    expect(row).to_contain_text("done", timeout=LONG)
    book.page.mouse.move(0, 0)
    picture(book, "scheduling-plans", of=row)
    row.get_by_text("Remove").click()
    expect(row).to_have_count(0, timeout=LONG)
