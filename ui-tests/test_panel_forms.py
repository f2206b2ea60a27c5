"""The panel's forms: seen whole in the narrowest sidebar, and no section changes its size."""

from __future__ import annotations

from typing import Any

import pytest
from book import Front
from panel import LONG, Panel
from played import host, play, run
from playwright.sync_api import Locator, expect

#: What a form may be at, in pixels; nothing is as JupyterLab has it at first.
WIDTHS = (260, None)
FORMS = {"cell": "Run the selected cell", "notebook": "Run the whole notebook"}
LONG_NAME = "a-mac-studio-in-the-basement-of-the-third-laboratory"
#: What of a form sticks out of the panel, or cannot be seen without scrolling.
UNSEEN = """sheet => {
    const all = sheet.getBoundingClientRect();
    const parts = [...sheet.querySelectorAll('label, select, input, p, button')];
    return parts.filter(part => {
        const box = part.getBoundingClientRect();
        return box.width === 0 || box.left < all.left || box.right > all.right
            || box.top < all.top || box.bottom > all.bottom;
    }).map(part => part.outerHTML);
}"""
SIZES = """() => {
    const { content } = window.jupyterapp.shell.widgets('right').find(
        widget => widget.id === 'macgpu-panel') ?? {};
    return [content.relativeSizes(), content.widgets.map(widget => widget.isHidden)];
}"""


def narrow(panel: Panel, width: int) -> None:
    """Drag the sidebar's edge until the panel is so wide."""
    box = panel.whole.bounding_box()
    assert box is not None
    mouse, middle = panel.book.page.mouse, box["y"] + box["height"] / 2
    mouse.move(box["x"] - 2, middle)
    mouse.down()
    mouse.move(box["x"] - 2 + box["width"] - width, middle, steps=5)
    mouse.up()
    now = panel.whole.bounding_box()
    assert now is not None
    assert abs(now["width"] - width) < 8


def opened(panel: Panel, kind: str) -> Locator:
    panel.press(f"{FORMS[kind]}…")
    form = panel.whole.get_by_role("form", name=FORMS[kind])
    expect(form).to_be_visible()
    return form


@pytest.fixture
def panel(fleet_lab: Front) -> Panel:
    """The panel beside a notebook, in a window as high as that of a small laptop."""
    hosts = [host(LONG_NAME, "ready"), *(host(f"mac-{number}", "ready") for number in range(8))]
    runs = [run(number, name=f"train-on-{LONG_NAME}-{number}") for number in range(4)]
    made, _ = play(fleet_lab, hosts, runs, cells=["fit(model, images, epochs=10)  # long enough"])
    made.book.page.set_viewport_size({"width": 1200, "height": 768})
    expect(made.under_way()).to_have_count(4, timeout=LONG)
    return made


@pytest.mark.parametrize("width", WIDTHS)
def test_a_form_is_seen_whole_however_narrow_the_sidebar_is(
    panel: Panel, width: int | None
) -> None:
    book = panel.book
    if width is not None:
        narrow(panel, width)
    for theme in ("light", "dark"):
        book.theme(theme)
        for kind, when in (("cell", "after"), ("notebook", "cron"), ("notebook", "at")):
            form = opened(panel, kind)
            form.get_by_label("When").select_option(when)
            mac = form.get_by_role("combobox", name="On", exact=True)
            mac.select_option(LONG_NAME)
            assert mac.get_attribute("title") == LONG_NAME
            if when == "after":
                form.get_by_role("combobox", name="After", exact=True).select_option(index=1)
            book.screenshot(f"form-{kind}-{when}-{width}-{theme}")
            sheet = panel.whole.locator(".macgpu-Sheet")
            assert sheet.evaluate(UNSEEN) == []
            assert book.violations(".macgpu-Sheet") == []
            book.page.keyboard.press("Escape")
            expect(form).to_have_count(0)


def test_no_section_changes_its_size_while_a_form_is_open(panel: Panel) -> None:
    page = panel.book.page
    title = panel.whole.locator(".lm-AccordionPanel-title")
    title.filter(has_text="Schedules").click()
    before: Any = page.evaluate(SIZES)
    form = opened(panel, "notebook")
    form.get_by_label("When").select_option("cron")
    assert page.evaluate(SIZES) == before
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
    assert page.evaluate(SIZES) == before
    assert before[1] == [False, False, False, True]


def test_what_lies_beneath_a_form_is_not_reached_by_keys(panel: Panel) -> None:
    page = panel.book.page
    opener = panel.whole.get_by_role("button", name="Run the selected cell…")
    opener.focus()
    page.keyboard.press("Enter")
    form = panel.whole.get_by_role("form", name=FORMS["cell"])
    expect(form.get_by_label("When")).to_be_focused()
    beneath = (
        "() => document.activeElement.closest('#macgpu-panel > .jp-SidePanel-content') !== null"
    )
    # The sections come before the form.
    for _ in range(5):
        page.keyboard.press("Shift+Tab")
        assert not page.evaluate(beneath)
    form.get_by_role("button", name="Close").focus()
    page.keyboard.press("Enter")
    expect(opener).to_be_focused()
