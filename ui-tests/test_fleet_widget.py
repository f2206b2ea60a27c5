"""The widget of all Macs: sorted, filtered, chosen, opened; by mouse and by keys."""

from __future__ import annotations

from book import LOAD, Book, Front
from playwright.sync_api import Locator, expect
from test_device_widget import TOO_WIDE, WIDGET, at_width, sees_no_hostile_word_act

MAKE = "import jupyter_macgpu\nfleet = jupyter_macgpu.FleetWidget()\nfleet"
HOSTS = ["sim-m1-max", "sim-m2-ultra", "sim-m4"]


def opened(front: Front, kernel: str, *cells: str) -> tuple[Book, Locator]:
    """Open a notebook with the widget in its second cell, and wait for all hosts."""
    book = front.open([LOAD, MAKE, *cells], kernel=kernel)
    book.run(0)
    book.run(1)
    widget = book.output(1).locator(WIDGET)
    expect(widget.get_by_text("idle")).to_have_count(3)
    return book, widget


def names(widget: Locator) -> list[str]:
    return widget.get_by_role("rowheader").locator("strong").all_inner_texts()


def test_all_macs_are_shown_sorted_and_filtered_in_every_light_and_width(
    lab: Front, on_macs: str
) -> None:
    book, widget = opened(lab, on_macs)
    assert names(widget) == HOSTS
    expect(widget.get_by_text("simulated", exact=True)).to_have_count(3)
    widget.get_by_label("Sort hosts by").select_option("Free memory")
    assert names(widget) == ["sim-m2-ultra", "sim-m1-max", "sim-m4"]
    widget.get_by_label("Sort hosts by").select_option("Name")
    field = widget.get_by_role("searchbox")
    field.fill("max PORTABLE=true")
    assert names(widget) == ["sim-m1-max"]
    expect(widget).to_contain_text("1 of 3 hosts")
    field.fill("nobody")
    expect(widget).to_contain_text("No host fits.")
    field.fill("")
    for theme in ("light", "dark"):
        book.theme(theme)
        book.screenshot(f"fleet-{theme}", of=widget)
        assert book.violations(WIDGET) == []
    book.theme("light")
    at_width(widget, 320)
    book.screenshot("fleet-narrow", of=widget)
    assert [part for part in widget.evaluate(TOO_WIDE) if "HostState" not in part] == []


def test_a_mac_is_chosen_and_opened_and_focus_stays_where_it_is(lab: Front, on_macs: str) -> None:
    book, widget = opened(lab, on_macs, "%%macgpu\nimport os", "%macgpu report")
    use = widget.get_by_role("button", name="Run this notebook's cells on sim-m4")
    use.focus()
    book.page.keyboard.press("Enter")
    expect(use).to_have_attribute("aria-pressed", "true")
    expect(use).to_be_focused()
    book.run(2)
    book.run(3)
    expect(book.output(3)).to_contain_text("sim-m4")
    widget.get_by_role("button", name="Show all of sim-m4").click()
    device = widget.get_by_role("region", name="Device sim-m4, simulated")
    expect(device).to_contain_text("Apple M4 · 10 GPU cores · 16 GiB")
    hide = widget.get_by_role("button", name="Hide all of sim-m4")
    expect(hide).to_have_attribute("aria-expanded", "true")
    expect(hide).to_be_focused()
    book.screenshot("fleet-open", of=widget)
    assert book.violations(WIDGET) == []
    at_width(widget, 320)
    book.screenshot("fleet-open-narrow", of=widget)
    hide.click()
    expect(device).to_have_count(0)


def test_one_host_is_counted_as_one(lab: Front) -> None:
    book = lab.open([LOAD, MAKE])
    book.run_all()
    expect(book.output(1).locator(WIDGET)).to_contain_text("1 host")
    expect(book.output(1).locator(WIDGET)).not_to_contain_text("1 hosts")


def test_no_text_of_any_host_is_obeyed(lab: Front, on_macs: str) -> None:
    book, widget = opened(lab, on_macs, "from hostile_widgets import poison\npoison(fleet)")
    widget.get_by_role("button", name="Show all of sim-m4").click()
    expect(widget.get_by_role("region")).to_contain_text("Apple M4")
    sees_no_hostile_word_act(book, 1, 2)
    book.screenshot("fleet-hostile", of=widget)
