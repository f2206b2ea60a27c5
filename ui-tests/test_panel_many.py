"""Very many Macs and runs in the panel: only what one may see is drawn."""

from __future__ import annotations

from book import Front
from panel import LONG, Panel
from played import host, play, run
from playwright.sync_api import Locator, expect

#: Elements of the panel whatever its fleet: beside the 1,200 rows themselves, those of a few.
MOST = 4000


def elements(panel: Panel) -> int:
    return panel.whole.locator("*").count()


def come_to(row: Locator) -> None:
    """Scroll to a row until it is drawn: those before it are higher when they are."""
    while not row.get_by_role("button").count():
        row.scroll_into_view_if_needed()
        row.page.wait_for_timeout(50)


def test_of_many_macs_and_runs_only_those_in_sight_are_drawn(fleet_lab: Front) -> None:
    hosts = [host(f"mac-{number}", "ready") for number in range(200)]
    runs = [run(number) for number in range(1000)]
    panel, stream = play(fleet_lab, hosts, runs)
    expect(panel.under_way()).to_have_count(1000, timeout=LONG)
    cards = panel.whole.locator(".macgpu-Card")
    expect(cards).to_have_count(200)
    last = panel.under_way().last
    for row in (panel.under_way().first, last, cards.last, panel.under_way().first):
        come_to(row)
    assert elements(panel) < MOST
    # What has the focus stays, however far away.
    name = panel.under_way().first.locator(".macgpu-Run-name")
    name.focus()
    come_to(last)
    expect(name).to_be_focused()
    stream.say(type="runs", revision=2, runs=[run(999, priority=4)], gone=[])
    expect(last).to_contain_text("priority 4")
    assert elements(panel) < MOST
    panel.book.screenshot("panel-many")
