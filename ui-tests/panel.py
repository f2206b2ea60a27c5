"""The panel with the fleet, as who uses it sees it: by roles, names and words."""

from __future__ import annotations

from book import Book
from playwright.sync_api import Locator, expect

RUN_MIME = "application/vnd.jupyter-macgpu.run+json"
#: Milliseconds for what a busy machine may take long for.
LONG = 120_000


class Panel:
    """The panel beside one notebook. It is opened by this."""

    def __init__(self, book: Book) -> None:
        self.book = book
        book.command("macgpu:show-panel")
        self.whole = book.page.locator("#macgpu-panel")
        expect(self.whole).to_be_visible()

    def mac(self, name: str, state: str = "") -> Locator:
        """Return a Mac's card; with a state, only while that is its state."""
        cards = self.whole.get_by_role("list", name="Macs", exact=True).locator(".macgpu-Card")
        named = cards.filter(has_text=name)
        return named.filter(has_text=state) if state else named

    def under_way(self) -> Locator:
        """Return the lines of all runs that are under way."""
        return self.whole.get_by_role("list", name="Under way").locator(".macgpu-Run")

    def press(self, name: str) -> None:
        """Click on a button of the panel."""
        self.whole.get_by_role("button", name=name, exact=True).click()

    def select(self, number: int) -> None:
        """Select a cell."""
        self.book.page.evaluate(
            "number => { const panel = window.jupyterapp.shell.currentWidget;"
            " panel.content.deselectAll(); panel.content.activeCellIndex = number; }",
            number,
        )

    def run_cell(self, number: int) -> None:
        """Have a cell run on a Mac; it is handed in when this returns."""
        self.select(number)
        self.book.command("macgpu:run-cell")

    def host_of(self, number: int) -> str:
        """Return the Mac that a cell's output names."""
        named = [out["data"][RUN_MIME] for out in self.book.outputs(number) if is_name(out)]
        return str(named[-1]["host"])

    def written(self, number: int, words: str) -> None:
        """Wait until a cell shows something, behind the output that names its run."""
        expect(self.book.output(number)).to_contain_text(words, timeout=LONG)

    def finished(self, number: int) -> None:
        """Wait until all that a run shows stands in its cell."""
        expect(self.book.output(number)).to_contain_text(": done>", timeout=LONG)


def is_name(output: dict[str, object]) -> bool:
    """Say whether an output names a run."""
    data = output.get("data")
    return isinstance(data, dict) and RUN_MIME in data
