"""A cell that ran elsewhere shows in a browser what it would have shown here."""

from __future__ import annotations

from book import LOAD, Front
from playwright.sync_api import expect

FIGURE = """%%macgpu
import matplotlib.pyplot as plt
plt.plot([1, 4, 9])
plt.title("squares")
plt.show()
print("drawn")"""


def test_a_figure_and_text_are_shown(front: Front) -> None:
    book = front.open([LOAD, FIGURE])
    book.run_all()
    picture = book.output(1).locator("img")
    expect(picture).to_be_visible()
    assert picture.bounding_box()["width"] > 200
    expect(book.output(1)).to_contain_text("drawn")
    book.screenshot(f"figure-{front.app}")


def test_a_cell_on_a_simulated_mac_is_shown_light_and_dark(lab: Front, on_macs: str) -> None:
    book = lab.open([LOAD, "%%macgpu --on sim-m4\nprint('there')\n6 * 7"], kernel=on_macs)
    book.run_all()
    expect(book.output(1)).to_contain_text("there")
    expect(book.output(1)).to_contain_text("42")
    for theme in ("light", "dark"):
        book.theme(theme)
        book.screenshot(f"cell-{theme}")
        assert book.violations() == []
